//! The chat itself: who is in, what agents say, what is unknown.

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

use crate::bench::*;

#[test]
fn a_new_chat_sends_everything_and_holds_texts_until_an_agent_is_in() {
    let mut b = Bench::new(Config::default(), Login::New);
    assert_eq!(b.phase(), Phase::Connecting { attempt: 0 });
    assert_eq!(b.session.next_timeout(), None);
    b.connect();
    assert_eq!(b.phase(), Phase::LoggingIn { resume: false });
    let login = b.login();
    assert_eq!(
        (login.guid, login.authentication_key, login.request_transcript),
        (None, None, false)
    );
    assert_eq!(login.device_type, "CCM/1.0 (SMS)");
    assert_eq!(login.intrinsics, Some(profile().intrinsics));

    b.frame(accepted(62, "key"));
    assert_eq!(
        b.events(),
        [Event::ChatOpened {
            guid: guid(),
            key: AuthKey::new("key")
        }]
    );
    assert_eq!(b.phase(), Phase::Waiting);
    assert_eq!(b.session.send_text(1, "too early", b.now), Err(NotReady));

    b.frame(agent_joins());
    assert_eq!(
        b.events(),
        [Event::AgentPresent(true), here("7000"), Event::ReadyForText]
    );
    assert_eq!(b.phase(), Phase::Live);
    b.send_text(1);
}

#[test]
fn the_room_is_judged_by_its_list() {
    let active = ParticipantType::Active;
    let observer = ParticipantType::SupervisorObserve;
    let mut b = Bench::waiting(Config::default());
    b.frame(joins("9", &[("9", observer.clone())]));
    assert_eq!(
        b.events(),
        [came("9", observer.clone(), false)],
        "an observer does not open the room"
    );
    assert_eq!(b.phase(), Phase::Waiting);
    b.frame(joins("7", &[("9", observer.clone()), ("7", active.clone())]));
    assert_eq!(
        b.events(),
        [Event::AgentPresent(true), here("7"), Event::ReadyForText]
    );
    b.frame(joins(
        "8",
        &[
            ("9", observer.clone()),
            ("7", active.clone()),
            ("8", active.clone()),
        ],
    ));
    assert_eq!(b.events(), [here("8")]);
    b.frame(leaves(
        "7",
        false,
        &[("9", observer.clone()), ("8", active.clone())],
    ));
    assert_eq!(b.events(), [gone("7", 1, false)]);
    b.frame(leaves("8", false, &[("9", observer)]));
    assert_eq!(
        b.events(),
        [Event::AgentPresent(false), gone("8", 0, false)],
        "only the observer is left"
    );
    assert_eq!(b.session.send_text(1, "held", b.now), Err(NotReady));
    b.frame(joins("8", &[("8", active)]));
    assert_eq!(
        b.events(),
        [Event::AgentPresent(true), here("8"), Event::ReadyForText]
    );
}

#[test]
fn who_opens_the_room_is_configured() {
    use ParticipantType::*;
    for (kind, opens, shown) in [
        (Active, true, true),
        (Passive, false, true),
        (Supervisor, false, false),
        (SupervisorObserve, false, false),
        (SupervisorBarge, true, true),
        (Other("live_agent".into()), true, true),
    ] {
        for (observer_opens_chat, barge_in_opens_chat) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let case = format!("{kind:?} {observer_opens_chat} {barge_in_opens_chat}");
            let mut b = Bench::waiting(Config {
                observer_opens_chat,
                barge_in_opens_chat,
                ..Config::default()
            });
            let barred = kind == SupervisorBarge && !barge_in_opens_chat;
            b.frame(joins("7", &[("7", kind.clone())]));
            assert_eq!(
                b.session.ready_for_text(),
                observer_opens_chat || (opens && !barred),
                "{case}"
            );
            let events = b.events();
            assert!(
                events.contains(&came("7", kind.clone(), shown && !barred)),
                "{case}: {events:?}"
            );
        }
    }
}

