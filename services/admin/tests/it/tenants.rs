//! Tenants are found and renamed.

use crate::app::App;
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn a_tenant_is_renamed() {
    let app = App::start().await;
    let (acme, _) = (app.bare_tenant("acme").await, app.bare_tenant("other").await);
    let path = format!("/v1/tenants/{acme}");
    let before = app.get(&path).await;
    let body = json!({"slug": "acme-plc", "name": "Acme plc"});
    let changed = app
        .send_if(Method::PATCH, &path, &before.etag, Some(&body))
        .await
        .ok();
    let mut expected = before.json.clone();
    (expected["slug"], expected["name"]) = (json!("acme-plc"), json!("Acme plc"));
    assert_eq!(changed, expected);
    let late = app.send_if(Method::PATCH, &path, &before.etag, Some(&body)).await;
    assert_eq!(late.problem(412), "If-Match");
    for (body, status, field) in [
        (json!({"slug": "other"}), 409, "slug"),
        (json!({"slug": "Not A Slug"}), 422, "slug"),
        (json!({"slug": acme.to_string()}), 422, "slug"),
        (json!({"name": ""}), 422, "name"),
        (json!({"name": null}), 400, "name"),
        (json!({"state": "suspended"}), 400, "state"),
    ] {
        assert_eq!(
            app.patch(&path, body.clone()).await.problem(status),
            field,
            "{body}"
        );
    }
    assert_eq!(app.get(&path).await.ok(), changed);
    let new = json!({"slug": acme.to_string(), "name": "An id"});
    assert_eq!(app.post("/v1/tenants", new).await.problem(422), "slug");
    let nobody = "/v1/tenants/00000000-0000-7000-8000-000000000000";
    app.patch(nobody, json!({"name": "x"})).await.problem(404);
}

#[tokio::test]
async fn tenants_are_found_by_state_slug_and_words() {
    let app = App::start().await;
    for slug in ["acme-bank", "beta", "gamma-bank"] {
        app.bare_tenant(slug).await;
    }
    let beta = app.get("/v1/tenants?slug=beta").await.ok()["items"][0].clone();
    let path = format!("/v1/tenants/{}", beta["id"].as_str().unwrap());
    app.patch(&path, json!({"name": "Beta & Söhne"})).await.ok();
    let state = json!({"state": "suspended", "reason": "ticket 4711"});
    app.put(&format!("{path}/state"), state).await.ok();
    for (query, expected) in [
        ("", vec!["acme-bank", "beta", "gamma-bank"]),
        ("?state=suspended", vec!["beta"]),
        ("?state=active&q=bank", vec!["acme-bank", "gamma-bank"]),
        ("?q=BANK&limit=1", vec!["acme-bank"]),
        ("?q=S%C3%96HNE", vec!["beta"]),
        ("?q=%25", vec![]),
        ("?slug=bank", vec![]),
    ] {
        let found = app.get(&format!("/v1/tenants{query}")).await.ok();
        let found = found["items"].as_array().unwrap().iter();
        let slugs: Vec<_> = found
            .map(|tenant| tenant["slug"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(slugs, expected, "{query}");
    }
    assert_eq!(app.get("/v1/tenants?state=asleep").await.problem(400), "state");
}
