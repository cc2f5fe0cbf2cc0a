mod property;
mod rig;

use super::*;
use rig::*;
use rusmpp::values::InterfaceVersion;

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
