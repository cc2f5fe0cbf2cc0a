//! Each transition of the session, by hand.

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

use crate::bench::*;

fn guid() -> Guid {
    Guid::number(62)
}

fn lost(code: Option<u16>) -> Event {
    Event::LinkLost {
        why: Loss::Disconnected { code },
    }
}

fn here(id: &str) -> Event {
    Event::Joined {
        agent: Some(AgentId::string(id)),
        display_name: format!("Agent {id}").into(),
    }
}

fn gone(id: &str) -> Event {
    Event::Left {
        agent: Some(AgentId::string(id)),
        display_name: format!("Agent {id}").into(),
    }
}

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
fn one_text_is_in_flight_and_the_next_goes_on_its_acknowledgement() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    assert_eq!(b.session.send_text(2, "second", b.now), Err(NotReady));
    b.frame(ServerFrame::Acknowledgement {
        method: "isTyping".into(),
        result: true,
    });
    assert_eq!(b.events(), [], "an acknowledgement of something else");
    b.frame(ack(true));
    assert_eq!(
        b.events(),
        [Event::TextDelivered { token: 1 }, Event::ReadyForText]
    );
    b.frame(ack(true));
    assert_eq!(b.events(), [], "surplus");
    b.send_text(2);
    b.frame(ServerFrame::Acknowledgement {
        method: "NEWMESSAGE".into(),
        result: true,
    });
    assert_eq!(
        b.events(),
        [Event::TextDelivered { token: 2 }, Event::ReadyForText]
    );
}

#[test]
fn acknowledgements_count_anew_on_each_socket() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.frame(ack(true));
    b.send_text(2);
    b.session.on_disconnected(None, b.now);
    b.events();
    b.reconnect();
    b.frame(accepted(62, "key"));
    b.frame(ack(true));
    assert!(
        !b.events().contains(&Event::TextDelivered { token: 2 }),
        "it was sent on the socket before"
    );
    b.send_text(2);
    b.frame(ack(true));
    assert_eq!(
        b.events(),
        [Event::TextDelivered { token: 2 }, Event::ReadyForText]
    );
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
fn an_unclean_loss_resumes_the_same_chat_with_the_room_as_it_was() {
    for code in [Some(1001), Some(1005), Some(1006), Some(1011), None] {
        let mut b = Bench::live(Config::default());
        b.send_text(1);
        b.session.on_disconnected(code, b.now);
        assert_eq!(
            b.events(),
            [Event::TextInDoubt { token: 1 }, lost(code)],
            "{code:?}"
        );
        assert!(matches!(b.phase(), Phase::Recovering { .. }));
        let login = b.reconnect();
        assert_eq!(login.guid, Some(guid()));
        assert_eq!(login.authentication_key, Some(AuthKey::new("key")));
        assert!(login.request_transcript);
        assert_eq!(login.intrinsics, Some(profile().intrinsics));
        assert_eq!(b.phase(), Phase::LoggingIn { resume: true });
        b.frame(accepted(62, "key"));
        assert_eq!(
            b.events(),
            [Event::Resumed { rekeyed: None }, Event::ReadyForText]
        );
        assert_eq!(b.phase(), Phase::Live);
        b.send_text(1);
    }
}

#[test]
fn transcript_is_asked_for_only_if_configured() {
    let mut b = Bench::live(Config {
        request_transcript_on_resume: false,
        ..Config::default()
    });
    b.session.on_disconnected(None, b.now);
    b.events();
    assert!(!b.reconnect().request_transcript);
}

#[test]
fn a_changed_key_is_told_and_used() {
    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    b.events();
    b.reconnect();
    b.frame(accepted(62, "other"));
    assert_eq!(
        b.events()[0],
        Event::Resumed {
            rekeyed: Some(AuthKey::new("other"))
        }
    );
    b.session.on_disconnected(None, b.now);
    assert_eq!(b.reconnect().authentication_key, Some(AuthKey::new("other")));
}

