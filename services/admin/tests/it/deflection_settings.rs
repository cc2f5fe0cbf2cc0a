//! The document of call deflection: read, replaced, refused, and described as it is.

use crate::{
    app::App,
    settings_shape::{Shape, example_on_the_page},
};
use ccm_model::{DeflectionSettings, TenantId};
use serde_json::{Value, json};

fn of(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/deflection-settings")
}

fn defaults() -> Value {
    serde_json::to_value(DeflectionSettings::default()).unwrap()
}

fn shape() -> Shape {
    Shape::of::<DeflectionSettings>("DeflectionSettings", |settings| settings.check().is_ok())
}

#[tokio::test]
async fn settings_are_read_and_replaced_and_name_what_is_there() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = of(tenant.id);
    assert_eq!(app.get(&path).await.ok(), defaults());
    let number = app
        .deps
        .db
        .tenant(tenant.id)
        .numbers()
        .await
        .unwrap()
        .remove(0)
        .address;
    let skillset = app
        .deps
        .db
        .tenant(tenant.id)
        .skillsets()
        .await
        .unwrap()
        .remove(0)
        .name;
    let new = json!({
        "offer": {"en": "Text back, {name}."},
        "sender": number.as_str(),
        "senders": {"+35315550000": number.as_str()},
        "skillsets": {"Voice_Sales": skillset},
        "priorities": [{"over_s": 300, "priority": "high"}],
    });
    let put = app.put(&path, new.clone()).await.ok();
    assert_eq!(put["offer"], new["offer"]);
    assert_eq!(
        put["limits"],
        defaults()["limits"],
        "what is left out is the default"
    );
    assert_eq!(app.get(&path).await.ok(), put);
    for (body, status, field) in [
        (json!({"ofer": {}}), 400, "ofer"),
        (json!({"agents": "many"}), 400, "agents"),
        (json!({"offer": {"en": "{link}"}}), 422, "offer.en"),
        (json!({"limits": {"per_caller": 0}}), 422, "limits.per_caller"),
        (json!({"region": "UK"}), 422, "region"),
        (json!({"sender": "+14155550199"}), 422, "sender"),
        (json!({"senders": {"1": "+14155550199"}}), 422, "senders.1"),
        (json!({"skillsets": {"Voice": "WC_None"}}), 422, "skillsets.Voice"),
        (
            json!({"priorities": [{"over_s": 1, "skillset": "WC_None"}]}),
            422,
            "priorities[0].skillset",
        ),
    ] {
        assert_eq!(
            app.put(&path, body.clone()).await.problem(status),
            field,
            "{body}"
        );
    }
    assert_eq!(app.get(&path).await.ok(), put, "nothing was replaced");
}

#[test]
fn the_schema_has_the_fields_and_defaults_of_the_model() {
    shape().has_the_models_fields_and_defaults();
}

#[test]
fn the_schema_has_the_ranges_of_the_model() {
    shape().has_the_models_ranges(4, &["region", "sender"]);
}

#[test]
fn the_page_has_every_setting() {
    shape().is_on_the_page();
}

/// What docs/api.md shows can be sent.
#[tokio::test]
async fn the_pages_example_can_be_sent() {
    let example = example_on_the_page("## When callers are offered a chat");
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let put = app.put(&of(tenant), example.clone()).await.ok();
    assert_eq!(put["offer"], example["offer"]);
}
