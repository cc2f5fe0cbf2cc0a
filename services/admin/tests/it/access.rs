//! Who comes in, how much they may ask, what is done once, and what is told of them afterwards.

use crate::app::{Answer, App, Tenant, settings};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use ccm_admin::RequestRate;
use ccm_auth::Role;
use ccm_testkit::issuer::Issuer;
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// An API key that can be revoked once: of a tenant, or of the platform.
pub async fn api_key(app: &App, tenant: Option<&Tenant>) -> String {
    made_key(app, tenant, json!({})).await.0
}

/// Its id, and the key.
pub async fn made_key(app: &App, tenant: Option<&Tenant>, more: Value) -> (String, String) {
    let (path, role) = match tenant {
        Some(tenant) => (format!("/v1/tenants/{}/api-keys", tenant.id), "tenant-admin"),
        None => ("/v1/api-keys".to_owned(), "support"),
    };
    let mut new = json!({"name": app.deps.ids.next::<uuid::Uuid>().to_string(), "role": role});
    for (name, value) in more.as_object().unwrap() {
        new[name] = value.clone();
    }
    let admin = app.token(Role::PlatformAdmin, None);
    let made = app.send(Method::POST, &path, Some(&admin), Some(&new)).await.ok();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// A user that can be taken away once: of a tenant, or of the platform.
pub async fn user(app: &App, tenant: Option<&Tenant>) -> String {
    let (path, role) = match tenant {
        Some(tenant) => (format!("/v1/tenants/{}/users", tenant.id), "tenant-viewer"),
        None => ("/v1/users".to_owned(), "support"),
    };
    let new = new_user(&app.deps.ids.next::<uuid::Uuid>().to_string(), role);
    let admin = app.token(Role::PlatformAdmin, None);
    let made = app.send(Method::POST, &path, Some(&admin), Some(&new)).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

pub fn new_user(name: &str, role: &str) -> Value {
    json!({"name": name, "issuer": "https://login.example.com", "email": format!("{name}@example.com"), "role": role})
}

trait Names {
    fn names(&self, status: u16, field: &str);
}

impl Names for Answer {
    fn names(&self, status: u16, field: &str) {
        assert_eq!(self.problem(status), field, "{}", self.json);
    }
}

async fn as_(app: &App, token: &str, path: &str) -> Answer {
    app.send(Method::GET, path, Some(token), None).await
}

pub fn with_key(path: &str, token: &str, key: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .unwrap()
}

#[tokio::test]
async fn a_key_does_what_its_role_and_scopes_allow_until_it_is_revoked() {
    let app = App::start().await;
    let (own, other) = (app.tenant("own").await, app.tenant("other").await);
    let here = format!("/v1/tenants/{}", own.id);
    let (id, key) = made_key(&app, Some(&own), json!({})).await;
    assert!(key.starts_with("ccm_") && key.len() == 47);
    as_(&app, &key, &here).await.ok();
    assert_eq!(
        as_(&app, &key, &format!("/v1/tenants/{}", other.id)).await.status,
        403
    );
    assert_eq!(as_(&app, &key, "/v1/tenants").await.status, 403);

    let about = app.get(&format!("{here}/api-keys/{id}")).await;
    assert!(!about.text.contains(&key), "it is shown once");
    assert!(about.json["last_used_at"].is_string());
    let listed = app.get(&format!("{here}/api-keys")).await.ok();
    assert_eq!(listed["items"][0]["prefix"], key[..10]);

    let scoped = json!({"scopes": ["read-settings"]});
    let (_, reader) = made_key(&app, Some(&own), scoped).await;
    as_(&app, &reader, &here).await.ok();
    let refused = as_(&app, &reader, &format!("{here}/opt-outs")).await;
    refused.problem_without_field(403);
    assert!(
        refused.json["detail"].as_str().unwrap().contains("read-texts"),
        "{}",
        refused.json
    );
    let withheld = as_(&app, &reader, &format!("{here}/conversations")).await;
    assert_eq!(withheld.status, 200);

    assert_eq!(app.delete(&format!("{here}/api-keys/{id}")).await.status, 204);
    let gone = as_(&app, &key, &here).await;
    gone.problem_without_field(401);
    assert!(gone.json["detail"].as_str().unwrap().contains("revoked"));
    for nonsense in ["ccm_", "ccm_AAAA", &key.replace("ccm_", "ccm_x")] {
        assert_eq!(as_(&app, nonsense, &here).await.status, 401, "{nonsense}");
    }
}

#[tokio::test]
async fn keys_overlap_when_they_are_rotated() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}", own.id);
    let (id, old) = made_key(&app, Some(&own), json!({"scopes": ["read-settings"]})).await;
    let rotate = format!("{here}/api-keys/{id}/rotate");
    let new = app.post(&rotate, json!({"overlap_s": 3600})).await.ok();
    let key = new["key"].as_str().unwrap();
    assert_eq!(new["scopes"], json!(["read-settings"]));
    as_(&app, &old, &here).await.ok();
    as_(&app, key, &here).await.ok();
    let about = app.get(&format!("{here}/api-keys/{id}")).await.ok();
    assert_eq!(about["replaced_by"], new["id"]);
    let twice = app.post(&rotate, json!({})).await;
    twice.problem_without_field(409);
    app.post(
        &format!("{here}/api-keys/{}/rotate", new["id"].as_str().unwrap()),
        json!({"overlap_s": 0}),
    )
    .await
    .ok();
    assert_eq!(
        as_(&app, key, &here).await.status,
        401,
        "without an overlap it is over at once"
    );
    app.post(&rotate, json!({"overlap_s": 2_592_001}))
        .await
        .names(422, "overlap_s");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}/api-keys", own.id);
    let (_, manager) = made_key(
        &app,
        Some(&own),
        json!({"scopes": ["manage-access", "read-settings"]}),
    )
    .await;
    let give = async |new: Value| app.send(Method::POST, &here, Some(&manager), Some(&new)).await;
    let mut mighty = json!({"name": "mighty", "role": "tenant-admin"});
    give(mighty.clone()).await.names(403, "role");
    mighty["scopes"] = json!(["read-settings"]);
    give(mighty).await.ok();
    let (mightier, _) = made_key(&app, Some(&own), json!({})).await;
    let stolen = app
        .send(
            Method::POST,
            &format!("{here}/{mightier}/rotate"),
            Some(&manager),
            Some(&json!({})),
        )
        .await;
    stolen.names(403, "role");

    let engineer = app
        .post("/v1/api-keys", json!({"name": "x", "role": "support"}))
        .await;
    assert_eq!(engineer.status, 403, "the platform's keys are its admins'");
    let users = format!("/v1/tenants/{}/users", own.id);
    let made = app.post(&users, new_user("mary", "tenant-admin")).await.ok();
    let change = format!("{users}/{}", made["id"].as_str().unwrap());
    let raised = app
        .send(
            Method::PATCH,
            &change,
            Some(&manager),
            Some(&json!({"name": "Mary"})),
        )
        .await;
    raised.names(403, "role");
    let out = app
        .send(
            Method::PATCH,
            &change,
            Some(&manager),
            Some(&json!({"disabled": true})),
        )
        .await;
    assert_eq!(
        out.status, 200,
        "to shut somebody out gives nothing away: {}",
        out.json
    );
}

