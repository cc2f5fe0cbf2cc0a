use super::*;
use crate::message::{Addr, Numbering, Style, split};
use proptest::prelude::*;
use rusmpp::values::InterfaceVersion;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made of anything else"
)]
fn start() -> Instant {
    Instant::now()
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn bind(kind: BindKind, version: Version) -> Bind {
    Bind {
        kind,
        system_id: "ccm".into(),
        password: "secret".into(),
        system_type: String::new(),
        version,
        ton: 0,
        npi: 0,
        address_range: String::new(),
    }
}

fn limits() -> Limits {
    Limits {
        window: 3,
        rate: 1000,
        ..Limits::default()
    }
}

fn addr(text: &str) -> Addr {
    Addr::new(text, Numbering::default()).unwrap()
}

fn submit_sm() -> Pdu {
    split("hello", &Style::default(), 1).unwrap()[0].submit(&addr("72345"), &addr("+19995550123"), true)
}

fn deliver_sm() -> Pdu {
    split("hello", &Style::default(), 1).unwrap()[0].deliver(&addr("+19995550123"), &addr("72345"))
}

/// A session under test, and its clock. The peer is the test.
struct Rig {
    session: Session,
    now: Instant,
}

impl Rig {
    fn esme(kind: BindKind) -> Self {
        let now = start();
        let mut session = Session::esme(bind(kind, Version::V34), limits(), now);
        session.connected(now);
        Self { session, now }
    }

    fn bound() -> Self {
        let mut rig = Self::esme(BindKind::Transceiver);
        rig.says(CommandStatus::EsmeRok, 1, resp(BindKind::Transceiver, None));
        assert_eq!(rig.sent(), [(CommandId::BindTransceiver, 0, 1)]);
        assert_eq!(rig.events(), ["Bound(V34)"]);
        rig
    }

    fn smsc() -> Self {
        let now = start();
        let session = Session::smsc(Version::V50, limits(), now);
        Self { session, now }
    }

    fn says(&mut self, status: CommandStatus, sequence: u32, pdu: Pdu) {
        let octets = wire::encode(&Command::new(status, sequence, pdu));
        self.session.received(&octets, self.now);
    }

    /// What a peer sends whose octets no library would write.
    fn sends(&mut self, id: u32, status: u32, sequence: u32, body: &[u8]) {
        let header = [16 + body.len() as u32, id, status, sequence];
        let octets: Vec<u8> = header.iter().flat_map(|field| field.to_be_bytes()).collect();
        self.session.received(&[&octets, body].concat(), self.now);
    }

    fn answers(&mut self, status: CommandStatus, sequence: u32, id: &str) {
        self.says(status, sequence, response_to(CommandId::SubmitSm, id).unwrap());
    }

    /// Goes on in time from time-out to time-out.
    fn passes(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.timeout(self.now);
            let again = self.session.next_timeout();
            assert!(
                again.is_none_or(|next| next > at),
                "a time-out that is over comes again"
            );
        }
        self.now = end;
    }

    fn submit(&mut self) -> Result<Ticket, NotNow> {
        self.now += Duration::from_millis(1);
        self.session.submit(submit_sm(), self.now)
    }

    /// What leaves: id, status, sequence.
    fn sent(&mut self) -> Vec<(CommandId, u32, u32)> {
        let mut reader = Reader::new(100_000);
        while let Some(octets) = self.session.poll_transmit() {
            reader.push(&octets);
        }
        std::iter::from_fn(|| match reader.read().unwrap()? {
            Frame::Pdu(command) => Some((
                command.id(),
                u32::from(command.status()),
                command.sequence_number(),
            )),
            Frame::Broken(broken) => panic!("{broken:?}"),
        })
        .collect()
    }

    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_event())
            .map(|event| format!("{event:?}"))
            .collect()
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::iter::from_fn(|| self.session.poll_event())
            .filter_map(|event| match event {
                Event::Done { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect()
    }
}

fn resp(kind: BindKind, version: Option<InterfaceVersion>) -> Pdu {
    use rusmpp::pdus::{BindReceiverResp, BindTransceiverResp, BindTransmitterResp};
    let id = "smsc".parse().unwrap();
    match kind {
        BindKind::Transmitter => BindTransmitterResp::new(id, version).into(),
        BindKind::Receiver => BindReceiverResp::new(id, version).into(),
        BindKind::Transceiver => BindTransceiverResp::new(id, version).into(),
    }
}

const OK: u32 = 0;

#[test]
fn each_kind_binds_and_carries_what_it_may() {
    for (kind, id, submits, delivered) in [
        (
            BindKind::Transmitter,
            CommandId::BindTransmitter,
            true,
            CommandStatus::EsmeRinvbndsts,
        ),
        (
            BindKind::Receiver,
            CommandId::BindReceiver,
            false,
            CommandStatus::EsmeRok,
        ),
        (
            BindKind::Transceiver,
            CommandId::BindTransceiver,
            true,
            CommandStatus::EsmeRok,
        ),
    ] {
        let mut rig = Rig::esme(kind);
        assert_eq!(rig.session.state(), State::Binding);
        assert_eq!(rig.submit(), Err(NotNow::NotBound));
        rig.says(CommandStatus::EsmeRok, 1, resp(kind, None));
        assert_eq!(rig.session.state(), State::Bound);
        assert_eq!(rig.submit().is_ok(), submits);
        rig.says(CommandStatus::EsmeRok, 9, deliver_sm());
        rig.session.answer(9, CommandStatus::EsmeRok, "");
        let sent = rig.sent();
        assert_eq!(sent.first().map(|pdu| pdu.0), Some(id));
        assert!(
            sent.contains(&(CommandId::DeliverSmResp, delivered.into(), 9)),
            "{sent:?}"
        );
    }
}

#[test]
fn versions_are_agreed_on() {
    for (ours, theirs, agreed) in [
        (Version::V34, Some(InterfaceVersion::Smpp5_0), "Bound(V34)"),
        (Version::V50, Some(InterfaceVersion::Smpp5_0), "Bound(V50)"),
        (Version::V50, Some(InterfaceVersion::Smpp3_4), "Bound(V34)"),
        (Version::V50, None, "Bound(V34)"),
    ] {
        let now = start();
        let mut session = Session::esme(bind(BindKind::Transceiver, ours), limits(), now);
        session.connected(now);
        let mut rig = Rig { session, now };
        rig.says(CommandStatus::EsmeRok, 1, resp(BindKind::Transceiver, theirs));
        assert_eq!(rig.events(), [agreed]);
    }
}

#[test]
fn a_bind_that_is_refused_or_not_answered_ends_it() {
    let mut rig = Rig::esme(BindKind::Transceiver);
    rig.sends(0x8000_0009, 0x0d, 1, b"");
    assert_eq!(rig.events(), ["Closed(Refused(EsmeRbindfail))"]);
    let mut rig = Rig::esme(BindKind::Transceiver);
    rig.says(CommandStatus::EsmeRinvcmdid, 1, Pdu::GenericNack);
    assert_eq!(rig.events(), ["Closed(Refused(EsmeRinvcmdid))"]);
    let mut rig = Rig::esme(BindKind::Transceiver);
    rig.passes(limits().bind);
    assert_eq!(rig.events(), ["Closed(NotBound)"]);
    let mut rig = Rig::smsc();
    rig.passes(limits().bind);
    assert_eq!(rig.events(), ["Closed(NotBound)"]);
}

#[test]
fn answers_are_matched_by_number_in_any_order() {
    let mut rig = Rig::bound();
    let tickets: Vec<Ticket> = (0..3).map(|_| rig.submit().unwrap()).collect();
    assert_eq!(rig.submit(), Err(NotNow::WindowFull));
    assert_eq!(rig.sent().iter().map(|pdu| pdu.2).collect::<Vec<_>>(), [2, 3, 4]);
    rig.answers(CommandStatus::EsmeRok, 4, "c");
    rig.answers(CommandStatus::EsmeRok, 4, "again");
    rig.answers(CommandStatus::EsmeRok, 99, "whose");
    rig.answers(CommandStatus::EsmeRinvdstadr, 2, "");
    rig.says(CommandStatus::EsmeRsyserr, 3, Pdu::GenericNack);
    let mut done = Vec::new();
    while let Some(Event::Done { ticket, outcome }) = rig.session.poll_event() {
        let Outcome::Answered(answer) = outcome else {
            panic!("{outcome:?}")
        };
        done.push((ticket, answer.status, answer.message_id));
    }
    assert_eq!(
        done,
        [
            (tickets[2], CommandStatus::EsmeRok, Some("c".to_owned())),
            (tickets[0], CommandStatus::EsmeRinvdstadr, None),
            (tickets[1], CommandStatus::EsmeRsyserr, None),
        ]
    );
    assert!(rig.submit().is_ok());
}

#[test]
fn a_nack_without_an_error_is_a_no() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.sent();
    rig.says(CommandStatus::EsmeRok, 2, Pdu::GenericNack);
    assert!(
        matches!(&rig.outcomes()[..], [Outcome::Answered(answer)] if answer.status != CommandStatus::EsmeRok)
    );
}

