//! The API's document: fresh, sound, and true.

use crate::{
    access, accounts,
    app::App,
    certificates, dead_letters, deletions, doctor, link_watch, overview,
    roles::{self, can_be_tried, makes_nothing},
    store, webhooks,
};
use axum::http::Method;
use ccm_auth::Role;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

fn document() -> Value {
    serde_json::to_value(ccm_admin::openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap();
            methods
                .iter()
                .map(move |(method, operation)| (path.clone(), method.as_str(), operation))
        })
        .collect()
}

/// `UPDATE_OPENAPI=1 cargo test -p ccm-admin` writes the file.
#[test]
fn the_committed_document_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = format!("{}\n", ccm_admin::openapi().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == now,
        "docs/openapi.json is stale; write it again with UPDATE_OPENAPI=1 cargo test -p ccm-admin"
    );
}

fn references<'a>(json: &'a Value, found: &mut Vec<&'a str>) {
    match json {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                found.push(reference);
            }
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_sound() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
    let jwt = &document["components"]["securitySchemes"]["jwt"];
    assert_eq!(
        (&jwt["type"], &jwt["scheme"], &jwt["bearerFormat"]),
        (&"http".into(), &"bearer".into(), &"JWT".into())
    );
    assert_eq!(document["security"], json!([{"jwt": []}]));

    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let case = format!("{method} {path}");
        assert!(
            names.insert(operation["operationId"].as_str().unwrap()),
            "{case}: the operationId is taken"
        );
        assert!(
            operation["summary"].is_string() && operation["tags"].is_array(),
            "{case}"
        );
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for part in path
            .split('/')
            .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
        {
            assert!(
                parameters.iter().any(|p| p["name"] == part && p["in"] == "path"),
                "{case}: {part}"
            );
        }
        for parameter in &parameters {
            // One of some names is described where the names are.
            let described = [&parameter["description"], &parameter["schema"]["description"]];
            assert!(
                described.iter().any(|text| text.is_string()),
                "{case}: {}",
                parameter["name"]
            );
        }
        let mut statuses = vec!["400", "401", "403", "429", "500", "503"];
        if ["{tenant}", "{deletion}", "{key}", "{user}", "{life}"]
            .iter()
            .any(|part| path.contains(part))
        {
            statuses.push("404");
        }
        let body_is_optional = path.ends_with("/{letter}/replay") || path.ends_with("/{link}/doctor");
        let is_stream = path.ends_with("/doctor");
        let nothing_to_take = path.ends_with("/{delivery}/replay") || path.ends_with("/sessions");
        if path.ends_with("/sessions") || path.ends_with("/me/session") {
            statuses.push("409");
        }
        if path.ends_with("/{letter}/discard") || path.ends_with("/{webhook}/test") {
            statuses.push("409");
        } else if !nothing_to_take && ["post", "put", "patch"].contains(&method) {
            statuses.extend(["413", "415", "422"]);
            let required = operation["requestBody"]["required"].as_bool().unwrap_or_default();
            assert_eq!(required, !body_is_optional, "{case}");
            let never_there = [
                "-settings",
                "/maintenance-windows",
                "/legal-holds",
                "/person-exports",
                "/caps",
                "/opt-outs",
                "/dead-letters/replay",
                "/dead-letters/discard",
                "/platform/lives",
                "/webhooks/{webhook}/replay",
                "/webhooks/{webhook}/rotate",
                "/text-check",
                "/routing",
                "/dry-run",
                "/doctor",
                "/share",
                "/client-certificate",
                "/{user}",
            ];
            let can_be_there = !never_there.iter().any(|end| path.ends_with(end));
            statuses.extend(can_be_there.then_some("409"));
        }
        let whole = ["-settings", "/routing", "/caps"]
            .iter()
            .any(|end| path.ends_with(end));
        if method == "put" && whole {
            statuses.push("412");
        }
        let one_of_many = method == "put" && path.ends_with("/links/{link}");
        if method == "patch" || one_of_many || path.ends_with("/auth-keys/{key}/rotate") {
            statuses.push("412");
        }
        let planned = method == "post" && path.ends_with("/moves");
        if method == "delete" && path.ends_with("/{number_move}") {
            statuses.push("409");
        }
        let tried = method == "delete" && can_be_tried(&path);
        if tried {
            statuses.extend(["409", "412"]);
        }
        let guarded = ["/auth-keys/{key}", "/templates/{template}", "/webhooks/{webhook}"];
        if method == "delete" && guarded.iter().any(|end| path.ends_with(end)) {
            statuses.push("412");
        }
        statuses.extend(path.ends_with("/{sha256}").then_some("409"));
        if method == "delete" && path.ends_with("/opt-outs") {
            statuses.push("422");
        }
        if method == "delete" && path.ends_with("/deletion") {
            statuses.push("409");
        }
        // What is dangerous says beforehand what it would do.
        let dry_runs = usize::from(parameters.iter().any(|p| p["name"] == "dry_run"));
        let success = match method {
            "post" if makes_nothing(&path) => "200",
            "post" => "201",
            "delete" => "204",
            _ => "200",
        };
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(
            responses.len(),
            statuses.len() + 1 + dry_runs + usize::from(planned),
            "{case}"
        );
        let answer = &responses[success]["content"];
        match method {
            "delete" => assert!(answer.is_null(), "{case}"),
            _ if is_stream => {
                for kind in ["application/x-ndjson", "text/event-stream"] {
                    assert!(answer[kind]["schema"].is_object(), "{case}: {kind}");
                }
            }
            _ if path.ends_with("/audit/export") || path.ends_with("/person-exports") => {
                assert!(answer["application/x-ndjson"]["schema"].is_object(), "{case}");
            }
            _ => assert!(answer["application/json"]["schema"].is_object(), "{case}"),
        }
        for status in statuses {
            let schema = &responses[status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{case}: {status}");
        }
    }
    for (path, query) in [
        ("/v1/tenants", vec!["state", "slug", "q", "limit", "cursor"]),
        (
            "/v1/tenants/{tenant}/events",
            vec!["kind", "since", "until", "link", "account", "limit", "cursor"],
        ),
        ("/v1/tenants/{tenant}/links", vec!["name", "limit", "cursor"]),
        (
            "/v1/tenants/{tenant}/skillsets",
            vec!["name", "link", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/accounts",
            vec!["name", "kind", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/numbers",
            vec!["address", "account", "skillset", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/auth-keys",
            vec!["name", "active", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/templates",
            vec![
                "name", "scope", "skillset", "agent", "language", "limit", "cursor",
            ],
        ),
        (
            "/v1/tenants/{tenant}/links/{link}/events",
            vec!["limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/conversations",
            vec!["customer", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/accounts/{account}/events",
            vec!["limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/dead-letters",
            vec!["all", "kind", "code", "limit", "cursor"],
        ),
        (
            "/v1/tenants/{tenant}/conversations/{conversation}/transcript",
            vec!["format", "tz", "lang", "after"],
        ),
        (
            "/v1/tenants/{tenant}/messages/search",
            vec![
                "q",
                "customer",
                "number",
                "direction",
                "state",
                "origin",
                "author",
                "skillset",
                "from",
                "to",
                "limit",
                "cursor",
            ],
        ),
        ("/v1/tenants/{tenant}/legal-holds", vec!["all", "limit", "cursor"]),
        ("/v1/tenants/{tenant}/erasures", vec!["limit", "cursor"]),
        ("/v1/deletions", vec!["limit", "cursor"]),
        ("/v1/api-keys", vec!["limit", "cursor"]),
        ("/v1/users", vec!["limit", "cursor"]),
        (
            "/v1/tenants/{tenant}/audit",
            vec!["kind", "object", "actor", "from", "until", "limit", "cursor"],
        ),
        ("/v1/tenants/{tenant}/audit/export", vec!["after"]),
        ("/v1/tenants/{tenant}/audit/verify", vec!["seq", "hash"]),
        ("/v1/usage", vec!["day", "limit", "cursor"]),
        ("/v1/overview", vec!["name", "health", "limit", "cursor"]),
        ("/v1/tenants/{tenant}/statistics", vec!["from", "to", "step"]),
        ("/v1/tenants/{tenant}/usage", vec!["from", "to"]),
        (
            "/v1/tenants/{tenant}/doctor-reports",
            vec!["link_id", "limit", "cursor"],
        ),
        ("/v1/tenants/{tenant}/opt-outs", vec!["limit", "cursor"]),
        (
            "/v1/tenants/{tenant}/consent-events",
            vec!["customer", "limit", "cursor"],
        ),
        ("/v1/tenants/{tenant}/number-check", vec!["number", "region"]),
        (
            "/v1/tenants/{tenant}/conversations/{conversation}/messages",
            vec!["after", "latest", "before", "limit"],
        ),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let found: Vec<_> = parameters
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, query, "{path}");
    }
}

/// Each request's example is understood; at most it refers to something that is not there, or shortens a certificate.
#[tokio::test]
async fn the_examples_can_be_sent() {
    let app = App::start().await;
    let tenant = app.tenant("a-tenant").await;
    let (letter, _) = dead_letters::refused(&app, &tenant, "hello").await;
    let report = doctor::kept(&app, &tenant).await;
    let key = app
        .post(
            &format!("/v1/tenants/{}/auth-keys", tenant.id),
            json!({"name": "x"}),
        )
        .await
        .ok();
    let auth_key = key["id"].as_str().unwrap();
    let template = roles::template(&app, &tenant).await;
    let (webhook, _) = webhooks::tested(&app, &tenant).await;
    let admin = app.token(Role::PlatformAdmin, None);
    let document = document();
    for (path, method, operation) in operations(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        // A body that may be left out is described as one of two.
        let either = schema["oneOf"].as_array().into_iter().flatten();
        let schema = either
            .clone()
            .find(|one| one["$ref"].is_string())
            .unwrap_or(schema);
        let schema = document
            .pointer(schema["$ref"].as_str().unwrap().strip_prefix('#').unwrap())
            .unwrap();
        let example = schema["example"].clone();
        assert!(example.is_object(), "{path} has no example");
        let of_tenant = path.contains("{tenant}").then_some(&tenant);
        let key = match path.contains("/api-keys/") {
            true => access::api_key(&app, of_tenant).await,
            false => auth_key.to_owned(),
        };
        let sent = path
            .replace("{tenant}", &tenant.id.to_string())
            .replace("{link}", &tenant.link)
            .replace("{account}", &tenant.account)
            .replace("{number}", &tenant.number)
            .replace("{report}", &report)
            .replace("{skillset}", &tenant.skillset)
            .replace("{user}", &access::user(&app, of_tenant).await)
            .replace("{key}", &key)
            .replace("{template}", &template)
            .replace("{webhook}", &webhook)
            .replace("{letter}", &letter)
            .replace("{life}", &overview::open_life(&app).await);
        let answer = match method {
            // It would be gone for the others.
            "post" if sent.ends_with("/deletion") => {
                deletions::post(&app, &(sent + "?dry_run=true"), example).await
            }
            _ => {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                app.send(method, &sent, Some(&admin), Some(&example)).await
            }
        };
        if answer.status == 409 {
            // The tenant has one of that name.
            answer.problem(409);
        } else if !answer.status.is_success() {
            let field = answer.problem(422);
            assert!(
                [
                    "ca_pem",
                    "client_certificate_pem",
                    "client_key_pem",
                    "link_id",
                    "account_id",
                    "to_account_id",
                    "issuer",
                    "role",
                    "number_id",
                    "to"
                ]
                .contains(&field),
                "{path}: {}",
                answer.json
            );
        }
    }
}

/// What is answered has the members that the document says, and no others.
#[tokio::test]
async fn answers_are_as_documented() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let key = app
        .post(
            &format!("/v1/tenants/{}/auth-keys", tenant.id),
            json!({"name": "x"}),
        )
        .await
        .ok();
    let key = key["id"].as_str().unwrap();
    roles::planned_move(&app, &tenant).await;
    let template = roles::template(&app, &tenant).await;
    app.post(
        &format!("/v1/tenants/{}/webhook-secrets", tenant.id),
        json!({"name": "2026"}),
    )
    .await
    .ok();
    app.post(
        &format!("/v1/tenants/{}/screenpop-signing-keys", tenant.id),
        json!({"name": "2026"}),
    )
    .await
    .ok();
    app.post(
        &format!(
            "/v1/tenants/{}/links/{}/maintenance-windows",
            tenant.id, tenant.link
        ),
        json!({"begins_at": "2099-03-01T22:00:00Z", "ends_at": "2099-03-02T02:00:00Z", "reason": "patch"}),
    )
    .await
    .ok();
    let (webhook, _) = webhooks::tested(&app, &tenant).await;
    link_watch::happened(&app, &tenant, "link_down");
    let report = doctor::kept(&app, &tenant).await;
    certificates::trusted(&app, &tenant).await;
    certificates::key_waits(&app, &tenant).await;
    accounts::happened(&app, &tenant, "failing").await;
    let (letter, conversation) = dead_letters::refused(&app, &tenant, "hello").await;
    let opt_out =
        json!({"our_address": "+14155550123", "customer_address": "+353861234567", "evidence": "by phone"});
    app.put(&format!("/v1/tenants/{}/opt-outs", tenant.id), opt_out)
        .await
        .ok();
    let hold = store::held(&app, &tenant).await;
    app.delete(&format!("/v1/tenants/{}/legal-holds/{hold}", tenant.id))
        .await;
    store::erased(&app, &tenant, "+353863333333").await;
    deletions::begun(&app, &tenant).await;
    deletions::taken_back(&app, &tenant).await;
    let document = document();
    let whole = app
        .get(&format!("/v1/tenants/{}/dead-letters/{letter}", tenant.id))
        .await
        .ok();
    assert!(whole["text"].is_string());
    for (schema, path) in [
        ("Tenant", String::new()),
        ("Link", "/links".to_owned()),
        ("Link", format!("/links/{}", tenant.link)),
        ("Skillset", format!("/skillsets/{}", tenant.skillset)),
        ("Account", format!("/accounts/{}", tenant.account)),
        ("Number", format!("/numbers/{}", tenant.number)),
        ("AuthKey", format!("/auth-keys/{key}")),
        ("NumberMove", format!("/numbers/{}/moves", tenant.number)),
        ("Template", "/templates".to_owned()),
        ("Template", format!("/templates/{template}")),
        ("Event", "/events".to_owned()),
        ("LinkState", format!("/links/{}/state", tenant.link)),
        ("LinkEvent", format!("/links/{}/events", tenant.link)),
        (
            "MaintenanceWindow",
            format!("/links/{}/maintenance-windows", tenant.link),
        ),
        ("LinkCertificates", format!("/links/{}/certificates", tenant.link)),
        ("Certificate", format!("/links/{}/trusted-cas", tenant.link)),
        ("ClientKey", format!("/links/{}/client-key", tenant.link)),
        ("DoctorReportSummary", "/doctor-reports".to_owned()),
        ("DoctorReport", format!("/doctor-reports/{report}")),
        ("Skillset", "/skillsets".to_owned()),
        ("Account", "/accounts".to_owned()),
        ("Number", "/numbers".to_owned()),
        ("AuthKey", "/auth-keys".to_owned()),
        ("WebhookSecret", "/webhook-secrets".to_owned()),
        ("Webhook", "/webhooks".to_owned()),
        ("Webhook", format!("/webhooks/{webhook}")),
        ("Delivery", format!("/webhooks/{webhook}/deliveries")),
        ("SigningKey", "/screenpop-signing-keys".to_owned()),
        ("RetentionState", "/retention".to_owned()),
        ("LegalHold", "/legal-holds?all=true".to_owned()),
        ("LegalHold", format!("/legal-holds/{hold}")),
        ("Erasure", "/erasures".to_owned()),
        ("FoundMessage", "/messages/search?q=hello".to_owned()),
        ("Conversation", "/conversations".to_owned()),
        ("Conversation", format!("/conversations/{conversation}")),
        ("Message", format!("/conversations/{conversation}/messages")),
        ("AccountEvent", format!("/accounts/{}/events", tenant.account)),
        ("DeadLetter", "/dead-letters".to_owned()),
        ("OptOut", "/opt-outs".to_owned()),
        ("ConsentEvent", "/consent-events".to_owned()),
        ("Deletion", "/deletion".to_owned()),
        ("UsageDay", "/usage".to_owned()),
        ("TenantOverview", "/overview".to_owned()),
        ("TenantStatistics", "/statistics".to_owned()),
        ("Caps", "/caps".to_owned()),
        ("NumberCheck", "/number-check?number=%2B353861234567".to_owned()),
    ] {
        let answer = app.get(&format!("/v1/tenants/{}{path}", tenant.id)).await.ok();
        let item = answer["items"].get(0).unwrap_or(&answer).as_object().unwrap();
        let schema = &document["components"]["schemas"][schema];
        let documented: BTreeSet<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let answered: BTreeSet<&str> = item.keys().map(String::as_str).collect();
        assert_eq!((&documented, &required), (&answered, &answered), "{path}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_a_token() {
    let app = App::start().await;
    let served = app.send(Method::GET, "/openapi.json", None, None).await;
    assert_eq!(served.ok(), document());
    let page = app.send(Method::GET, "/docs/", None, None).await;
    assert_eq!(page.status, 200);
    assert!(page.content_type.starts_with("text/html"));
    let start = app
        .send(Method::GET, "/docs/swagger-initializer.js", None, None)
        .await;
    assert_eq!(start.status, 200);
    assert!(app.ever_said("\"/openapi.json\"") && app.ever_said("\"validatorUrl\": \"none\""));
    app.get("/v1/nothing").await.problem(404);
}