#[tokio::test]
async fn what_is_no_key_or_user_is_refused_with_its_field() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}", own.id);
    for (new, status, field) in [
        (json!({"name": "", "role": "tenant-viewer"}), 422, "name"),
        (json!({"name": "x", "role": "engineer"}), 422, "role"),
        (json!({"name": "x", "role": "root"}), 400, "role"),
        (
            json!({"name": "x", "role": "tenant-viewer", "scopes": []}),
            422,
            "scopes",
        ),
        (
            json!({"name": "x", "role": "tenant-viewer", "scopes": ["write-settings"]}),
            422,
            "scopes",
        ),
        (
            json!({"name": "x", "role": "tenant-viewer", "scopes": ["all"]}),
            400,
            "scopes[0]",
        ),
        (
            json!({"name": "x", "role": "tenant-viewer", "expires_at": "2020-01-01T00:00:00Z"}),
            422,
            "expires_at",
        ),
    ] {
        let refused = app.post(&format!("{here}/api-keys"), new.clone()).await;
        refused.names(status, field);
    }
    for (changes, status, field) in [
        (json!({"name": "a\nb"}), 422, "name"),
        (json!({"issuer": "https://other.example.com"}), 422, "issuer"),
        (json!({"email": "mary"}), 422, "email"),
        (json!({"email": null}), 422, "email"),
        (json!({"role": "support"}), 422, "role"),
    ] {
        let mut new = new_user("mary", "tenant-viewer");
        for (name, value) in changes.as_object().unwrap() {
            new[name] = value.clone();
        }
        app.post(&format!("{here}/users"), new).await.names(status, field);
    }
    app.post(&format!("{here}/users"), new_user("mary", "tenant-viewer"))
        .await
        .ok();
    let twice = app
        .post(&format!("{here}/users"), new_user("MARY", "tenant-viewer"))
        .await;
    twice.names(409, "email");
}