#[test]
fn a_supervisor_who_barges_in_is_told_once_and_shown() {
    use ParticipantType::*;
    let barges = [
        ("its own frame", joins("9", &[("9", SupervisorBarge)])),
        (
            "another's list",
            joins("8", &[("9", SupervisorBarge), ("8", Passive)]),
        ),
        (
            "the list of those left",
            leaves("8", false, &[("9", SupervisorBarge)]),
        ),
        (
            "no list",
            ServerFrame::NewParticipant(NewParticipant {
                agent_id: Some(AgentId::string("9")),
                display_name: "Agent 9".into(),
                role: SupervisorBarge,
                ..Default::default()
            }),
        ),
    ];
    for (case, frame) in barges {
        let mut b = Bench::waiting(Config::default());
        b.frame(joins("9", &[("9", SupervisorObserve)]));
        assert_eq!(b.events(), [came("9", SupervisorObserve, false)], "{case}");
        b.frame(frame.clone());
        let events = b.events();
        assert_eq!(events[0], Event::AgentPresent(true), "{case}");
        let told = |events: &[Event]| {
            events
                .iter()
                .filter(|e| **e == came("9", SupervisorBarge, true))
                .count()
        };
        assert_eq!(told(&events), 1, "{case}: {events:?}");
        b.frame(joins("9", &[("9", SupervisorObserve)]));
        assert_eq!(
            b.events(),
            [Event::AgentPresent(false)],
            "{case}: back to observing"
        );
        b.frame(joins("9", &[("9", SupervisorBarge)]));
        assert_eq!(told(&b.events()), 0, "{case}: told before");
        b.frame(leaves("9", false, &[]));
        let events = b.events();
        assert!(
            matches!(
                events[1],
                Event::Left {
                    shown: true,
                    remaining: 0,
                    ..
                }
            ),
            "{case}: {events:?}"
        );
    }
}

#[test]
fn an_observer_leaves_as_unseen_as_they_came() {
    let mut b = Bench::live(Config::default());
    let agent = ("7000", ParticipantType::Active);
    b.frame(joins(
        "9",
        &[agent.clone(), ("9", ParticipantType::SupervisorObserve)],
    ));
    b.events();
    b.frame(leaves("9", false, &[agent]));
    assert!(
        matches!(
            b.events()[..],
            [Event::Left {
                shown: false,
                remaining: 1,
                end: false,
                ..
            }]
        ),
        "an observer"
    );
}

