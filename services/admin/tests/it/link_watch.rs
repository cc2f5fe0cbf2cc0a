//! How links do, what happened to them, and when they are meant to be away.

use crate::app::{App, Tenant};
use ccm_model::Id;
use serde_json::{Value, json};
use uuid::Uuid;

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/links/{}/{rest}", tenant.id, tenant.link)
}

/// Something happens to the tenant's link, as a connector writes it down.
pub fn happened(app: &App, tenant: &Tenant, kind: &str) -> String {
    let id = app.deps.ids.next::<Uuid>().uuid();
    app.database
        .superuser_sql(&format!(
            "insert into link_event (id, tenant_id, link_id, kind, at, muted, detail)
             values ('{id}', '{}', '{}', '{kind}', '2026-03-01 12:00Z', true, '{{\"endpoint\": \"primary\"}}')",
            tenant.id, tenant.link
        ))
        .unwrap();
    id.to_string()
}

fn window(begins_at: &str, ends_at: &str) -> Value {
    json!({"begins_at": begins_at, "ends_at": ends_at, "reason": "patch"})
}

#[tokio::test]
async fn a_link_does_as_its_pod_says() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let state = app.get(&of(&tenant, "state")).await.ok();
    assert_eq!(state["state"], "unknown", "no pod has said anything");
    assert_eq!((&state["chats"], &state["waiting"]), (&json!(0), &json!(0)));
    for member in [
        "since",
        "endpoint",
        "error",
        "remedy",
        "certificate_until",
        "updated_at",
    ] {
        assert_eq!(state[member], Value::Null, "{member}");
    }
    // Another of the tenant's links does otherwise.
    let second = json!({"name": "second", "url": "wss://aacc2"});
    let second = app
        .post(&format!("/v1/tenants/{}/links", tenant.id), second)
        .await
        .ok();
    for (link, state) in [
        (tenant.link.as_str(), "down"),
        (second["id"].as_str().unwrap(), "up"),
    ] {
        app.database
            .superuser_sql(&format!(
                "insert into link_state values ('{link}', '{}', '{state}', '2026-03-01 12:00Z', 'secondary',
                 'connection refused', 'open the port', 7, 3, '2026-06-01 00:00Z', '2026-03-01 12:00:05Z')",
                tenant.id
            ))
            .unwrap();
    }
    assert_eq!(
        app.get(&of(&tenant, "state")).await.ok(),
        json!({"state": "down", "since": "2026-03-01T12:00:00Z", "endpoint": "secondary",
               "error": "connection refused", "remedy": "open the port", "chats": 7, "waiting": 3,
               "certificate_until": "2026-06-01T00:00:00Z", "updated_at": "2026-03-01T12:00:05Z"})
    );
}

#[tokio::test]
async fn events_come_in_pages_the_newest_first() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    happened(&app, &other, "link_up");
    let mut made: Vec<_> = (0..5).map(|_| happened(&app, &tenant, "link_down")).collect();
    made.sort_by(|a, b| b.cmp(a));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = app
            .get(&of(&tenant, &format!("events?limit=2{cursor}")))
            .await
            .ok();
        for event in page["items"].as_array().unwrap() {
            assert_eq!(event["kind"], "link_down");
            assert_eq!(
                (&event["muted"], &event["at"]),
                (&json!(true), &json!("2026-03-01T12:00:00Z"))
            );
            assert_eq!(event["detail"], json!({"endpoint": "primary"}));
            seen.push(event["id"].as_str().unwrap().to_owned());
        }
        cursor = page["next_cursor"]
            .as_str()
            .map(|cursor| format!("&cursor={cursor}"))
            .unwrap_or_default();
    }
    assert_eq!(seen, made);
    assert_eq!(cursor, "", "the last page says that it is the last");
    assert_eq!(
        app.get(&of(&tenant, "events?cursor=x")).await.problem(400),
        "cursor"
    );
    assert_eq!(
        app.get(&of(&tenant, "events?limit=201")).await.problem(400),
        "limit"
    );
}