#[test]
fn code_1000_from_the_far_side_is_final() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.session.on_disconnected(Some(1000), b.now);
    assert_eq!(
        b.events(),
        [
            Event::TextInDoubt { token: 1 },
            Event::Closed(CloseReason::FarSideEnded)
        ]
    );

    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    b.reconnect();
    b.session.on_disconnected(Some(1000), b.now);
    assert_eq!(
        b.phase(),
        Phase::Closed(CloseReason::FarSideEnded),
        "the chat ended while we were away"
    );

    let mut b = Bench::new(Config::default(), Login::New);
    b.connect();
    b.session.on_disconnected(Some(1000), b.now);
    assert!(
        matches!(b.phase(), Phase::Recovering { .. }),
        "a chat that never was cannot have ended"
    );
}

#[test]
fn far_side_can_close_the_conversation() {
    let mut b = Bench::live(Config::default());
    b.frame(ServerFrame::CloseConversation { result: false });
    assert_eq!(b.phase(), Phase::Live);
    b.frame(ServerFrame::CloseConversation { result: true });
    assert_eq!(b.actions(), [Action::Close { code: 1000 }]);
    assert_eq!(b.events(), [Event::Closed(CloseReason::FarSideEnded)]);
}

#[test]
fn an_expired_session_opens_a_new_chat_on_the_same_socket() {
    for refusal in [
        expired(),
        error("requestChat", 2, ""),
        error(
            "error",
            1,
            "Unable to reconnect, session key is invalid or expired",
        ),
        not_started(),
    ] {
        let mut b = Bench::live(Config::default());
        b.session.on_disconnected(None, b.now);
        b.events();
        b.reconnect();
        b.frame(refusal);
        assert_eq!(b.phase(), Phase::LoggingIn { resume: false });
        let login = b.login();
        assert_eq!((login.guid, login.authentication_key), (None, None));
        assert_eq!(b.events(), [Event::AgentPresent(false), Event::SessionExpired]);
        b.frame(accepted(63, "key 63"));
        assert_eq!(
            b.events(),
            [Event::ChatOpened {
                guid: Guid::number(63),
                key: AuthKey::new("key 63")
            }]
        );
        assert_eq!(b.phase(), Phase::Waiting, "the new room is empty");
        b.frame(agent_joins());
        b.send_text(1);
    }
}

#[test]
fn a_late_second_refusal_does_not_disturb_the_new_login() {
    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    b.reconnect();
    b.frame(expired());
    b.frame(expired());
    b.frame(accepted(63, "key"));
    assert_eq!(b.phase(), Phase::Waiting);
}

#[test]
fn a_resume_answered_with_another_chat_is_a_new_chat() {
    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    b.events();
    b.reconnect();
    b.frame(accepted(63, "key"));
    assert_eq!(
        b.events(),
        [
            Event::AgentPresent(false),
            Event::SessionExpired,
            Event::ChatOpened {
                guid: Guid::number(63),
                key: AuthKey::new("key")
            }
        ]
    );
    assert_eq!(b.phase(), Phase::Waiting);
}

#[test]
fn a_chat_taken_over_resumes_with_the_room_it_was_told() {
    for agent_present in [true, false] {
        let login = Login::Resume {
            guid: Guid::string("a-62"),
            key: AuthKey::new("key"),
            agent_present,
        };
        let mut b = Bench::new(Config::default(), login);
        b.connect();
        assert_eq!(b.login().guid, Some(Guid::string("a-62")));
        b.session.on_frame(
            r#"{"type":"notification","body":{"method":"requestChat","guid":"a-62","authenticationKey":"key"}}"#,
            b.now,
        );
        assert_eq!(
            b.phase(),
            if agent_present {
                Phase::Live
            } else {
                Phase::Waiting
            }
        );
        assert_eq!(b.session.ready_for_text(), agent_present);
    }
    assert_eq!(
        Login::from_stored(None, Some(AuthKey::new("key")), true),
        Login::New
    );
}