#[test]
fn a_full_window_that_is_lost_is_in_doubt_and_what_never_left_is_not() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.submit().unwrap();
    rig.sent();
    rig.submit().unwrap();
    rig.session.lost();
    assert_eq!(
        rig.events(),
        [
            "Done(Ticket(1), InDoubt)",
            "Done(Ticket(2), InDoubt)",
            "Done(Ticket(3), NotSent)",
            "Closed(Lost)"
        ]
    );
    assert!(
        rig.sent().is_empty(),
        "nothing is written into a connection that is gone"
    );
    assert_eq!(rig.submit(), Err(NotNow::NotBound));
}

#[test]
fn a_request_without_an_answer_is_in_doubt_and_the_peer_is_asked() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.sent();
    rig.passes(limits().response);
    assert_eq!(rig.outcomes(), [Outcome::InDoubt]);
    assert_eq!(rig.sent(), [(CommandId::EnquireLink, OK, 3)]);
    rig.answers(CommandStatus::EsmeRok, 2, "late");
    assert!(
        rig.events().is_empty(),
        "an answer that comes too late changes nothing"
    );
    rig.says(CommandStatus::EsmeRok, 3, Pdu::EnquireLinkResp);
    rig.passes(limits().response);
    assert_eq!(rig.session.state(), State::Bound);
}

