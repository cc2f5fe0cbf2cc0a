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
    rig.pass(std::time::Duration::from_secs(1));
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
    let again = [("text", page.value("text")), ("do", "again")];
    tokio::join!(rig.submit(&path, &again), rig.submit(&path, &again));
    rig.submit(&path, &again).await;
    let page = rig.browse(&path).await;
    assert!(
        page.told().contains("has been sent again already"),
        "{}",
        page.told()
    );
    assert!(
        !page.text.contains("Send again"),
        "the old row has no button any more"
    );
    assert!(page.text.contains("sent again"), "and says why");
    let db = rig.deps.db.tenant(tenant.id);
    let texts = db.history(&MOBILE.parse().unwrap(), 10).await.unwrap();
    assert_eq!(texts.len(), 2, "the failed one, and the new one");
    assert!(texts.iter().all(|text| text.body.as_str() == "to be lost"));
}

#[tokio::test]
async fn only_what_did_not_arrive_is_sent_again_and_only_to_this_customer() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    answered(&rig, &tenant, "from the customer").await;
    let page = rig.browse(&path).await;
    let form = [
        ("m", page.value("m")),
        ("number", MOBILE),
        ("body", "ours"),
        ("do", "send"),
    ];
    rig.submit(&path, &form).await;
    let count = || rig.sql("SELECT count(*) FROM message").trim().to_owned();
    let again = async |id: &str| {
        rig.submit(&path, &[("text", id), ("do", "again")]).await;
        rig.browse(&path).await.told().to_owned()
    };
    let id = |direction: &str| {
        let ids = rig.sql(&format!("SELECT id FROM message WHERE direction = '{direction}'"));
        ids.trim().to_owned()
    };
    for direction in ["mo", "mt"] {
        let told = again(&id(direction)).await;
        assert!(told.contains("Nothing was sent"), "{direction}: {told}");
    }
    assert_eq!(count(), "2");
    // Another customer's failed text.
    rig.sql("UPDATE message SET state = 'undeliverable' WHERE direction = 'mt'");
    let failed = id("mt");
    let other = rig.pop(&tenant, "dest=%2B353867654321").await;
    rig.submit(&other, &[("text", &failed), ("do", "again")]).await;
    assert!(rig.browse(&other).await.told().contains("Nothing was sent"));
    assert_eq!(count(), "2");
    assert!(again(&failed).await.contains("on its way"));
    assert_eq!(count(), "3");
}

#[tokio::test]
async fn the_frame_sends_again_by_itself() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    let page = rig.browse(&path).await;
    let form = [
        ("m", page.value("m")),
        ("number", MOBILE),
        ("body", "ours"),
        ("do", "send"),
    ];
    rig.submit(&path, &form).await;
    rig.sql("UPDATE message SET state = 'unknown'");
    let frame = rig.browse(&format!("{path}/history?page=true")).await;
    assert!(frame.text.contains("not known whether it arrived"));
    assert!(!frame.text.contains("_parent"), "the page around it stays");
    let m = rig.browse(&path).await.value("m").to_owned();
    let sent = rig
        .submit(
            &format!("{path}/history?page=true"),
            &[("text", frame.value("text"))],
        )
        .await;
    assert_eq!(sent.status, 200);
    assert!(sent.told().contains("on its way"), "{}", sent.text);
    assert_eq!(
        rig.browse(&path).await.value("m"),
        m,
        "what is being written in the page can still be sent"
    );
    assert_eq!(rig.sql("SELECT count(*) FROM message").trim(), "2");
}