#[test]
fn resumes_refused_without_reason_or_answer_end_in_a_new_chat() {
    let config = Config {
        failed_resumes_before_new_chat: 3,
        ..Config::default()
    };
    let mut b = Bench::live(config);
    b.session.on_disconnected(None, b.now);
    b.events();
    for round in 1..=3 {
        assert!(b.reconnect().guid.is_some(), "round {round}");
        if round == 2 {
            b.tick(15 * S);
            assert!(b.events().contains(&Event::LinkLost {
                why: Loss::LoginTimeout
            }));
        } else {
            b.frame(error("requestChat", 99, "who knows"));
            let events = b.events();
            assert!(events.contains(&Event::LinkLost {
                why: Loss::LoginRefused { code: Some(99) }
            }));
            assert_eq!(events.contains(&Event::SessionExpired), round == 3);
        }
    }
    assert!(b.reconnect().guid.is_none());
}

#[test]
fn broken_links_never_cost_the_chat() {
    let mut b = Bench::live(Config::default());
    b.session.on_disconnected(None, b.now);
    for _ in 0..50 {
        b.reconnect();
        b.session.on_disconnected(Some(1006), b.now);
    }
    assert_eq!(b.reconnect().guid, Some(guid()));
}

#[test]
fn connecting_is_tried_for_ever_with_growing_random_pauses() {
    let mut b = Bench::new(Config::default(), Login::New);
    let mut pauses = Vec::new();
    for attempt in 1..=300u32 {
        assert_eq!(b.actions(), [Action::Connect]);
        b.session.on_connect_failed(b.now);
        assert_eq!(b.events(), [Event::ConnectFailed { attempt }]);
        let Phase::Recovering { retry_at, .. } = b.phase() else {
            panic!("{:?}", b.phase())
        };
        let pause = retry_at - b.now;
        assert!(
            pause <= (S * (1 << attempt.min(5))).min(30 * S),
            "{attempt}: {pause:?}"
        );
        pauses.push(pause);
        b.tick(30 * S);
    }
    let late = &pauses[10..];
    assert!(
        late.iter().any(|p| *p < 8 * S) && late.iter().any(|p| *p > 22 * S),
        "full jitter: {late:?}"
    );
    let other = Session::new(Config::default(), profile(), Login::New, 8);
    assert_eq!(other.phase(), Phase::Connecting { attempt: 0 });
}

#[test]
fn two_seeds_pause_differently() {
    let pause = |seed| {
        let now = std::time::Instant::now();
        let mut s = Session::new(Config::default(), profile(), Login::New, seed);
        s.on_connect_failed(now);
        s.next_timeout().unwrap() - now
    };
    assert_ne!(pause(1), pause(2));
    assert_eq!(pause(1), pause(1));
}

#[test]
fn a_stable_link_forgets_the_failures_before_it_and_a_flapping_one_does_not() {
    for (life, expected) in [(S, 4), (11 * S, 0)] {
        let mut b = Bench::new(Config::default(), Login::New);
        for _ in 0..3 {
            b.actions();
            b.session.on_connect_failed(b.now);
            b.tick(30 * S);
        }
        b.connect();
        b.frame(accepted(62, "key"));
        b.now += life;
        b.session.on_disconnected(None, b.now);
        let Phase::Recovering { attempt, .. } = b.phase() else {
            panic!("{:?}", b.phase())
        };
        assert_eq!(attempt, expected);
    }
}

#[test]
fn pings_go_out_and_a_black_hole_is_noticed() {
    let mut b = Bench::live(Config::default());
    let start = b.now;
    b.tick(5 * S);
    assert_eq!(b.sent(), [ClientFrame::Ping]);
    b.frame(ServerFrame::Ping);
    b.tick(5 * S);
    assert_eq!(b.sent(), [ClientFrame::Ping]);
    b.frame(ServerFrame::Pong);
    b.tick(5 * S);
    b.session.on_heard();
    assert_eq!(b.now, start + 15 * S);
    for _ in 0..3 {
        b.tick(5 * S);
    }
    assert_eq!(b.phase(), Phase::Live);
    assert_eq!(b.sent().len(), 4);
    b.tick(5 * S);
    assert_eq!(
        b.now,
        start + 35 * S,
        "15 s after the first ping that stayed unanswered"
    );
    assert_eq!(b.actions(), [Action::Drop]);
    assert_eq!(b.events(), [Event::LinkLost { why: Loss::Silent }]);
    b.reconnect();
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let mut b = Bench::live(Config::default());
    for _ in 0..20 {
        b.tick(5 * S);
        b.frame(says("still here"));
    }
    assert_eq!(b.phase(), Phase::Live);
}

