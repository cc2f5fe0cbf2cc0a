use super::*;
use crate::{
    Check,
    testing::{NOW, Post, account},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use ccm_model::{Address, Body, ProviderKind};
use serde_json::json;
use time::macros::datetime;

fn keys(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn telnyx() -> crate::Account {
    let key = BASE64_STANDARD.encode(keys(7).public_key().as_ref());
    account(
        ProviderKind::Telnyx,
        &json!({"public_key": key}),
        &json!({"api_key": "KEY0123456789abcdef"}),
    )
}

fn signed(by: &Ed25519KeyPair, body: &Value) -> Post {
    let (at, body) = (NOW.unix_timestamp().to_string(), body.to_string());
    let signature = by.sign(format!("{at}|{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(signature.as_ref());
    Post::new(
        vec![("telnyx-timestamp", at), ("telnyx-signature-ed25519", signature)],
        body,
    )
}

/// <https://developers.telnyx.com/api-reference/callbacks/inbound-message>
fn received() -> Value {
    json!({"data": {
        "record_type": "event", "id": "bf6307bd-884d-4c1f-b6ea-c62b8c495d3c", "event_type": "message.received",
        "occurred_at": "2019-01-23T18:10:02.574Z",
        "payload": {
            "record_type": "message", "direction": "inbound", "id": "7ee4241c-f127-47e5-9c34-3aac291f8058", "type": "SMS",
            "messaging_profile_id": "0f512bda-ae1e-4597-8e11-e5f5686b97d3",
            "from": {"phone_number": "+18665550001", "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
            "to": [{"phone_number": "+18445550001", "status": "delivered", "carrier": "TELNYX LLC", "line_type": "VoIP"}],
            "cc": [], "text": "Hello, World!", "media": [], "encoding": "GSM-7", "parts": 1,
            "received_at": "2019-01-23T18:10:02.574Z", "errors": [],
        },
    }, "meta": {"attempt": 1, "delivered_to": "https://www.example.com/hooks"}})
}

#[test]
fn the_documented_text_is_read() {
    let taken = signed(&keys(7), &received())
        .take(&telnyx(), Check::Enforce)
        .unwrap();
    assert_eq!(
        taken.events,
        [Event::Text {
            provider_id: "7ee4241c-f127-47e5-9c34-3aac291f8058".into(),
            from: Address::parse("+18665550001").unwrap(),
            to: Address::parse("+18445550001").unwrap(),
            body: Body::new("Hello, World!").unwrap(),
            sent_at: Some(datetime!(2019-01-23 18:10:02.574 UTC)),
            segments: Some(1),
            media: 0,
            part: None,
        }]
    );
    let mut picture = received();
    picture["data"]["payload"]["media"] = json!([{"url": "https://x/1"}, {"url": "https://x/2"}]);
    picture["data"]["payload"]["text"] = Value::Null;
    let taken = signed(&keys(7), &picture)
        .take(&telnyx(), Check::Enforce)
        .unwrap();
    assert!(matches!(&taken.events[..], [Event::Text { media: 2, body, .. }] if body.as_str().is_empty()));
}

#[test]
fn each_status_is_its_receipt() {
    for (event, status, code, expected) in [
        ("message.sent", "sent", None, Some(Report::Sent)),
        ("message.sent", "queued", None, Some(Report::Queued)),
        ("message.finalized", "delivered", None, Some(Report::Delivered)),
        (
            "message.finalized",
            "delivery_failed",
            Some("40008"),
            Some(Report::Undeliverable),
        ),
        (
            "message.finalized",
            "sending_failed",
            Some("40014"),
            Some(Report::Failed),
        ),
        (
            "message.finalized",
            "delivery_unconfirmed",
            None,
            Some(Report::Unknown),
        ),
        (
            "message.finalized",
            "expired",
            Some("40005"),
            Some(Report::Expired),
        ),
        ("message.finalized", "something new", None, None),
        ("10dlc.phone_number.update", "sent", None, None),
    ] {
        let mut json = received();
        json["data"]["event_type"] = json!(event);
        json["data"]["payload"]["to"][0]["status"] = json!(status);
        json["data"]["payload"]["errors"] =
            json!(code.map(|code| json!({"code": code, "title": "x"})).as_slice());
        let events = signed(&keys(7), &json)
            .take(&telnyx(), Check::Enforce)
            .unwrap()
            .events;
        let expected = expected.map(|report| Event::Receipt {
            provider_id: "7ee4241c-f127-47e5-9c34-3aac291f8058".into(),
            report,
            code: code.map(str::to_owned),
            at: Some(datetime!(2019-01-23 18:10:02.574 UTC)),
        });
        assert_eq!(events, Vec::from_iter(expected), "{event} {status}");
    }
}

#[test]
fn what_is_not_signed_for_us_is_refused() {
    let post = signed(&keys(7), &received());
    post.is_held_to_its_signature(
        &telnyx(),
        &[
            ("another key", signed(&keys(8), &received())),
            (
                "another body",
                post.with_body(&post.body.replace("Hello", "Hallo")),
            ),
            ("another time", post.with_header("telnyx-timestamp", "1795420801")),
            ("no time", post.without_header("telnyx-timestamp")),
            ("no signature", post.without_header("telnyx-signature-ed25519")),
            ("not base64", post.with_header("telnyx-signature-ed25519", "???")),
            (
                "half of one",
                post.with_header("telnyx-signature-ed25519", "AAAA"),
            ),
            ("stale", post.later(301)),
            ("of the future", post.later(-301)),
        ],
    );
}

#[test]
fn what_cannot_be_read_is_named_without_being_repeated() {
    for (pointer, value, words) in [
        ("/data/event_type", Value::Null, "/data/event_type is missing"),
        ("/data/payload/id", Value::Null, "/data/payload/id is missing"),
        (
            "/data/payload/id",
            json!("a b"),
            "/data/payload/id must be 1 to 128",
        ),
        (
            "/data/payload/from/phone_number",
            json!(7),
            "/data/payload/from/phone_number must be a string",
        ),
        (
            "/data/payload/to/0/phone_number",
            json!("18445550001"),
            "/data/payload/to/0/phone_number is digits",
        ),
        (
            "/data/payload/text",
            json!("CANARY\0"),
            "/data/payload/text contains a NUL",
        ),
    ] {
        let mut json = received();
        *json.pointer_mut(pointer).unwrap() = value;
        let e = signed(&keys(7), &json)
            .take(&telnyx(), Check::Enforce)
            .unwrap_err();
        assert_eq!(e.status().as_u16(), 422);
        assert!(e.to_string().starts_with(words), "{e}");
        let shown = format!("{e:?}");
        assert!(!shown.contains("CANARY") && !shown.contains("5550001"), "{shown}");
    }
}
