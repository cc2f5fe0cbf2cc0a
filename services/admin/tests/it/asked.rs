//! What a request may not ask: what its route does not know, what no row can hold, what would undo a refusal.

use crate::{
    access::{made_key, new_user, with_key},
    app::{AUTH_TOKEN, Answer, App, Tenant},
    deletions,
};
use axum::http::Method;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_auth::Role;
use ccm_db::{DbError, Destination, Names, NewNumberMove};
use serde_json::json;

fn base(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}", tenant.id)
}

#[tokio::test]
async fn what_a_route_does_not_know_is_not_passed_over() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let here = base(&tenant);
    let key = app
        .post(&format!("{here}/auth-keys"), json!({"name": "pop"}))
        .await
        .ok();
    let key = format!("{here}/auth-keys/{}", key["id"].as_str().unwrap());
    let refused = app.delete(&format!("{key}?dry_run=true")).await;
    assert_eq!(refused.problem(400), "dry_run", "it has no dry run, and says so");
    assert!(
        app.get(&key).await.ok()["revoked_at"].is_null(),
        "and did nothing"
    );
    for path in [format!("{here}?foo=1"), format!("{here}/links?foo=1")] {
        assert_eq!(app.get(&path).await.problem(400), "foo", "{path}");
    }
    let moved = app
        .post(
            &format!("{here}/numbers/{}/moves?dry_run=true", tenant.number),
            json!({"to_account_id": tenant.account}),
        )
        .await;
    assert_eq!(moved.problem(400), "dry_run", "there the body says it");
    let state = app
        .send_if(
            Method::PUT,
            &format!("{here}/state"),
            "\"stale\"",
            Some(&json!({"state": "active"})),
        )
        .await;
    assert_eq!(state.problem(400), "If-Match");
    let token = app.send(Method::GET, &format!("{here}?foo=1"), None, None).await;
    token.problem_without_field(401);
}

#[tokio::test]
async fn what_no_row_can_hold_is_refused_with_its_field() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let here = base(&tenant);
    for (path, field) in [
        ("/v1/tenants?q=%00".to_owned(), "q"),
        (format!("{here}/links?name=a%00"), "name"),
        (format!("{here}/events?kind=%00"), "kind"),
        (format!("{here}/dead-letters?code=%00"), "code"),
        (
            format!(
                "{here}/links?cursor={}",
                BASE64_URL_SAFE_NO_PAD.encode(r#"["a\u0000","x"]"#)
            ),
            "cursor",
        ),
        (format!("{here}/events?since=9999-12-31T23:59:59-01:00"), "since"),
        (
            format!("{here}/messages/search?q=x&to=9999-12-31T23:59:59-01:00"),
            "to",
        ),
        (
            format!("{here}/deflection-funnel?to=9999-12-31T23:59:59-01:00"),
            "to",
        ),
        (format!("{here}/audit?from=0001-01-01T00:00:00Z"), "from"),
        ("/v1/usage?day=-9999-01-01".to_owned(), "day"),
        (format!("{here}/usage?from=-9999-01-01&to=-9999-01-02"), "to"),
    ] {
        assert_eq!(app.get(&path).await.problem(400), field, "{path}");
    }
    let late = "9999-12-31T23:59:59-01:00";
    let key = json!({"name": "x", "role": "tenant-viewer", "expires_at": late});
    assert_eq!(
        app.post(&format!("{here}/api-keys"), key).await.problem(400),
        "expires_at"
    );
    let key = json!({"name": "x", "expires_at": late});
    assert_eq!(
        app.post(&format!("{here}/auth-keys"), key).await.problem(400),
        "expires_at"
    );
    let window =
        json!({"begins_at": "2026-01-01T00:00:00Z", "ends_at": "9999-12-31T00:00:00-23:59", "reason": "x"});
    let windows = format!("{here}/links/{}/maintenance-windows", tenant.link);
    assert_eq!(app.post(&windows, window).await.problem(400), "ends_at");
    let replay = json!({"kind": "mt", "code": "a\0"});
    let refused = app.post(&format!("{here}/dead-letters/replay"), replay).await;
    assert_eq!(refused.problem(422), "code");
}

