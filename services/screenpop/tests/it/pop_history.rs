//! What has been texted with the page's customer, chats included.

use crate::rig::{BEGIN, MOBILE, Rig, Tenant, ours};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_db::{IncomingText, Route, TextKind};
use ccm_model::{Body as Text, ProviderKind};

async fn answered(rig: &Rig, tenant: &Tenant, words: &str) {
    let number = rig.deps.db.tenant(tenant.id).numbers().await.unwrap().remove(0);
    let message: ccm_model::MessageId = rig.deps.ids.next();
    let text = IncomingText {
        message,
        conversation: rig.deps.ids.next(),
        route: Route {
            tenant: tenant.id,
            number: number.id,
            account: number.account,
        },
        provider_id: message.to_string(),
        repeat_window: None,
        kind: TextKind::Text,
        refused: None,
        segments: None,
        to: ours(1).parse().unwrap(),
        from: MOBILE.parse().unwrap(),
        body: Text::new(words).unwrap(),
        received_at: BEGIN,
        written_at: None,
        trace: None,
    };
    rig.deps.db.batch().accept(&[text]).await.unwrap();
}

#[tokio::test]
async fn the_history_has_both_directions_and_says_when_it_is_the_same() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, &format!("dest={MOBILE}&agent=Mary")).await;
    let where_ = format!("{path}/history");
    let none = rig.browse(&where_).await;
    assert!(none.text.contains("no messages with this number yet"));
    let page = rig.browse(&path).await;
    let form = [
        ("m", page.value("m")),
        ("number", MOBILE),
        ("body", "first"),
        ("do", "send"),
    ];
    rig.submit(&path, &form).await;
    answered(&rig, &tenant, "<script>alert(1)</script> & \"more\"").await;
    let both = rig.browse(&where_).await;
    let (new, old) = (
        both.text.find("alert(1)").unwrap(),
        both.text.find("first").unwrap(),
    );
    assert!(new < old, "the newest first");
    assert!(both.text.contains("&#60;script&#62;alert(1)"), "{}", both.text);
    assert!(!both.text.contains("<script>"));
    assert!(both.text.contains(">Customer<") && both.text.contains(">Mary<"));
    let tag = &both.headers[header::ETAG];
    let same = Request::get(&where_)
        .header(header::IF_NONE_MATCH, tag)
        .body(Body::empty());
    let same = rig.html(same.unwrap()).await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    answered(&rig, &tenant, "more").await;
    let other = Request::get(&where_)
        .header(header::IF_NONE_MATCH, tag)
        .body(Body::empty());
    assert_eq!(rig.html(other.unwrap()).await.status, 200);
    let framed = rig.browse(&format!("{where_}?page=true")).await;
    assert!(framed.text.contains("http-equiv=\"refresh\"") && framed.text.contains("first"));
}

#[tokio::test]
async fn a_text_that_failed_says_so_and_is_sent_again_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    let page = rig.browse(&path).await;
    let form = [
        ("m", page.value("m")),
        ("number", MOBILE),
        ("body", "to be lost"),
        ("do", "send"),
    ];
    rig.submit(&path, &form).await;
    rig.sql("UPDATE message SET state = 'failed', error_code = '30003'");
    let page = rig.browse(&path).await;
    assert!(
        page.text.contains("not delivered") && page.text.contains("Send again"),
        "{}",
        page.text
    );
    let again = [
        ("m", page.value("m")),
        ("text", page.value("text")),
        ("do", "again"),
    ];
    rig.submit(&path, &again).await;
    rig.submit(&path, &again).await;
    let db = rig.deps.db.tenant(tenant.id);
    let texts = db.history(&MOBILE.parse().unwrap(), 10).await.unwrap();
    assert_eq!(texts.len(), 2, "the failed one, and the new one");
    assert!(texts.iter().all(|text| text.body.as_str() == "to be lost"));
}
