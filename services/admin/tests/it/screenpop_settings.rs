//! The document of a tenant's agents' page, and the keys that its links are signed with.

use crate::{
    app::App,
    settings_shape::{Shape, example_on_the_page},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::{ScreenpopSettings, TenantId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

fn of(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/screenpop-settings")
}

fn defaults() -> Value {
    serde_json::to_value(ScreenpopSettings::default()).unwrap()
}

fn shape() -> Shape {
    Shape::of::<ScreenpopSettings>("ScreenpopSettings", |settings| settings.check().is_ok())
}

#[tokio::test]
async fn settings_are_read_and_replaced_and_not_overwritten_unread() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = of(tenant.id);
    let none = app.get(&path).await;
    let tag = none.etag.clone();
    assert_eq!(none.ok(), defaults());
    let new = json!({"region": "IE", "senders": {"Sales": "+14155550123"}});
    let put = app.put(&path, new.clone()).await.ok();
    assert_eq!(put["senders"], new["senders"]);
    assert_eq!(put["session_s"], 28_800);
    assert_eq!(app.get(&path).await.ok(), put);
    let request = Request::put(&path)
        .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, tag)
        .body(Body::from("{}"));
    assert_eq!(app.raw(request.unwrap()).await.problem(412), "If-Match");
    assert_eq!(app.get(&path).await.ok(), put, "nothing was replaced");
}

#[tokio::test]
async fn refusals_name_field_and_remedy() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    for (body, status, field) in [
        (json!({"regoin": "IE"}), 400, "regoin"),
        (json!({"language": "it"}), 400, "language"),
        (json!({"region": "ie"}), 422, "region"),
        (json!({"region": "UK"}), 422, "region"),
        (json!({"region": "ZZ"}), 422, "region"),
        (
            json!({"frame_ancestors": ["crm.example"]}),
            422,
            "frame_ancestors[0]",
        ),
        (json!({"parameters": {"agent": "link"}}), 422, "parameters.agent"),
        (
            json!({"senders": {"Sales": "+14155559999"}}),
            422,
            "senders.Sales",
        ),
    ] {
        let answer = app.put(&of(tenant.id), body.clone()).await;
        assert_eq!(answer.problem(status), field, "{body}");
        assert!(answer.json["remedy"].is_string());
    }
}

#[tokio::test]
async fn signing_keys_are_shown_once_sealed_and_two_at_most() {
    let app = App::start().await;
    let id = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{id}/screenpop-signing-keys");
    let made = app.post(&path, json!({"name": "one"})).await.ok();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(app.post(&path, json!({"name": "one"})).await.problem(409), "name");
    app.post(&path, json!({"name": "two"})).await.ok();
    app.post(&path, json!({"name": "three"}))
        .await
        .problem_without_field(409);
    let listed = app.get(&path).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(&secret));
    for table in ["screenpop_signing_key", "audit_entry"] {
        let stored = app
            .database
            .superuser_sql(&format!("select row_to_json(s) from {table} s"))
            .unwrap();
        assert!(!stored.contains(&secret), "{table}");
    }
    let db = app.deps.db.tenant(id);
    let key = made["id"].as_str().unwrap();
    let opened = db.signing_secret(key.parse().unwrap()).await.unwrap();
    assert_eq!(opened.expose_secret(), secret);
    // Nobody else takes it away.
    let other = app.bare_tenant("other").await;
    let theirs = format!("/v1/tenants/{other}/screenpop-signing-keys/{key}");
    app.delete(&theirs).await.problem_without_field(404);
    assert_eq!(app.delete(&format!("{path}/{key}")).await.status, 204);
    app.post(&path, json!({"name": "three"})).await.ok();
}

#[test]
fn the_schema_has_the_fields_and_defaults_of_the_model() {
    shape().has_the_models_fields_and_defaults();
}

#[test]
fn the_schema_has_the_ranges_of_the_model() {
    shape().has_the_models_ranges(3, &["region"]);
}

#[test]
fn the_page_has_every_setting() {
    shape().is_on_the_page();
}

/// What docs/api.md shows can be sent.
#[tokio::test]
async fn the_pages_example_can_be_sent() {
    let example = example_on_the_page("## What the agents' page is like");
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let put = app.put(&of(tenant), example.clone()).await.ok();
    assert_eq!(put["frame_ancestors"], example["frame_ancestors"]);
}
