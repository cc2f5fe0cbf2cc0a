//! The document of a tenant's texts: read, replaced, refused, and described as it is.

use crate::{
    app::{Answer, App},
    settings_shape::{Shape, example_on_the_page},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::{SmsSettings, TenantId, sms_settings::Transliterate};
use serde_json::{Value, json};

fn of(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/sms-settings")
}

fn defaults() -> Value {
    serde_json::to_value(SmsSettings::default()).unwrap()
}

fn shape() -> Shape {
    Shape::of::<SmsSettings>("SmsSettings", |settings| settings.check().is_ok())
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
async fn settings_are_read_and_replaced_and_not_overwritten_unread() {
    let app = App::start().await;
    let (tenant, other) = (app.bare_tenant("acme").await, app.bare_tenant("other").await);
    let none = app.get(&of(tenant)).await;
    let tag = none.etag.clone();
    assert_eq!(none.ok(), defaults());

    let german = json!({"transliterate": "latin", "segments_per_second": 0.1,
                        "consent": {"words": {"de": {"stop": ["ABMELDEN"]}}, "stop_reply": {"de": "Abgemeldet."}}});
    let put = put_if(&app, tenant, &tag, &german).await;
    let second = put.etag.clone();
    let put = put.ok();
    assert_eq!(put["segments_per_second"], 0.1);
    assert_eq!(
        put["consent"]["words"]["de"],
        json!({"stop": ["ABMELDEN"], "start": [], "help": []})
    );
    assert_eq!(
        put["flood"],
        defaults()["flood"],
        "what is left out is the default"
    );
    assert_eq!(app.get(&of(tenant)).await.ok(), put);
    let (stored, _) = app
        .deps
        .db
        .tenant(tenant)
        .settings::<SmsSettings>()
        .await
        .unwrap();
    assert_eq!(stored.transliterate, Transliterate::Latin);
    assert_eq!(app.get(&of(other)).await.ok(), defaults());

    assert_eq!(
        put_if(&app, tenant, &tag, &json!({})).await.problem(412),
        "If-Match"
    );
    assert_eq!(app.get(&of(tenant)).await.ok(), put, "nothing was replaced");
    assert_eq!(
        put_if(&app, tenant, &second, &put).await.ok(),
        put,
        "an answer can be sent"
    );
    assert_eq!(
        app.put(&of(tenant), json!({})).await.ok(),
        defaults(),
        "without If-Match"
    );
    assert_eq!(put_if(&app, tenant, "*", &german).await.status, 200);
}

#[tokio::test]
async fn refusals_name_field_and_remedy() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    for (body, status, field, remedy) in [
        (
            json!({"transliterat": "off"}),
            400,
            "transliterat",
            "transliterate",
        ),
        (json!({"flood": {"text": 1}}), 400, "flood.text", "flood.texts"),
        (
            json!({"auto_replies": {"mots": 1}}),
            400,
            "auto_replies.mots",
            "auto_replies.most",
        ),
        (
            json!({"transliterate": "all"}),
            400,
            "transliterate",
            "openapi.json",
        ),
        (json!({"flood": {"texts": 0}}), 422, "flood.texts", "range"),
        (
            json!({"segments_per_second": 10001}),
            422,
            "segments_per_second",
            "range",
        ),
        (
            json!({"agent_notes": {"prefix": ""}}),
            422,
            "agent_notes.prefix",
            "write",
        ),
        (
            json!({"consent": {"words": {"de": {"start": ["stop"]}}}}),
            422,
            "consent.words.de.start",
            "leave it out",
        ),
        (
            json!({"consent": {"words": {"de": {"stop": ["x".repeat(31)]}}}}),
            422,
            "consent.words.de.stop",
            "shorter",
        ),
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

#[test]
fn the_schema_has_the_fields_and_defaults_of_the_model() {
    shape().has_the_models_fields_and_defaults();
}

#[test]
fn the_schema_has_the_ranges_of_the_model() {
    shape().has_the_models_ranges(7, &[]);
}

#[test]
fn the_page_has_every_setting() {
    shape().is_on_the_page();
}

/// What docs/api.md shows can be sent.
#[tokio::test]
async fn the_pages_example_can_be_sent() {
    let example = example_on_the_page("## How texts are treated");
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let put = app.put(&of(tenant), example.clone()).await.ok();
    assert_eq!(put["consent"]["stop_reply"], example["consent"]["stop_reply"]);
}
