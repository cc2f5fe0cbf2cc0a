//! Whatever happens.

use super::{super::*, rig::*};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
enum Step {
    Submit,
    Write(u8),
    Answer(u32, u32),
    Nack(u32),
    Deliver(u32),
    Reply(u32),
    Enquire,
    EnquireResp(u32),
    Garbage(Vec<u8>),
    Pass(u64),
    Unbind,
    PeerUnbinds,
    Lost,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Submit),
        6 => (1..4u8).prop_map(Step::Write),
        6 => (0..14u32, prop_oneof![Just(0), Just(0x58), Just(0x0b)]).prop_map(|(s, st)| Step::Answer(s, st)),
        1 => (0..14u32).prop_map(Step::Nack),
        2 => (0..5u32).prop_map(Step::Deliver),
        2 => (0..5u32).prop_map(Step::Reply),
        1 => Just(Step::Enquire),
        2 => (0..14u32).prop_map(Step::EnquireResp),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Garbage),
        4 => (0..12_000u64).prop_map(Step::Pass),
        1 => Just(Step::Unbind),
        1 => Just(Step::PeerUnbinds),
        1 => Just(Step::Lost),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Whatever happens, each request that was taken ends once, never more are open than the window, and one that was answered,
    /// or is in doubt, had left.
    #[test]
    fn no_request_is_lost_and_none_ends_twice(steps in prop::collection::vec(steps(), 0..120)) {
        let mut rig = Rig::bound();
        let (mut taken, mut left, mut ended) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut closed = 0;
        for step in steps.into_iter().chain([Step::Lost]) {
            match step {
                Step::Submit => if let Ok(ticket) = rig.submit() {
                    taken.insert(ticket, rig.session.sequence);
                },
                Step::Write(count) => for _ in 0..count {
                    if let Some(octets) = rig.session.poll_transmit() {
                        let sequence = u32::from_be_bytes(octets[12..16].try_into().unwrap());
                        if octets[4..8] == 4u32.to_be_bytes() { left.insert(sequence); }
                    }
                },
                Step::Answer(sequence, status) => rig.answers(status.into(), sequence, "id"),
                Step::Nack(sequence) => rig.says(CommandStatus::EsmeRsyserr, sequence, Pdu::GenericNack),
                Step::Deliver(sequence) => rig.says(CommandStatus::EsmeRok, sequence, deliver_sm()),
                Step::Reply(sequence) => { rig.session.answer(sequence, CommandStatus::EsmeRok, ""); }
                Step::Enquire => rig.says(CommandStatus::EsmeRok, 1, Pdu::EnquireLink),
                Step::EnquireResp(sequence) => rig.says(CommandStatus::EsmeRok, sequence, Pdu::EnquireLinkResp),
                Step::Garbage(octets) => rig.session.received(&octets, rig.now),
                Step::Pass(ms) => rig.passes(Duration::from_millis(ms)),
                Step::Unbind => rig.session.unbind(rig.now),
                Step::PeerUnbinds => rig.says(CommandStatus::EsmeRok, 3, Pdu::Unbind),
                Step::Lost => rig.session.lost(),
            }
            prop_assert!(rig.session.in_flight() <= limits().window);
            while let Some(event) = rig.session.poll_event() {
                match event {
                    Event::Done { ticket, outcome } => {
                        let sequence = taken.get(&ticket).copied();
                        prop_assert!(sequence.is_some(), "never taken");
                        let did_leave = left.contains(&sequence.unwrap());
                        prop_assert_eq!(did_leave, outcome != Outcome::NotSent);
                        prop_assert!(ended.insert(ticket, outcome).is_none(), "ended twice");
                    }
                    Event::Closed(_) => closed += 1,
                    _ => {}
                }
            }
        }
        prop_assert_eq!(taken.len(), ended.len());
        prop_assert_eq!(closed, 1);
        prop_assert_eq!(rig.session.state(), State::Closed);
    }
}
