//! Callers who were to be offered a chat, as people see them.

use crate::app::App;
use axum::http::Method;
use ccm_auth::Role;
use ccm_db::{NewDeflection, NewOffer, OfferBounds, Offered, Refusal};
use ccm_model::{Body, TenantId};
use serde_json::{Value, json};
use time::Duration;

/// One who was offered a chat and one who was not.
async fn fill(app: &App, tenant: TenantId) {
    let ids = &app.deps.ids;
    let db = app.deps.db.tenant(tenant);
    let from = db.numbers().await.unwrap().remove(0).address;
    let to = "+353861234567".parse().unwrap();
    let new = |contact: &str| NewDeflection {
        id: ids.next(),
        our_address: Some(from.clone()),
        customer_address: Some("+353861234567".parse().unwrap()),
        skillset: "WC_Sales".to_owned(),
        voice_skillset: "Voice_Sales".to_owned(),
        language: "en".to_owned(),
        contact: Some(contact.to_owned()),
        waited_s: 60,
        priority: None,
        name: Some("Mary".to_owned()),
        context: json!({"order": "A1"}),
    };
    let offer = NewOffer {
        message: ids.next(),
        conversation: ids.next(),
        from: &from,
        to: &to,
        body: &Body::new("Text back for a chat").unwrap(),
        about: &json!({}),
        token_hash: None,
        answer_within: Duration::minutes(10),
    };
    let bounds = OfferBounds {
        per_caller: 1,
        within: Duration::HOUR,
        per_minute: 10,
    };
    let now = ids.clock().now();
    let made = db.offer(&new("call-1"), &offer, bounds, now, now).await.unwrap();
    assert!(matches!(made, Offered::Made(_)));
    db.keep_refusal(&new("call-2"), Refusal::Closed, now)
        .await
        .unwrap();
}

#[tokio::test]
async fn callers_are_listed_and_counted() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    fill(&app, tenant.id).await;
    let list = async |more: &str| {
        let path = format!("/v1/tenants/{}/deflections{more}", tenant.id);
        app.get(&path).await.ok()["items"].as_array().unwrap().clone()
    };
    let all = list("").await;
    assert_eq!(all.len(), 2);
    let made: Vec<&Value> = all.iter().filter(|one| one["state"] == "offered").collect();
    assert_eq!(made[0]["customer_address"], "+353861234567");
    assert_eq!(
        (&made[0]["name"], &made[0]["context"]["order"]),
        (&json!("Mary"), &json!("A1"))
    );
    for (more, found) in [
        ("?state=refused", 1),
        ("?state=offered", 1),
        ("?state=expired", 0),
        ("?skillset=WC_Sales", 2),
        ("?skillset=None", 0),
        ("?contact_id=call-2", 1),
        ("?customer=%2B353861234567", 2),
        ("?limit=1", 1),
    ] {
        assert_eq!(list(more).await.len(), found, "{more}");
    }
    let path = format!("/v1/tenants/{}/deflections", tenant.id);
    app.get(&format!("{path}?state=gone")).await.problem(400);
    let support = app.token(Role::Support, None);
    let seen = app.send(Method::GET, &path, Some(&support), None).await.ok();
    for one in seen["items"].as_array().unwrap() {
        assert_eq!(one["withheld"], true);
        assert!(one["customer_address"].is_null() && one["name"].is_null() && one["context"].is_null());
    }
    let funnel = format!("/v1/tenants/{}/deflection-funnel", tenant.id);
    let report = app.get(&funnel).await.ok();
    assert_eq!(report["items"].as_array().unwrap().len(), 1);
    let sales = &report["items"][0];
    assert_eq!(
        (&sales["skillset"], &sales["offered"]),
        (&json!("WC_Sales"), &json!(1))
    );
    assert_eq!(sales["refused"], json!({"closed": 1}));
    let long = "?from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z";
    assert_eq!(app.get(&format!("{funnel}{long}")).await.problem(400), "from");
    let none = format!("/v1/tenants/{}/deflection-funnel", other.id);
    assert_eq!(app.get(&none).await.ok()["items"], json!([]));
}