#[test]
fn a_missing_acknowledgement_drops_the_socket() {
    let mut b = Bench::live(Config {
        ping_every: 100 * S,
        ..Config::default()
    });
    b.send_text(1);
    b.tick(15 * S);
    assert_eq!(b.actions(), [Action::Drop]);
    assert_eq!(
        b.events(),
        [
            Event::TextInDoubt { token: 1 },
            Event::LinkLost {
                why: Loss::AckTimeout
            }
        ]
    );
    assert_eq!(b.reconnect().guid, Some(guid()));
}

#[test]
fn without_acknowledgements_a_written_text_is_delivered() {
    let mut b = Bench::live(Config {
        ack_timeout: None,
        ..Config::default()
    });
    b.session.send_text(1, "text", b.now).unwrap();
    b.session.on_flushed();
    assert!(
        b.session.poll_event().is_none(),
        "the frame has not been taken yet"
    );
    assert_eq!(b.sent().len(), 1);
    assert!(!b.session.ready_for_text());
    b.session.on_flushed();
    assert_eq!(
        b.events(),
        [Event::TextDelivered { token: 1 }, Event::ReadyForText]
    );
    b.session.send_text(2, "text", b.now).unwrap();
    b.frame(ack(true));
    b.session.on_disconnected(None, b.now);
    assert_eq!(b.events(), [Event::TextInDoubt { token: 2 }, lost(None)]);
}

#[test]
fn with_acknowledgements_a_written_text_is_not_delivered() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.session.on_flushed();
    assert_eq!(b.events(), []);
}

#[test]
fn a_refused_text_is_held_and_tried_again_after_growing_pauses() {
    for refusal in [
        ack(false),
        not_started(),
        error("newMessage", 1, "Invalid message: Chat not started"),
        error("newMessage", 42, "?"),
    ] {
        let mut b = Bench::live(Config {
            ping_every: 100 * S,
            ..Config::default()
        });
        for (round, pause) in [(1, 2), (2, 4)] {
            b.send_text(1);
            b.frame(refusal.clone());
            assert_eq!(
                b.events(),
                [Event::TextHeld {
                    token: 1,
                    refusals: round
                }],
                "{refusal:?}"
            );
            assert!(!b.session.ready_for_text());
            let before = b.now;
            b.tick(30 * S);
            assert_eq!(b.now - before, pause * S);
            assert_eq!(b.events(), [Event::ReadyForText]);
        }
        b.send_text(1);
        b.frame(ack(true));
        assert_eq!(
            b.events(),
            [Event::TextDelivered { token: 1 }, Event::ReadyForText]
        );
        b.send_text(2);
        b.frame(refusal);
        assert_eq!(
            b.events(),
            [Event::TextHeld {
                token: 2,
                refusals: 1
            }],
            "the count starts anew"
        );
    }
}

#[test]
fn a_text_refused_again_and_again_gets_a_new_socket_then_a_new_chat_then_is_a_dead_letter() {
    let mut b = Bench::live(Config {
        ping_every: 1000 * S,
        ..Config::default()
    });
    let mut chat = 62;
    for refusals in 1..=8 {
        b.send_text(1);
        b.frame(not_started());
        let actions = b.actions();
        let events = b.events();
        if refusals < 8 {
            assert_eq!(events[0], Event::TextHeld { token: 1, refusals });
        }
        match refusals {
            3 => {
                assert_eq!(actions, [Action::Drop]);
                assert_eq!(
                    events[1..],
                    [Event::LinkLost {
                        why: Loss::TextRefusals
                    }]
                );
                assert_eq!(b.reconnect().guid, Some(guid()));
                b.frame(accepted(chat, "key"));
            }
            5 => {
                let close = ClientFrame::CloseConversation.encode();
                assert_eq!(actions, [Action::Send(close), Action::Close { code: 1000 }]);
                assert_eq!(
                    events[1..],
                    [
                        Event::AgentPresent(false),
                        Event::SessionExpired,
                        Event::LinkLost {
                            why: Loss::TextRefusals
                        }
                    ]
                );
                assert_eq!(b.reconnect().guid, None);
                chat = 63;
                b.frame(accepted(chat, "key"));
                b.frame(agent_joins());
            }
            8 => {
                let error = AaccError {
                    method: "error".into(),
                    code: Some(1),
                    text: "Invalid message: Chat not started".into(),
                };
                assert_eq!(
                    events,
                    [
                        Event::TextRefused {
                            token: 1,
                            reason: Refusal::Error(error)
                        },
                        Event::ReadyForText
                    ]
                );
            }
            _ => assert_eq!(events.len(), 1, "{events:?}"),
        }
        while !b.session.ready_for_text() {
            b.tick(31 * S);
        }
        b.events();
    }
    b.send_text(2);
    b.frame(ack(true));
    assert_eq!(b.events()[0], Event::TextDelivered { token: 2 });
}

