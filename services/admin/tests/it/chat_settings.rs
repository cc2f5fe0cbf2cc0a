//! The document of a tenant's chats: read, replaced, refused, and described as it is.

use crate::app::{Answer, App};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::{ChatSettings, TenantId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    let (stored, _) = app.deps.db.tenant(tenant).chat_settings().await.unwrap();
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

/// The schema of a part, with references followed.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// Each field of the document that holds no others, by its dotted path.
fn leaves<'a>(document: &'a Value, schema: &'a Value, path: &str, found: &mut BTreeMap<String, &'a Value>) {
    for (name, part) in schema["properties"].as_object().unwrap() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let part = resolved(document, part);
        if part["properties"].is_object() {
            leaves(document, part, &path, found);
        } else {
            found.insert(path, part);
        }
    }
}

fn openapi() -> Value {
    serde_json::to_value(ccm_admin::openapi()).unwrap()
}

fn fields(document: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    leaves(
        document,
        &document["components"]["schemas"]["ChatSettings"],
        "",
        &mut found,
    );
    found
}

fn values(at: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match at.as_object() {
        None => {
            found.insert(path.to_owned(), at.clone());
        }
        Some(parts) => {
            for (name, part) in parts {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                values(part, &path, found);
            }
        }
    }
}

/// The default document with one value changed, as the model takes it.
fn taken(path: &str, value: Value) -> bool {
    let mut document = defaults();
    let pointer = format!("/{}", path.replace('.', "/"));
    *document
        .pointer_mut(&pointer)
        .unwrap_or_else(|| panic!("{path} is there")) = value;
    serde_json::from_value::<ChatSettings>(document).is_ok_and(|settings| settings.check().is_ok())
}

#[test]
fn the_schema_has_the_fields_and_defaults_of_the_model() {
    let document = openapi();
    let mut model = BTreeMap::new();
    values(&defaults(), "", &mut model);
    let schema: BTreeMap<String, Value> = fields(&document)
        .into_iter()
        .map(|(path, schema)| (path, schema["default"].clone()))
        .collect();
    assert_eq!(schema, model);
    for (path, schema) in fields(&document) {
        assert!(schema.get("default").is_some(), "{path} has no default");
        assert!(schema["description"].is_string(), "{path} has no description");
        assert!(
            schema["type"].is_string() || schema["type"].is_array(),
            "{path}: {schema}"
        );
    }
    for list in ["system_texts", "customer.fields"] {
        let item = resolved(&document, &fields(&document)[list]["items"]);
        let documented: Vec<_> = item["properties"].as_object().unwrap().keys().cloned().collect();
        let modelled: Vec<_> = model[list][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(documented, modelled, "{list}");
    }
    let whole = &document["components"]["schemas"]["ChatSettings"];
    assert!(whole.get("required").is_none(), "everything can be left out");
}

/// What the schema says of a value, held against the model on both sides of each edge.
fn holds(path: &str, schema: &Value) {
    let (least, most) = (&schema["minimum"], &schema["maximum"]);
    if let (Some(least), Some(most)) = (least.as_i64(), most.as_i64()) {
        assert!(taken(path, json!(least)) && taken(path, json!(most)), "{path}");
        assert!(
            !taken(path, json!(least - 1)) && !taken(path, json!(most + 1)),
            "{path}"
        );
    }
    // A language tag has rules of its own.
    if let (Some(most), false) = (schema["maxLength"].as_u64(), path == "language") {
        let text = |length: u64| json!("x".repeat(length as usize));
        assert!(taken(path, text(1)) && taken(path, text(most)), "{path}");
        assert!(!taken(path, text(0)) && !taken(path, text(most + 1)), "{path}");
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let items = |n: u64| Value::from(vec![schema["default"][0].clone(); n as usize]);
        assert!(
            taken(path, items(most)) && !taken(path, items(most + 1)),
            "{path}"
        );
    }
    if let Some(names) = schema["enum"].as_array() {
        let mut document = defaults();
        let pointer = format!("/{}", path.replace('.', "/"));
        *document.pointer_mut(&pointer).unwrap() = json!("nothing");
        let said = serde_json::from_value::<ChatSettings>(document)
            .unwrap_err()
            .to_string();
        let (_, known) = said.split_once("expected one of ").expect(&said);
        let documented: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", name.as_str().unwrap()))
            .collect();
        assert_eq!(known, documented.join(", "), "{path}");
    }
}

#[test]
fn the_schema_has_the_ranges_of_the_model() {
    let document = openapi();
    let fields = fields(&document);
    let numbers = fields.values().filter(|schema| schema["maximum"].is_number());
    assert_eq!(numbers.count(), 15, "each number has a range");
    for (path, schema) in &fields {
        let is_number = schema["type"].to_string().contains("integer");
        assert_eq!(is_number, schema["maximum"].is_number(), "{path}");
        holds(path, schema);
        if schema["items"].is_object() {
            let item = resolved(&document, &schema["items"]);
            for (name, part) in item["properties"].as_object().into_iter().flatten() {
                holds(&format!("{path}.0.{name}"), part);
            }
        }
    }
}

/// A cell of the table of docs/api.md.
fn default_cell(schema: &Value) -> String {
    match schema["default"].to_string() {
        short if short.len() <= 30 => format!("`{short}`"),
        _ => "see `GET`".to_owned(),
    }
}

fn range_cell(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_u64();
    if let (Some(least), Some(most)) = (number("minimum"), number("maximum")) {
        format!("{least} to {most}")
    } else if let (Some(least), Some(most)) = (number("minLength"), number("maxLength")) {
        format!("{least} to {most} characters")
    } else if let Some(most) = number("maxItems") {
        format!("at most {most}")
    } else if let Some(names) = schema["enum"].as_array() {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", name.as_str().unwrap()))
            .collect();
        names.join(", ")
    } else {
        match schema["type"].to_string() {
            kind if kind.contains("object") => "words".to_owned(),
            kind if kind.contains("array") => "a list".to_owned(),
            _ => "`true`, `false`".to_owned(),
        }
    }
}

#[test]
fn the_page_has_every_setting() {
    let page = include_str!("../../../../docs/api.md");
    let document = openapi();
    for (path, schema) in fields(&document) {
        let line = format!(
            "| `{path}` | {} | {} | ",
            default_cell(schema),
            range_cell(schema)
        );
        assert!(page.contains(&line), "docs/api.md has not: {line}");
    }
}

/// What docs/api.md shows can be sent.
#[tokio::test]
async fn the_pages_example_can_be_sent() {
    let page = include_str!("../../../../docs/api.md");
    let (_, section) = page.split_once("## How chats behave").unwrap();
    let (_, rest) = section.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let put = app.put(&of(tenant), example.clone()).await.ok();
    assert_eq!(put["notices"]["no_agents"], example["notices"]["no_agents"]);
    let words = example["notices"]["no_agents"].as_object().unwrap();
    assert!(words.contains_key("de") && words.contains_key("en"));
}