#[test]
fn what_could_not_leave_in_time_does_not_leave_later() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.passes(limits().response);
    assert_eq!(rig.outcomes(), [Outcome::NotSent]);
    assert!(rig.sent().iter().all(|pdu| pdu.0 == CommandId::EnquireLink));
}

#[test]
fn a_silent_peer_is_asked_and_then_left() {
    let mut rig = Rig::bound();
    rig.passes(limits().silence);
    assert_eq!(rig.sent(), [(CommandId::EnquireLink, OK, 2)]);
    rig.says(CommandStatus::EsmeRok, 2, Pdu::EnquireLinkResp);
    rig.passes(limits().silence);
    assert_eq!(rig.sent(), [(CommandId::EnquireLink, OK, 3)]);
    rig.passes(limits().response);
    assert_eq!(rig.events(), ["Closed(Silent)"]);
    // One that answers no enquire_link and sends other things is there.
    let mut rig = Rig::bound();
    rig.passes(limits().silence + seconds(1));
    rig.says(CommandStatus::EsmeRok, 40, Pdu::EnquireLink);
    rig.passes(limits().response);
    assert_eq!(rig.session.state(), State::Bound);
    assert!(rig.sent().contains(&(CommandId::EnquireLinkResp, OK, 40)));
}

#[test]
fn complaints_slow_it_down() {
    for status in [CommandStatus::EsmeRthrottled, CommandStatus::EsmeRmsgqful] {
        let mut rig = Rig::bound();
        rig.submit().unwrap();
        rig.sent();
        rig.answers(status, 2, "");
        assert_eq!(rig.session.rate(), 500.0);
        assert!(matches!(rig.submit(), Err(NotNow::Until(_))));
        rig.passes(seconds(1));
        assert!(rig.submit().is_ok());
    }
}

