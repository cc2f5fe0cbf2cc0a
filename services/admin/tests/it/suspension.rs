//! A tenant that is suspended, and goes on.

use crate::app::App;
use ccm_auth::Role;
use ccm_db::LeaseTimes;
use ccm_model::PodId;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_suspended_tenant_has_no_owner_and_still_takes_texts() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/state", tenant.id);
    let read = app.get(&format!("/v1/tenants/{}", tenant.id)).await.ok();
    assert_eq!(
        (
            &read["state"],
            &read["state_reason"],
            &read["state_since"],
            &read["state_by"]
        ),
        (&json!("active"), &Value::Null, &Value::Null, &Value::Null)
    );
    let operator = app.deps.db.operator();
    let times = LeaseTimes {
        lease: Duration::from_secs(60),
        margin: Duration::from_secs(1),
    };
    let pod: PodId = app.deps.ids.next();
    operator.heartbeat(pod, "pod", false).await.unwrap();
    assert_eq!(
        operator
            .take_leases(pod, &[tenant.id], times)
            .await
            .unwrap()
            .len(),
        1
    );

    let suspended = app
        .put(
            &path,
            json!({"state": "suspended", "reason": "moves, ticket 4711"}),
        )
        .await
        .ok();
    assert_eq!(
        (
            &suspended["state"],
            &suspended["state_reason"],
            &suspended["state_by"]
        ),
        (
            &json!("suspended"),
            &json!("moves, ticket 4711"),
            &json!("somebody")
        )
    );
    assert!(
        operator.leases_of(pod).await.unwrap().is_empty(),
        "its owner lost it"
    );
    assert!(
        operator
            .take_leases(pod, &[tenant.id], times)
            .await
            .unwrap()
            .is_empty()
    );
    app.text(&tenant, "+353861234567", "hello").await;

    let again = app
        .put(&path, json!({"state": "suspended", "reason": "still"}))
        .await
        .ok();
    assert_eq!(
        again["state_since"], suspended["state_since"],
        "since it was suspended first"
    );
    assert_eq!(again["state_reason"], "still");
    let active = app
        .put(&path, json!({"state": "active", "reason": "has moved"}))
        .await
        .ok();
    assert_eq!(app.get(&format!("/v1/tenants/{}", tenant.id)).await.ok(), active);
    assert_eq!(
        operator
            .take_leases(pod, &[tenant.id], times)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_state_needs_a_reason_and_a_tenant() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{tenant}/state");
    for (body, status, field) in [
        (json!({"state": "closed", "reason": "x"}), 400, "state"),
        (json!({"state": "active"}), 400, "reason"),
        (json!({"state": "active", "reason": " "}), 422, "reason"),
        (
            json!({"state": "active", "reason": "x".repeat(501)}),
            422,
            "reason",
        ),
        (json!({"state": "active", "reason": "two\nlines"}), 422, "reason"),
    ] {
        assert_eq!(
            app.put(&path, body.clone()).await.problem(status),
            field,
            "{body}"
        );
    }
    let nobody: ccm_model::TenantId = app.deps.ids.next();
    let body = json!({"state": "active", "reason": "x"});
    app.put(&format!("/v1/tenants/{nobody}/state"), body.clone())
        .await
        .problem(404);
    let token = app.token(Role::TenantAdmin, Some(tenant));
    let answer = app
        .send(axum::http::Method::PUT, &path, Some(&token), Some(&body))
        .await;
    assert_eq!(answer.status, 403);
}
