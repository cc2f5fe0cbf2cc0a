use super::*;
use crate::{
    sign::{Signer, hex},
    testing::{NOW, Post, account},
};
use ccm_model::{Address, Body, ProviderKind};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use time::macros::datetime;

const SECRET: &str = "my_secret_key_for_testing";

fn of(settings: Value) -> crate::Account {
    let mut all = json!({"api_key": "abcd1234"});
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    let secret = json!({"api_secret": "hidden-secret", "signature_secret": SECRET});
    account(ProviderKind::Vonage, &all, &secret)
}

/// The parameters of the test of Vonage's own library, with what it signs them as.
fn documented(sig: &str) -> Post {
    let params = json!({
        "message-timestamp": "2013-11-21 15:27:30", "messageId": "020000001B0FE827", "msisdn": "14843472194",
        "text": "Test again", "timestamp": "1385047698", "to": "13239877404", "type": "text", "sig": sig,
    });
    let mut post = Post::new(
        vec![("content-type", "application/json".into())],
        params.to_string(),
    );
    post.now = datetime!(2013-11-21 15:28:00 UTC);
    post
}

const SHA256: &str = "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330";

#[test]
fn vonages_own_example_is_taken_by_each_method_and_as_a_form_too() {
    for (method, sig) in [
        ("sha1", "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
        ("sha256", SHA256),
        (
            "sha512",
            "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82",
        ),
    ] {
        let account = of(json!({"signature_method": method}));
        let post = documented(sig);
        let params: Params = serde_json::from_str(&post.body).unwrap();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&params)
            .finish();
        for post in [post.clone(), post.with_body(&form)] {
            let received = post.take(&account, crate::Check::Enforce).unwrap();
            assert_eq!(
                received.events,
                [Event::Text {
                    provider_id: "020000001B0FE827".into(),
                    from: Address::parse("+14843472194").unwrap(),
                    to: Address::parse("+13239877404").unwrap(),
                    body: Body::new("Test again").unwrap(),
                    sent_at: Some(datetime!(2013-11-21 15:27:30 UTC)),
                    segments: None,
                    media: 0,
                    part: None,
                }]
            );
        }
    }
}

