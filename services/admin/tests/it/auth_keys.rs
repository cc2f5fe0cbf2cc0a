//! Screen-pop keys: changed, replaced with an overlap, revoked.

use crate::app::{App, Tenant};
use ccm_auth::AuthKey;
use ccm_db::AuthKeyOwner;
use serde_json::{Value, json};
use std::time::Duration;

fn of(tenant: &Tenant, key: &Value) -> String {
    format!(
        "/v1/tenants/{}/auth-keys/{}",
        tenant.id,
        key["id"].as_str().unwrap()
    )
}

async fn make(app: &App, tenant: &Tenant, body: Value) -> Value {
    app.post(&format!("/v1/tenants/{}/auth-keys", tenant.id), body)
        .await
        .ok()
}

/// What the key opens after so many seconds.
async fn opens(app: &App, key: &Value, seconds: u64) -> Option<AuthKeyOwner> {
    let key = AuthKey::parse(key["key"].as_str().unwrap()).unwrap();
    let at = app.deps.ids.clock().now() + Duration::from_secs(seconds);
    let hash = key.lookup_hash(&app.deps.lookup_key);
    app.deps.db.operator().auth_key_owner(&hash, at).await.unwrap()
}

#[tokio::test]
async fn a_key_is_replaced_while_both_are_good() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let old = make(
        &app,
        &tenant,
        json!({"name": "agents", "networks": ["192.0.2.0/24"]}),
    )
    .await;
    let body = json!({"overlap_s": 3600, "expires_at": "2099-01-01T00:00:00Z"});
    let new = app
        .post(&format!("{}/rotate", of(&tenant, &old)), body.clone())
        .await
        .ok();
    assert_ne!((&new["id"], &new["key"]), (&old["id"], &old["key"]));
    assert_eq!(
        (&new["name"], &new["networks"], &new["expires_at"]),
        (
            &json!("agents"),
            &json!(["192.0.2.0/24"]),
            &json!("2099-01-01T00:00:00Z")
        )
    );
    for (key, now, later) in [(&old, true, false), (&new, true, true)] {
        assert_eq!(opens(&app, key, 0).await.is_some(), now);
        assert_eq!(opens(&app, key, 3601).await.is_some(), later);
    }
    let read = app.get(&of(&tenant, &old)).await.ok();
    assert_eq!(read["replaced_by"], new["id"]);
    assert!(read.get("key").is_none(), "the key is not shown again");

    let again = app
        .post(&format!("{}/rotate", of(&tenant, &old)), body.clone())
        .await;
    again.problem(409);
    assert!(
        again.json["detail"]
            .as_str()
            .unwrap()
            .contains(new["id"].as_str().unwrap())
    );
    let third = app
        .post(&format!("{}/rotate", of(&tenant, &new)), json!({"overlap_s": 0}))
        .await
        .ok();
    assert!(opens(&app, &new, 0).await.is_none(), "no overlap was wanted");
    assert!(opens(&app, &third, 0).await.is_some());
    let path = format!("/v1/tenants/{}/auth-keys?name=agents", tenant.id);
    for (query, count) in [("", 3), ("&active=true", 2), ("&active=false", 1)] {
        let found = app.get(&format!("{path}{query}")).await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
    for (body, field) in [
        (json!({"overlap_s": -1}), "overlap_s"),
        (json!({"overlap_s": 7_776_001}), "overlap_s"),
        (
            json!({"overlap_s": 1, "expires_at": "2001-01-01T00:00:00Z"}),
            "expires_at",
        ),
    ] {
        let answer = app.post(&format!("{}/rotate", of(&tenant, &third)), body).await;
        assert_eq!(answer.problem(422), field);
    }
}

#[tokio::test]
async fn a_key_that_ends_before_the_overlap_does_not_last_longer() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let soon = (app.deps.ids.clock().now() + Duration::from_secs(60))
        .replace_nanosecond(0)
        .unwrap();
    let soon = soon
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let old = make(&app, &tenant, json!({"name": "agents", "expires_at": soon})).await;
    app.post(
        &format!("{}/rotate", of(&tenant, &old)),
        json!({"overlap_s": 3600}),
    )
    .await
    .ok();
    assert_eq!(app.get(&of(&tenant, &old)).await.ok()["expires_at"], json!(soon));
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_leaves_its_name() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let key = make(&app, &tenant, json!({"name": "agents"})).await;
    assert!(opens(&app, &key, 0).await.is_some());
    assert_eq!(app.delete(&of(&tenant, &key)).await.status, 204);
    assert!(opens(&app, &key, 0).await.is_none());
    let read = app.get(&of(&tenant, &key)).await.ok();
    assert!(read["revoked_at"].is_string());
    assert_eq!(app.delete(&of(&tenant, &key)).await.status, 204, "twice is once");
    assert_eq!(app.get(&of(&tenant, &key)).await.ok(), read);
    app.patch(&of(&tenant, &key), json!({"name": "x"}))
        .await
        .problem(409);
    app.post(&format!("{}/rotate", of(&tenant, &key)), json!({"overlap_s": 1}))
        .await
        .problem(409);
    make(&app, &tenant, json!({"name": "agents"})).await;
}

