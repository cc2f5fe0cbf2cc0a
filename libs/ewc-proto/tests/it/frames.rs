//! Every fixture frame is understood, and written again as it was.

use std::path::Path;

use ccm_ewc_proto::frame::*;
use serde_json::Value;

/// Fixture files whose name starts with `prefix`, with their text.
fn fixtures(prefix: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read_to_string(entry.path()).unwrap(),
            )
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    found.sort();
    found
}

fn same_json(name: &str, a: &str, b: &str) {
    let (a, b): (Value, Value) = (serde_json::from_str(a).unwrap(), serde_json::from_str(b).unwrap());
    assert_eq!(a, b, "{name}");
}

#[test]
fn client_fixtures_are_understood_and_written_alike() {
    let all = fixtures("client-");
    assert_eq!(all.len(), 8);
    for (name, text) in all {
        let frame = ClientFrame::parse(&text).unwrap();
        assert!(!matches!(frame, ClientFrame::Unknown { .. }), "{name}");
        same_json(&name, &frame.encode(), &text);
    }
}

#[test]
fn server_fixtures_are_understood_and_written_alike() {
    let all = fixtures("server-");
    assert_eq!(all.len(), 18);
    for (name, text) in all {
        let frame = ServerFrame::parse(&text).unwrap();
        assert!(!matches!(frame, ServerFrame::Unknown { .. }), "{name}");
        same_json(&name, &frame.encode(), &text);
    }
}

#[test]
fn no_fixture_is_left_out() {
    assert_eq!(fixtures("").len(), 8 + 18);
}

#[test]
fn numbers_texts_and_case_are_tolerated() {
    let frame = r#"{"apiVersion":1,"type":"Notification","extra":[1],"body":{"method":"newmessage","message":17,
        "displayName":null,"timestamp":"1458053235000","senderType":"LIVE_AGENT","more":{}}}"#;
    let ServerFrame::NewMessage(m) = ServerFrame::parse(frame).unwrap() else {
        panic!("not a message")
    };
    assert_eq!(m.message, "17");
    assert_eq!(m.display_name, "");
    assert_eq!(m.timestamp_ms, Some(1_458_053_235_000));
    assert_eq!(m.sender_type, Some(SenderType::LiveAgent));

    let frame = r#"{"type":"notification","body":{"method":"participantLeave","agentId":7000,"endChatFlag":"false",
        "numberOfParticipants":"1"}}"#;
    let ServerFrame::ParticipantLeave(p) = ServerFrame::parse(frame).unwrap() else {
        panic!("not a leave")
    };
    assert_eq!((p.end_chat_flag, p.number_of_participants), (false, 1));
    assert_eq!(
        p.agent_id,
        Some(AgentId::string("7000")),
        "a number and a text name the same agent"
    );

    let frame = r#"{"type":"notification","body":{"method":"newParticipant","role":"supervisor_observe",
        "participants":[{"id":1,"type":"supervisor_observe"},{"id":"2","type":"robot"},17]}}"#;
    let ServerFrame::NewParticipant(p) = ServerFrame::parse(frame).unwrap() else {
        panic!("not a join")
    };
    assert_eq!(p.role, ParticipantType::SupervisorObserve);
    assert_eq!(p.participants.len(), 2);
    assert_eq!(p.participants[1].kind, ParticipantType::Other("robot".into()));
}

