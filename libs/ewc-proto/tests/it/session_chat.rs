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
    assert_eq!(b.events(), [here("9")], "an observer does not open the room");
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
    assert_eq!(b.events(), [gone("7")]);
    b.frame(leaves("8", false, &[("9", observer)]));
    assert_eq!(
        b.events(),
        [Event::AgentPresent(false), gone("8")],
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
    for (kind, strict) in [
        (Active, true),
        (Passive, false),
        (Supervisor, false),
        (SupervisorObserve, false),
        (SupervisorBarge, false),
        (Other("live_agent".into()), true),
    ] {
        for (observer_opens_chat, expected) in [(false, strict), (true, true)] {
            let mut b = Bench::waiting(Config {
                observer_opens_chat,
                ..Config::default()
            });
            b.frame(joins("7", &[("7", kind.clone())]));
            assert_eq!(
                b.session.ready_for_text(),
                expected,
                "{kind:?} {observer_opens_chat}"
            );
        }
    }
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
            gone("7000"),
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