#[tokio::test]
async fn people_sign_in_with_their_issuers_tokens() {
    let app = App::start().await;
    let issuer = &app.issuer_of_people;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}", own.id);
    let claims = json!({"sub": "4711", "email": "Mary@example.com", "email_verified": true});
    let stranger = as_(&app, &issuer.token(&claims), &here).await;
    stranger.problem_without_field(401);
    assert!(
        stranger.json["detail"].as_str().unwrap().contains("no user"),
        "{}",
        stranger.json
    );

    let mut new = new_user("mary", "tenant-viewer");
    new["issuer"] = json!(issuer.name);
    let made = app.post(&format!("{here}/users"), new).await.ok();
    let user = format!("{here}/users/{}", made["id"].as_str().unwrap());
    as_(&app, &issuer.token(&claims), &here).await.ok();
    assert_eq!(app.get(&user).await.ok()["subject"], "4711");
    as_(&app, &issuer.token(&json!({"sub": "4711"})), &here)
        .await
        .ok();
    let heir = json!({"sub": "4712", "email": "mary@example.com", "email_verified": true});
    assert_eq!(
        as_(&app, &issuer.token(&heir), &here).await.status,
        401,
        "an address that was given anew"
    );

    let settings = json!({"language": "de"});
    let write = async || {
        let path = format!("{here}/chat-settings");
        let token = issuer.token(&claims);
        app.send(Method::PUT, &path, Some(&token), Some(&settings))
            .await
            .status
    };
    assert_eq!(write().await, 403);
    app.patch(&user, json!({"role": "tenant-admin"})).await.ok();
    assert_eq!(write().await, 200, "another role holds from the next request on");
    let told = app.get(&format!("{here}/audit?kind=chat_settings")).await.ok();
    let actor = &told["items"][0]["actor"];
    assert_eq!(
        (&actor["sub"], &actor["via"], &actor["user"]),
        (&json!("mary@example.com"), &json!("oidc"), &made["id"]),
        "names and addresses may be given anew: {told}"
    );

    app.patch(&user, json!({"disabled": true})).await.ok();
    let out = as_(&app, &issuer.token(&claims), &here).await;
    assert!(
        out.json["detail"].as_str().unwrap().contains("disabled"),
        "{}",
        out.json
    );
    app.patch(&user, json!({"disabled": false})).await.ok();
    as_(&app, &issuer.token(&claims), &here).await.ok();
    assert_eq!(app.delete(&user).await.status, 204);
    assert_eq!(as_(&app, &issuer.token(&claims), &here).await.status, 401);
}