#[test]
fn an_acknowledgement_says_result_or_accepted() {
    let ack = |body: &str| {
        let text = format!(r#"{{"type":"acknowledgement","body":{{"method":"newMessage"{body}}}}}"#);
        match ServerFrame::parse(&text).unwrap() {
            ServerFrame::Acknowledgement { result, .. } => result,
            other => panic!("{other:?}"),
        }
    };
    assert!(ack(r#","result":true"#));
    assert!(!ack(r#","result":false"#));
    assert!(!ack(r#","accepted":false"#));
    assert!(ack(r#","accepted":"true""#));
    assert!(ack(""));
}

#[test]
fn ids_go_back_in_the_form_they_came_in() {
    for form in ["62", "\"62\"", "18446744073709551615", "\"a-b\"", "-3"] {
        let text = format!(
            r#"{{"type":"notification","body":{{"method":"requestChat","guid":{form},"authenticationKey":"k"}}}}"#
        );
        let ServerFrame::RequestChat(chat) = ServerFrame::parse(&text).unwrap() else {
            panic!("not a chat")
        };
        let guid = chat.guid.unwrap();
        assert_eq!(serde_json::to_string(&guid).unwrap(), form);
        assert_eq!(serde_json::from_str::<Guid>(form).unwrap(), guid);
        let resume = ClientFrame::RequestChat(RequestChat {
            guid: Some(guid),
            ..Default::default()
        });
        assert!(resume.encode().contains(&format!("\"guid\":{form}")));
    }
    assert_eq!(Guid::from_json(&Value::Null), None);
    assert_eq!(Guid::from_json(&"".into()), None);
}

#[test]
fn errors_are_told_apart_by_text_then_code() {
    let kind = |code: Option<i64>, text: &str| {
        AaccError {
            method: "error".into(),
            code,
            text: text.into(),
        }
        .kind()
    };
    assert_eq!(
        kind(Some(1), "Invalid message: Chat not started"),
        ErrorKind::NotStarted
    );
    assert_eq!(
        kind(Some(500), "INVALID MESSAGE: CHAT NOT STARTED"),
        ErrorKind::NotStarted
    );
    let expired = "Unable to reconnect, session key is invalid or expired";
    assert_eq!(kind(Some(2), expired), ErrorKind::SessionExpired);
    assert_eq!(kind(Some(1), expired), ErrorKind::SessionExpired);
    assert_eq!(kind(None, expired), ErrorKind::SessionExpired);
    assert_eq!(kind(Some(2), ""), ErrorKind::SessionExpired);
    assert_eq!(kind(Some(1), "message too long"), ErrorKind::InvalidMessage);
    assert_eq!(kind(Some(503), "x"), ErrorKind::Maintenance);
    assert_eq!(kind(Some(500), "x"), ErrorKind::Internal);
    assert_eq!(kind(Some(77), "x"), ErrorKind::Unknown);
    assert_eq!(kind(None, ""), ErrorKind::Unknown);
}

#[test]
fn what_is_unknown_is_named_and_what_is_no_object_is_refused() {
    assert_eq!(
        ServerFrame::parse(r#"{"type":"notification","body":{"method":"newCoBrowseSessionKeyMessage"}}"#)
            .unwrap(),
        ServerFrame::Unknown {
            kind: "notification".into(),
            method: "newCoBrowseSessionKeyMessage".into()
        }
    );
    assert_eq!(
        ServerFrame::parse("{}").unwrap(),
        ServerFrame::Unknown {
            kind: String::new(),
            method: String::new()
        }
    );
    assert_eq!(ServerFrame::parse("[]"), Err(FrameError::NotAnObject));
    assert!(matches!(
        ServerFrame::parse("{\"a\":"),
        Err(FrameError::NotJson { .. })
    ));
    assert!(matches!(ClientFrame::parse(""), Err(FrameError::NotJson { .. })));
}

#[test]
fn debug_shows_no_text_name_number_or_key() {
    let mut shown = String::new();
    for (name, text) in fixtures("client-") {
        shown += &format!("{name}: {:?}\n", ClientFrame::parse(&text).unwrap());
    }
    for (name, text) in fixtures("server-") {
        shown += &format!("{name}: {:?}\n", ServerFrame::parse(&text).unwrap());
    }
    for secret in [
        "ticket",
        "Russell",
        "SMS Customer",
        "7206211",
        "469",
        "b3c1f7a0",
        "Welcome",
        "example.com/order",
        "waiting",
        "&lt;",
    ] {
        assert!(!shown.contains(secret), "{secret} shows in:\n{shown}");
    }
    assert!(
        shown.contains("WC_Default_Skillset") && shown.contains("Guid(62)"),
        "still useful:\n{shown}"
    );
}
