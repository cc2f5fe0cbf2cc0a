//! docs/api.http: every request of the API, to be sent from an editor.

use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

const HEAD: &str = "\
# Every request of the admin API, for editors that send them (VS Code's REST Client, JetBrains' HTTP client).
# Made of the API's document; docs/development.md says how it is written again.
# Set the lines that begin with @ to what you have. docs/api.md says how the API is meant.

@host = http://127.0.0.1:8082
# ccm token --role engineer --subject YOU
@token = TOKEN
@tenant = 019331f0-7a00-7000-8000-000000000001
";

#[test]
fn the_http_file_has_every_request() {
    let document = serde_json::to_value(ccm_admin::openapi()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.http");
    let now = written(&document);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == now,
        "docs/api.http is stale; UPDATE_OPENAPI=1 writes it again"
    );
}

fn written(document: &Value) -> String {
    let (mut variables, mut requests) = (BTreeSet::new(), String::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            request(document, path, method, operation, &mut variables, &mut requests);
        }
    }
    let mut text = HEAD.to_owned();
    for name in variables.iter().filter(|name| **name != "tenant") {
        writeln!(text, "@{name} = 019331f0-7a00-7000-8000-000000000002").unwrap();
    }
    text + &requests
}

fn request<'d>(
    document: &'d Value,
    path: &str,
    method: &str,
    operation: &'d Value,
    variables: &mut BTreeSet<&'d str>,
    to: &mut String,
) {
    let mut target = path.to_owned();
    let (mut query, mut headers) = (Vec::new(), String::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        match (parameter["in"].as_str().unwrap(), parameter["required"] == true) {
            ("path", _) => {
                variables.insert(name);
                target = target.replace(&format!("{{{name}}}"), &format!("{{{{{name}}}}}"));
            }
            ("query", true) => query.push(format!(
                "{name}={}",
                escaped(&plain(&example(document, &parameter["schema"], 0)))
            )),
            ("query", false) if name == "limit" => query.push("limit=50".to_owned()),
            ("header", _) if name == "If-Match" => headers += "# If-Match: \"the ETag of what was read\"\n",
            _ => {}
        }
    }
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{}", query.join("&"))
    };
    let body = &operation["requestBody"]["content"]["application/json"];
    writeln!(to, "\n### {}", operation["summary"].as_str().unwrap_or(path)).unwrap();
    writeln!(to, "# @name {}", operation["operationId"].as_str().unwrap()).unwrap();
    to.push_str(&headers);
    writeln!(to, "{} {{{{host}}}}{target}{query}", method.to_uppercase()).unwrap();
    if operation["security"] != json!([]) {
        to.push_str("Authorization: Bearer {{token}}\n");
    }
    if method == "post" {
        to.push_str("Idempotency-Key: {{$guid}}\n");
    }
    if body.is_object() {
        let shown = body
            .get("example")
            .cloned()
            .unwrap_or_else(|| example(document, &body["schema"], 0));
        writeln!(to, "Content-Type: application/json\n\n{shown:#}").unwrap();
    }
}

/// What the document shows, or the least that is taken.
fn example(document: &Value, schema: &Value, depth: u8) -> Value {
    let schema = resolved(document, schema);
    let one = |from: &Value| example(document, from, depth + 1);
    if let Some(shown) = schema
        .get("example")
        .or_else(|| schema.get("default"))
        .filter(|shown| !shown.is_null())
    {
        return shown.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let choices = schema["oneOf"]
        .as_array()
        .or(schema["anyOf"].as_array())
        .into_iter()
        .flatten();
    if let Some(first) = choices.into_iter().find(|choice| choice["type"] != "null") {
        return one(first);
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| schema["type"][0].as_str())
        .unwrap_or_default();
    match (kind, schema["format"].as_str()) {
        ("string", Some("uuid")) => json!("019331f0-7a00-7000-8000-000000000002"),
        ("string", Some("date-time")) => json!("2099-03-01T22:00:00Z"),
        ("string", Some("date")) => json!("2099-03-01"),
        ("string", _) => json!("…"),
        ("integer" | "number", _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        ("boolean", _) => json!(true),
        ("array", _) => json!([]),
        _ if depth > 6 => json!({}),
        _ => {
            let parts = schema["allOf"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|part| resolved(document, part));
            let mut members = Map::new();
            for part in parts.chain([schema]) {
                for name in part["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    members.insert(name.to_owned(), one(&part["properties"][name]));
                }
            }
            Value::Object(members)
        }
    }
}

fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(name) => &document["components"]["schemas"][name.rsplit('/').next().unwrap()],
        None => schema,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