#[test]
fn congestion_is_heeded_where_both_speak_5_0() {
    for (version, rate) in [
        (InterfaceVersion::Smpp5_0, 500.0),
        (InterfaceVersion::Smpp3_4, 1000.0),
    ] {
        let now = start();
        let mut session = Session::esme(bind(BindKind::Transceiver, Version::V50), limits(), now);
        session.connected(now);
        let mut rig = Rig { session, now };
        rig.says(
            CommandStatus::EsmeRok,
            1,
            resp(BindKind::Transceiver, Some(version)),
        );
        rig.submit().unwrap();
        rig.sent();
        rig.sends(0x8000_0004, 0, 2, b"1\0\x04\x28\x00\x01\x5f");
        assert_eq!(rig.session.rate(), rate);
    }
}

#[test]
fn it_unbinds_when_all_is_answered() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.sent();
    rig.session.unbind(rig.now);
    assert_eq!(rig.session.state(), State::Unbinding);
    assert_eq!(rig.submit(), Err(NotNow::NotBound));
    rig.says(CommandStatus::EsmeRok, 5, deliver_sm());
    rig.session.answer(5, CommandStatus::EsmeRok, "");
    assert_eq!(rig.sent(), [(CommandId::DeliverSmResp, OK, 5)]);
    rig.answers(CommandStatus::EsmeRok, 2, "a");
    assert_eq!(rig.sent(), [(CommandId::Unbind, OK, 3)]);
    rig.says(CommandStatus::EsmeRok, 3, Pdu::UnbindResp);
    assert_eq!(rig.events().last().unwrap(), "Closed(Unbound)");
}

#[test]
fn it_unbinds_without_an_answer_too() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.sent();
    rig.session.unbind(rig.now);
    rig.passes(2 * limits().response);
    assert_eq!(rig.session.state(), State::Closed);
    assert_eq!(rig.outcomes(), [Outcome::InDoubt]);
}

#[test]
fn a_peer_that_unbinds_is_answered() {
    let mut rig = Rig::bound();
    rig.submit().unwrap();
    rig.sent();
    rig.says(CommandStatus::EsmeRok, 8, Pdu::Unbind);
    assert_eq!(rig.sent(), [(CommandId::UnbindResp, OK, 8)]);
    assert_eq!(rig.events(), ["Done(Ticket(1), InDoubt)", "Closed(PeerUnbound)"]);
}

#[test]
fn what_it_does_not_know_is_refused_and_nothing_more() {
    let mut rig = Rig::bound();
    rig.sends(0x0000_0777, 0, 11, b"abc");
    rig.sends(0x0000_0003, 0, 12, b"1\0\x01\x01\0");
    rig.sends(0x8000_0777, 0, 13, b"");
    rig.sends(0x0000_0102, 0, 14, b"\x01\x011\0\x01\x012\0");
    rig.sends(0x0000_0005, 0, 15, b"\0");
    rig.sends(0x0000_0009, 0, 16, b"a\0b\0\0\x34\0\0\0");
    rig.sends(0x0000_0005, 0, 17, b"");
    let nack = CommandId::GenericNack;
    assert_eq!(
        rig.sent(),
        [
            (nack, 3, 11),
            (nack, 3, 12),
            (CommandId::DeliverSmResp, 2, 15),
            (nack, 3, 16),
            (CommandId::DeliverSmResp, 2, 17),
        ]
    );
    assert_eq!(rig.session.state(), State::Bound);
    rig.session.received(&3u32.to_be_bytes(), rig.now);
    assert_eq!(rig.sent(), [(nack, 2, 0)]);
    assert!(matches!(&rig.events()[..], [closed] if closed.starts_with("Closed(BadLength")));
}

