//! How tenants and the platform do, as the API tells it.

use crate::{
    app::{Answer, App, Tenant},
    dead_letters::refused,
};
use axum::http::Method;
use ccm_auth::Role;
use ccm_db::{AccountEventRow, Fence, LinkStateRow};
use ccm_model::PodId;
use serde_json::{Value, json};
use std::time::Duration;

const CUSTOMER: &str = "+353861234567";

async fn own(app: &App, tenant: &Tenant) -> Fence {
    let pod: PodId = app.deps.ids.next();
    let operator = app.deps.db.operator();
    operator.heartbeat(pod, "pod-0", false).await.unwrap();
    let owned = operator
        .take_leases(pod, &[tenant.id], app.deps.lease_times)
        .await
        .unwrap();
    Fence { pod, owned: owned[0] }
}

async fn link_is(app: &App, tenant: &Tenant, fence: &Fence, state: &str, error: Option<&str>) {
    let now = app.deps.ids.clock().now();
    let row = LinkStateRow {
        link: tenant.link.parse().unwrap(),
        state: state.to_owned(),
        since: now,
        endpoint: "primary".to_owned(),
        error: error.map(str::to_owned),
        remedy: error.map(|_| "start the web communications manager".to_owned()),
        chats: 0,
        waiting: 0,
        certificate_until: None,
        certificate: None,
        updated_at: now,
    };
    app.deps
        .db
        .tenant(tenant.id)
        .put_link_state(fence, &row)
        .await
        .unwrap();
}

async fn account_fails(app: &App, tenant: &Tenant) {
    let event = AccountEventRow {
        id: app.deps.ids.next(),
        account: tenant.account.parse().unwrap(),
        kind: "failing".to_owned(),
        at: app.deps.ids.clock().now(),
        detail: json!({"code": "20003", "detail": "the credentials are refused"}),
    };
    assert!(
        app.deps
            .db
            .tenant(tenant.id)
            .account_turned(&event)
            .await
            .unwrap()
    );
}

