//! Who reads texts stands in the audit, or reads none.

use crate::{
    access::made_key,
    app::{App, Tenant},
    dead_letters::refused,
    webhooks::tested,
};
use axum::http::Method;
use ccm_auth::Role;
use serde_json::{Value, json};

const CUSTOMER: &str = "+353861234567";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}{rest}", tenant.id)
}

/// What was told of looks, the oldest first.
async fn told(app: &App, tenant: &Tenant) -> Vec<Value> {
    let listed = app.get(&of(tenant, "/audit?kind=texts&limit=200")).await.ok();
    let mut entries = listed["items"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

#[tokio::test]
async fn every_way_to_read_texts_is_told_once_and_never_what_was_looked_for() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (letter, conversation) = refused(&app, &tenant, "BODY-CANARY").await;
    let (webhook, delivery) = tested(&app, &tenant).await;
    // `refused` lists dead letters itself.
    let before = told(&app, &tenant).await.len();
    assert_eq!(before, 1);
    let conversations = format!("/conversations/{conversation}");
    let deliveries = format!("/webhooks/{webhook}/deliveries");
    let own = tenant.id.to_string();
    let viewer = app.token(Role::TenantViewer, Some(tenant.id));
    let admin = app.token(Role::TenantAdmin, Some(tenant.id));
    let conversation = conversation.to_string();
    for (method, path, what, id) in [
        (
            Method::GET,
            format!("{conversations}/messages"),
            "messages",
            &conversation,
        ),
        (
            Method::GET,
            format!("{conversations}/transcript"),
            "transcript",
            &conversation,
        ),
        (Method::GET, "/messages/search?q=BODY".to_owned(), "search", &own),
        (
            Method::GET,
            format!("/messages/search?customer=%2B{}", &CUSTOMER[1..]),
            "search",
            &own,
        ),
        (Method::GET, "/dead-letters".to_owned(), "dead_letters", &own),
        (
            Method::GET,
            format!("/dead-letters/{letter}"),
            "dead_letter",
            &letter,
        ),
        (Method::GET, deliveries.clone(), "webhook_deliveries", &webhook),
        (
            Method::POST,
            format!("{deliveries}/{delivery}/replay"),
            "webhook_deliveries",
            &webhook,
        ),
    ] {
        // The same person by the same token, whatever its role is.
        let token = if method == Method::GET { &viewer } else { &admin };
        for _ in 0..2 {
            app.send(method.clone(), &of(&tenant, &path), Some(token), None)
                .await
                .ok();
        }
        let entries = told(&app, &tenant).await;
        let of_it: Vec<_> = entries
            .iter()
            .filter(|entry| entry["after"]["what"] == what && entry["id"] == **id)
            .collect();
        assert_eq!(of_it.len(), 1, "{what}: {entries:?}");
        assert_eq!(
            (&of_it[0]["action"], &of_it[0]["kind"], &of_it[0]["before"]),
            (&json!("read"), &json!("texts"), &Value::Null)
        );
        assert!(of_it[0]["actor"]["request"].is_string() && of_it[0]["actor"]["sub"] == "somebody");
    }
    // `somebody` listed dead letters as an engineer before: that look stands for the viewer's too.
    assert_eq!(told(&app, &tenant).await.len(), 6);
    let export = app.get(&of(&tenant, "/audit/export")).await.text;
    for canary in ["BODY", "353861234567"] {
        assert!(!export.contains(canary), "{canary} stands in the audit");
    }
    let read_by = app
        .get(&of(&tenant, &format!("/audit?kind=texts&object={conversation}")))
        .await
        .ok();
    assert_eq!(read_by["items"].as_array().unwrap().len(), 2);
    assert_eq!(app.get(&of(&tenant, "/audit/verify")).await.ok()["intact"], true);

    // Not a look: what is withheld, and what is not there.
    let support = app.token(Role::Support, None);
    for path in [
        format!("{conversations}/messages"),
        "/dead-letters".to_owned(),
        format!("/dead-letters/{letter}"),
        deliveries,
    ] {
        let answer = app
            .send(Method::GET, &of(&tenant, &path), Some(&support), None)
            .await;
        answer.ok();
    }
    let nowhere = format!("/conversations/{}/messages", tenant.id);
    app.get(&of(&tenant, &nowhere)).await.problem(404);
    app.get(&of(&tenant, "/messages/search")).await.problem(400);
    assert_eq!(told(&app, &tenant).await.len(), 6);
}

#[tokio::test]
async fn an_api_key_and_a_later_look_are_told_too() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let conversation = app.text(&tenant, CUSTOMER, "hello").await;
    let path = of(&tenant, &format!("/conversations/{conversation}/messages"));
    let (_, key) = made_key(&app, Some(&tenant), json!({"role": "tenant-viewer"})).await;
    app.send(Method::GET, &path, Some(&key), None).await.ok();
    app.get(&path).await.ok();
    let entries = told(&app, &tenant).await;
    let via: Vec<_> = entries.iter().map(|entry| &entry["actor"]["via"]).collect();
    assert_eq!(via, ["api_key", "token"]);
    app.database
        .superuser_sql("UPDATE text_look SET at = at - interval '10 minutes'")
        .unwrap();
    app.get(&path).await.ok();
    app.get(&path).await.ok();
    // Whoever made the rows older stands there as well: it is a trigger.
    let again: Vec<_> = told(&app, &tenant)
        .await
        .into_iter()
        .filter(|entry| entry["actor"]["via"] == "token")
        .collect();
    assert_eq!(again.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_told_is_not_shown() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (letter, conversation) = refused(&app, &tenant, "BODY-CANARY").await;
    let (webhook, delivery) = tested(&app, &tenant).await;
    app.database
        .superuser_sql("REVOKE INSERT ON text_look FROM ccm_app")
        .unwrap();
    for (method, path) in [
        (Method::GET, format!("/conversations/{conversation}/messages")),
        (
            Method::GET,
            format!("/conversations/{conversation}/transcript?format=pdf"),
        ),
        (Method::GET, "/messages/search?q=BODY".to_owned()),
        (Method::GET, "/dead-letters".to_owned()),
        (Method::GET, format!("/dead-letters/{letter}")),
        (Method::GET, format!("/webhooks/{webhook}/deliveries")),
        (
            Method::POST,
            format!("/webhooks/{webhook}/deliveries/{delivery}/replay"),
        ),
        (Method::POST, format!("/dead-letters/{letter}/discard")),
    ] {
        let answer = app
            .send(method, &of(&tenant, &path), Some(&app.engineer()), None)
            .await;
        answer.problem(503);
        assert!(!answer.text.contains("BODY-CANARY"), "{path}");
    }
    app.database
        .superuser_sql("GRANT INSERT ON text_look TO ccm_app")
        .unwrap();
    let path = of(&tenant, &format!("/conversations/{conversation}/messages"));
    assert_eq!(app.get(&path).await.ok()["items"][0]["body"], "BODY-CANARY");
    let letter = app
        .get(&of(&tenant, &format!("/dead-letters/{letter}")))
        .await
        .ok();
    assert_eq!(letter["resolution"], Value::Null, "nor is it discarded");
}
