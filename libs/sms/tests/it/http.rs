use crate::{
    FROM, LATER, TEXT, TO, Text, after, client, must_be_safe,
    provider::{Break, Provider, breaking},
};
use aws_lc_rs::hmac;
use ccm_model::ProviderKind;
use ccm_sms::{Account, Allowed, Class, Sent, send};
use serde_json::{Value, json};
use std::net::SocketAddr;

const SECRET: &str = "a signing secret to hide";

fn account(addr: SocketAddr) -> Account {
    let settings = json!({ "send_url": format!("http://{addr}/send?key=hidden-token"), "timeout_ms": 300 });
    let secret = json!({ "signing_secret": SECRET, "bearer_token": "bearer-token" }).to_string();
    Account::parse(ProviderKind::Http, &settings, secret.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_text_is_posted_as_documented() {
    let provider = Provider::answering(202, &[], json!({ "id": "mt-1" })).await;
    let sent = send(&client(), &account(provider.addr), &Text::new().out())
        .await
        .unwrap();
    assert_eq!(sent.provider_id.as_deref(), Some("mt-1"));
    let got = provider.only();
    assert_eq!(got.path, "/send?key=hidden-token");
    let id = "00000000-0000-0000-0000-000000000007";
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap(),
        json!({ "id": id, "from": FROM, "to": TO, "text": TEXT, "attempt": 2 })
    );
    for (name, value) in [
        ("content-type", "application/json"),
        ("idempotency-key", id),
        ("authorization", "Bearer bearer-token"),
        ("x-ccm-timestamp", "1795420800"),
    ] {
        assert_eq!(got.headers[name], value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("1795420800.{}", got.body).as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(got.headers["x-ccm-signature"], format!("v1={hex}"));
}

#[tokio::test]
async fn each_answer_has_its_class() {
    let echo = format!("cannot route {TO} («{TEXT}»)");
    for (status, body, expected) in [
        (200, json!({ "id": "1" }), Ok(Some("1"))),
        (202, json!({ "id": "a-b", "more": 1 }), Ok(Some("a-b"))),
        (409, json!({ "id": "1" }), Ok(Some("1"))),
        (409, json!("seen"), Ok(None)),
        (200, json!({}), Err((LATER, true, None, "without {\"id\""))),
        (
            200,
            json!({ "id": 7 }),
            Err((LATER, true, None, "without {\"id\"")),
        ),
        (302, json!({}), Err((LATER, false, None, "redirect"))),
        (
            429,
            json!({ "code": "rate", "message": echo }),
            Err((LATER, false, Some("rate"), "asks to wait: HTTP 429, rate")),
        ),
        (
            500,
            json!({ "message": echo }),
            Err((
                LATER,
                true,
                None,
                "failed: HTTP 500, no code: cannot route [number]",
            )),
        ),
        (
            400,
            json!({ "code": "bad_to", "message": echo }),
            Err((Class::Terminal, false, Some("bad_to"), "refused the text")),
        ),
        (
            400,
            json!({ "code": "opted_out", "message": echo }),
            Err((Class::Terminal, false, Some("opted_out"), "has opted out")),
        ),
        (
            400,
            json!({ "code": TO, "message": echo }),
            Err((Class::Terminal, false, None, "no code")),
        ),
        (
            401,
            json!({ "code": "bad_signature", "message": echo }),
            Err((after(60), false, Some("bad_signature"), "refuses our signature")),
        ),
        (
            404,
            json!("?"),
            Err((Class::Terminal, false, None, "no code: no message")),
        ),
    ] {
        let provider = Provider::answering(status, &[], &body).await;
        let answer = send(&client(), &account(provider.addr), &Text::new().out()).await;
        match (answer, expected) {
            (Ok(sent), Ok(id)) => assert_eq!(sent.provider_id.as_deref(), id, "{status} {body}"),
            (Err(e), Err((class, in_doubt, code, operator))) => {
                must_be_safe(&e);
                assert_eq!(
                    (e.class, e.in_doubt, e.provider_code.as_deref()),
                    (class, in_doubt, code),
                    "{status} {body}"
                );
                assert_eq!(e.opted_out, code == Some("opted_out"), "{status} {body}");
                assert!(e.operator.contains(operator), "{status} {body}: {e}");
            }
            (answer, _) => panic!("{status} {body}: {answer:?}"),
        }
    }
    let provider = Provider::answering(503, &[("retry-after", "4")], "").await;
    let e = send(&client(), &account(provider.addr), &Text::new().out())
        .await
        .unwrap_err();
    assert_eq!(e.class, after(4));
}

/// Tenants name these addresses: none leads into the operator's own networks.
#[tokio::test]
async fn a_provider_at_a_private_address_is_not_called() {
    let provider = Provider::answering(200, &[], json!({"id": "1"}).to_string().as_str()).await;
    let unguarded = client();
    let guarded = ccm_sms::client(Allowed::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let url = format!("http://{host}:{}/send", provider.addr.port());
        let settings = json!({"send_url": url});
        let secret = json!({"signing_secret": "a secret to sign with"}).to_string();
        let account = Account::parse(ProviderKind::Http, &settings, secret.as_bytes()).unwrap();
        let e = send(&guarded, &account, &Text::new().out()).await.unwrap_err();
        must_be_safe(&e);
        assert_eq!(
            (e.class, e.in_doubt),
            (Class::Retryable { after: None }, false),
            "{host}"
        );
        assert!(e.operator.contains("egress.private_networks"), "{host}: {e}");
    }
    send(&unguarded, &account(provider.addr), &Text::new().out())
        .await
        .unwrap();
    assert_eq!(provider.only().path, "/send?key=hidden-token", "the only one");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_in_doubt_unless_nothing_was_sent() {
    for (how, in_doubt) in [
        (Break::Refused, false),
        (Break::Hang, true),
        (Break::Reset, true),
        (Break::Half(202), true),
    ] {
        let e = send(&client(), &account(breaking(how).await), &Text::new().out())
            .await
            .unwrap_err();
        must_be_safe(&e);
        assert_eq!((e.class, e.in_doubt), (LATER, in_doubt), "{how:?}: {e:?}");
    }
    let seen = send(
        &client(),
        &account(breaking(Break::Half(409)).await),
        &Text::new().out(),
    )
    .await;
    assert_eq!(seen, Ok(Sent { provider_id: None }));
}