#[tokio::test]
async fn a_stored_secret_goes_to_no_other_server() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let account = format!("{}/accounts/{}", base(&tenant), tenant.account);
    let elsewhere = json!({"settings": {"api_base": "https://evil.example.com"}});
    let refused = app.patch(&account, elsewhere).await;
    assert_eq!(refused.problem(422), "secret");
    app.patch(
        &account,
        json!({"settings": {"api_base": "https://sms.example.com"}, "secret": {"auth_token": AUTH_TOKEN}}),
    )
    .await
    .ok();
    let same = json!({"settings": {"api_base": "https://sms.example.com/v2", "timeout_ms": 500}});
    app.patch(&account, same).await.ok();
    for other in ["https://sms.example.com:8443", "http://localhost"] {
        let refused = app
            .patch(&account, json!({"settings": {"api_base": other}}))
            .await;
        assert_eq!(refused.problem(422), "secret", "{other}");
    }
}

/// A document that names a thing, and the thing's going: one of them came first, and the other was refused.
fn one_of(put: &Answer, gone: &Answer) {
    let done = [put, gone].map(|answer| answer.status.is_success());
    assert!(done[0] != done[1], "{} {}", put.text, gone.text);
}

#[tokio::test]
async fn documents_and_what_they_name_change_one_after_the_other() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let here = base(&tenant);
    let made = json!({"name": "WC_Sales", "link_id": tenant.link});
    let made = app.post(&format!("{here}/skillsets"), made).await.ok();
    let sales = format!("{here}/skillsets/{}", made["id"].as_str().unwrap());
    let rule =
        json!({"name": "x", "when": {"numbers": ["+14155550123"]}, "action": {"skillset": "WC_Sales"}});
    for (document, names) in [
        ("routing", json!({"rules": [rule]})),
        (
            "deflection-settings",
            json!({"skillsets": {"Voice_Sales": "WC_Sales"}}),
        ),
    ] {
        let document = format!("{here}/{document}");
        for _ in 0..10 {
            app.put(&document, json!({})).await.ok();
            let (put, patched) = tokio::join!(
                app.put(&document, names.clone()),
                app.patch(&sales, json!({"name": "WC_Other"}))
            );
            one_of(&put, &patched);
            app.put(&document, json!({})).await.ok();
            app.patch(&sales, json!({"name": "WC_Sales"})).await.ok();
        }
    }
    let number =
        json!({"address": "+14155550124", "account_id": tenant.account, "skillset_id": tenant.skillset});
    for (document, names) in [
        ("deflection-settings", json!({"sender": "+14155550124"})),
        (
            "screenpop-settings",
            json!({"senders": {"Sales": "+14155550124"}}),
        ),
    ] {
        let document = format!("{here}/{document}");
        for _ in 0..5 {
            let made = app.post(&format!("{here}/numbers"), number.clone()).await.ok();
            let made = format!("{here}/numbers/{}", made["id"].as_str().unwrap());
            let (put, deleted) = tokio::join!(app.put(&document, names.clone()), app.delete(&made));
            one_of(&put, &deleted);
            app.put(&document, json!({})).await.ok();
            if !deleted.status.is_success() {
                assert_eq!(app.delete(&made).await.status, 204);
            }
        }
    }
    let db = app.deps.db.tenant(tenant.id);
    let unknown = Names {
        skillsets: vec![("here".to_owned(), "nobody".to_owned())],
        numbers: Vec::new(),
    };
    let refused = db.put_routing(&json!({}), &unknown, None).await;
    assert!(matches!(refused, Err(DbError::Contended(_))), "{refused:?}");

    let number = ccm_model::NumberId(tenant.number.parse().unwrap());
    app.delete(&format!("{}/numbers/{}", base(&tenant), tenant.number))
        .await;
    let now = app.deps.ids.clock().now();
    let planned = NewNumberMove {
        id: app.deps.ids.next(),
        number,
        to: Destination {
            account: ccm_model::AccountId(tenant.account.parse().unwrap()),
            tenant: None,
        },
        at: now,
        by: "mary",
        now,
    };
    let refused = db.plan_number_move(planned).await;
    assert!(matches!(refused, Err(DbError::NotFound("number"))), "{refused:?}");
}

#[tokio::test]
async fn while_a_tenant_is_deleted_its_people_read_only() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.token(Role::TenantAdmin, Some(tenant.id));
    let path = format!("{}/templates", base(&tenant));
    let template = json!({"name": "x", "text": "y", "scope": "tenant"});
    deletions::begun(&app, &tenant).await;
    let refused = app.send(Method::POST, &path, Some(&admin), Some(&template)).await;
    refused.problem_without_field(403);
    app.send(Method::GET, &path, Some(&admin), None).await.ok();
    deletions::taken_back(&app, &tenant).await;
    app.send(Method::POST, &path, Some(&admin), Some(&template))
        .await
        .ok();
}