#[test]
fn an_agent_who_comes_in_ends_the_pause() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.frame(ack(false));
    b.events();
    b.frame(joins(
        "8",
        &[("7000", ParticipantType::Active), ("8", ParticipantType::Active)],
    ));
    assert_eq!(b.events(), [here("8"), Event::ReadyForText]);
}

#[test]
fn an_invalid_text_becomes_a_dead_letter_without_costing_the_chat() {
    let mut b = Bench::live(Config::default());
    for refusals in 1..=3 {
        b.send_text(1);
        b.frame(error("error", 1, "Message too long"));
        let first = b.events().remove(0);
        if refusals < 3 {
            assert_eq!(first, Event::TextHeld { token: 1, refusals });
            b.wait(4 * S);
            b.events();
        } else {
            assert!(matches!(first, Event::TextRefused { token: 1, .. }));
        }
    }
    assert_eq!(b.phase(), Phase::Live);
    b.send_text(2);
}

#[test]
fn an_error_to_something_else_leaves_the_text_in_flight() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    for odd in [
        error("ping", 1, "?"),
        error("isTyping", 77, "?"),
        error("error", 77, "?"),
    ] {
        b.frame(odd);
        assert!(matches!(b.events()[..], [Event::FarSideError(_)]));
    }
    b.frame(ack(true));
    assert_eq!(b.events()[0], Event::TextDelivered { token: 1 });
    b.frame(not_started());
    assert!(
        matches!(b.events()[..], [Event::FarSideError(_)]),
        "no text to refuse"
    );
    assert_eq!(b.phase(), Phase::Live);
}

#[test]
fn a_text_that_kills_every_link_becomes_a_dead_letter() {
    let mut b = Bench::live(Config::default());
    for doubts in 1..=8 {
        b.send_text(1);
        b.session.on_disconnected(None, b.now);
        let first = b.events().remove(0);
        if doubts < 8 {
            assert_eq!(first, Event::TextInDoubt { token: 1 });
        } else {
            assert_eq!(
                first,
                Event::TextRefused {
                    token: 1,
                    reason: Refusal::NeverAcknowledged
                }
            );
        }
        b.reconnect();
        b.frame(accepted(62, "key"));
        b.events();
    }
    b.send_text(2);
}

#[test]
fn internal_error_is_like_a_broken_socket() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.frame(error("newMessage", 500, "Internal"));
    assert_eq!(b.actions(), [Action::Drop]);
    assert_eq!(
        b.events(),
        [
            Event::TextInDoubt { token: 1 },
            Event::LinkLost {
                why: Loss::InternalError
            }
        ]
    );
    assert_eq!(b.reconnect().guid, Some(guid()));
}

