//! Frames that make no sense, in any order.

use std::time::Instant;

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;
use proptest::prelude::*;

use crate::bench::{S, profile};

/// JSON that looks like frames often enough to reach deep.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(vec![
        "notification",
        "acknowledgement",
        "error",
        "request",
        "newChatAcknowledgement",
        "requestChat",
        "newMessage",
        "newParticipant",
        "participantLeave",
        "isTyping",
        "queueStatus",
        "closeConversation",
        "ping",
        "pong",
        "routeCancel",
        "newPushPageMessage",
        "newAgentFileTransfer",
        "active_participant",
        "true",
        "62",
        "-1",
        "1e300",
        "Chat not started",
        "Unable to reconnect",
        "",
    ]);
    let key = prop::sample::select(vec![
        "type",
        "body",
        "method",
        "guid",
        "authenticationKey",
        "participants",
        "id",
        "result",
        "accepted",
        "code",
        "errorMessage",
        "message",
        "timestamp",
        "numberOfParticipants",
        "endChatFlag",
        "agentId",
        "displayName",
        "webOnHoldComfortGroups",
        "webOnHoldURLs",
        "urls",
        "messages",
        "delay",
        "intrinsics",
        "customFields",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop::sample::select(vec![0.5f64, -1.0, 1e15, 1e300]).prop_map(Into::into),
        prop::sample::select(vec![1i64, 2, 500, 503, 62]).prop_map(Into::into),
        word.clone().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    let tree = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|map| map
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Value>()),
        ]
    });
    (word.clone(), word, tree).prop_map(|(kind, method, mut body)| {
        if body.is_object() {
            body["method"] = method.into();
        }
        serde_json::json!({"type": kind, "body": body})
    })
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in ".*") {
        let _ = (ServerFrame::parse(&text), ClientFrame::parse(&text));
    }

    /// Whatever was understood of a frame is said again the same way.
    #[test]
    fn what_is_understood_is_stable(value in json()) {
        let text = value.to_string();
        let frame = ServerFrame::parse(&text).unwrap();
        prop_assert_eq!(ServerFrame::parse(&frame.encode()).unwrap(), frame);
        let frame = ClientFrame::parse(&text).unwrap();
        prop_assert_eq!(ClientFrame::parse(&frame.encode()).unwrap(), frame);
    }

    /// A mad server can end a chat or keep it busy, but a session always knows what it waits for.
    #[test]
    fn a_session_survives_any_frames(steps in prop::collection::vec((json(), 0..20u32, 0..6u8), 1..40)) {
        let now = &mut Instant::now();
        let mut session = Session::new(Config::default(), profile(), Login::New, 3);
        let mut in_flight = None;
        for (token, (frame, seconds, what)) in steps.into_iter().enumerate() {
            let token = token as u64;
            match what {
                0 => session.on_disconnected(Some(1006), *now),
                1 => session.on_connect_failed(*now),
                _ => session.on_frame(&frame.to_string(), *now),
            }
            if session.ready_for_text() {
                prop_assert_eq!(in_flight, None);
                session.send_text(token, "text", *now).unwrap();
                in_flight = Some(token);
            }
            *now += seconds * S;
            session.on_timeout(*now);
            while let Some(action) = session.poll_action() {
                if action == Action::Connect {
                    session.on_connected(*now);
                }
            }
            while let Some(event) = session.poll_event() {
                if let Event::TextDelivered { token } | Event::TextHeld { token, .. } | Event::TextInDoubt { token }
                    | Event::TextRefused { token, .. } = event
                {
                    prop_assert_eq!(in_flight.take(), Some(token), "each text has one fate");
                }
            }
            let closed = matches!(session.phase(), Phase::Closed(_));
            prop_assert!(!closed || in_flight.is_none());
            prop_assert_eq!(session.next_timeout().is_none(), closed);
        }
    }
}
