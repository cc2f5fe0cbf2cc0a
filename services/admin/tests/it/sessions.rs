//! Signing in and out.

use crate::{
    access::{made_key, new_user},
    app::{Answer, App},
};
use axum::http::Method;
use ccm_auth::Role;
use serde_json::json;

async fn sign_in(app: &App, token: &str) -> Answer {
    app.send(Method::POST, "/v1/sessions", Some(token), None).await
}

async fn key(app: &App, token: &str) -> String {
    let made = sign_in(app, token).await.ok();
    made["key"].as_str().unwrap().to_owned()
}

async fn get(app: &App, token: &str, path: &str) -> Answer {
    app.send(Method::GET, path, Some(token), None).await
}

#[tokio::test]
async fn a_session_is_what_began_it_until_it_is_signed_out() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let token = app.token_for(Role::TenantViewer, Some(own.id), 600);
    let made = sign_in(&app, &token).await.ok();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("ccms_") && key.len() == 48);
    let me = get(&app, key, "/v1/me").await.ok();
    assert_eq!(
        (&me["subject"], &me["role"], &me["tenant"], &me["session"]),
        (
            &json!("somebody"),
            &json!("tenant-viewer"),
            &json!(own.id),
            &made["id"]
        )
    );
    assert_eq!(me["permissions"], json!(["read-settings", "read-texts"]));
    assert_eq!(
        me["expires_at"], made["expires_at"],
        "as long as the token, and no longer"
    );
    assert_eq!(get(&app, &token, "/v1/me").await.ok()["session"], json!(null));

    let here = format!("/v1/tenants/{}", own.id);
    get(&app, key, &here).await.ok();
    assert_eq!(get(&app, key, "/v1/tenants").await.status, 403);
    assert_eq!(get(&app, key, &format!("{here}/api-keys")).await.status, 403);
    sign_in(&app, key).await.problem(409);
    let out = async |token: &str| {
        app.send(Method::DELETE, "/v1/me/session", Some(token), None)
            .await
    };
    out(&token).await.problem(409);
    assert_eq!(out(key).await.status, 204);
    let over = get(&app, key, &here).await;
    over.problem_without_field(401);
    assert!(
        over.json["detail"].as_str().unwrap().contains("sign in again"),
        "{}",
        over.json
    );
    get(&app, &token, &here).await.ok();
    for nonsense in ["ccms_", "ccms_AAAA", &key.replace("ccms_", "ccms_x")] {
        assert_eq!(get(&app, nonsense, &here).await.status, 401, "{nonsense}");
    }

    let told = app.get(&format!("{here}/audit?kind=session")).await;
    assert!(!told.text.contains(&key[5..]));
    let told = told.ok();
    let actions: Vec<_> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["action"])
        .collect();
    assert_eq!(actions, ["changed", "created"], "{told}");
}

#[tokio::test]
async fn a_session_ends_with_its_key_its_user_its_use_and_its_time() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}", own.id);
    let (id, program) = made_key(&app, Some(&own), json!({"scopes": ["read-settings"]})).await;
    let session = key(&app, &program).await;
    assert_eq!(
        get(&app, &session, "/v1/me").await.ok()["permissions"],
        json!(["read-settings"])
    );
    assert_eq!(get(&app, &session, &format!("{here}/opt-outs")).await.status, 403);
    app.delete(&format!("{here}/api-keys/{id}")).await;
    assert_eq!(get(&app, &session, &here).await.status, 401);

    let mut mary = new_user("mary", "tenant-viewer");
    mary["issuer"] = json!(app.issuer_of_people.name);
    let user = app.post(&format!("{here}/users"), mary).await.ok();
    let user = format!("{here}/users/{}", user["id"].as_str().unwrap());
    let claims = json!({"sub": "4711", "email": "mary@example.com", "email_verified": true});
    let session = key(&app, &app.issuer_of_people.token(&claims)).await;
    let me = get(&app, &session, "/v1/me").await.ok();
    assert_eq!(
        (&me["subject"], &me["via"]),
        (&json!("mary@example.com"), &json!("oidc"))
    );
    app.patch(&user, json!({"role": "tenant-admin"})).await.ok();
    assert_eq!(get(&app, &session, "/v1/me").await.ok()["role"], "tenant-admin");
    app.patch(&user, json!({"disabled": true})).await.ok();
    assert_eq!(get(&app, &session, &here).await.status, 401);

    let idle = key(&app, &app.engineer()).await;
    get(&app, &idle, &here).await.ok();
    let later = |column: &str, by: &str| {
        let sql = format!("UPDATE session SET {column} = {column} - interval '{by}'");
        app.database.superuser_sql(&sql).unwrap();
    };
    later("last_used_at", "59 minutes");
    get(&app, &idle, &here).await.ok();
    later("last_used_at", "59 minutes");
    get(&app, &idle, &here).await.ok();
    later("last_used_at", "61 minutes");
    assert_eq!(get(&app, &idle, &here).await.status, 401, "not used for an hour");
    let old = key(&app, &app.token_for(Role::Engineer, None, 86_400)).await;
    later("expires_at", "11 hours 59 minutes");
    get(&app, &old, &here).await.ok();
    later("expires_at", "1 minute");
    assert_eq!(get(&app, &old, &here).await.status, 401, "twelve hours old");
}
