use super::*;
use crate::{Account as AnyAccount, Check, Outbound, receive as receive_any};
use ::http::HeaderMap;
use ccm_model::ProviderKind;
use ccm_model::Report;
use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

const SECRET: &str = "a-documented-secret";
const NOW: OffsetDateTime = datetime!(2026-11-23 08:00:00 UTC);

fn account() -> AnyAccount {
    let secret = json!({ "signing_secret": SECRET, "previous_signing_secret": "an-older-secret!" });
    let settings = json!({ "send_url": "https://sms.example/send?key=hidden" });
    AnyAccount::parse(ProviderKind::Http, &settings, secret.to_string().as_bytes()).unwrap()
}

fn signed(secret: &str, at: OffsetDateTime, body: &[u8]) -> HeaderMap {
    let (timestamp, signature) = signature::make(&secret.into(), at, body);
    headers(&timestamp, &[&signature])
}

fn headers(timestamp: &str, signatures: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(signature::TIMESTAMP, timestamp.parse().unwrap());
    for signature in signatures {
        headers.append(signature::SIGNATURE, signature.parse().unwrap());
    }
    headers
}

fn take(headers: &HeaderMap, body: &[u8]) -> Result<Received, ReceiveError> {
    receive_any(
        &account(),
        &Inbound {
            url: "https://ccm.example/x",
            headers,
            body,
            check: Check::Enforce,
            now: NOW,
        },
    )
}

fn take_json(body: &Value) -> Result<Received, ReceiveError> {
    let body = body.to_string();
    take(&signed(SECRET, NOW, body.as_bytes()), body.as_bytes())
}

/// The example of docs/providers.md, made with
/// `printf '%s' '1795420800.{"id":…}' | openssl dgst -sha256 -hmac a-documented-secret`.
#[test]
fn the_documented_example_is_taken() {
    let body =
        r#"{"id":"mo-1","from":"+15550100","to":"72345","text":"Grüße 😀","sent_at":"2026-11-23T07:59:58Z"}"#;
    let signature = "v1=288a8a80519bd0dd75620d57e969cd18cdc65926b69cf5f05ce10628d6626f69";
    let received = take(&headers("1795420800", &[signature]), body.as_bytes()).unwrap();
    assert_eq!(received.answer.status, StatusCode::ACCEPTED);
    assert_eq!(
        received.events,
        [Event::Text {
            provider_id: "mo-1".into(),
            from: ccm_model::Address::E164("+15550100".into()),
            to: ccm_model::Address::ShortCode("72345".into()),
            body: ccm_model::Body::new("Grüße 😀").unwrap(),
            sent_at: Some(datetime!(2026-11-23 07:59:58 UTC)),
            segments: None,
            media: 0,
            part: None,
        }]
    );
}

#[test]
fn what_is_not_signed_now_by_us_is_refused() {
    let body = br#"{"id":"1","from":"+15550100","to":"72345","text":"x"}"#;
    let good = |secret| signature::make(&secret, NOW, body).1;
    let good_now = good(SECRET.into());
    let at = NOW.unix_timestamp().to_string();
    let status = |headers: &HeaderMap| take(headers, body).map_err(|e| e.status().as_u16()).map(|_| ());
    for (name, headers, expected) in [
        ("right", headers(&at, &[&good_now]), Ok(())),
        (
            "older secret",
            headers(&at, &[&good("an-older-secret!".into())]),
            Ok(()),
        ),
        (
            "one of several",
            headers(&at, &[&format!("v2=zz, v1={}, {good_now}", "0".repeat(64))]),
            Ok(()),
        ),
        (
            "one of several lines",
            headers(&at, &["v1=00", &good_now]),
            Ok(()),
        ),
        (
            "capitals",
            headers(&at, &[&good_now.to_uppercase().replace("V1", "v1")]),
            Ok(()),
        ),
        (
            "other secret",
            headers(&at, &[&good("another-secret-here".into())]),
            Err(403),
        ),
        (
            "other time",
            headers(&(NOW.unix_timestamp() + 1).to_string(), &[&good_now]),
            Err(403),
        ),
        ("no signature", headers(&at, &[]), Err(403)),
        (
            "no version",
            headers(&at, &[good_now.trim_start_matches("v1=")]),
            Err(403),
        ),
        ("too short", headers(&at, &[&good_now[..65]]), Err(403)),
        ("too long", headers(&at, &[&format!("{good_now}00")]), Err(403)),
        (
            "no time",
            HeaderMap::from_iter([(signature::SIGNATURE.parse().unwrap(), good_now.parse().unwrap())]),
            Err(403),
        ),
        ("not a time", headers("now", &[&good_now]), Err(403)),
        (
            "early enough",
            signed(SECRET, NOW - time::Duration::seconds(300), body),
            Ok(()),
        ),
        (
            "late enough",
            signed(SECRET, NOW + time::Duration::seconds(300), body),
            Ok(()),
        ),
    ] {
        assert_eq!(status(&headers), expected, "{name}");
    }
    for off in [-301, 301] {
        let headers = signed(SECRET, NOW + time::Duration::seconds(off), body);
        assert_eq!(
            take(&headers, body).unwrap_err(),
            ReceiveError::Stale { limit_s: 300 }
        );
    }
    let extreme = headers(&i64::MIN.to_string(), &[&good_now]);
    assert_eq!(status(&extreme), Err(403));
}

