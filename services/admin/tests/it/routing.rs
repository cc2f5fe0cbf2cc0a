//! Where texts go: the document read, replaced, refused and described as it is; and texts tried on it.

use crate::app::{Answer, App, Tenant};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use ccm_auth::Role;
use ccm_model::TenantId;
use ccm_routing::RoutingSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn of(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/routing")
}

fn dry_run(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/routing/dry-run")
}

const EMPTY: &str = r#"{"calendars":{},"lists":{},"rules":[],"after_hours":[]}"#;

fn empty() -> Value {
    serde_json::from_str(EMPTY).unwrap()
}

async fn skillset(app: &App, tenant: &Tenant, name: &str) {
    let body = json!({"name": name, "link_id": tenant.link});
    app.post(&format!("/v1/tenants/{}/skillsets", tenant.id), body)
        .await
        .ok();
}

/// A tenant with the skillsets Sales and VIP, too.
async fn acme(app: &App) -> Tenant {
    let tenant = app.tenant("acme").await;
    skillset(app, &tenant, "Sales").await;
    skillset(app, &tenant, "VIP").await;
    tenant
}

/// Every field, with values that the tenant has.
fn whole() -> Value {
    let interval = json!([{"from": "09:00", "to": "17:30"}]);
    let reply = json!({"words": {"en": "Later, from {opens_time}"}, "then": "hold", "skillset": "Sales", "calendar": "office"});
    let action = |kind: &str, what: Value| {
        let mut action = json!({"skillset": null, "reply": null, "webhook": null});
        action[kind] = what;
        action
    };
    let rule = |name: &str, priority: u32, action: Value| {
        json!({"name": name, "priority": priority, "enabled": true, "action": action, "when": {
            "numbers": ["+14155550123"], "keyword": {"any_of": [name], "match": "first_word"},
            "time": {"calendar": "office", "is": "open"}, "languages": ["en"], "list": {"name": "vip", "is": "in"}}})
    };
    json!({
        "calendars": {"office": {
            "time_zone": "Europe/Dublin",
            "weekly": {"monday": interval, "tuesday": interval, "wednesday": interval, "thursday": interval,
                       "friday": interval, "saturday": [], "sunday": []},
            "holidays": [{"name": "Christmas", "date": "12-25", "hours": [{"from": "10:00", "to": "11:00"}]}]
        }},
        "lists": {"vip": {"numbers": ["+353861234567"], "prefixes": ["+4930"]}},
        "rules": [
            rule("buy", 1, action("skillset", json!("Sales"))),
            rule("later", 2, action("reply", reply.clone())),
            rule("ask", 3, action("webhook", json!({"url": "https://hooks.example.com/route", "timeout_ms": 500,
                                                    "fallback": {"skillset": null, "reply": reply}})))
        ],
        "after_hours": [{"calendar": "office", "numbers": ["+14155550123"], "skillsets": ["Sales"],
                         "reply": {"en": "We are closed"}, "hold": true}]
    })
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
async fn routing_is_read_and_replaced() {
    let app = App::start().await;
    let (tenant, other) = (acme(&app).await, app.bare_tenant("other").await);
    assert_eq!(app.get(&of(tenant.id)).await.ok(), empty());
    let put = app.put(&of(tenant.id), whole()).await.ok();
    assert_eq!(put, whole());
    assert_eq!(app.get(&of(tenant.id)).await.ok(), whole());
    assert_eq!(app.get(&of(other)).await.ok(), empty());
    let stored = app.deps.db.tenant(tenant.id).routing().await.unwrap().unwrap();
    assert_eq!((stored.settings, stored.revision), (whole(), 1));

    let short = json!({"lists": {"vip": {"numbers": ["+353 86 123-4567"]}},
                       "rules": [{"name": "x", "action": {"skillset": "VIP"}}]});
    let put = app.put(&of(tenant.id), short).await.ok();
    assert_eq!(
        put["lists"]["vip"]["numbers"][0], "+353861234567",
        "in the spelling that is compared"
    );
    assert_eq!(
        (&put["rules"][0]["priority"], &put["rules"][0]["enabled"]),
        (&json!(100), &json!(true))
    );
    assert_eq!(
        app.put(&of(tenant.id), put.clone()).await.ok(),
        put,
        "an answer can be sent"
    );
    assert_eq!(
        app.put(&of(tenant.id), json!({})).await.ok(),
        empty(),
        "all of it"
    );
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_read() {
    let app = App::start().await;
    let tenant = acme(&app).await.id;
    let rule = |name: &str| json!({"rules": [{"name": name, "action": {"skillset": "Sales"}}]});
    let none = app.get(&of(tenant)).await.etag;
    assert_eq!(none, "\"0\"");
    let first = put_if(&app, tenant, &none, &rule("a")).await;
    assert_eq!(
        (first.status.as_u16(), first.etag.as_str()),
        (200, "\"1\""),
        "{}",
        first.json
    );
    assert_eq!(app.get(&of(tenant)).await.etag, first.etag);
    assert_eq!(
        put_if(&app, tenant, &none, &rule("b")).await.problem(412),
        "If-Match"
    );
    for stale in ["W/\"1\"", "\"7\"", "1", "x", "\"\""] {
        assert_eq!(
            put_if(&app, tenant, stale, &rule("b")).await.status,
            412,
            "{stale}"
        );
    }
    assert_eq!(
        app.get(&of(tenant)).await.ok()["rules"][0]["name"],
        "a",
        "nothing was replaced"
    );
    let second = put_if(&app, tenant, "\"0\", \"1\"", &rule("b")).await;
    assert_eq!((second.status.as_u16(), second.etag.as_str()), (200, "\"2\""));
    assert_eq!(put_if(&app, tenant, &first.etag, &json!({})).await.status, 412);
    assert_eq!(put_if(&app, tenant, "*", &rule("c")).await.status, 200);
    assert_eq!(
        app.put(&of(tenant), rule("d")).await.etag,
        "\"4\"",
        "without If-Match"
    );
}

#[tokio::test]
async fn refusals_name_field_and_remedy() {
    let app = App::start().await;
    let tenant = acme(&app).await;
    // Another tenant has what this one has not.
    let other = app.tenant("other").await;
    skillset(&app, &other, "Support").await;
    let rule = |fields: Value| {
        let mut rule = json!({"name": "x", "action": {"skillset": "Sales"}});
        rule.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"rules": [{"name": "first", "action": {"skillset": "VIP"}}, rule]})
    };
    let calendar = |calendar: Value| json!({"calendars": {"office": calendar}});
    let monday = |hours: Value| calendar(json!({"time_zone": "UTC", "weekly": {"monday": hours}}));
    for (body, status, field, remedy) in [
        // Not known, with what was meant.
        (json!({"rule": []}), 400, "rule", "write rules,"),
        (
            json!({"time_zone": "UTC"}),
            400,
            "time_zone",
            "calendars.*.time_zone",
        ),
        (
            calendar(json!({"time_zone": "UTC", "timezone": "UTC"})),
            400,
            "calendars.office.timezone",
            "calendars.office.time_zone",
        ),
        (
            calendar(json!({"time_zone": "UTC", "weekly": {"tusday": []}})),
            400,
            "calendars.office.weekly.tusday",
            "calendars.office.weekly.tuesday",
        ),
        (
            json!({"lists": {"vip": {"number": []}}}),
            400,
            "lists.vip.number",
            "lists.vip.numbers",
        ),
        (
            rule(json!({"when": {"keywords": {"any_of": ["x"]}}})),
            400,
            "rules[1].when.keywords",
            "rules[1].when.keyword,",
        ),
        (
            rule(json!({"when": {"keyword": {"any_of": ["x"], "matches": "whole"}}})),
            400,
            "rules[1].when.keyword.matches",
            "rules[1].when.keyword.match,",
        ),
        (
            rule(json!({"action": {"skilset": "Sales"}})),
            400,
            "rules[1].action.skilset",
            "rules[1].action.skillset",
        ),
        (
            rule(json!({"action": {"webhook": {"url": "https://x", "timeout": 1}}})),
            400,
            "rules[1].action.webhook.timeout",
            "rules[1].action.webhook.timeout_ms",
        ),
        (
            json!({"after_hours": [{"calendar": "x", "reply": {"en": "x"}, "holds": true}]}),
            400,
            "after_hours[0].holds",
            "after_hours[0].hold,",
        ),
        // Not readable.
        (
            calendar(json!({})),
            400,
            "calendars.office.time_zone",
            "openapi.json",
        ),
        (
            monday(json!([{"from": "9:00", "to": "17:00"}])),
            400,
            "calendars.office.weekly.monday[0].from",
            "openapi.json",
        ),
        (
            rule(json!({"priority": -1})),
            400,
            "rules[1].priority",
            "openapi.json",
        ),
        (
            rule(json!({"when": {"time": {"calendar": "x", "is": "shut"}}})),
            400,
            "rules[1].when.time.is",
            "openapi.json",
        ),
        (
            rule(json!({"when": {"numbers": ["14155550123"]}})),
            400,
            "rules[1].when.numbers[0]",
            "openapi.json",
        ),
        (
            json!({"rules": [{"name": "x"}]}),
            400,
            "rules[0].action",
            "openapi.json",
        ),
        // Not taken.
        (
            calendar(json!({"time_zone": "Dublin"})),
            422,
            "calendars.office.time_zone",
            "Europe/Berlin",
        ),
        (
            monday(json!([{"from": "09:00", "to": "09:00"}])),
            422,
            "calendars.office.weekly.monday[0].to",
            "24:00",
        ),
        (rule(json!({"name": "first"})), 422, "rules[1].name", "of its own"),
        (rule(json!({"action": {}})), 422, "rules[1].action", "one of"),
        (
            rule(json!({"when": {"time": {"calendar": "office", "is": "open"}}})),
            422,
            "rules[1].when.time.calendar",
            "add it",
        ),
        (
            rule(json!({"when": {"keyword": {"any_of": ["stop"], "match": "whole"}}})),
            422,
            "rules[1].when.keyword.any_of[0]",
            "another",
        ),
        (
            json!({"after_hours": [{"calendar": "x", "reply": {"en": "x"}}]}),
            422,
            "after_hours[0].calendar",
            "add it",
        ),
        // Not of this tenant.
        (
            rule(json!({"action": {"skillset": "Support"}})),
            422,
            "rules[1].action.skillset",
            "GET …/skillsets",
        ),
        (
            rule(json!({"when": {"numbers": ["+14155550123", "+14155550199"]}})),
            422,
            "rules[1].when.numbers[1]",
            "GET …/numbers",
        ),
    ] {
        let answer = app.put(&of(tenant.id), body.clone()).await;
        assert_eq!(answer.problem(status), field, "{body}");
        let said = answer.json["remedy"].as_str().unwrap();
        assert!(said.contains(remedy), "{body}: {said}");
        // A dry run refuses it in the same way.
        let asked = json!({"to": "+14155550123", "from": "+353861234567", "text": "x", "settings": body});
        let answer = app.post(&dry_run(tenant.id), asked).await;
        assert_eq!(answer.problem(status), format!("settings.{field}"));
    }
    let unknown = app
        .put(&of(tenant.id), rule(json!({"action": {"skillset": "Support"}})))
        .await;
    assert!(
        unknown.json["detail"].as_str().unwrap().contains("Support"),
        "it is named"
    );
    assert_eq!(
        app.get(&of(tenant.id)).await.ok(),
        empty(),
        "nothing was replaced"
    );
}