#[tokio::test]
async fn an_issuer_changes_its_key_and_is_not_asked_for_each_made_up_one() {
    let app = App::start().await;
    let issuer = &app.issuer_of_people;
    let claims = json!({"sub": "1"});
    let admin = app.token(Role::PlatformAdmin, None);
    let mut new = new_user("root", "platform-admin");
    new["issuer"] = json!(issuer.name);
    new["subject"] = json!("1");
    app.send(Method::POST, "/v1/users", Some(&admin), Some(&new))
        .await
        .ok();
    for _ in 0..3 {
        as_(&app, &issuer.token(&claims), "/v1/tenants").await.ok();
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");
    let old = issuer.token(&claims);
    issuer.change_key("second");
    // An issuer is not asked again within 10 s, whatever tokens say: the first ask was just now.
    assert_eq!(as_(&app, &issuer.token(&claims), "/v1/tenants").await.status, 401);
    assert_eq!(issuer.asked(), 1);
    as_(&app, &old, "/v1/tenants").await.ok();
    let fresh = App::start_with(settings(issuer)).await;
    let new = json!({"name": "r", "issuer": issuer.name, "subject": "1", "role": "platform-admin"});
    let admin = fresh.token(Role::PlatformAdmin, None);
    fresh
        .send(Method::POST, "/v1/users", Some(&admin), Some(&new))
        .await
        .ok();
    as_(&fresh, &issuer.token(&claims), "/v1/tenants").await.ok();
    assert_eq!(
        as_(&fresh, &old, "/v1/tenants").await.status,
        401,
        "the old key is gone"
    );
    for claims in [json!({"sub": "1", "aud": "other"}), json!({"sub": "1", "exp": 1})] {
        assert_eq!(
            as_(&fresh, &issuer.token(&claims), "/v1/tenants").await.status,
            401,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_said_to_be_away() {
    let mut settings = settings(&Issuer::start().await);
    let nowhere = "https://127.0.0.1:1".to_owned();
    settings.issuers.push(nowhere.clone());
    let app = App::start_with(settings).await;
    let token = app.issuer_of_people.token(&json!({"iss": nowhere, "sub": "1"}));
    let away = as_(&app, &token, "/v1/tenants").await;
    assert_eq!((away.status.as_u16(), away.problem(503)), (503, ""));
}

#[tokio::test]
async fn a_change_is_done_once_however_often_it_is_sent() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let (path, engineer) = (format!("/v1/tenants/{}/api-keys", own.id), app.engineer());
    let new = json!({"name": "CRM", "role": "tenant-viewer"});
    let first = app.raw(with_key(&path, &engineer, "k-1", &new)).await;
    assert_eq!(first.status, 201);
    let again = app.raw(with_key(&path, &engineer, "k-1", &new)).await;
    assert_eq!(
        (again.status, &again.json),
        (first.status, &first.json),
        "even what is shown once"
    );
    assert_eq!(app.get(&path).await.ok()["items"].as_array().unwrap().len(), 1);
    let other = json!({"name": "ERP", "role": "tenant-viewer"});
    app.raw(with_key(&path, &engineer, "k-1", &other))
        .await
        .names(422, "Idempotency-Key");
    let anew = app.raw(with_key(&path, &engineer, "k-2", &new)).await;
    anew.names(409, "name");
    assert_eq!(
        app.raw(with_key(&path, &engineer, "k-2", &other)).await.status,
        201,
        "what failed has done nothing"
    );
    for bad in ["", "with blank", &"x".repeat(256)] {
        app.raw(with_key(&path, &engineer, bad, &other))
            .await
            .names(400, "Idempotency-Key");
    }
    let (_, key) = made_key(&app, Some(&own), json!({})).await;
    let somebody_else = app
        .raw(with_key(
            &path,
            &key,
            "k-1",
            &json!({"name": "x", "role": "tenant-viewer"}),
        ))
        .await;
    assert_eq!(somebody_else.status, 201, "a key is its sender's");
    app.raw(with_key(&path, "nonsense", "k-1", &new))
        .await
        .problem_without_field(401);

    let at_once = (0..8).map(|_| {
        app.raw(with_key(
            &path,
            &engineer,
            "k-3",
            &json!({"name": "at once", "role": "tenant-viewer"}),
        ))
    });
    let statuses: Vec<u16> = futures::future::join_all(at_once)
        .await
        .iter()
        .map(|a| a.status.as_u16())
        .collect();
    assert!(
        statuses.contains(&201) && statuses.iter().all(|s| [201, 409].contains(s)),
        "{statuses:?}"
    );
    assert_eq!(app.get(&path).await.ok()["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn who_asks_too_much_waits_and_nobody_else_does() {
    let mut app = App::start().await;
    let three = NonZeroU32::new(3).unwrap();
    app.with_rate(RequestRate {
        per_minute: NonZeroU32::new(60).unwrap(),
        at_once: three,
    });
    let (engineer, support) = (app.engineer(), app.token(Role::Support, None));
    let ask = async |token: &str| {
        let request = Request::get("/v1/tenants").header(header::AUTHORIZATION, format!("Bearer {token}"));
        app.whole(request.body(Body::empty()).unwrap()).await
    };
    let text = |headers: &axum::http::HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    for left in ["2", "1", "0"] {
        let answer = ask(&engineer).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(text(answer.headers(), "ratelimit-limit"), "3");
        assert_eq!(text(answer.headers(), "ratelimit-remaining"), left);
    }
    let refused = ask(&engineer).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        text(refused.headers(), "content-type"),
        "application/problem+json"
    );
    let wait: u64 = text(refused.headers(), "retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(ask(&support).await.status(), 200, "somebody else");
    assert_eq!(ask("nonsense").await.status(), 401);
}