#[test]
fn what_cannot_be_read_is_named() {
    let good = json!({ "id": "1", "from": "+15550100", "to": "WEBTEXT", "text": "" });
    assert!(take_json(&good).is_ok());
    for (field, value, words) in [
        ("id", json!(7), "must be a string"),
        ("id", json!(""), "1 to 128"),
        ("id", json!("a b"), "visible"),
        ("id", json!("a\u{0}"), "visible"),
        ("id", json!("x".repeat(129)), "128"),
        ("from", json!("15550100123"), "country code"),
        ("to", json!(""), "is empty"),
        ("text", json!("a\u{0}b"), "NUL"),
        ("text", json!("x".repeat(20_001)), "longer"),
        ("sent_at", json!("yesterday"), "must be a time"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let e = take_json(&body).unwrap_err();
        assert_eq!(e.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            e.to_string().starts_with(field) && e.to_string().contains(words),
            "{field}: {e}"
        );
    }
    for field in ["id", "from", "to", "text"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(
            take_json(&body).unwrap_err().to_string(),
            format!("{field} is missing")
        );
    }
    assert!(take_json(&json!([])).is_err());
    assert!(take(&signed(SECRET, NOW, b"\xff"), b"\xff").is_err());
    let long = vec![b' '; crate::MAX_WEBHOOK_BYTES + 1];
    assert_eq!(
        take(&signed(SECRET, NOW, &long), &long).unwrap_err(),
        ReceiveError::TooLarge
    );
}

#[test]
fn an_account_says_what_is_wrong_with_it_and_shows_no_secret() {
    let parse = |settings: Value, secret: Value| {
        AnyAccount::parse(ProviderKind::Http, &settings, secret.to_string().as_bytes())
            .map_err(|e| e.to_string())
    };
    let (url, secret) = (
        json!({ "send_url": "https://a.example" }),
        json!({ "signing_secret": SECRET }),
    );
    let fine = parse(
        json!({ "send_url": "http://127.0.0.1:9/s?key=hidden", "timeout_ms": 100 }),
        secret.clone(),
    )
    .unwrap();
    assert_eq!(
        (fine.timeout(), fine.kind()),
        (Duration::from_millis(100), ProviderKind::Http)
    );
    assert!(crate::recognises_retries(ProviderKind::Http));
    let shown = format!("{fine:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("hidden"), "{shown}");
    for (settings, secret, words) in [
        (json!({}), secret.clone(), "settings.send_url is missing"),
        (json!(7), secret.clone(), "is not a JSON object"),
        (
            json!({ "send_url": "http://a.example" }),
            secret.clone(),
            "must be https",
        ),
        (
            json!({ "send_url": "ftp://localhost" }),
            secret.clone(),
            "must be https",
        ),
        (json!({ "send_url": "a" }), secret.clone(), "is not an address"),
        (
            json!({ "send_url": "https://a.example", "sendurl": 1 }),
            secret.clone(),
            "settings.sendurl is not known",
        ),
        (
            json!({ "send_url": "https://a.example", "timeout_ms": 5 }),
            secret,
            "100 to 60000",
        ),
        (url.clone(), json!({}), "secret.signing_secret is missing"),
        (url, json!({ "signing_secret": 12345 }), "is not a text"),
    ] {
        let e = parse(settings, secret).unwrap_err();
        assert!(e.contains(words), "{e}");
        assert!(!e.contains("12345"));
    }
    assert!(AnyAccount::parse(ProviderKind::Http, &json!({}), b"not json").is_err());
}

proptest! {
    #[test]
    fn what_is_signed_is_taken_and_any_other_byte_is_not(
        text in "\\PC{0,60}", at in 0usize.., bit in 0u8..8, secret in "[!-~]{16,40}",
    ) {
        let body = json!({ "id": "1", "from": "+15550100", "to": "72345", "text": text }).to_string().into_bytes();
        prop_assert!(take(&signed(SECRET, NOW, &body), &body).is_ok());
        let mut other = body.clone();
        let at = at % other.len();
        other[at] ^= 1 << bit;
        prop_assert_eq!(take(&signed(SECRET, NOW, &body), &other).unwrap_err().status().as_u16(), 403);
        prop_assume!(secret != SECRET && secret != "an-older-secret!");
        prop_assert_eq!(take(&signed(&secret, NOW, &body), &body).unwrap_err().status().as_u16(), 403);
    }
}

#[test]
fn printing_what_is_sent_shows_neither_text_nor_number() {
    let (from, to) = ("72345".parse().unwrap(), "+19995550123".parse().unwrap());
    let body = ccm_model::Body::new("CANARY").unwrap();
    let out = Outbound {
        message_id: ccm_model::MessageId(uuid::Uuid::nil()),
        from: &from,
        to: &to,
        body: &body,
        attempt: 1,
        receipts_to: None,
        now: NOW,
    };
    let shown = format!("{out:?}");
    assert!(
        !shown.contains("CANARY") && !shown.contains("5550123") && !shown.contains("72345"),
        "{shown}"
    );
}

#[test]
fn a_receipt_is_told_apart_from_a_text() {
    let receipt = |status: &str| json!({"type": "receipt", "id": "mt-1", "status": status, "code": "30003", "at": "2026-11-23T07:59:58Z"});
    for report in Report::ALL {
        assert_eq!(
            take_json(&receipt(report.as_str())).unwrap().events,
            [Event::Receipt {
                provider_id: "mt-1".to_owned(),
                report: *report,
                code: Some("30003".to_owned()),
                at: Some(datetime!(2026-11-23 07:59:58 UTC)),
            }]
        );
    }
    for (wrong, field) in [
        (receipt("gone"), "status"),
        (json!({"type": "letter", "id": "1"}), "type"),
        (
            json!({"type": "receipt", "id": "mt-1", "status": "sent", "code": "a b"}),
            "code",
        ),
        (
            json!({"type": "receipt", "id": "mt-1", "status": "sent", "at": "noon"}),
            "at",
        ),
    ] {
        assert!(
            matches!(take_json(&wrong), Err(ReceiveError::Malformed { field: f, .. }) if f == field),
            "{wrong}"
        );
    }
}

#[test]
fn a_part_says_which_one_it_is() {
    let text =
        |concat: Value| json!({"id": "1", "from": "+15550100", "to": "72345", "text": "x", "concat": concat});
    let events = take_json(&text(json!({"reference": 65535, "parts": 3, "part": 3})))
        .unwrap()
        .events;
    let expected = Part {
        reference: 65535,
        parts: 3,
        part: 3,
    };
    assert!(matches!(events[0], Event::Text { part: Some(part), .. } if part == expected));
    for wrong in [
        json!({"reference": 1, "parts": 1, "part": 1}),
        json!({"reference": 1, "parts": 3, "part": 4}),
        json!({"reference": 1, "parts": 3, "part": 0}),
        json!({"reference": 65536, "parts": 3, "part": 1}),
        json!({"parts": 3, "part": 1}),
        json!("1/3"),
    ] {
        assert!(
            matches!(
                take_json(&text(wrong.clone())),
                Err(ReceiveError::Malformed { field: "concat", .. })
            ),
            "{wrong}"
        );
    }
}
