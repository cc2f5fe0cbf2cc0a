use super::*;
use crate::{
    Check,
    sign::{Signer, hex},
    testing::{NOW, Post, URL, account as parse},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{Address, Body, ProviderKind, Report};
use serde_json::json;
use time::macros::datetime;

const SECRET: &str = "a webhook's secret";

fn settings() -> Value {
    json!({
        "send_url": "https://sms.example.com/send",
        "send": {"json": {"to": "{to}", "text": "{text}"}},
        "receive": {
            "text": {"id": "/id", "from": "/from", "to": "/to", "text": "/text", "sent_at": "/at"},
            "receipt": {"id": "/id", "status": "/status", "code": "/error", "at": "/at",
                        "statuses": {"DELIVRD": "delivered", "7": "undeliverable"}},
        },
        "signature": {"scheme": "token", "header": "X-Token"},
    })
}

fn with(changes: &[(&str, Value)]) -> crate::Account {
    let mut all = settings();
    for (pointer, value) in changes {
        *all.pointer_mut(pointer).unwrap() = value.clone();
    }
    parse(ProviderKind::Custom, &all, &json!({"webhook_secret": SECRET}))
}

fn post(body: &Value) -> Post {
    Post::new(vec![("x-token", SECRET.into())], body.to_string())
}

fn text() -> Value {
    json!({"id": 17, "from": "4915112345678", "to": "72345", "text": "Grüße 😀", "at": "2026-11-23T07:59:58Z", "more": {}})
}

fn event(id: &str) -> Event {
    Event::Text {
        provider_id: id.into(),
        from: Address::parse("+4915112345678").unwrap(),
        to: Address::parse("72345").unwrap(),
        body: Body::new("Grüße 😀").unwrap(),
        sent_at: Some(datetime!(2026-11-23 07:59:58 UTC)),
        segments: None,
        media: 0,
        part: None,
    }
}

#[test]
fn texts_and_receipts_are_read_where_the_settings_say() {
    let account = with(&[]);
    assert_eq!(
        post(&text()).take(&account, Check::Enforce).unwrap().events,
        [event("17")]
    );
    for (status, expected) in [
        (json!("DELIVRD"), Some(Report::Delivered)),
        (json!(7), Some(Report::Undeliverable)),
        (json!("ENROUTE"), None),
    ] {
        let receipt = json!({"id": "mt-1", "status": status, "error": 30, "at": 1_795_420_798});
        let events = post(&receipt).take(&account, Check::Enforce).unwrap().events;
        let expected = expected.map(|report| Event::Receipt {
            provider_id: "mt-1".into(),
            report,
            code: Some("30".into()),
            at: Some(datetime!(2026-11-23 07:59:58 UTC)),
        });
        assert_eq!(events, Vec::from_iter(expected), "{status}");
    }
    // Several at once, milliseconds, and an answer of its own.
    let mut many = settings();
    many["receive"]["each"] = json!("/results");
    many["receive"]["answer"] = json!({"status": 202, "body": "ACK"});
    let account = parse(ProviderKind::Custom, &many, &json!({"webhook_secret": SECRET}));
    let mut second = text();
    second["id"] = json!("18");
    second["at"] = json!(1_795_420_798_000_i64);
    let taken = post(&json!({"results": [text(), second]}))
        .take(&account, Check::Enforce)
        .unwrap();
    assert_eq!(taken.events, [event("17"), event("18")]);
    assert_eq!(
        (taken.answer.status.as_u16(), taken.answer.body.as_ref()),
        (202, "ACK")
    );
    assert!(
        post(&text())
            .take(&account, Check::Enforce)
            .unwrap_err()
            .to_string()
            .contains("receive.each")
    );
}

#[test]
fn forms_and_addresses_are_read_too() {
    let names = json!({"id": "msgid", "from": "src", "to": "dst", "text": "msg"});
    let form = "msgid=17&src=%2B4915112345678&dst=72345&msg=Gr%C3%BC%C3%9Fe+%F0%9F%98%80";
    for (format, body, url) in [
        ("form", form, URL.to_owned()),
        ("query", "", format!("{URL}?{form}")),
    ] {
        let account = with(&[("/receive", json!({"format": format, "text": names}))]);
        let mut post = post(&json!(0)).with_body(body);
        post.url = url;
        let events = post.take(&account, Check::Enforce).unwrap().events;
        assert!(
            matches!(&events[..], [Event::Text { provider_id, body, .. }] if provider_id == "17" && body.as_str() == "Grüße 😀"),
            "{format}: {events:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_named_by_the_setting_and_not_repeated() {
    let account = with(&[]);
    for (field, value, words) in [
        ("id", Value::Null, "receive.text.id leads to nothing"),
        ("id", json!("a b"), "receive.text.id must be 1 to 128"),
        ("from", json!({}), "receive.text.from leads to nothing"),
        ("to", json!("not:one"), "receive.text.to is not"),
        ("text", json!("CANARY\0"), "receive.text.text contains a NUL"),
    ] {
        let mut json = text();
        json[field] = value;
        let e = post(&json).take(&account, Check::Enforce).unwrap_err();
        assert_eq!(e.status().as_u16(), 422);
        assert!(e.to_string().starts_with(words), "{e}");
        assert!(!format!("{e:?}").contains("CANARY") && !format!("{e:?}").contains("12345678"));
    }
    assert!(
        post(&json!(0))
            .with_body("no json")
            .take(&account, Check::Enforce)
            .is_err()
    );
}

#[test]
fn every_scheme_takes_what_is_signed_and_nothing_else() {
    let body = text().to_string();
    let other = body.replace("Grüße", "Gruesse");
    let hmac = |signer: fn(&SecretString) -> Signer, secret: &str, signed: &str| {
        signer(&secret.into())
            .sign(&[signed.as_bytes()])
            .as_ref()
            .to_vec()
    };
    let base = Post::new(vec![], body.clone());
    let at = NOW.unix_timestamp().to_string();

    let account = with(&[(
        "/signature",
        json!({"scheme": "token", "header": "Authorization", "prefix": "Bearer "}),
    )]);
    let good = base.with_header("authorization", &format!("Bearer {SECRET}"));
    good.is_held_to_its_signature(
        &account,
        &[
            ("none", base.clone()),
            ("other", base.with_header("authorization", "Bearer another")),
            ("no prefix", base.with_header("authorization", SECRET)),
        ],
    );

    let account = with(&[("/signature", json!({"scheme": "basic", "user": "ccm"}))]);
    let pair = |pair: String| format!("Basic {}", BASE64_STANDARD.encode(pair));
    base.with_header("authorization", &pair(format!("ccm:{SECRET}")))
        .is_held_to_its_signature(
            &account,
            &[
                ("none", base.clone()),
                (
                    "other user",
                    base.with_header("authorization", &pair(format!("xyz:{SECRET}"))),
                ),
                (
                    "other password",
                    base.with_header("authorization", &pair("ccm:another".into())),
                ),
                ("no pair", base.with_header("authorization", "Basic eA==")),
            ],
        );

    let account = with(&[("/signature", json!({"scheme": "query", "parameter": "key"}))]);
    let at_url = |url: String| Post { url, ..base.clone() };
    at_url(format!("{URL}?a=b&key=a+webhook%27s+secret")).is_held_to_its_signature(
        &account,
        &[
            ("none", base.clone()),
            ("other", at_url(format!("{URL}?key=another"))),
        ],
    );

    for (scheme, signer) in [
        ("hmac-sha256", Signer::sha256 as fn(&SecretString) -> Signer),
        ("hmac-sha1", Signer::sha1),
    ] {
        let account = with(&[(
            "/signature",
            json!({"scheme": scheme, "header": "X-Sig", "prefix": "v=", "encoding": "base64",
                   "over": "{timestamp}|{url}|{body}", "timestamp_header": "X-Time"}),
        )]);
        let signed = |secret: &str| {
            let tag = hmac(signer, secret, &format!("{at}|{URL}|{body}"));
            base.with_header("x-time", &at)
                .with_header("x-sig", &format!("v={}", BASE64_STANDARD.encode(tag)))
        };
        let good = signed(SECRET);
        good.is_held_to_its_signature(
            &account,
            &[
                ("other secret", signed("another")),
                ("other body", good.with_body(&other)),
                (
                    "other address",
                    Post {
                        url: format!("{URL}?x"),
                        ..good.clone()
                    },
                ),
                ("other time", good.with_header("x-time", "1795420801")),
                ("no time", good.without_header("x-time")),
                ("none", good.without_header("x-sig")),
                ("no base64", good.with_header("x-sig", "v=?")),
                ("stale", good.later(301)),
                ("of the future", good.later(-301)),
            ],
        );
    }

    // Over the body alone, in hexadecimal; and the secret before it.
    let mut all = settings();
    all["signature"] = json!({"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256="});
    let secret = json!({"webhook_secret": SECRET, "previous_webhook_secret": "an older secret!"});
    let account = parse(ProviderKind::Custom, &all, &secret);
    for (secret, taken) in [(SECRET, true), ("an older secret!", true), ("another", false)] {
        let tag = hex(&hmac(Signer::sha256, secret, &body));
        let post = base.with_header("x-hub-signature-256", &format!("sha256={tag}"));
        assert_eq!(post.take(&account, Check::Enforce).is_ok(), taken, "{secret}");
    }
}

#[test]
fn settings_that_describe_nothing_are_refused_by_name() {
    let secret = json!({"webhook_secret": SECRET}).to_string();
    for (pointer, value, field) in [
        ("/send", json!({}), "send.json"),
        ("/send", json!({"json": {}, "form": {}}), "send.json"),
        ("/send", json!({"json": {"to": "{to}"}}), "send"),
        ("/send", json!({"json": {"text": "{text}"}}), "send"),
        ("/send", json!({"json": ["{to}", "{text}", "{nobody}"]}), "send"),
        ("/send", json!({"json": ["{to}", "{text}", "{key}"]}), "send"),
        ("/send", json!({"json": ["{to}", "{text}", "{"]}), "send"),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "body": 1}),
            "send.body",
        ),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "id": "id"}),
            "send.id",
        ),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "headers": {"a b": "c"}}),
            "send.headers",
        ),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "method": "GET"}),
            "send",
        ),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "taken": {"at": "/x"}}),
            "send.taken.at",
        ),
        (
            "/send",
            json!({"json": ["{to}", "{text}"], "taken": {"statuses": [404]}}),
            "send.taken.statuses",
        ),
        ("/receive/text", json!({"id": "/id"}), "receive.from"),
        ("/receive/text/id", json!("id"), "receive.text"),
        (
            "/receive/receipt/statuses",
            json!({"X": "gone"}),
            "receive.receipt.statuses",
        ),
        ("/receive", json!({"format": "xml", "text": {}}), "receive"),
        ("/signature", json!({"scheme": "none"}), "signature"),
        ("/signature", json!({}), "signature.scheme"),
        ("/signature", json!({"scheme": "token"}), "signature.header"),
        ("/signature", json!({"scheme": "basic"}), "signature.user"),
        ("/signature", json!({"scheme": "query"}), "signature.parameter"),
        (
            "/signature",
            json!({"scheme": "hmac-sha1", "header": "x", "over": "{url}"}),
            "signature.over",
        ),
        (
            "/signature",
            json!({"scheme": "hmac-sha1", "header": "x", "over": "{timestamp}{body}"}),
            "signature.timestamp_header",
        ),
        (
            "/signature",
            json!({"scheme": "token", "header": "a b"}),
            "signature.header",
        ),
        (
            "/signature",
            json!({"scheme": "token", "header": "a", "window_s": 0}),
            "signature.window_s",
        ),
    ] {
        let mut all = settings();
        *all.pointer_mut(pointer).unwrap() = value.clone();
        let e = crate::Account::parse(ProviderKind::Custom, &all, secret.as_bytes()).unwrap_err();
        assert_eq!((e.place, e.field.as_str()), ("settings", field), "{value}: {e}");
    }
    // What is said stands in the address: a signature that leaves it out proves nothing.
    let over = |over: &str| {
        let mut all = settings();
        all["receive"]["format"] = json!("query");
        all["signature"] = json!({"scheme": "hmac-sha256", "header": "x", "over": over});
        crate::Account::parse(ProviderKind::Custom, &all, secret.as_bytes())
    };
    assert_eq!(over("{body}").unwrap_err().field.as_str(), "signature.over");
    assert!(over("{url}{body}").is_ok());
}
