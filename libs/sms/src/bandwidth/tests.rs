use super::*;
use crate::{
    Check,
    testing::{Post, account},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{Address, Body, ProviderKind};
use serde_json::json;
use time::macros::datetime;

const APPLICATION: &str = "93de2206-9669-4e07-948d-329f4b722ee2";

fn bandwidth() -> crate::Account {
    let settings = json!({"account_id": "9900000", "application_id": APPLICATION, "callback_user": "ccm"});
    let secret = json!({
        "api_user": "u", "api_password": "hidden-password", "callback_password": "a callback's word",
        "previous_callback_password": "the word before it",
    });
    account(ProviderKind::Bandwidth, &settings, &secret)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn post(body: &Value) -> Post {
    Post::new(
        vec![("authorization", basic("ccm", "a callback's word"))],
        body.to_string(),
    )
}

/// <https://dev.bandwidth.com/docs/messaging/webhooks>: message received.
fn received() -> Value {
    json!([{
        "type": "message-received", "time": "2016-09-14T18:20:16Z", "description": "Incoming message received",
        "to": "+12345678902",
        "message": {
            "id": "14762070468292kw2fuqty55yp2b2", "time": "2016-09-14T18:20:16Z", "to": ["+12345678902"],
            "from": "+12345678901", "text": "Hey, check this out!", "applicationId": APPLICATION,
            "media": ["https://messaging.bandwidth.com/api/v2/users/9900000/media/14762070468292kw2fuqty55yp2b2/0/bw.png"],
            "owner": "+12345678902", "direction": "in", "segmentCount": 1,
        },
    }])
}

#[test]
fn the_documented_text_is_read() {
    assert_eq!(
        post(&received())
            .take(&bandwidth(), Check::Enforce)
            .unwrap()
            .events,
        [Event::Text {
            provider_id: "14762070468292kw2fuqty55yp2b2".into(),
            from: Address::parse("+12345678901").unwrap(),
            to: Address::parse("+12345678902").unwrap(),
            body: Body::new("Hey, check this out!").unwrap(),
            sent_at: Some(datetime!(2016-09-14 18:20:16 UTC)),
            segments: Some(1),
            media: 1,
            part: None,
        }]
    );
}

#[test]
fn each_type_is_its_receipt_and_several_may_come_at_once() {
    let receipt = |kind: &str, code: Value| {
        json!({
            "type": kind, "time": "2016-09-14T18:20:16Z", "description": "x", "to": "+12345678902", "errorCode": code,
            "message": {"id": "m-1", "owner": "+12345678901", "applicationId": APPLICATION, "direction": "out"},
        })
    };
    let all = json!([
        receipt("message-sending", Value::Null),
        receipt("message-delivered", Value::Null),
        receipt("message-failed", json!(4720)),
        receipt("something-new", Value::Null),
    ]);
    let event = |report, code: Option<&str>| Event::Receipt {
        provider_id: "m-1".into(),
        report,
        code: code.map(str::to_owned),
        at: Some(datetime!(2016-09-14 18:20:16 UTC)),
    };
    assert_eq!(
        post(&all).take(&bandwidth(), Check::Enforce).unwrap().events,
        [
            event(Report::Sending, None),
            event(Report::Delivered, None),
            event(Report::Failed, Some("4720")),
        ]
    );
}

#[test]
fn who_does_not_know_the_password_is_refused() {
    let post = post(&received());
    let other = received().to_string().replace(APPLICATION, "another");
    post.is_held_to_its_signature(
        &bandwidth(),
        &[
            ("nobody", post.without_header("authorization")),
            (
                "other user",
                post.with_header("authorization", &basic("xyz", "a callback's word")),
            ),
            (
                "other password",
                post.with_header("authorization", &basic("ccm", "another")),
            ),
            ("no pair", post.with_header("authorization", "Basic ???")),
            ("another application", post.with_body(&other)),
        ],
    );
    let before = post.with_header("authorization", &basic("ccm", "the word before it"));
    before.take(&bandwidth(), Check::Enforce).unwrap();
}

#[test]
fn what_cannot_be_read_is_named() {
    for (pointer, value, words) in [
        ("/0/type", Value::Null, "/type is missing"),
        ("/0/message/id", Value::Null, "/message/id is missing"),
        ("/0/message/from", json!("12345678901"), "/message/from is digits"),
        ("/0/message/owner", json!(7), "/message/owner must be a string"),
        ("/0/message/text", json!("\0"), "/message/text contains a NUL"),
    ] {
        let mut json = received();
        *json.pointer_mut(pointer).unwrap() = value;
        let e = post(&json).take(&bandwidth(), Check::Enforce).unwrap_err();
        assert!(e.to_string().starts_with(words), "{e}");
        assert!(!format!("{e:?}").contains("12345678901"));
    }
    assert!(
        post(&json!({}))
            .take(&bandwidth(), Check::Enforce)
            .unwrap_err()
            .to_string()
            .contains("must be a list")
    );
}