fn codes(overview: &Value) -> Vec<&str> {
    let reasons = overview["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_tenant_says_how_it_does_and_what_to_do() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/overview", tenant.id);
    let read = async || app.get(&path).await.ok();
    let fresh = read().await;
    assert_eq!(
        (&fresh["health"], codes(&fresh)),
        (&json!("attention"), vec!["link_unexamined"])
    );
    assert_eq!(fresh["reasons"][0]["link_id"], json!(tenant.link));
    assert_eq!(fresh["links"]["unknown"], 1);
    assert_eq!(
        (
            &fresh["last_text_in_at"],
            &fresh["oldest_for_agent_at"],
            &fresh["texts_for_agent"]
        ),
        (&Value::Null, &Value::Null, &json!(0))
    );

    let fence = own(&app, &tenant).await;
    link_is(&app, &tenant, &fence, "up", None).await;
    let up = read().await;
    assert_eq!(
        (&up["health"], &up["reasons"], &up["links"]["up"]),
        (&json!("ok"), &json!([]), &json!(1))
    );

    let conversation = app.text(&tenant, CUSTOMER, "hello").await;
    let waits = read().await;
    assert_eq!(waits["health"], "ok", "it has just come");
    assert_eq!(
        (&waits["texts_for_agent"], &waits["open_conversations"]),
        (&json!(1), &json!(1))
    );
    assert!(waits["oldest_for_agent_at"].is_string() && waits["last_text_in_at"].is_string());
    assert_eq!(waits["last_text_out_at"], Value::Null);
    // What is kept until the tenant opens waits for nobody.
    let held =
        format!("UPDATE conversation SET held = '{{\"calendar\": \"office\"}}' WHERE id = '{conversation}'");
    app.database.superuser_sql(&held).unwrap();
    assert_eq!(read().await["texts_for_agent"], 0);
    let waits = |what: &str| {
        let sql = format!("UPDATE conversation SET held = NULL, {what} WHERE id = '{conversation}'");
        app.database.superuser_sql(&sql).unwrap();
    };
    waits("waits_for = 'maintenance', waits_since = now()");
    assert_eq!(
        read().await["texts_for_agent"],
        0,
        "nor for an AACC that is meant to be away"
    );
    waits("waits_for = 'agent', waits_since = now()");
    assert_eq!(read().await["texts_for_agent"], 1);

    link_is(&app, &tenant, &fence, "down", Some("connection refused")).await;
    account_fails(&app, &tenant).await;
    refused(&app, &tenant, "second").await;
    let broken = read().await;
    assert_eq!(
        (&broken["health"], codes(&broken)),
        (
            &json!("failing"),
            vec!["link_down", "account_failing", "dead_letters"]
        )
    );
    assert_eq!(
        broken["reasons"][0]["what"],
        "the link main is down: connection refused"
    );
    assert_eq!(
        broken["reasons"][0]["remedy"],
        "start the web communications manager"
    );
    assert_eq!(broken["reasons"][1]["account_id"], json!(tenant.account));
    assert!(!broken.to_string().contains("353861234567") && !broken.to_string().contains("hello"));

    let window =
        json!({"begins_at": "2020-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z", "reason": "patch"});
    let planned = format!(
        "/v1/tenants/{}/links/{}/maintenance-windows",
        tenant.id, tenant.link
    );
    let made = app.post(&planned, window).await;
    if made.status == 422 {
        // It must lie ahead: as if it had been planned yesterday.
        let window = json!({"begins_at": "2098-01-01T00:00:00Z", "ends_at": "2098-01-01T01:00:00Z", "reason": "patch"});
        app.post(&planned, window).await.ok();
    }
    app.database
        .superuser_sql("UPDATE maintenance_window SET begins_at = now() - interval '1 hour', ends_at = now() + interval '1 hour'")
        .unwrap();
    assert!(codes(&read().await).contains(&"link_away"));

    let suspend = json!({"state": "suspended", "reason": "moves house"});
    app.put(&format!("/v1/tenants/{}/state", tenant.id), suspend)
        .await
        .ok();
    let suspended = read().await;
    assert_eq!(
        (&suspended["health"], codes(&suspended)),
        (&json!("attention"), vec!["suspended"])
    );
    app.get(&format!(
        "/v1/tenants/{}/overview",
        app.deps.ids.next::<uuid::Uuid>()
    ))
    .await
    .problem_without_field(404);
}

