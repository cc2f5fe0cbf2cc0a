//! A tenant that goes, and one that comes back.

use crate::app::{Answer, App, Tenant};
use axum::http::Method;
use ccm_admin::Deletions;
use ccm_auth::Role;
use ccm_db::{DbError, NewDeletion};
use ccm_model::TenantId;
use serde_json::{Value, json};
use uuid::Uuid;

/// As somebody who may.
pub async fn post(app: &App, path: &str, body: Value) -> Answer {
    let token = app.token(Role::PlatformAdmin, None);
    app.send(Method::POST, path, Some(&token), Some(&body)).await
}

async fn delete(app: &App, path: &str) -> Answer {
    let token = app.token(Role::PlatformAdmin, None);
    app.send(Method::DELETE, path, Some(&token), None).await
}

/// The tenant's deletion is under way.
pub async fn begun(app: &App, tenant: &Tenant) {
    let new = NewDeletion {
        id: app.deps.ids.next(),
        reason: "contract has ended",
        by: "mary",
        grace_days: 30,
        at: app.deps.ids.clock().now(),
    };
    match app.deps.db.operator().begin_deletion(tenant.id, new).await {
        Ok(_) | Err(DbError::Conflict { .. }) => {}
        Err(e) => panic!("{e}"),
    }
}

pub async fn taken_back(app: &App, tenant: &Tenant) {
    let at = app.deps.ids.clock().now();
    let operator = app.deps.db.operator();
    operator.restore_tenant(tenant.id, "mary", at).await.unwrap();
}

/// A deletion that is over, with a certificate.
pub async fn proved(app: &App) -> Uuid {
    let (id, tenant): (Uuid, TenantId) = (app.deps.ids.next(), app.deps.ids.next());
    app.database
        .superuser_sql(&format!(
            "INSERT INTO tenant_deletion (id, tenant_id, slug, name, state, reason, requested_by, requested_at, grace_days, grace_until,
                                          before, certificate, certificate_sha256)
             VALUES ('{id}', '{tenant}', 'gone', 'Gone', 'purged', 'over', 'mary', now(), 0, now(), '{{}}', '{{}}', repeat('0', 64))"
        ))
        .unwrap();
    id
}

fn worker(app: &App) -> Deletions {
    Deletions {
        db: app.deps.db.clone(),
        bus: app.deps.bus.clone(),
        ids: app.deps.ids.clone(),
    }
}

/// Lets time pass for deletions, and makes every step that is due then.
async fn days_pass(app: &App, days: u32) {
    app.database
        .superuser_sql(&format!(
            "UPDATE tenant_deletion SET requested_at = requested_at - interval '3 s', claimed_until = now(),
                                        grace_until = grace_until - interval '{days} days'"
        ))
        .unwrap();
    while worker(app).next_step().await.unwrap() {}
}

#[tokio::test]
async fn a_tenant_goes_with_all_it_has_and_leaves_a_proof() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    for n in 0..5 {
        app.text(&tenant, &format!("+35386123456{n}"), "hello").await;
        app.text(&other, &format!("+35386123456{n}"), "hello").await;
    }
    let path = format!("/v1/tenants/{}/deletion", tenant.id);
    app.get(&path).await.problem(404);
    let ask = json!({"reason": "contract has ended", "grace_days": 2});

    let dry = post(&app, &format!("{path}?dry_run=true"), ask.clone()).await;
    assert_eq!(dry.status, 200);
    let rows = |dry: &Value, name: &str| {
        let tables = dry["tables"].as_array().unwrap();
        let table = tables.iter().find(|table| table["table"] == name);
        table.map_or(0, |table| table["rows"].as_i64().unwrap())
    };
    let would = dry.ok();
    assert_eq!(
        ["message", "conversation", "number", "tenant", "auth_key"].map(|name| rows(&would, name)),
        [5, 5, 1, 1, 0]
    );
    app.get(&path).await.problem(404);

    let begun = post(&app, &path, ask.clone()).await;
    assert_eq!(begun.status, 201);
    let begun = begun.ok();
    assert_eq!(
        (&begun["state"], &begun["requested_by"]),
        (&json!("closing"), &json!("somebody"))
    );
    assert_eq!(post(&app, &path, ask).await.problem(409), "");
    let account = ccm_model::AccountId(tenant.account.parse().unwrap());
    assert_eq!(app.deps.db.operator().account_owner(account).await.unwrap(), None);
    let read = app.get(&format!("/v1/tenants/{}", tenant.id)).await.ok();
    assert_eq!(read["closing_since"], begun["requested_at"]);

    days_pass(&app, 1).await;
    assert_eq!(app.get(&path).await.ok()["state"], "grace");
    days_pass(&app, 2).await;
    let purged = app.get(&path).await.ok();
    assert_eq!(purged["state"], "purged", "{purged}");
    assert_eq!(purged["rows_gone"], purged["rows_before"]);
    app.get(&format!("/v1/tenants/{}", tenant.id)).await.problem(404);
    delete(&app, &path).await.problem(409);

    let id = purged["id"].as_str().unwrap();
    let proof = app.get(&format!("/v1/deletions/{id}/certificate")).await;
    let hash = sha256(proof.text.as_bytes());
    assert_eq!(purged["certificate_sha256"], hash);
    let proof = proof.ok();
    let tables = proof["tables"].as_array().unwrap();
    assert!(tables.iter().all(|table| table["rows_after"] == 0), "{proof}");
    let messages = tables.iter().find(|table| table["table"] == "message").unwrap();
    assert_eq!(messages["rows_before"], 5);
    let all = app.get("/v1/deletions").await.ok();
    assert_eq!(all["items"], json!([purged]));
    assert_eq!(app.get(&format!("/v1/deletions/{id}")).await.ok(), purged);

    let others = app
        .get(&format!("/v1/tenants/{}/conversations", other.id))
        .await
        .ok();
    assert_eq!(others["items"].as_array().unwrap().len(), 5);
    // The name is free.
    app.tenant("acme").await;
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[tokio::test]
async fn a_deletion_can_be_taken_back_until_rows_go() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let state = format!("/v1/tenants/{}/state", tenant.id);
    app.put(&state, json!({"state": "suspended", "reason": "moves"}))
        .await
        .ok();
    let read = async || app.get(&format!("/v1/tenants/{}", tenant.id)).await.ok();
    let before = read().await;
    let path = format!("/v1/tenants/{}/deletion", tenant.id);
    delete(&app, &path).await.problem(404);
    post(&app, &path, json!({"reason": "contract has ended"}))
        .await
        .ok();
    app.put(&state, json!({"state": "active", "reason": "no"}))
        .await
        .problem(409);
    days_pass(&app, 29).await;
    let grace = app.get(&path).await.ok();
    assert_eq!(
        (&grace["state"], &grace["grace_days"]),
        (&json!("grace"), &json!(30))
    );
    assert_eq!(delete(&app, &path).await.status, 204);
    assert_eq!(read().await, before);
    assert_eq!(app.get(&path).await.ok()["restored_by"], "somebody");
    delete(&app, &path).await.problem(409);
    days_pass(&app, 100).await;
    assert_eq!(read().await, before);
    // Once more, and for good.
    let now = json!({"reason": "contract has ended", "grace_days": 0, "confirm": "acme"});
    post(&app, &path, now).await.ok();
    days_pass(&app, 0).await;
    assert_eq!(app.get(&path).await.ok()["state"], "purged");
    assert_eq!(
        app.get("/v1/deletions?limit=1").await.ok()["items"][0]["state"],
        "purged"
    );
}

