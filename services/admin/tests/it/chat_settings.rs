//! The document of a tenant's chats: read, replaced, refused, and described as it is.

use crate::{
    app::{Answer, App},
    settings_shape::{Shape, example_on_the_page},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::{ChatSettings, TenantId};
use serde_json::{Value, json};

fn of(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/chat-settings")
}

fn defaults() -> Value {
    serde_json::to_value(ChatSettings::default()).unwrap()
}

async fn put_if(app: &App, tenant: TenantId, tag: &str, body: &Value) -> Answer {
    let request = Request::put(of(tenant))
        .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, tag)
        .body(Body::from(body.to_string()));
    app.raw(request.unwrap()).await
}

#[tokio::test]
async fn settings_are_read_and_replaced() {
    let app = App::start().await;
    let (tenant, other) = (app.bare_tenant("acme").await, app.bare_tenant("other").await);
    assert_eq!(app.get(&of(tenant)).await.ok(), defaults());

    let german = json!({"language": "de", "welcome": false,
                        "notices": {"waiting": {"de": "Gleich ist jemand da.", "en": "Somebody is with you soon."}},
                        "life": {"closing_keyword": "TSCHUESS"}});
    let put = app.put(&of(tenant), german).await.ok();
    assert_eq!((&put["language"], &put["welcome"]), (&json!("de"), &json!(false)));
    assert_eq!(put["notices"]["waiting"]["de"], "Gleich ist jemand da.");
    assert_eq!(put["hold"], defaults()["hold"], "what is left out is the default");
    assert_eq!(app.get(&of(tenant)).await.ok(), put);
    let (stored, _) = app
        .deps
        .db
        .tenant(tenant)
        .settings::<ChatSettings>()
        .await
        .unwrap();
    assert_eq!(stored.life.closing_keyword.as_deref(), Some("TSCHUESS"));
    assert_eq!(app.get(&of(other)).await.ok(), defaults());

    assert_eq!(
        app.put(&of(tenant), put.clone()).await.ok(),
        put,
        "an answer can be sent"
    );
    assert_eq!(
        app.put(&of(tenant), json!({})).await.ok(),
        defaults(),
        "all of it"
    );
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_read() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let none = app.get(&of(tenant)).await.etag;
    assert!(none.starts_with('"') && none.ends_with('"'), "{none}");

    let first = put_if(&app, tenant, &none, &json!({"language": "de"})).await;
    assert_eq!(first.status, 200, "{}", first.json);
    assert_eq!(app.get(&of(tenant)).await.etag, first.etag);
    assert_ne!(first.etag, none);

    let late = put_if(&app, tenant, &none, &json!({"language": "fr"})).await;
    assert_eq!(late.problem(412), "If-Match");
    for stale in [format!("W/{}", first.etag), "\"0\"".to_owned(), "x".to_owned()] {
        let answer = put_if(&app, tenant, &stale, &json!({"language": "fr"})).await;
        assert_eq!(answer.status, 412, "{stale}");
    }
    assert_eq!(
        app.get(&of(tenant)).await.ok()["language"],
        "de",
        "nothing was replaced"
    );

    let list = format!("{none}, {}", first.etag);
    let second = put_if(&app, tenant, &list, &json!({"language": "es"})).await;
    assert_eq!(
        (second.status.as_u16(), &second.json["language"]),
        (200, &json!("es"))
    );
    assert_eq!(put_if(&app, tenant, &first.etag, &json!({})).await.status, 412);
    for body in [json!({"language": "it"}), json!({})] {
        assert_eq!(put_if(&app, tenant, "*", &body).await.status, 200);
        assert_eq!(app.put(&of(tenant), body).await.status, 200, "without If-Match");
    }
}

#[tokio::test]
async fn refusals_name_field_and_remedy() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    for (body, status, field, remedy) in [
        (json!({"confort": {}}), 400, "confort", "comfort"),
        (
            json!({"comfort": {"mots": 1}}),
            400,
            "comfort.mots",
            "comfort.most",
        ),
        (
            json!({"life": {"max_age": 1}}),
            400,
            "life.max_age",
            "life.max_age_s",
        ),
        (
            json!({"closing_keyword": "BYE"}),
            400,
            "closing_keyword",
            "life.closing_keyword",
        ),
        (
            json!({"customer": {"fields": [{"title": "a", "value": "b"}, {"title": "a", "value": "b", "valeu": "c"}]}}),
            400,
            "customer.fields[1].valeu",
            "customer.fields[1].value",
        ),
        (
            json!({"comfort": {"most": "3"}}),
            400,
            "comfort.most",
            "openapi.json",
        ),
        (
            json!({"comfort": {"mode": "some"}}),
            400,
            "comfort.mode",
            "openapi.json",
        ),
        (json!({"comfort": {"most": 0}}), 422, "comfort.most", "range"),
        (
            json!({"queue": {"enabled": true}}),
            422,
            "notices.queue",
            "queue.enabled",
        ),
        (
            json!({"notices": {"file": {"de": ""}}}),
            422,
            "notices.file.de",
            "write",
        ),
        (
            json!({"life": {"closing_keyword": "Stop"}}),
            422,
            "life.closing_keyword",
            "BYE",
        ),
        (json!({"language": "Deutsch!"}), 422, "language", "de-AT"),
    ] {
        let answer = app.put(&of(tenant), body.clone()).await;
        assert_eq!(answer.problem(status), field, "{body}");
        let said = answer.json["remedy"].as_str().unwrap();
        assert!(said.contains(remedy), "{body}: {said}");
    }
    assert_eq!(
        app.get(&of(tenant)).await.ok(),
        defaults(),
        "nothing was replaced"
    );
}

fn shape() -> Shape {
    Shape::of::<ChatSettings>("ChatSettings", |settings| settings.check().is_ok())
}

#[test]
fn the_schema_has_the_fields_and_defaults_of_the_model() {
    let shape = shape();
    shape.has_the_models_fields_and_defaults();
    for list in ["system_texts", "customer.fields"] {
        shape.has_the_models_items(list);
    }
}

#[test]
fn the_schema_has_the_ranges_of_the_model() {
    // A language tag has rules of its own.
    shape().has_the_models_ranges(15, &["language"]);
}

#[test]
fn the_page_has_every_setting() {
    shape().is_on_the_page();
}

/// What docs/api.md shows can be sent.
#[tokio::test]
async fn the_pages_example_can_be_sent() {
    let example = example_on_the_page("## How chats behave");
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let put = app.put(&of(tenant), example.clone()).await.ok();
    assert_eq!(put["notices"]["no_agents"], example["notices"]["no_agents"]);
    let words = example["notices"]["no_agents"].as_object().unwrap();
    assert!(words.contains_key("de") && words.contains_key("en"));
}