#[tokio::test]
async fn windows_are_planned_and_taken_back() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let windows = of(&tenant, "maintenance-windows");
    let late = window("2099-03-08T23:00:00+01:00", "2099-03-09T02:00:00Z");
    let late = app.post(&windows, late).await;
    assert_eq!(late.status, 201);
    let late = late.ok();
    assert_eq!(
        (&late["begins_at"], &late["ends_at"], &late["reason"]),
        (
            &json!("2099-03-08T22:00:00Z"),
            &json!("2099-03-09T02:00:00Z"),
            &json!("patch")
        )
    );
    let early = window("2099-03-01T22:00:00Z", "2099-03-02T02:00:00Z");
    let early = app.post(&windows, early).await.ok();
    assert_eq!(app.get(&windows).await.ok(), json!({"items": [early, late]}));
    app.database
        .superuser_sql(&format!(
            "insert into maintenance_window (id, tenant_id, link_id, begins_at, ends_at, reason)
             values ('{NOBODY}', '{}', '{}', '2026-01-01', '2026-01-02', 'over')",
            tenant.id, tenant.link
        ))
        .unwrap();
    assert_eq!(
        app.get(&windows).await.ok(),
        json!({"items": [early, late]}),
        "what is over is not shown"
    );

    let path = format!("{windows}/{}", early["id"].as_str().unwrap());
    let gone = app.delete(&path).await;
    assert_eq!((gone.status.as_u16(), gone.json), (204, Value::Null));
    app.delete(&path).await.problem(404);
    assert_eq!(app.get(&windows).await.ok(), json!({"items": [late]}));
}

#[tokio::test]
async fn windows_that_cannot_be_are_refused() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let windows = of(&tenant, "maintenance-windows");
    let good = window("2099-03-01T22:00:00Z", "2099-03-02T02:00:00Z");
    for (field, value, status) in [
        ("ends_at", json!("2099-03-01T22:00:00Z"), 422),
        ("ends_at", json!("2099-03-16T22:00:00Z"), 422),
        ("ends_at", json!("tomorrow"), 400),
        ("ends_at", Value::Null, 400),
        ("begins_at", json!("2099-03-01"), 400),
        ("reason", json!(""), 422),
        ("reason", json!("x".repeat(201)), 422),
        ("reasons", json!("x"), 400),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert_eq!(app.post(&windows, body).await.problem(status), field);
    }
    let past = window("2020-03-01T22:00:00Z", "2020-03-02T02:00:00Z");
    assert_eq!(app.post(&windows, past).await.problem(422), "ends_at");
    assert_eq!(app.get(&windows).await.ok(), json!({"items": []}));
}

/// Another tenant's link and window are as unknown as invented ones.
#[tokio::test]
async fn links_that_the_tenant_does_not_have_are_not_found() {
    let app = App::start().await;
    let (ours, theirs) = (app.tenant("ours").await, app.tenant("theirs").await);
    let good = window("2099-03-01T22:00:00Z", "2099-03-02T02:00:00Z");
    let windows = of(&theirs, "maintenance-windows");
    let window = app.post(&windows, good.clone()).await.ok()["id"].clone();
    let window = window.as_str().unwrap();
    for link in [NOBODY, &theirs.link] {
        let base = format!("/v1/tenants/{}/links/{link}", ours.id);
        for path in ["state", "events", "maintenance-windows"] {
            app.get(&format!("{base}/{path}")).await.problem(404);
        }
        app.post(&format!("{base}/maintenance-windows"), good.clone())
            .await
            .problem(404);
        app.delete(&format!("{base}/maintenance-windows/{window}"))
            .await
            .problem(404);
        let link = json!({"name": "x", "url": "wss://aacc"});
        app.put(&base, link).await.problem(404);
    }
    let base = format!("/v1/tenants/{}/links/main", ours.id);
    assert_eq!(app.get(&format!("{base}/state")).await.problem(400), "link");
    assert_eq!(app.get(&windows).await.ok()["items"].as_array().unwrap().len(), 1);
}