#[test]
fn why_somebody_left_is_told_if_aacc_says_it() {
    for (said, expected) in [
        (None, None),
        (Some("transfer"), Some(LeaveReason::Transfer)),
        (Some("REQUEUE"), Some(LeaveReason::Requeue)),
        (Some("Escalate"), Some(LeaveReason::Escalate)),
        (Some("transferToUser"), Some(LeaveReason::TransferToUser)),
        (Some("transfer_to_user"), Some(LeaveReason::TransferToUser)),
        (Some("x y"), Some(LeaveReason::Other("x y".into()))),
    ] {
        let mut b = Bench::live(Config::default());
        b.frame(ServerFrame::ParticipantLeave(ParticipantLeave {
            agent_id: Some(AgentId::string("7000")),
            leave_reason: said.map(str::to_owned),
            ..Default::default()
        }));
        match b.events().as_slice() {
            [Event::AgentPresent(false), Event::Left { reason, .. }] => assert_eq!(*reason, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_room_prints_by_role_and_without_names() {
    use ParticipantType::*;
    let mut b = Bench::waiting(Config::default());
    assert_eq!(b.session.room().to_string(), "nobody");
    b.frame(joins(
        "7",
        &[
            ("7", Active),
            ("8", Active),
            ("9", SupervisorObserve),
            ("1", Passive),
        ],
    ));
    assert_eq!(b.session.room().to_string(), "2 active, 1 passive, 1 observing");
    assert!(!format!("{:?}", b.session.room()).contains("Agent 7"));
    b.session.detach();
    let login = Login::Resume {
        guid: guid(),
        key: AuthKey::new("key"),
        agent_present: true,
    };
    let b = Bench::new(Config::default(), login);
    assert_eq!(b.session.room().to_string(), "somebody (not known who)");
}

#[test]
fn the_moment_of_words_is_told() {
    let moment = |b: &mut Bench| {
        b.frame(says("[Agent] Welcome"));
        match b.events().pop() {
            Some(Event::AgentText { moment, .. }) => moment,
            other => panic!("{other:?}"),
        }
    };
    let mut b = Bench::waiting(Config::default());
    assert_eq!(moment(&mut b), Moment::NobodyIn);
    b.frame(agent_joins());
    assert_eq!(moment(&mut b), Moment::FirstWords);
    assert_eq!(moment(&mut b), Moment::Later);
    b.frame(joins(
        "8",
        &[("7000", ParticipantType::Active), ("8", ParticipantType::Active)],
    ));
    assert_eq!(moment(&mut b), Moment::Later, "the room was not empty");
    b.frame(leaves("8", false, &[]));
    assert_eq!(moment(&mut b), Moment::NobodyIn);
    b.frame(agent_joins());
    assert_eq!(moment(&mut b), Moment::FirstWords);
}

#[test]
fn a_file_offered_is_told() {
    let mut b = Bench::live(Config::default());
    b.frame(ServerFrame::AgentFileTransfer(AgentFileTransfer {
        agent_name: "Russell".into(),
        name: "offer.pdf".into(),
        uuid: "u-1".into(),
        work_request_id: "w".into(),
    }));
    assert_eq!(
        b.events(),
        [Event::FileTransfer {
            name: "Russell".into(),
            file: "offer.pdf".into(),
            uuid: "u-1".into()
        }]
    );
}

#[test]
fn a_link_can_be_pushed_to_an_agent() {
    let mut b = Bench::waiting(Config::default());
    assert_eq!(
        b.session.push_page("https://example.com", "newTab"),
        Err(NotReady)
    );
    b.frame(agent_joins());
    b.events();
    b.session.push_page("https://example.com", "newTab").unwrap();
    assert_eq!(
        b.sent(),
        [ClientFrame::PushPage(PushPage {
            url: "https://example.com".into(),
            destination: "newTab".into(),
            ..Default::default()
        })]
    );
    b.send_text(1);
    assert_eq!(
        b.session.push_page("https://example.com", "newTab"),
        Err(NotReady)
    );
    b.frame(ServerFrame::Acknowledgement {
        method: "newPushPageMessage".into(),
        result: true,
    });
    assert_eq!(b.events(), [], "the text is still in flight");
}

#[test]
fn late_words_are_heard_while_leaving() {
    let mut b = Bench::live(Config::default());
    b.session.leave(b.now);
    assert_eq!(b.phase(), Phase::Leaving);
    b.frame(says("one thing more"));
    assert!(
        matches!(&b.events()[..], [Event::AgentText { text, .. }] if *text == "one thing more"),
        "before the socket closes"
    );
    b.frame(ServerFrame::CloseConversation { result: true });
    assert_eq!(b.events(), [Event::Closed(CloseReason::ClosedByCustomer)]);
    b.frame(says("too late"));
    assert_eq!(b.events(), []);
}

#[test]
fn a_join_without_a_list_is_taken_at_its_word() {
    let mut b = Bench::waiting(Config::default());
    b.frame(joins("7", &[]));
    assert_eq!(b.phase(), Phase::Live);
    b.events();
    b.frame(joins("7", &[]));
    assert_eq!(b.events(), [], "told twice");
}

#[test]
fn the_end_flag_ends_the_chat() {
    let mut b = Bench::live(Config::default());
    b.frame(leaves("7000", true, &[]));
    assert_eq!(b.actions(), [Action::Close { code: 1000 }]);
    assert_eq!(
        b.events(),
        [
            Event::AgentPresent(false),
            gone("7000", 0, true),
            Event::Closed(CloseReason::AgentsEnded)
        ]
    );
    assert_eq!(b.session.next_timeout(), None);
    b.session.on_disconnected(Some(1000), b.now);
    b.frame(agent_joins());
    b.session.leave(b.now);
    b.session.detach();
    b.wait(S);
    assert_eq!(
        (b.actions(), b.events()),
        (vec![], vec![]),
        "nothing after the end"
    );
}

#[test]
fn typing_is_told_sparingly() {
    let mut b = Bench::live(Config::default());
    let typing = [ClientFrame::IsTyping { is_typing: true }];
    b.session.customer_typing(b.now);
    assert_eq!(b.sent(), typing);
    b.now += 9 * S;
    b.session.customer_typing(b.now);
    assert_eq!(b.sent(), []);
    b.now += S;
    b.session.customer_typing(b.now);
    assert_eq!(b.sent(), typing);
    b.send_text(1);
    b.session.customer_typing(b.now);
    assert_eq!(b.sent(), typing, "again after a text");
    let mut b = Bench::waiting(Config::default());
    b.session.customer_typing(b.now);
    assert_eq!(b.sent(), [], "nobody is there to see it");
}

#[test]
fn the_queue_can_be_asked_for() {
    let mut b = Bench::waiting(Config::default());
    b.session.ask_queue_status();
    assert_eq!(b.sent(), [ClientFrame::QueueStatus]);
    let status = QueueStatus {
        position_in_queue: Some(1),
        estimated_wait_time_s: Some(62),
    };
    b.frame(ServerFrame::QueueStatus(status.clone()));
    assert_eq!(b.events(), [Event::QueueStatus(status)]);
}

#[test]
fn agents_words_come_out_as_they_came_in() {
    let text = |b: &mut Bench, name: &str, sender_type| {
        b.frame(ServerFrame::NewMessage(AgentMessage {
            message: "1 &lt; 2".into(),
            display_name: name.into(),
            timestamp_ms: Some(5),
            sender_type,
        }));
        match b.events().remove(0) {
            Event::AgentText {
                name: n,
                text,
                timestamp_ms: Some(5),
                sender,
                after_resume,
                ..
            } => {
                assert_eq!((&*n, &*text), (name, "1 &lt; 2"));
                (sender, after_resume)
            }
            other => panic!("{other:?}"),
        }
    };
    let mut b = Bench::live(Config::default());
    assert_eq!(text(&mut b, "Russell", None), (Sender::Agent, false));
    assert_eq!(
        text(&mut b, "Russell", Some(SenderType::Customer)),
        (Sender::Customer, false)
    );
    assert_eq!(
        text(&mut b, "SMS Customer", None),
        (Sender::Agent, false),
        "an agent of that name"
    );
    b.session.on_disconnected(None, b.now);
    b.reconnect();
    b.frame(accepted(62, "key"));
    b.events();
    assert_eq!(text(&mut b, "Russell", None), (Sender::Unknown, true));
    assert_eq!(text(&mut b, "SMS Customer", None), (Sender::Customer, true));
    assert_eq!(
        text(&mut b, "Russell", Some(SenderType::LiveAgent)),
        (Sender::Agent, true)
    );
    assert_eq!(
        text(&mut b, "x", Some(SenderType::Other("system".into()))),
        (Sender::Unknown, true)
    );
}

#[test]
fn a_replay_before_the_answer_to_the_resume_is_marked_too() {
    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    b.events();
    b.reconnect();
    b.frame(says("again"));
    assert!(matches!(
        b.events()[..],
        [Event::AgentText {
            after_resume: true,
            ..
        }]
    ));
    b.frame(accepted(62, "key"));
    b.events();
    b.frame(agent_joins());
    assert_eq!(b.events(), [], "who is in already does not join");
}

#[test]
fn unknown_frames_are_named_and_nothing_breaks() {
    let mut b = Bench::live(Config::default());
    b.session.on_frame(
        r#"{"type":"notification","body":{"method":"newCoBrowseSessionKeyMessage"}}"#,
        b.now,
    );
    b.session.on_frame("[]", b.now);
    b.session.on_frame("{", b.now);
    b.frame(ServerFrame::RouteCancel);
    b.frame(ServerFrame::NewChatAcknowledgement { guid: None });
    b.frame(accepted(62, "key"));
    assert_eq!(
        b.events(),
        [
            Event::UnknownMethod {
                kind: "notification".into(),
                method: "newCoBrowseSessionKeyMessage".into()
            },
            Event::Unreadable(FrameError::NotAnObject),
            Event::Unreadable(FrameError::NotJson { line: 1, column: 1 }),
            Event::RouteCancelled,
        ]
    );
    assert_eq!(b.phase(), Phase::Live);
}

#[test]
fn on_hold_messages_are_handed_over() {
    let mut b = Bench::new(Config::default(), Login::New);
    b.connect();
    b.session
        .on_frame(include_str!("../frames/server-request-chat.json"), b.now);
    match &b.events()[..] {
        [Event::ChatOpened { .. }, Event::OnHold { comfort_groups, urls }] => {
            assert_eq!(comfort_groups[0].messages.len(), 2);
            assert_eq!(urls[0].urls, ["https://www.example.com"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn phases_print_for_people() {
    let mut b = Bench::live(Config::default());
    assert_eq!(b.phase().to_string(), "live");
    b.session.on_disconnected(None, b.now);
    assert_eq!(b.phase().to_string(), "recovering (retry 1)");
    b.session.detach();
    assert_eq!(b.phase().to_string(), "closed: handed over");
}

#[test]
fn nothing_of_a_conversation_shows_in_debug() {
    let mut b = Bench::live(Config::default());
    b.session.send_text(1, "canary body", b.now).unwrap();
    b.frame(says("canary answer"));
    let shown = format!("{:?}", b.session);
    let events = b.events();
    for secret in ["canary", "7206211", "SMS Customer", "\"key\"", "Russell"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
        assert!(!format!("{events:?}").contains(secret));
    }
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 1024, "{}", size_of::<Session>());
}