#[tokio::test]
async fn a_key_opens_what_it_is_for() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/auth-keys", tenant.id);
    let all = json!(["screenpop", "deflection", "number-check"]);
    let key = app.post(&path, json!({"name": "any"})).await.ok();
    assert_eq!(key["uses"], all, "as it was before there were uses");
    let page = json!({"name": "page", "uses": ["screenpop", "screenpop"]});
    let page = app.post(&path, page).await.ok();
    assert_eq!(page["uses"], json!(["screenpop"]));
    assert_eq!(
        opens(&app, &page, 0).await.unwrap().uses,
        [ccm_model::KeyUse::Screenpop]
    );
    let rotated = app
        .post(
            &format!("{}/rotate", of(&tenant, &page)),
            json!({"overlap_s": 60}),
        )
        .await
        .ok();
    assert_eq!(rotated["uses"], json!(["screenpop"]));
    for (uses, status) in [(json!([]), 422), (json!(["everything"]), 400)] {
        let answer = app.patch(&of(&tenant, &rotated), json!({"uses": uses})).await;
        assert_eq!(answer.status, status, "{}", answer.json);
    }
    let script = json!({"uses": ["deflection"]});
    let script = app.patch(&of(&tenant, &rotated), script).await.ok();
    assert_eq!(script["uses"], json!(["deflection"]));
    let any = app
        .patch(&of(&tenant, &rotated), json!({"uses": null}))
        .await
        .ok();
    assert_eq!(any["uses"], all);
}

#[tokio::test]
async fn networks_are_cidr_blocks() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let key = make(
        &app,
        &tenant,
        json!({"name": "agents", "networks": ["192.0.2.77/24", "2001:db8::1/32"]}),
    )
    .await;
    assert_eq!(key["networks"], json!(["192.0.2.0/24", "2001:db8::/32"]));
    assert_eq!(
        opens(&app, &key, 0).await.unwrap().networks,
        ["192.0.2.0/24", "2001:db8::/32"]
    );
    for (networks, field) in [
        (json!(["192.0.2.0/24", "192.0.2.1"]), "networks[1]"),
        (json!(["192.0.2.0/33"]), "networks[0]"),
        (json!(["office"]), "networks[0]"),
        (json!(vec!["192.0.2.0/24"; 51]), "networks"),
    ] {
        let answer = app.patch(&of(&tenant, &key), json!({"networks": networks})).await;
        assert_eq!(answer.problem(422), field);
    }
    let open = app
        .patch(
            &of(&tenant, &key),
            json!({"networks": null, "expires_at": "2099-01-01T00:00:00Z"}),
        )
        .await
        .ok();
    assert_eq!(
        (&open["networks"], &open["expires_at"]),
        (&json!([]), &json!("2099-01-01T00:00:00Z"))
    );
    let open = app
        .patch(&of(&tenant, &key), json!({"expires_at": null}))
        .await
        .ok();
    assert_eq!(open["expires_at"], Value::Null);
    let late = app
        .patch(&of(&tenant, &key), json!({"expires_at": "2001-01-01T00:00:00Z"}))
        .await;
    assert_eq!(late.problem(422), "expires_at");
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute_and_is_no_change() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let key = make(&app, &tenant, json!({"name": "agents"})).await;
    let before = app.get(&of(&tenant, &key)).await;
    assert_eq!(before.json["last_used_at"], Value::Null);
    let db = app.deps.db.tenant(tenant.id);
    let (id, at) = (
        key["id"].as_str().unwrap().parse().unwrap(),
        app.deps.ids.clock().now(),
    );
    let used = async |seconds: u64| {
        db.auth_key_used(id, at + Duration::from_secs(seconds))
            .await
            .unwrap();
        app.get(&of(&tenant, &key)).await
    };
    let first = used(0).await;
    assert_eq!(first.etag, before.etag);
    assert_eq!(used(59).await.json["last_used_at"], first.json["last_used_at"]);
    assert_ne!(used(60).await.json["last_used_at"], first.json["last_used_at"]);
}