#[tokio::test]
async fn a_dry_run_says_where_a_text_would_go_and_why() {
    let app = App::start().await;
    let tenant = acme(&app).await;
    let ask = async |fields: Value| {
        let mut asked = json!({"to": "+14155550123", "from": "+353861234567", "text": "hello", "at": "2026-11-27T12:00:00Z"});
        asked
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        app.post(&dry_run(tenant.id), asked).await
    };
    // A tenant that has set nothing; now.
    let now = ask(json!({"at": null})).await;
    assert_eq!(now.status, 200);
    let now = now.ok();
    assert_eq!(
        (&now["action"], &now["skillset"], &now["rule"]),
        (&json!("skillset"), &json!("WC_Default_Skillset"), &json!(null))
    );
    assert_eq!(
        (&now["rules"], &now["after_hours"], &now["calendars"]),
        (&json!([]), &json!(null), &json!([]))
    );

    // Before it is saved: nothing is stored.
    let tried = ask(json!({"text": "Buy, please", "settings": whole()}))
        .await
        .ok();
    assert_eq!(
        (&tried["action"], &tried["skillset"], &tried["rule"]),
        (&json!("skillset"), &json!("Sales"), &json!("buy"))
    );
    assert_eq!(app.get(&of(tenant.id)).await.ok(), empty());

    app.put(&of(tenant.id), whole()).await.ok();
    let bought = ask(json!({"text": "Buy, please", "at": "2026-11-27T13:00:00+01:00"}))
        .await
        .ok();
    assert_eq!(bought["at"], "2026-11-27T13:00:00+01:00");
    let rules = bought["rules"].as_array().unwrap();
    let outcomes: Vec<_> = rules
        .iter()
        .map(|rule| rule["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["decides", "no_match", "no_match"]);
    let conditions = rules[0]["conditions"].as_array().unwrap();
    let names: Vec<_> = conditions
        .iter()
        .map(|c| c["condition"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["numbers", "keyword", "time", "languages", "list"]);
    assert_eq!(conditions[1]["why"], "the text begins with the keyword buy");
    assert_eq!(bought["after_hours"]["open"], true);
    assert_eq!(
        bought["calendars"],
        json!([{"name": "office", "time_zone": "Europe/Dublin", "local_time": "2026-11-27T12:00", "open": true,
                "holiday": null, "next_opening": "2026-11-27T12:00:00Z"}])
    );

    // A prefix of the list, another language, a webhook with the fallback's reply.
    let asked = ask(json!({"text": "ASK", "from": "+493012345678"})).await.ok();
    assert_eq!(
        (
            &asked["action"],
            &asked["webhook_url"],
            &asked["skillset"],
            &asked["reply"]
        ),
        (
            &json!("webhook"),
            &json!("https://hooks.example.com/route"),
            &json!("Sales"),
            &json!("Later, from 12:00")
        )
    );
    let german = ask(json!({"text": "buy", "language": "de"})).await.ok();
    assert_eq!(
        (&german["rule"], &german["skillset"]),
        (&json!(null), &json!("WC_Default_Skillset"))
    );

    // At night on Christmas Eve: answered, and kept for the hour of Christmas.
    let night = json!({
        "calendars": whole()["calendars"],
        "rules": [{"name": "all", "action": {"skillset": "VIP"}}],
        "after_hours": [{"calendar": "office", "reply": {"en": "Closed until {opens_date}, {opens_time}"}}]
    });
    let held = ask(json!({"settings": night, "at": "2026-12-24T22:00:00Z"}))
        .await
        .ok();
    assert_eq!(
        (
            &held["action"],
            &held["skillset"],
            &held["held_until"],
            &held["held_for"]
        ),
        (
            &json!("hold"),
            &json!("VIP"),
            &json!("2026-12-25T10:00:00Z"),
            &json!("office")
        )
    );
    assert_eq!(held["reply"], "Closed until 2026-12-25, 10:00");
    assert_eq!(held["why"], "the rule all decides; the calendar office is closed");

    for (fields, status, field) in [
        (json!({"to": "+14155550199"}), 422, "to"),
        (json!({"to": "14155550199"}), 400, "to"),
        (json!({"from": ""}), 400, "from"),
        (json!({"at": "tomorrow"}), 400, "at"),
        (json!({"txt": "x"}), 400, "txt"),
        (
            json!({"settings": {"rules": [{"name": "x", "action": {"skillset": "x"}, "enable": true}]}}),
            400,
            "settings.rules[0].enable",
        ),
    ] {
        assert_eq!(ask(fields).await.problem(status), field);
    }
}

#[tokio::test]
async fn support_sees_no_customers_numbers() {
    let app = App::start().await;
    let tenant = acme(&app).await;
    app.put(&of(tenant.id), whole()).await.ok();
    let support = app.token(Role::Support, None);
    let seen = app
        .send(Method::GET, &of(tenant.id), Some(&support), None)
        .await
        .ok();
    assert_eq!(seen["lists"], json!({"vip": {"withheld": true}}));
    assert_eq!(seen["rules"], whole()["rules"]);
    let viewer = app.token(Role::TenantViewer, Some(tenant.id));
    let seen = app
        .send(Method::GET, &of(tenant.id), Some(&viewer), None)
        .await
        .ok();
    assert_eq!(seen, whole());
}

fn document() -> Value {
    serde_json::to_value(ccm_admin::openapi()).unwrap()
}

/// The schema of a part, with references followed, and of what may be null the other half.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let choices = ["oneOf", "anyOf"].iter().find_map(|of| schema[of].as_array());
    if let Some(part) = choices.and_then(|parts| parts.iter().find(|part| part["type"] != "null")) {
        return resolved(document, part);
    }
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// Walks a document beside its schema. Calls for each object with its path, schema and value.
fn walk<'a>(
    document: &'a Value,
    schema: &'a Value,
    value: &Value,
    path: &str,
    each: &mut impl FnMut(&str, &'a Value, &Map<String, Value>),
) {
    let schema = resolved(document, schema);
    match value {
        Value::Array(items) => {
            for item in items {
                walk(document, &schema["items"], item, &format!("{path}[]"), each);
            }
        }
        Value::Object(fields) if schema["properties"].is_object() => {
            each(path, schema, fields);
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                walk(document, &schema["properties"][name], value, &path, each);
            }
        }
        Value::Object(entries) => {
            for entry in entries.values() {
                walk(
                    document,
                    &schema["additionalProperties"],
                    entry,
                    &format!("{path}.*"),
                    each,
                );
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_is_that_of_the_program() {
    let document = document();
    let mut seen = BTreeSet::new();
    walk(
        &document,
        &document["components"]["schemas"]["Routing"],
        &whole(),
        "",
        &mut |path, schema, fields| {
            let documented: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(documented, fields.keys().collect(), "{path}");
            let required: BTreeSet<_> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|r| r.as_str().unwrap())
                .collect();
            for (name, part) in schema["properties"].as_object().unwrap() {
                let part = resolved(&document, part);
                let has_default = part.get("default").is_some()
                    || part["type"] == "object"
                    || part["properties"].is_object();
                assert!(
                    required.contains(name.as_str())
                        || has_default
                        || fields[name].is_null()
                        || fields[name].is_object(),
                    "{path}.{name}"
                );
            }
            seen.insert(path.to_owned());
        },
    );
    // Everything that is an object was walked.
    assert!(
        seen.contains("calendars.*.weekly.monday[]")
            && seen.contains("rules[].action.webhook.fallback.reply"),
        "{seen:?}"
    );

    // What is left out takes the default that is documented; what is required is missed.
    for pointer in [
        "",
        "/calendars/office",
        "/calendars/office/holidays/0",
        "/lists/vip",
        "/rules/0",
        "/rules/0/when",
        "/rules/0/when/keyword",
        "/rules/0/when/time",
        "/rules/0/when/list",
        "/rules/1/action/reply",
        "/rules/2/action/webhook",
        "/after_hours/0",
    ] {
        let at = |document: &Value| document.pointer(pointer).unwrap().clone();
        let mut schema = None;
        walk(
            &document,
            &document["components"]["schemas"]["Routing"],
            &whole(),
            "",
            &mut |_, found, fields| {
                if Value::Object(fields.clone()) == at(&whole()) {
                    schema = Some(found);
                }
            },
        );
        let schema = schema.unwrap_or_else(|| panic!("{pointer}"));
        for name in at(&whole()).as_object().unwrap().keys() {
            let mut without = whole();
            without
                .pointer_mut(pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let required = schema["required"]
                .as_array()
                .is_some_and(|r| r.contains(&json!(name)));
            match serde_json::from_value::<RoutingSettings>(without) {
                Err(_) => assert!(required, "{pointer}/{name} is required"),
                Ok(settings) => {
                    assert!(!required, "{pointer}/{name} is not required");
                    let default = &schema["properties"][name]["default"];
                    let read = at(&serde_json::to_value(settings).unwrap())[name].clone();
                    if !default.is_null() {
                        assert_eq!(&read, default, "{pointer}/{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_schema_has_the_ranges_and_names_of_the_program() {
    let document = document();
    let taken = |pointer: &str, value: Value| {
        let mut changed = whole();
        *changed.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<RoutingSettings>(changed).is_ok_and(|settings| settings.check().is_ok())
    };
    let mut counted = BTreeMap::new();
    for (owner, field, pointer) in [
        ("RoutingRule", "priority", "/rules/0/priority"),
        ("RoutingRule", "name", "/rules/0/name"),
        (
            "RoutingWebhook",
            "timeout_ms",
            "/rules/2/action/webhook/timeout_ms",
        ),
        ("Holiday", "name", "/calendars/office/holidays/0/name"),
        ("RoutingAction", "skillset", "/rules/0/action/skillset"),
        ("AutoReply", "skillset", "/rules/1/action/reply/skillset"),
        ("KeywordCondition", "match", "/rules/0/when/keyword/match"),
        ("TimeCondition", "is", "/rules/0/when/time/is"),
        ("ListCondition", "is", "/rules/0/when/list/is"),
        ("AutoReply", "then", "/rules/1/action/reply/then"),
        ("Interval", "from", "/calendars/office/weekly/monday/0/from"),
        ("Interval", "to", "/calendars/office/weekly/monday/0/to"),
        ("KeywordCondition", "any_of", "/rules/0/when/keyword/any_of"),
        ("RoutingConditions", "numbers", "/rules/0/when/numbers"),
        ("RoutingConditions", "languages", "/rules/0/when/languages"),
        ("AfterHours", "numbers", "/after_hours/0/numbers"),
        ("AfterHours", "skillsets", "/after_hours/0/skillsets"),
        ("Weekly", "monday", "/calendars/office/weekly/monday"),
        ("Holiday", "hours", "/calendars/office/holidays/0/hours"),
        ("Routing", "after_hours", "/after_hours"),
    ] {
        let schema = &document["components"]["schemas"][owner]["properties"][field];
        let mut edges = 0;
        let mut edge = |good: Value, bad: Value| {
            assert!(taken(pointer, good.clone()), "{pointer}: {good}");
            assert!(!taken(pointer, bad.clone()), "{pointer}: {bad}");
            edges += 1;
        };
        if let Some(least) = schema["minimum"].as_i64() {
            edge(json!(least), json!(least - 1));
        }
        if let Some(most) = schema["maximum"].as_i64() {
            edge(json!(most), json!(most + 1));
        }
        let text = |n: u64| json!("x".repeat(n as usize));
        if let Some(least) = schema["minLength"].as_u64() {
            edge(text(least), text(least - 1));
        }
        if let Some(most) = schema["maxLength"].as_u64() {
            edge(text(most), text(most + 1));
        }
        let first = whole().pointer(pointer).unwrap()[0].clone();
        let items = |n: u64| Value::from(vec![first.clone(); n as usize]);
        if let Some(least) = schema["minItems"].as_u64() {
            edge(items(least), items(least - 1));
        }
        if let Some(most) = schema["maxItems"].as_u64() {
            edge(items(most), items(most + 1));
        }
        for name in schema["enum"].as_array().into_iter().flatten() {
            edge(name.clone(), json!("nothing"));
        }
        if schema["pattern"].is_string() {
            let edge_of_day = if field == "to" { "24:00" } else { "23:59" };
            edge(json!("00:00"), json!("7:00"));
            edge(
                json!(if field == "to" { edge_of_day } else { "08:59" }),
                json!("24:01"),
            );
        }
        counted.insert(pointer, edges);
    }
    assert!(counted.values().all(|edges| *edges > 0), "{counted:?}");
}

/// What a dry run answers has the members that the document says.
#[tokio::test]
async fn a_dry_run_is_as_documented() {
    let app = App::start().await;
    let tenant = acme(&app).await;
    let asked = json!({"to": "+14155550123", "from": "+353861234567", "text": "buy", "settings": whole(),
                       "at": "2026-11-24T10:00:00Z"});
    let answer = app.post(&dry_run(tenant.id), asked).await.ok();
    let document = document();
    let mut seen = BTreeSet::new();
    walk(
        &document,
        &document["components"]["schemas"]["DryRunResult"],
        &answer,
        "",
        &mut |path, schema, fields| {
            let documented: BTreeSet<_> = schema["properties"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            let required: BTreeSet<_> = schema["required"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r.as_str().unwrap().to_owned())
                .collect();
            let answered: BTreeSet<_> = fields.keys().cloned().collect();
            assert_eq!((&documented, &required), (&answered, &answered), "{path}");
            seen.insert(path.to_owned());
        },
    );
    let all = [
        "",
        "rules[]",
        "rules[].conditions[]",
        "after_hours",
        "calendars[]",
    ];
    assert_eq!(seen, all.map(str::to_owned).into());
}

fn section() -> &'static str {
    let page = include_str!("../../../../docs/api.md");
    let (_, section) = page.split_once("\n## Routing\n").unwrap();
    section.split_once("\n## ").unwrap().0
}

#[test]
fn the_page_has_every_field() {
    let document = document();
    let mut fields = BTreeSet::new();
    walk(
        &document,
        &document["components"]["schemas"]["Routing"],
        &whole(),
        "",
        &mut |path, _, found| {
            for (name, value) in found.iter().filter(|(_, value)| !value.is_null()) {
                let holds_others = value.is_object() || value[0].is_object();
                let path = format!("{path}.{name}");
                let path = path.trim_start_matches('.');
                // What is named twice stands once.
                let again = path.contains("weekly.")
                    || path.contains("holidays[].hours")
                    || path.contains("fallback.");
                if !(again || holds_others && !path.ends_with("words") && path != "after_hours[].reply") {
                    fields.insert(path.to_owned());
                }
            }
        },
    );
    assert!(fields.len() > 25, "{fields:?}");
    for field in fields {
        assert!(
            section().contains(&format!("| `{field}` | ")),
            "docs/api.md has not: {field}"
        );
    }
}

/// What docs/api.md shows can be sent, and answers what it shows.
#[tokio::test]
async fn the_pages_example_can_be_tried() {
    let mut blocks = section().split("```json\n").skip(1).map(|rest| {
        let (block, _) = rest.split_once("```").unwrap();
        serde_json::from_str::<Value>(block).unwrap()
    });
    let (example, asked, answer) = (
        blocks.next().unwrap(),
        blocks.next().unwrap(),
        blocks.next().unwrap(),
    );
    let app = App::start().await;
    let tenant = acme(&app).await;
    app.put(&of(tenant.id), example).await.ok();
    assert_eq!(app.post(&dry_run(tenant.id), asked).await.ok(), answer);
}