#[test]
fn maintenance_is_told_once_and_waited_for_slowly() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.frame(error("newMessage", 503, "Contact center is shutting down"));
    assert_eq!(
        b.events(),
        [
            Event::TextHeld {
                token: 1,
                refusals: 1
            },
            Event::Maintenance,
            Event::LinkLost {
                why: Loss::Maintenance
            }
        ]
    );
    for _ in 0..10 {
        let Phase::Recovering { retry_at, .. } = b.phase() else {
            panic!("{:?}", b.phase())
        };
        let pause = retry_at - b.now;
        assert!((30 * S..=90 * S).contains(&pause), "{pause:?}");
        assert_eq!(b.reconnect().guid, Some(guid()));
        b.frame(error("requestChat", 503, "Contact center is shutting down"));
        assert_eq!(
            b.events(),
            [Event::LinkLost {
                why: Loss::Maintenance
            }]
        );
    }
    b.reconnect();
    b.frame(accepted(62, "key"));
    assert_eq!(b.phase(), Phase::Live);
    b.events();
    b.frame(error("error", 503, ""));
    assert_eq!(b.events()[0], Event::Maintenance, "the next one is told again");
}

#[test]
fn leaving_tells_aacc_then_closes() {
    for answer in 0..4 {
        let mut b = Bench::live(Config::default());
        b.session.leave(b.now);
        assert_eq!(b.sent(), [ClientFrame::CloseConversation]);
        assert_eq!(b.phase(), Phase::Leaving);
        b.frame(says("bye"));
        assert!(
            matches!(b.events()[..], [Event::AgentText { .. }]),
            "words until the last"
        );
        match answer {
            0 => b.frame(ServerFrame::CloseConversation { result: true }),
            1 => b.frame(leaves("7000", true, &[])),
            2 => b.session.on_disconnected(Some(1006), b.now),
            _ => b.tick(5 * S),
        }
        let closes = if answer == 2 {
            vec![]
        } else {
            vec![Action::Close { code: 1000 }]
        };
        assert_eq!(b.actions(), closes, "{answer}");
        assert_eq!(
            b.events().last(),
            Some(&Event::Closed(CloseReason::ClosedByCustomer))
        );
    }
}

#[test]
fn leaving_and_handing_over_work_at_any_time() {
    type Setup = fn() -> Bench;
    let connecting: Setup = || Bench::new(Config::default(), Login::New);
    let logging_in: Setup = || {
        let mut b = Bench::new(Config::default(), Login::New);
        b.connect();
        b.login();
        b
    };
    let recovering: Setup = || {
        let mut b = Bench::live(Config::default());
        b.session.on_disconnected(None, b.now);
        b.events();
        b
    };
    let live: Setup = || {
        let mut b = Bench::live(Config::default());
        b.send_text(1);
        b
    };
    let close = |code| vec![Action::Close { code }];
    for (setup, detached) in [
        (connecting, vec![Action::Drop]),
        (logging_in, close(1001)),
        (recovering, vec![]),
        (live, close(1001)),
    ] {
        let mut b = setup();
        b.session.detach();
        assert_eq!(b.actions(), detached);
        assert_eq!(b.events().last(), Some(&Event::Closed(CloseReason::Detached)));
        let mut b = setup();
        b.session.leave(b.now);
        if let Phase::Leaving = b.phase() {
            assert_eq!(b.sent(), [ClientFrame::CloseConversation]);
            b.tick(5 * S);
        }
        assert_eq!(b.phase(), Phase::Closed(CloseReason::ClosedByCustomer));
    }
    let mut b = live();
    b.session.detach();
    assert_eq!(b.events()[0], Event::TextInDoubt { token: 1 });
}

#[test]
fn the_last_text_is_answered_while_leaving() {
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.session.leave(b.now);
    b.frame(ack(true));
    assert_eq!(b.events(), [Event::TextDelivered { token: 1 }]);
    let mut b = Bench::live(Config::default());
    b.send_text(1);
    b.session.leave(b.now);
    b.frame(ack(false));
    assert_eq!(
        b.events(),
        [Event::TextHeld {
            token: 1,
            refusals: 1
        }]
    );
    assert_eq!(b.phase(), Phase::Leaving);
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
fn a_login_answer_without_guid_is_not_one() {
    let mut b = Bench::new(Config::default(), Login::New);
    b.connect();
    b.session.on_frame(
        r#"{"type":"notification","body":{"method":"requestChat"}}"#,
        b.now,
    );
    assert_eq!(b.phase(), Phase::LoggingIn { resume: false });
    b.tick(15 * S);
    assert!(matches!(b.phase(), Phase::Recovering { .. }));
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