#[tokio::test]
async fn a_hold_that_is_placed_during_the_grace_makes_the_rows_stay() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    app.text(&tenant, "+353861234567", "hello").await;
    let path = format!("/v1/tenants/{}/deletion", tenant.id);
    let ask = json!({"reason": "contract has ended", "grace_days": 2});
    post(&app, &path, ask).await.ok();
    days_pass(&app, 1).await;
    assert_eq!(app.get(&path).await.ok()["state"], "grace");
    let holds = format!("/v1/tenants/{}/legal-holds", tenant.id);
    let hold = json!({"customer": "+353861234567", "reason": "case 2026-117"});
    let placed = app.post(&holds, hold.clone()).await.ok();
    let id = placed["id"].as_str().unwrap();
    for _ in 0..2 {
        days_pass(&app, 2).await;
        let waits = app.get(&path).await.ok();
        assert_eq!(waits["state"], "grace");
        assert!(waits["last_error"].as_str().unwrap().contains(id), "{waits}");
    }
    let texts = format!("SELECT count(*) FROM message WHERE tenant_id = '{}'", tenant.id);
    assert_eq!(app.database.superuser_sql(&texts).unwrap().trim(), "1");
    assert_eq!(app.delete(&format!("{holds}/{id}")).await.status, 204);
    days_pass(&app, 0).await;
    assert_eq!(app.get(&path).await.ok()["state"], "purged");
    app.post(&holds, hold).await.problem_without_field(404);
}

#[tokio::test]
async fn a_deletion_needs_a_reason_and_the_right_tenant() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{tenant}/deletion");
    for (body, status, field) in [
        (json!({"grace_days": 3}), 400, "reason"),
        (json!({"reason": " "}), 422, "reason"),
        (json!({"reason": "x", "grace_days": 91}), 422, "grace_days"),
        (json!({"reason": "x", "grace_days": 300}), 400, "grace_days"),
        (json!({"reason": "x", "grace_days": 0}), 422, "confirm"),
        (
            json!({"reason": "x", "grace_days": 0, "confirm": "acmes"}),
            422,
            "confirm",
        ),
        (json!({"reason": "x", "confirm": "acmes"}), 422, "confirm"),
    ] {
        for query in ["", "?dry_run=true"] {
            let answer = post(&app, &format!("{path}{query}"), body.clone()).await;
            assert_eq!(answer.problem(status), field, "{body}");
        }
    }
    let nobody: TenantId = app.deps.ids.next();
    let body = json!({"reason": "x"});
    post(&app, &format!("/v1/tenants/{nobody}/deletion"), body.clone())
        .await
        .problem(404);
    let nothing: Uuid = app.deps.ids.next();
    app.get(&format!("/v1/deletions/{nothing}")).await.problem(404);
    app.post(&path, body).await.problem_without_field(403);
    app.get(&path).await.problem(404);
}