#[test]
fn a_sig_that_does_not_fit_is_refused() {
    let post = documented(SHA256);
    post.is_held_to_its_signature(
        &of(json!({})),
        &[
            (
                "other method",
                documented("27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            ),
            ("none", post.with_body(&post.body.replace("\"sig\"", "\"gis\""))),
            ("not hexadecimal", documented("xxx")),
            (
                "other text",
                post.with_body(&post.body.replace("Test again", "Test")),
            ),
            (
                "parameter more",
                post.with_body(&post.body.replace("{\"", "{\"a\":\"b\",\"")),
            ),
            ("stale", post.later(26 * 3600)),
            ("of the future", post.later(-26 * 3600)),
        ],
    );
    // Repeated for a day, after an outage of ours.
    post.later(24 * 3600)
        .take(&of(json!({})), crate::Check::Enforce)
        .unwrap();
}

fn signed(mut params: Value) -> Post {
    params["timestamp"] = json!(NOW.unix_timestamp().to_string());
    let all: Params = serde_json::from_value(params.clone()).unwrap();
    let text: String = all
        .iter()
        .map(|(k, v)| format!("&{k}={}", v.replace(['&', '='], "_")))
        .collect();
    params["sig"] = json!(hex(Signer::sha256(&SECRET.into())
        .sign(&[text.as_bytes()])
        .as_ref()));
    Post::new(vec![], params.to_string())
}

#[test]
fn the_documented_receipt_is_read() {
    // https://developer.vonage.com/messaging/sms/guides/delivery-receipts, with other statuses and codes.
    for (status, code, expected) in [
        ("accepted", "0", Some((Report::Sent, None))),
        ("buffered", "0", Some((Report::Sent, None))),
        ("delivered", "0", Some((Report::Delivered, None))),
        ("expired", "2", Some((Report::Expired, Some("2")))),
        // https://developer.vonage.com/en/opt-out-assist/guides/messaging-opted-out-numbers
        ("failed", "9", Some((Report::Failed, Some("9")))),
        ("rejected", "5", Some((Report::Undeliverable, Some("5")))),
        ("unknown", "1", Some((Report::Unknown, Some("1")))),
        ("something new", "0", None),
    ] {
        let post = signed(json!({
            "err-code": code, "message-timestamp": "2018-10-25 12:10:29", "messageId": "0B00000127FDBC63",
            "msisdn": "447547232824", "network-code": "23410", "price": "0.03330000", "scts": "1810251310",
            "status": status, "to": "Vonage CSKP", "api-key": "abcd1234",
        }));
        let events = post.take(&of(json!({})), crate::Check::Enforce).unwrap().events;
        let expected = expected.map(|(report, code)| Event::Receipt {
            provider_id: "0B00000127FDBC63".into(),
            report,
            code: code.map(str::to_owned),
            at: Some(datetime!(2018-10-25 12:10:29 UTC)),
        });
        assert_eq!(events, Vec::from_iter(expected), "{status}");
    }
}

#[test]
fn parts_are_told_and_what_cannot_be_read_is_named() {
    let text = json!({
        "messageId": "0A1", "msisdn": "447700900001", "to": "447700900000", "text": "a & b = c", "type": "text",
        "concat": "true", "concat-ref": "108", "concat-total": "2", "concat-part": "1",
    });
    let account = of(json!({}));
    let take = |params: &Value| signed(params.clone()).take(&account, crate::Check::Enforce);
    let part = Some(Part {
        reference: 108,
        parts: 2,
        part: 1,
    });
    assert!(matches!(&take(&text).unwrap().events[0], Event::Text { part: got, .. } if *got == part));
    for name in ["messageId", "msisdn", "to", "text"] {
        let mut less = text.clone();
        less.as_object_mut().unwrap().remove(name);
        let e = take(&less).unwrap_err();
        assert!(e.to_string().starts_with(&format!("{name} is missing")), "{e}");
    }
    for (name, value) in [
        ("concat-part", "3"),
        ("messageId", "with space"),
        ("msisdn", "not:one"),
    ] {
        let mut wrong = text.clone();
        wrong[name] = json!(value);
        let e = take(&wrong).unwrap_err();
        assert_eq!(e.status().as_u16(), 422, "{e}");
        assert!(!format!("{e} {e:?}").contains("447700900001"));
    }
    let mut other = text;
    other["api-key"] = json!("ffff0000");
    assert_eq!(
        take(&other).unwrap_err(),
        ReceiveError::WrongAccount { field: "api-key" }
    );
}

fn token(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!("Bearer {}", encode(&Header::default(), claims, &key).unwrap())
}

#[test]
fn a_webhook_with_a_token_is_held_to_it() {
    let body = json!({
        "to": "447700900000", "from": "447700900001", "channel": "sms", "timestamp": "2026-11-23T07:59:58Z",
        "message_uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "message_type": "text", "text": "Hello sms",
        "sms": {"num_messages": "2", "keyword": "HELLO"},
    })
    .to_string();
    let hash = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes()).as_ref());
    let now = NOW.unix_timestamp();
    let claims =
        json!({"iat": now, "jti": "1", "iss": "Vonage", "payload_hash": hash, "api_key": "abcd1234"});
    let post = Post::new(vec![("authorization", token(&claims, SECRET))], body);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        post.with_header("authorization", &token(&claims, SECRET))
    };
    let account = of(json!({"signature": "jwt"}));
    post.is_held_to_its_signature(
        &account,
        &[
            ("no token", post.without_header("authorization")),
            ("no bearer", post.with_header("authorization", "Basic x")),
            (
                "other secret",
                post.with_header("authorization", &token(&claims, "another secret")),
            ),
            ("other body", post.with_body(&post.body.replace("Hello", "Hallo"))),
            ("no hash", with("payload_hash", Value::Null)),
            ("no time", with("iat", Value::Null)),
            ("stale", post.later(26 * 3600)),
            ("over", with("exp", json!(now - 61))),
            ("not yet", with("nbf", json!(now + 61))),
            ("another account", with("api_key", json!("ffff0000"))),
        ],
    );
    let none = format!(
        "Bearer {}",
        encode(&Header::default(), &claims, &EncodingKey::from_secret(b"")).unwrap()
    );
    let unsigned = none.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert!(
        post.with_header("authorization", &unsigned)
            .take(&account, crate::Check::Enforce)
            .is_err()
    );
    assert!(matches!(
        &post.take(&account, crate::Check::Enforce).unwrap().events[..],
        [Event::Text { segments: Some(2), sent_at: Some(at), .. }] if *at == datetime!(2026-11-23 07:59:58 UTC)
    ));
    let status = json!({
        "message_uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "to": "447700900000", "from": "447700900001",
        "timestamp": "2026-11-23T07:59:58Z", "status": "rejected", "channel": "sms",
        "error": {"type": "https://developer.vonage.com/api-errors/messages#1250", "title": "1250", "detail": "x"},
    })
    .to_string();
    let hash = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, status.as_bytes()).as_ref());
    let events = with("payload_hash", json!(hash))
        .with_body(&status)
        .take(&account, crate::Check::Enforce);
    assert!(matches!(
        &events.unwrap().events[..],
        [Event::Receipt { report: Report::Undeliverable, code: Some(code), .. }] if code == "1250"
    ));
}
