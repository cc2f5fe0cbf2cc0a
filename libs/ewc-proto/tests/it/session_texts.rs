//! The customer's texts: in flight, acknowledged, refused, in doubt.

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

use crate::bench::*;

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
fn an_overdue_acknowledgement_does_not_spin_a_session_that_leaves() {
    let mut b = Bench::live(Config {
        ping_every: 100 * S,
        ..Config::default()
    });
    b.send_text(1);
    b.wait(14 * S);
    b.session.leave(b.now);
    b.wait(2 * S);
    assert_eq!(
        b.session.next_timeout(),
        Some(b.now + 3 * S),
        "the end of the leave"
    );
    b.tick(3 * S);
    assert_eq!(
        b.events(),
        [
            Event::TextInDoubt { token: 1 },
            Event::Closed(CloseReason::ClosedByCustomer)
        ]
    );
}

#[test]
fn acknowledgements_count_anew_on_each_socket() {
    for late_acknowledgement in [false, true] {
        let mut b = Bench::live(Config::default());
        b.send_text(1);
        b.frame(ack(true));
        b.send_text(2);
        b.session.on_disconnected(None, b.now);
        b.events();
        b.reconnect();
        b.frame(accepted(62, "key"));
        b.events();
        if late_acknowledgement {
            b.frame(ack(true));
            assert_eq!(b.events(), [], "that text was sent on the socket before");
        }
        b.send_text(2);
        b.frame(ack(true));
        assert_eq!(
            b.events(),
            [Event::TextDelivered { token: 2 }, Event::ReadyForText]
        );
    }
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

/// A chat that waited for an agent when the link broke, and is resumed.
fn resumed_while_waiting(config: Config) -> Bench {
    let mut b = Bench::waiting(config);
    b.session.on_disconnected(None, b.now);
    b.events();
    b.reconnect();
    b.frame(accepted(62, "key"));
    assert_eq!(b.phase(), Phase::Waiting);
    b
}

#[test]
fn a_text_finds_out_whether_an_agent_came_in_while_the_link_was_down() {
    let mut b = resumed_while_waiting(Config::default());
    assert_eq!(
        b.events(),
        [Event::Resumed { rekeyed: None }, Event::ReadyForText]
    );
    b.send_text(1);
    b.frame(ack(true));
    let delivered = Event::TextDelivered { token: 1 };
    assert_eq!(
        b.events(),
        [Event::AgentPresent(true), delivered, Event::ReadyForText]
    );
    assert_eq!(b.phase(), Phase::Live);

    let mut b = resumed_while_waiting(Config::default());
    b.send_text(1);
    b.frame(not_started());
    assert_eq!(
        b.events()[2..],
        [Event::TextHeld {
            token: 1,
            refusals: 0
        }]
    );
    assert!(!b.session.ready_for_text());
    b.wait(30 * S);
    assert!(b.events().contains(&Event::ReadyForText), "from time to time");
    b.send_text(1);
    b.frame(ack(false));
    assert!(!b.session.ready_for_text());
    b.frame(agent_joins());
    assert!(b.session.ready_for_text(), "at once");

    for config in [
        Config {
            probe_after_resume: None,
            ..Config::default()
        },
        Config {
            ack_timeout: None,
            ..Config::default()
        },
    ] {
        assert!(!resumed_while_waiting(config).session.ready_for_text());
    }
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
