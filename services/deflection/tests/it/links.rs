//! Offers with a link: who looks at it has not answered, who presses its button has.

use crate::rig::{Rig, Tenant, mobile};
use axum::http::header;
use ccm_bus::{Topic, Wake};
use ccm_model::{DeflectionId, DeflectionState};
use serde_json::json;

async fn offer(rig: &Rig, n: u32) -> (Tenant, DeflectionId, String) {
    let settings = json!({"offer": {"en": "Chat here: {link}", "de": "Chat: {link}"}, "link": true, "answer_within_s": 300});
    let tenant = rig.tenant_with(n, settings).await;
    let call = json!({"caller": mobile(n), "language": "de-AT"});
    let id = rig.ask(&tenant, call).await.accepted();
    let text = rig.texts().pop().unwrap();
    let link = text
        .strip_prefix("Chat: https://chat.example")
        .unwrap()
        .to_owned();
    (tenant, id, link)
}

#[tokio::test]
async fn a_preview_answers_nothing_and_the_button_does() {
    let rig = Rig::new().await;
    let (tenant, id, link) = offer(&rig, 1).await;
    for _ in 0..3 {
        let page = rig.get(&link).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<form method=\"post\">") && page.text.contains("lang=\"de\""));
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"));
        assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        assert!(!page.text.contains("861234"), "nobody's number stands in it");
        println!("the page weighs {} bytes", page.text.len());
    }
    rig.work(2).await;
    assert!(rig.row(&tenant, id).await.state.is_open());
    let mut wakes = rig.deps.bus.subscribe(&Topic::all_inbound());
    let clicked = rig.post(&link).await;
    assert_eq!(clicked.status, 200);
    assert!(clicked.text.contains("Ihr Chat beginnt"), "{}", clicked.text);
    let row = rig.row(&tenant, id).await;
    assert_eq!(
        (row.state, row.answered_by.as_deref()),
        (DeflectionState::Answered, Some("link"))
    );
    let wake = Wake::Inbound {
        tenant: tenant.id,
        conversation: row.conversation.unwrap(),
    };
    while wakes.next().await != wake {}
    let again = rig.post(&link).await;
    assert!(again.text.contains("Ihr Chat beginnt"));
    assert!(
        !rig.get(&link).await.text.contains("<form"),
        "there is nothing more to press"
    );
    let waiting = rig
        .deps
        .db
        .tenant(tenant.id)
        .pending_texts(row.conversation.unwrap(), 0, 10)
        .await
        .unwrap();
    let bodies: Vec<_> = waiting.iter().map(|text| text.body.as_str()).collect();
    assert_eq!(
        bodies,
        ["[CCM] The customer opened this chat by the link in the offer."]
    );
}

#[tokio::test]
async fn a_link_that_is_over_opens_nothing() {
    let rig = Rig::new().await;
    let (tenant, id, link) = offer(&rig, 1).await;
    rig.pass(301);
    assert!(!rig.get(&link).await.text.contains("<form"));
    let late = rig.post(&link).await;
    assert_eq!(late.status, 410);
    rig.work(1).await;
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Expired);
    let (other, id, link) = offer(&rig, 2).await;
    rig.post(&format!("/v1/deflections/{id}/end?auth={}", other.key))
        .await
        .ok();
    assert_eq!(rig.post(&link).await.status, 410);
    for unknown in ["/d/AAAAAAAAAAAAAAAAAAAAAA", "/d/short", "/d/%2B353861234001"] {
        assert_eq!(rig.get(unknown).await.status, 404, "{unknown}");
        assert_eq!(rig.post(unknown).await.status, 404, "{unknown}");
    }
    assert_eq!(rig.sql("SELECT count(*) FROM inbox"), "0");
}
