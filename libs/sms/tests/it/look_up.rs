//! Whether a provider has a text already: Twilio's message list, page by page.

use crate::{FROM, LATER, TEXT, TO, Text, client, must_be_safe, provider::Provider};
use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use ccm_model::ProviderKind;
use ccm_sms::{Account, Class, LookUp, SendError, can_look_up, look_up};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use time::macros::datetime;
use tokio::net::TcpListener;

const SID: &str = "AC0123456789abcdef0123456789abcdef";

async fn asked(addr: SocketAddr) -> Result<LookUp, SendError> {
    let settings = json!({ "account_sid": SID, "api_base": format!("http://{addr}"), "timeout_ms": 300 });
    let account = Account::parse(
        ProviderKind::Twilio,
        &settings,
        br#"{"auth_token": "a token to hide"}"#,
    );
    let since = datetime!(2026-11-23 07:58:00 UTC);
    look_up(&client(), &account.unwrap(), &Text::new().out(), since).await
}

fn message(sid: &str, created: &str, change: Value) -> Value {
    let mut message = json!({
        "sid": sid, "from": FROM, "to": TO, "body": TEXT, "direction": "outbound-api", "status": "queued",
        "date_created": created, "date_sent": null,
    });
    let fields = message.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    message
}

type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// Serves these pages, one after the other.
async fn pages(pages: Vec<Vec<Value>>) -> (SocketAddr, Asked) {
    let asked: Asked = Asked::default();
    let list = async |State((pages, asked)): State<(Arc<Vec<Vec<Value>>>, Asked)>,
                      Query(query): Query<HashMap<String, String>>| {
        let page: usize = query.get("Page").map_or(0, |page| page.parse().unwrap());
        asked.lock().unwrap().push(query);
        let next = format!("/2010-04-01/Accounts/{SID}/Messages.json?To=x&Page={}", page + 1);
        let next = (page + 1 < pages.len()).then_some(next);
        Json(json!({ "messages": pages[page], "next_page_uri": next, "page": page }))
    };
    let app = Router::new()
        .route("/2010-04-01/Accounts/{sid}/Messages.json", get(list))
        .with_state((Arc::new(pages), asked.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, asked)
}

#[tokio::test]
async fn the_same_words_between_the_same_addresses_are_found_oldest_first() {
    let at = "Mon, 23 Nov 2026 08:00:01 +0000";
    let (addr, asked_for) = pages(vec![
        vec![
            message("SM4", "Mon, 23 Nov 2026 08:00:03 +0000", json!({})),
            message("SM3", at, json!({ "date_sent": at, "status": "sent" })),
            message("SM2", at, json!({})),
            message("x1", at, json!({ "body": format!("{TEXT} ") })),
        ],
        vec![
            message("x2", at, json!({ "direction": "inbound" })),
            message("x3", at, json!({ "direction": "outbound-reply" })),
            message("x4", at, json!({ "to": FROM })),
            message("x5", at, json!({ "from": null })),
            message("", at, json!({})),
            message("x6", "yesterday", json!({})),
        ],
        vec![
            message("SM1", "Mon, 23 Nov 2026 07:58:00 +0000", json!({})),
            message("x7", "Mon, 23 Nov 2026 07:57:59 +0000", json!({})),
        ],
    ])
    .await;
    let look_up = asked(addr).await.unwrap();
    assert!(look_up.whole);
    let ids: Vec<&str> = look_up.found.iter().map(|f| f.provider_id.as_str()).collect();
    assert_eq!(ids, ["SM1", "SM2", "SM3", "SM4"]);
    assert_eq!(look_up.found[1].created_at, datetime!(2026-11-23 08:00:01 UTC));
    let asked_for = asked_for.lock().unwrap();
    assert_eq!(asked_for.len(), 3);
    let first = [("To", TO), ("From", FROM), ("PageSize", "100")];
    let first = first.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(asked_for[0], HashMap::from(first));
    assert_eq!(asked_for[2]["Page"], "2");
}

#[tokio::test]
async fn pages_are_read_within_a_bound() {
    let (addr, asked_for) = pages(vec![Vec::new(); 40]).await;
    let look_up = asked(addr).await.unwrap();
    assert_eq!((look_up.found, look_up.whole), (vec![], false));
    assert_eq!(asked_for.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn what_cannot_be_found_out_now_is_asked_again_and_a_refusal_is_not() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let e = asked(gone).await.unwrap_err();
    must_be_safe(&e);
    assert_eq!((e.class, e.in_doubt), (LATER, false));
    for (status, body, class) in [
        (503, json!({}), LATER),
        (429, json!({}), LATER),
        (200, json!({ "message": TEXT }), LATER),
        (401, json!({ "code": 20003 }), Class::Terminal),
        (403, json!({}), Class::Terminal),
        (404, json!({}), Class::Terminal),
    ] {
        let provider = Provider::answering(status, &[], body).await;
        let e = asked(provider.addr).await.unwrap_err();
        must_be_safe(&e);
        assert_eq!((e.class, e.in_doubt), (class, false), "{status}");
        assert!(!e.operator.is_empty() && provider.only().body.is_empty());
    }
}

#[tokio::test]
async fn who_cannot_be_asked_says_so() {
    assert!(can_look_up(ProviderKind::Twilio) && !can_look_up(ProviderKind::Http));
    let settings = json!({ "send_url": "https://provider.example/send" });
    let secret = br#"{"signing_secret": "a signing secret to hide"}"#;
    let account = Account::parse(ProviderKind::Http, &settings, secret).unwrap();
    let e = look_up(
        &client(),
        &account,
        &Text::new().out(),
        datetime!(2026-11-23 08:00 UTC),
    )
    .await;
    assert_eq!(e.unwrap_err().class, Class::Terminal);
}
