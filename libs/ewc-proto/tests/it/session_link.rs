//! Connecting, losing and coming back, leaving.

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

use crate::bench::*;

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
        assert!(b.session.ready_for_text(), "certainly, or to find out");
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
fn a_link_that_carried_a_text_is_no_flapping_one() {
    let mut b = Bench::live(Config::default());
    for token in 0..20 {
        b.send_text(token);
        b.frame(ack(true));
        b.session.on_disconnected(None, b.now);
        let Phase::Recovering { attempt, retry_at } = b.phase() else {
            panic!("{:?}", b.phase())
        };
        assert_eq!(attempt, 0);
        assert!(retry_at <= b.now + S);
        b.events();
        b.reconnect();
        b.frame(accepted(62, "key"));
        b.events();
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

/// Three ways in which AACC shows that it has lost a chat, in which nothing waits.
#[test]
fn a_forgotten_chat_in_which_nothing_waits_ends() {
    let mut b = Bench::live(Config::default());
    b.session.nothing_waits(true);
    b.frame(expired());
    assert_eq!(
        b.actions(),
        [Action::Close { code: 1000 }],
        "no other chat is asked for"
    );
    assert_eq!(
        b.events(),
        [
            Event::AgentPresent(false),
            Event::SessionExpired,
            Event::Closed(CloseReason::Forgotten)
        ]
    );

    // After a resume, too.
    let mut b = Bench::live(Config::default());
    b.session.nothing_waits(true);
    b.session.on_disconnected(None, b.now);
    assert_eq!(b.reconnect().guid, Some(guid()));
    b.frame(expired());
    assert_eq!(b.phase(), Phase::Closed(CloseReason::Forgotten));

    // And when resumes are never taken.
    let mut b = Bench::live(Config::default());
    b.session.nothing_waits(true);
    b.session.on_disconnected(None, b.now);
    let most = Config::default().failed_resumes_before_new_chat;
    for n in 1..=most {
        assert_eq!(b.reconnect().guid, Some(guid()), "{n}");
        b.frame(error("requestChat", 42, "odd"));
        b.events();
    }
    assert_eq!(b.phase(), Phase::Closed(CloseReason::Forgotten));

    // A text that came in time is what another chat is opened for.
    let mut b = Bench::live(Config::default());
    b.session.nothing_waits(true);
    b.session.on_disconnected(None, b.now);
    b.session.nothing_waits(false);
    assert_eq!(b.reconnect().guid, Some(guid()));
    b.frame(expired());
    assert_eq!(b.login().guid, None);
}

#[test]
fn maintenance_is_told_once_and_waited_for_ever_more_slowly() {
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
    for mean in [2, 4, 8, 16, 32, 60, 60, 60] {
        let Phase::Recovering { retry_at, .. } = b.phase() else {
            panic!("{:?}", b.phase())
        };
        let pause = retry_at - b.now;
        assert!((mean * S / 2..=mean * S * 3 / 2).contains(&pause), "{pause:?}");
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