#[test]
fn more_than_can_be_served_is_put_off() {
    let mut rig = Rig::bound();
    for sequence in 1..=u32::try_from(limits().incoming).unwrap() + 1 {
        rig.says(CommandStatus::EsmeRok, sequence, deliver_sm());
    }
    let sent = rig.sent();
    assert_eq!(
        sent,
        [(
            CommandId::DeliverSmResp,
            CommandStatus::EsmeRthrottled.into(),
            101
        )]
    );
    assert!(rig.session.answer(1, CommandStatus::EsmeRok, ""));
    assert!(
        !rig.session.answer(1, CommandStatus::EsmeRok, ""),
        "one answer each"
    );
}

#[test]
fn a_message_centre_binds_those_it_knows() {
    let ask = |rig: &mut Rig| {
        rig.says(
            CommandStatus::EsmeRok,
            1,
            bind(BindKind::Transmitter, Version::V34).pdu(),
        )
    };
    let mut rig = Rig::smsc();
    rig.says(CommandStatus::EsmeRok, 7, submit_sm());
    assert_eq!(rig.sent(), [(CommandId::SubmitSmResp, 4, 7)], "not bound yet");
    ask(&mut rig);
    let Some(Event::BindRequested(request)) = rig.session.poll_event() else {
        panic!("it asked");
    };
    assert_eq!(
        (request.system_id.as_str(), request.version),
        ("ccm", Version::V34)
    );
    rig.session.accept_bind("smsc");
    assert_eq!(rig.sent(), [(CommandId::BindTransmitterResp, OK, 1)]);
    assert_eq!(rig.events(), ["Bound(V34)"]);
    assert_eq!(rig.session.submit(deliver_sm(), rig.now), Err(NotNow::WrongBind));
    ask(&mut rig);
    assert_eq!(rig.sent(), [(CommandId::BindTransmitterResp, 5, 1)]);
    rig.says(CommandStatus::EsmeRok, 2, submit_sm());
    assert_eq!(rig.events(), ["Request(2, SubmitSm)"]);
    let mut rig = Rig::smsc();
    ask(&mut rig);
    rig.session.refuse_bind(CommandStatus::EsmeRinvpaswd);
    assert_eq!(rig.sent(), [(CommandId::BindTransmitterResp, 0x0e, 1)]);
    assert_eq!(rig.session.state(), State::Closed);
}

#[test]
fn numbers_begin_again_and_pass_over_those_under_way() {
    let mut rig = Rig::bound();
    rig.session.sequence = LAST_SEQUENCE - 1;
    rig.submit().unwrap();
    rig.submit().unwrap();
    rig.session.sequence = LAST_SEQUENCE - 1;
    rig.submit().unwrap();
    assert_eq!(
        rig.sent().iter().map(|pdu| pdu.2).collect::<Vec<_>>(),
        [LAST_SEQUENCE, 1, 2]
    );
}

#[test]
fn a_bind_that_does_not_fit_is_named() {
    let mut long = bind(BindKind::Transceiver, Version::V34);
    assert_eq!(long.check(), Ok(()));
    long.password = "ninechars".into();
    assert_eq!(
        long.check().unwrap_err().to_string(),
        "password must be ASCII of at most 8 characters (SMPP 3.4 section 4.1)"
    );
    assert!(!format!("{long:?}").contains("ninechars"));
}

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
        let (mut taken, mut left, mut ended) = (BTreeMap::new(), std::collections::BTreeSet::new(), BTreeMap::new());
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