#[tokio::test]
async fn all_tenants_come_in_pages_and_by_how_they_do() {
    let app = App::start().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(app.tenant(&format!("bank-{n}")).await);
    }
    app.bare_tenant("shop").await;
    let fence = own(&app, &made[3]).await;
    link_is(&app, &made[3], &fence, "down", Some("refused")).await;
    let slugs = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["slug"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = app.get("/v1/overview").await.ok();
    assert_eq!(
        slugs(&all),
        ["bank-0", "bank-1", "bank-2", "bank-3", "bank-4", "shop"]
    );
    assert_eq!(all.get("next_cursor"), None);
    let mut one = app
        .get(&format!("/v1/tenants/{}/overview", made[3].id))
        .await
        .ok();
    one["slug"] = json!("bank-3");
    assert_eq!(all["items"][3], one);

    let failing = app.get("/v1/overview?health=failing").await.ok();
    assert_eq!(
        (slugs(&failing), failing.get("next_cursor")),
        (vec!["bank-3".to_owned()], None)
    );
    for query in ["name=BANK&limit=2", "name=bank&health=attention&limit=2"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..4 {
            let page = app.get(&format!("/v1/overview?{query}{cursor}")).await.ok();
            assert!(slugs(&page).len() <= 2);
            seen.extend(slugs(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let expected: Vec<_> = (0..5)
            .filter(|n| query.starts_with("name=BANK") || *n != 3)
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|n| format!("bank-{n}")).collect();
        assert_eq!(seen, expected, "{query}");
    }
    for (query, field) in [
        ("health=bad", "health"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ] {
        assert_eq!(
            app.get(&format!("/v1/overview?{query}")).await.problem(400),
            field
        );
    }
}

#[tokio::test]
async fn whoever_runs_the_platform_sees_what_is_there_what_waits_and_what_fails() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let read = async || {
        let support = app.token(Role::Support, None);
        app.send(Method::GET, "/v1/platform", Some(&support), None)
            .await
            .ok()
    };
    let empty = read().await;
    assert_eq!(
        (&empty["processes"], &empty["oldest_unsent"], &empty["failures"]),
        (&json!([]), &Value::Null, &json!([]))
    );
    assert_eq!(empty["leases"]["nobodys"], 2);
    assert_eq!(
        empty["problems"][0]["what"],
        "2 tenants have no owner: their chats are not served"
    );
    assert_eq!(empty["queues"].as_array().unwrap().len(), 10);

    let (fence, _) = (own(&app, &tenant).await, own(&app, &other).await);
    let operator = app.deps.db.operator();
    for (role, draining) in [
        ("connector", false),
        ("admin", false),
        ("events", true),
        ("dispatch", true),
    ] {
        let id: PodId = match role {
            "connector" => fence.pod,
            _ => app.deps.ids.next(),
        };
        operator
            .process_is_there(id, role, "pod-0", "0.1.0", draining)
            .await
            .unwrap();
    }
    let silent = "UPDATE process SET started_at = now() - interval '1 hour', seen_at = now() - interval '46 seconds' WHERE role IN ('admin', 'events')";
    app.database.superuser_sql(silent).unwrap();
    link_is(&app, &tenant, &fence, "down", Some("connection refused")).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    account_fails(&app, &other).await;
    app.text(&tenant, CUSTOMER, "hello").await;
    let line = format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) SELECT id, tenant_id, now() - interval '31 seconds' FROM conversation;
         INSERT INTO outbox (message_id, tenant_id, conversation_id, seq, created_at)
         SELECT id, tenant_id, conversation_id, 2, created_at FROM message WHERE tenant_id = '{}'",
        tenant.id
    );
    app.database.superuser_sql(&line).unwrap();

    let seen = read().await;
    let states: Vec<_> = seen["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|process| {
            (
                process["role"].as_str().unwrap(),
                process["state"].as_str().unwrap(),
                process["leases"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("connector", "running", 1),
            ("dispatch", "draining", 0),
            ("admin", "silent", 0),
            ("events", "ended", 0)
        ]
    );
    assert_eq!(
        (&seen["leases"]["owned"], &seen["leases"]["items"][0]["owner"]),
        (&json!(2), &json!("pod-0"))
    );
    let problems: Vec<_> = seen["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["what"].as_str().unwrap())
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("admin") && problems[1].contains("no dispatch has taken up"),
        "{problems:?}"
    );
    assert_eq!(seen["oldest_unsent"]["tenant_id"], json!(tenant.id));
    let failures: Vec<_> = seen["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| {
            (
                failure["slug"].as_str().unwrap(),
                failure["reason"]["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(failures, [("acme", "link_down"), ("other", "account_failing")]);
    assert_eq!(seen["more_failures"], false);
    assert!(!seen.to_string().contains("353861234567") && !seen.to_string().contains("hello"));

    operator
        .process_is_there(app.deps.ids.next(), "admin", "pod-1", "0.1.0", false)
        .await
        .unwrap();
    let seen = read().await;
    assert_eq!(seen["processes"][3]["state"], "replaced", "{}", seen["processes"]);
    assert_eq!(
        seen["problems"].as_array().unwrap().len(),
        1,
        "{}",
        seen["problems"]
    );
}

#[tokio::test]
async fn figures_come_step_by_step_also_where_nothing_happened() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    for n in 0..3 {
        app.text(&tenant, &format!("+35386123456{n}"), "hello").await;
    }
    app.database
        .superuser_sql("UPDATE message SET state = 'refused', error_code = 'no agent' WHERE seq = 1 AND id = (SELECT min(id::text)::uuid FROM message)")
        .unwrap();
    let path = format!("/v1/tenants/{}/statistics", tenant.id);
    let usual = app.get(&path).await.ok();
    assert_eq!(usual["step"], "15m");
    let buckets = usual["buckets"].as_array().unwrap();
    assert!((96..=97).contains(&buckets.len()), "{}", buckets.len());
    let total: i64 = buckets
        .iter()
        .map(|bucket| bucket["texts_in"].as_i64().unwrap())
        .sum();
    assert_eq!(total, 3);
    let with: Vec<_> = buckets.iter().filter(|bucket| bucket["failed"] == 1).collect();
    assert_eq!(with.len(), 1);
    assert_eq!(with[0]["failed_by_reason"], json!({"no agent": 1}));
    assert_eq!(
        (&buckets[0]["texts_in"], &buckets[0]["to_agent_p95_ms"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(buckets[0]["at"], usual["from"]);

    let month = app
        .get(&format!(
            "{path}?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z&step=1h"
        ))
        .await
        .ok();
    assert_eq!(month["buckets"].as_array().unwrap().len(), 744);
    let long = app
        .get(&format!(
            "{path}?from=2026-10-01T00:00:00Z&to=2026-11-01T01:00:00Z&step=1h"
        ))
        .await;
    assert_eq!(long.problem(400), "step");
    assert_eq!(long.json["remedy"], "ask for a shorter time, or with step=1d");
    for (query, field) in [
        ("from=2026-10-02T00:00:00Z&to=2026-10-01T00:00:00Z", "from"),
        ("step=2h", "step"),
        ("from=yesterday", "from"),
    ] {
        assert_eq!(
            app.get(&format!("{path}?{query}")).await.problem(400),
            field,
            "{query}"
        );
    }
    let mut app = app;
    app.with_slots(ccm_admin::StoreSlots::new(0));
    app.get(&path).await.problem_without_field(429);
}

/// As whoever may say that the database was restored.
async fn as_admin(app: &App, path: &str, body: Value) -> Answer {
    let admin = app.token(Role::PlatformAdmin, None);
    app.send(Method::POST, path, Some(&admin), Some(&body)).await
}

/// A life of the database that nobody has settled.
pub async fn open_life(app: &App) -> String {
    let life = as_admin(app, "/v1/platform/lives", json!({"reason": "a snapshot"}))
        .await
        .ok();
    life["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn that_the_database_was_restored_is_told_and_settled() {
    let app = App::start().await;
    let before = app.get("/v1/platform").await.ok();
    assert_eq!(before["database"]["how"], "first");
    assert_eq!(before["database"]["state"], "settled");
    assert_eq!(before["database"]["server_tells"], true);
    for (body, field) in [
        (json!({"reason": " "}), "reason"),
        (
            json!({"reason": "a snapshot", "known_until": "2099-01-01T00:00:00Z"}),
            "known_until",
        ),
    ] {
        assert_eq!(
            as_admin(&app, "/v1/platform/lives", body).await.problem(422),
            field
        );
    }
    let known = json!({"reason": "a snapshot", "known_until": "2026-03-01T22:00:00Z"});
    let life = as_admin(&app, "/v1/platform/lives", known).await.ok();
    assert_eq!((&life["how"], &life["state"]), (&json!("told"), &json!("open")));
    let seen = app.get("/v1/platform").await.ok();
    assert_eq!(seen["database"]["id"], life["id"]);
    let problems = seen["problems"].to_string();
    assert!(problems.contains("the database was restored"), "{problems}");
    let here = format!("/v1/platform/lives/{}/settle", life["id"].as_str().unwrap());
    let settled = as_admin(&app, &here, json!({"reason": "opt-outs are there"})).await;
    assert_eq!(settled.status, 200);
    assert_eq!(settled.json["state"], "settled");
    assert_eq!(
        as_admin(&app, &here, json!({"reason": "again"})).await.status,
        409
    );
    let lives = app.get("/v1/platform/lives?limit=1").await.ok();
    assert_eq!(lives["items"][0]["id"], life["id"]);
    let rest = format!(
        "/v1/platform/lives?cursor={}",
        lives["next_cursor"].as_str().unwrap()
    );
    assert_eq!(app.get(&rest).await.ok()["items"][0]["how"], "first");
    let audit = app.get("/v1/audit?kind=database_life").await.ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
}
