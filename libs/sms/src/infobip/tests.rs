use super::*;
use crate::{
    Check,
    testing::{Post, account},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{Address, Body, ProviderKind};
use serde_json::json;
use time::macros::datetime;

fn infobip() -> crate::Account {
    let settings = json!({"api_base": "https://xyz.api.infobip.com", "webhook_user": "ccm"});
    let secret = json!({
        "api_key": "hidden-key-of-theirs", "webhook_password": "a webhook's word",
        "previous_webhook_password": "the word before it",
    });
    account(ProviderKind::Infobip, &settings, &secret)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn post(body: &Value) -> Post {
    Post::new(
        vec![("authorization", basic("ccm", "a webhook's word"))],
        body.to_string(),
    )
}

/// <https://infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages>
fn received() -> Value {
    json!({
        "results": [{
            "messageId": "817790313235066447", "from": "385916242493", "to": "385921004026",
            "text": "QUIZ Correct answer is Paris", "cleanText": "Correct answer is Paris", "keyword": "QUIZ",
            "receivedAt": "2016-10-06T09:28:39.220+0000", "smsCount": 1,
            "price": {"pricePerMessage": 0, "currency": "EUR"}, "callbackData": "callbackData",
        }],
        "messageCount": 1, "pendingMessageCount": 0,
    })
}

#[test]
fn the_documented_text_is_read() {
    assert_eq!(
        post(&received()).take(&infobip(), Check::Enforce).unwrap().events,
        [Event::Text {
            provider_id: "817790313235066447".into(),
            from: Address::parse("+385916242493").unwrap(),
            to: Address::parse("+385921004026").unwrap(),
            body: Body::new("QUIZ Correct answer is Paris").unwrap(),
            sent_at: Some(datetime!(2016-10-06 09:28:39.220 UTC)),
            segments: Some(1),
            media: 0,
            part: None,
        }]
    );
}

#[test]
fn the_documented_receipts_are_read_with_each_group() {
    let receipt = |group: &str, error: u32| {
        json!({
            "bulkId": "BULK-ID-123-xyz", "messageId": "MESSAGE-ID-123-xyz", "to": "41793026727",
            "sentAt": "2019-11-09T16:00:00.000+0000", "doneAt": "2019-11-09T16:00:00.000+0000", "smsCount": 1,
            "status": {"groupId": 3, "groupName": group, "id": 5, "name": "X", "description": "x"},
            "error": {"groupId": 0, "groupName": "Ok", "id": error, "name": "X", "permanent": false},
        })
    };
    let all = json!({"results": [
        receipt("PENDING", 0), receipt("DELIVERED", 0), receipt("UNDELIVERABLE", 27), receipt("EXPIRED", 1),
        receipt("REJECTED", 6), receipt("SOMETHING_NEW", 0),
    ]});
    let event = |report, code: Option<&str>| Event::Receipt {
        provider_id: "MESSAGE-ID-123-xyz".into(),
        report,
        code: code.map(str::to_owned),
        at: Some(datetime!(2019-11-09 16:00 UTC)),
    };
    assert_eq!(
        post(&all).take(&infobip(), Check::Enforce).unwrap().events,
        [
            event(Report::Sent, None),
            event(Report::Delivered, None),
            event(Report::Undeliverable, Some("27")),
            event(Report::Expired, Some("1")),
            event(Report::Failed, Some("6")),
        ]
    );
}

#[test]
fn who_does_not_know_the_password_is_refused() {
    let post = post(&received());
    post.is_held_to_its_signature(
        &infobip(),
        &[
            ("nobody", post.without_header("authorization")),
            (
                "other user",
                post.with_header("authorization", &basic("xyz", "a webhook's word")),
            ),
            (
                "other password",
                post.with_header("authorization", &basic("ccm", "another")),
            ),
            ("no pair", post.with_header("authorization", "Basic ???")),
        ],
    );
    let before = post.with_header("authorization", &basic("ccm", "the word before it"));
    before.take(&infobip(), Check::Enforce).unwrap();
}

#[test]
fn what_cannot_be_read_is_named() {
    for (pointer, value, words) in [
        ("/results", json!({}), "/results must be a list"),
        ("/results/0/messageId", Value::Null, "/messageId is missing"),
        ("/results/0/from", json!("a:b"), "/from is not"),
        ("/results/0/to", json!(7), "/to must be a string"),
        ("/results/0/text", Value::Null, "/text is missing"),
        ("/results/0/receivedAt", json!("é"), ""),
    ] {
        let mut json = received();
        *json.pointer_mut(pointer).unwrap() = value;
        match post(&json).take(&infobip(), Check::Enforce) {
            Err(e) => {
                assert!(e.to_string().starts_with(words), "{e}");
                assert!(!format!("{e:?}").contains("385916242493"));
            }
            // A moment that cannot be read is no reason to lose a text.
            Ok(received) => assert!(
                words.is_empty() && matches!(&received.events[..], [Event::Text { sent_at: None, .. }])
            ),
        }
    }
}