#[tokio::test]
async fn kept_answers_are_for_those_who_may_have_them_still() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let issuer = &app.issuer_of_people;
    let here = base(&own);
    let mut new = new_user("mary", "tenant-admin");
    new["issuer"] = json!(issuer.name);
    let made = app.post(&format!("{here}/users"), new).await.ok();
    let mary = issuer.token(&json!({"sub": "4711", "email": "mary@example.com", "email_verified": true}));
    let key = json!({"name": "CRM", "role": "tenant-viewer"});
    let path = format!("{here}/api-keys");
    assert_eq!(app.raw(with_key(&path, &mary, "k", &key)).await.status, 201);
    assert_eq!(app.raw(with_key(&path, &mary, "k", &key)).await.status, 201);
    let user = format!("{here}/users/{}", made["id"].as_str().unwrap());
    app.patch(&user, json!({"role": "tenant-viewer"})).await.ok();
    assert_eq!(app.raw(with_key(&path, &mary, "k", &key)).await.status, 403);

    let engineer = app.engineer();
    let again = json!({"name": "ERP", "role": "tenant-viewer"});
    app.raw(with_key(&path, &engineer, "e", &again)).await.ok();
    let check = json!({"text": "hello"});
    app.raw(with_key(&format!("{here}/text-check"), &engineer, "t", &check))
        .await
        .ok();
    let of = |tenant: &str| {
        let sql = format!("SELECT count(*) FROM idempotent_request WHERE tenant_id = '{tenant}'");
        app.database.superuser_sql(&sql).unwrap()
    };
    assert_eq!(
        of(&own.id.to_string()).trim(),
        "2",
        "they go with the tenant that they are about; no text is kept"
    );
}

#[tokio::test]
async fn keys_do_not_come_back_and_make_none_that_outlive_them() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = base(&own);
    let old = app
        .post(&format!("{here}/auth-keys"), json!({"name": "pop"}))
        .await
        .ok();
    let old = format!("{here}/auth-keys/{}", old["id"].as_str().unwrap());
    app.post(&format!("{old}/rotate"), json!({"overlap_s": 3600}))
        .await
        .ok();
    let refused = app.patch(&old, json!({"expires_at": null})).await;
    assert_eq!(refused.problem(409), "expires_at");
    app.patch(&old, json!({"name": "old"})).await.ok();

    let (id, key) = made_key(&app, Some(&own), json!({"expires_at": "2099-01-01T00:00:00Z"})).await;
    let make = async |expires_at: Option<&str>| {
        let new = json!({"name": app.deps.ids.next::<uuid::Uuid>(), "role": "tenant-viewer", "expires_at": expires_at});
        app.send(Method::POST, &format!("{here}/api-keys"), Some(&key), Some(&new))
            .await
    };
    assert_eq!(make(None).await.problem(403), "expires_at");
    assert_eq!(
        make(Some("2099-01-02T00:00:00Z")).await.problem(403),
        "expires_at"
    );
    make(Some("2098-12-31T00:00:00Z")).await.ok();
    let rotate = format!("{here}/api-keys/{id}/rotate");
    let later = json!({"overlap_s": 0, "expires_at": "2199-01-01T00:00:00Z"});
    let refused = app.send(Method::POST, &rotate, Some(&key), Some(&later)).await;
    assert_eq!(refused.problem(403), "expires_at");
    app.send(Method::POST, &rotate, Some(&key), Some(&json!({"overlap_s": 0})))
        .await
        .ok();
}

#[tokio::test]
async fn who_sees_all_tenants_is_told_whose_a_user_is() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let new = new_user("mary", "tenant-viewer");
    let path = format!("{}/users", base(&own));
    app.post(&path, new.clone()).await.ok();
    let admin = app.token(Role::PlatformAdmin, None);
    let mine = new_user("mary", "support");
    let told = app
        .send(Method::POST, "/v1/users", Some(&admin), Some(&mine))
        .await;
    assert_eq!(told.problem(409), "email");
    assert!(told.text.contains(&own.id.to_string()), "{}", told.text);
    let tenants = app.token(Role::TenantAdmin, Some(own.id));
    let told = app.send(Method::POST, &path, Some(&tenants), Some(&new)).await;
    assert_eq!(told.problem(409), "email");
    assert!(
        !told.json["detail"].as_str().unwrap().contains("tenant"),
        "{}",
        told.text
    );
}
