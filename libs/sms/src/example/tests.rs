use super::{errors::ACME, *};
use crate::failure::{Kind, check_table};

/// The example in a registry of its own, since no account can be of its kind.
#[allow(dead_code, unused_variables, reason = "nobody is looked up in this one")]
mod registered {
    use crate::{
        AccountError, Class, Client, Inbound, LookUp, MAX_WEBHOOK_BYTES, NumberFacts, NumberLookUpError,
        Outbound, ReceiveError, Received, SendError, Sent, Shape, call, example as acme,
    };
    use ccm_model::Address;
    use serde_json::Value;
    use std::time::Duration;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ProviderKind {
        Acme,
    }

    registry! {
        Acme => acme,
    }
}
use crate::{Allowed, Check, Outbound, Sent, client, testing::NOW};
use ::http::{HeaderMap, StatusCode};
use axum::{Json, Router, http::Uri, routing::post};
use ccm_model::{Address, Body, MessageId};
use registered::ProviderKind::Acme;
use serde_json::json;

fn account(api_base: &str) -> registered::Account {
    let settings = json!({"project": "p-17", "api_base": api_base});
    SHAPE.check_settings(&settings).unwrap();
    registered::Account::parse(Acme, &settings, br#"{"key": "a key to hide, long"}"#).unwrap()
}

fn take(at: i64, key: &str, body: &Value) -> Result<Received, ReceiveError> {
    let (at, body) = (at.to_string(), body.to_string());
    let tag = Signer::sha256(&key.into()).sign(&[at.as_bytes(), b"\n", body.as_bytes()]);
    let mut headers = HeaderMap::new();
    headers.insert("acme-time", at.parse().unwrap());
    headers.insert("acme-signature", crate::sign::hex(tag.as_ref()).parse().unwrap());
    let inbound = Inbound {
        url: "https://ccm.example/v1/sms/acme/7",
        headers: &headers,
        body: body.as_bytes(),
        check: Check::Enforce,
        now: NOW,
    };
    registered::receive(&account(API), &inbound)
}

#[test]
fn texts_and_receipts_are_read_and_what_is_not_signed_is_refused() {
    let (now, key) = (NOW.unix_timestamp(), "a key to hide, long");
    let text = json!({"id": "mo-1", "from": "+15550100", "to": "72345", "text": "Hello", "more": 1});
    assert!(matches!(
        &take(now, key, &text).unwrap().events[..],
        [Event::Text { body, from: Address::E164(_), .. }] if body.as_str() == "Hello"
    ));
    for (at, key) in [(now, "another"), (now - 301, key), (now + 301, key)] {
        assert_eq!(take(at, key, &text).unwrap_err().status(), StatusCode::FORBIDDEN);
    }
    for (state, expected) in [
        ("handed-over", Some(Report::Sent)),
        ("arrived", Some(Report::Delivered)),
        ("lost", Some(Report::Undeliverable)),
        ("new", None),
    ] {
        let events = take(now, key, &json!({"id": "mt-1", "state": state}))
            .unwrap()
            .events;
        let reports = events.iter().map(|event| match event {
            Event::Receipt { report, .. } => *report,
            Event::Text { .. } => panic!("a text"),
        });
        assert_eq!(Vec::from_iter(reports), Vec::from_iter(expected), "{state}");
    }
    let e = take(now, key, &json!({"id": "mo-1", "from": "+15550100", "text": "x"})).unwrap_err();
    assert_eq!(e.to_string(), "/to is missing");
}

#[test]
fn every_code_has_its_class() {
    check_table(
        &ACME,
        &[
            (Kind::Passing, &["busy"]),
            (Kind::Account, &["no-credit"]),
            (Kind::Final, &["bad-number"]),
            (Kind::OptedOut, &["stopped"]),
        ],
    );
}

#[tokio::test]
async fn a_text_is_sent() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let app = Router::new().route(
        "/projects/p-17/texts",
        post(async |uri: Uri, Json(text): Json<Value>| {
            assert_eq!(
                (uri.path(), &text["to"]),
                ("/projects/p-17/texts", &json!("+15550100"))
            );
            match text["text"].as_str() {
                Some("Hello") => (StatusCode::OK, Json(json!({"id": "mt-1"}))),
                _ => (StatusCode::BAD_REQUEST, Json(json!({"error": "stopped"}))),
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let account = account(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let http = client(Allowed::also(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
    let (from, to) = ("72345".parse().unwrap(), "+15550100".parse().unwrap());
    let send = async |text: &str| {
        let out = Outbound {
            message_id: MessageId(uuid::Uuid::nil()),
            from: &from,
            to: &to,
            body: &Body::new(text).unwrap(),
            attempt: 1,
            receipts_to: None,
            now: NOW,
        };
        registered::send(&http, &account, &out).await
    };
    assert_eq!(
        send("Hello").await,
        Ok(Sent {
            provider_id: Some("mt-1".into())
        })
    );
    assert!(send("Goodbye").await.unwrap_err().opted_out);
    assert!(registered::recognises_retries(Acme) && !registered::can_look_up(Acme));
    assert!(!registered::can_look_up_numbers(Acme) && registered::shape(Acme).title == SHAPE.title);
    assert_eq!((account.kind(), account.timeout().as_secs()), (Acme, 15));
}

/// The guide shows this code and no other.
#[test]
fn the_guide_shows_what_stands_here() {
    let guide = include_str!("../../../../docs/adding-a-provider.md");
    let files = [
        include_str!("mod.rs"),
        include_str!("errors.rs"),
        include_str!("send.rs"),
    ];
    let blocks: Vec<&str> = guide
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    for block in &blocks {
        assert!(
            files.iter().any(|file| file.contains(block)),
            "this stands in the guide and not in libs/sms/src/example:\n{block}"
        );
    }
    for part in [
        "pub static SHAPE",
        "pub fn parse(",
        "fn check(",
        "pub fn receive(",
        "pub async fn send(",
        "const TABLE",
    ] {
        assert!(
            blocks.iter().any(|block| block.contains(part)),
            "the guide does not show {part}"
        );
    }
}
