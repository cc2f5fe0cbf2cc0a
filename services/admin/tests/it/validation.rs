use crate::app::{ACCOUNT_SID, AUTH_TOKEN, App};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::{Id, TenantId};
use serde_json::{Value, json};

/// Every rule of every field: which status, which field is named.
#[tokio::test]
async fn each_refusal_names_its_field() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let good = |what: &str| match what {
        "/v1/tenants" => json!({"slug": "new", "name": "New"}),
        "links" => json!({"name": "new", "url": "wss://aacc"}),
        "skillsets" => json!({"name": "new", "link_id": tenant.link}),
        "accounts" => json!({"name": "new", "kind": "twilio", "settings": {"account_sid": ACCOUNT_SID},
                             "secret": {"auth_token": AUTH_TOKEN}}),
        "numbers" => {
            json!({"address": "72345", "account_id": tenant.account, "skillset_id": tenant.skillset})
        }
        "auth-keys" => json!({"name": "new"}),
        _ => unreachable!(),
    };
    let long = "x".repeat(101);
    let nobody = "00000000-0000-7000-8000-000000000000";
    let cases: &[(&str, &str, Value, u16)] = &[
        ("/v1/tenants", "slug", json!("Not A Slug"), 422),
        ("/v1/tenants", "slug", json!(7), 400),
        ("/v1/tenants", "slug", Value::Null, 400),
        ("/v1/tenants", "slug", json!("acme"), 409),
        ("/v1/tenants", "name", json!(""), 422),
        ("/v1/tenants", "name", json!("nul \0"), 422),
        ("links", "name", json!(long), 422),
        ("links", "name", json!("main"), 409),
        ("links", "url", json!("https://aacc.example.com"), 422),
        (
            "links",
            "ca_pem",
            json!("-----BEGIN CERTIFICATE-----\nMIIB\n"),
            422,
        ),
        ("links", "swap_angle_brackets", json!("yes"), 400),
        ("links", "connects_per_second", json!(0), 422),
        ("links", "connects_per_second", json!(1e40), 422),
        ("links", "server_name", json!("wss://aacc"), 422),
        ("links", "addresses", json!(["aacc.example.com"]), 400),
        ("links", "addresses", json!(vec!["192.0.2.1"; 17]), 422),
        ("links", "addresses", json!(["192.0.2.1", "0.0.0.0"]), 422),
        ("links", "secondary_url", json!("ws://aacc2"), 422),
        ("links", "secondary_url", json!("wss://aacc"), 422),
        ("links", "client_certificate_pem", json!(7), 400),
        ("links", "client_key_pem", json!(1234567890123456u64), 400),
        ("links", "proxy_url", json!("https://proxy:3128"), 422),
        ("links", "proxy_url", json!("http://***@proxy:3128"), 422),
        ("skillsets", "name", json!(" WC_Default_Skillset"), 422),
        ("skillsets", "name", json!("WC_Default_Skillset"), 409),
        ("skillsets", "link_id", json!("main"), 400),
        ("skillsets", "link_id", json!(nobody), 422),
        ("accounts", "name", json!("main"), 409),
        ("accounts", "name", json!(long), 422),
        ("accounts", "kind", json!("telex"), 400),
        ("accounts", "settings", json!({"account_sid": "SK"}), 422),
        ("accounts", "secret", json!({"auth_token": "short"}), 422),
        ("accounts", "secret", json!({"auth_token": null}), 422),
        ("numbers", "address", json!("14155550123"), 422),
        ("numbers", "address", json!("WEBTEXT"), 422),
        ("numbers", "address", json!("+14155550123"), 409),
        ("numbers", "account_id", json!(nobody), 422),
        ("numbers", "skillset_id", json!(nobody), 422),
        ("numbers", "per_second", json!(1001), 422),
        ("auth-keys", "name", json!("line\nend"), 422),
        ("auth-keys", "key", json!("too short"), 422),
        ("auth-keys", "key", json!(1234567890123456u64), 400),
        ("auth-keys", "expires_at", json!("2001-01-01T00:00:00Z"), 422),
        ("auth-keys", "expires_at", json!("tomorrow"), 400),
    ];
    for (what, field, value, status) in cases {
        let mut body = good(what);
        body[*field] = value.clone();
        let path = if what.starts_with('/') {
            (*what).to_owned()
        } else {
            format!("{base}/{what}")
        };
        let answer = app.post(&path, body).await;
        let named = answer.problem(*status).split(['.', '[']).next().unwrap();
        assert_eq!(named, *field, "{what} {value}: {}", answer.json);
    }
    assert!(
        !app.ever_said("1234567890123456"),
        "a key that came as a number is not repeated"
    );
    for what in ["links", "skillsets", "accounts", "numbers", "auth-keys"] {
        let path = format!("{base}/{what}");
        let before = app.get(&path).await.ok()["items"].as_array().unwrap().len();
        assert_eq!(
            before,
            usize::from(what != "auth-keys"),
            "{what}: nothing was made on the way"
        );
        let mut body = good(what);
        body["nmae"] = json!("typo");
        assert_eq!(app.post(&path, body).await.problem(400), "nmae");
        for missing in good(what).as_object().unwrap().keys() {
            let mut body = good(what);
            body.as_object_mut().unwrap().remove(missing);
            assert_eq!(app.post(&path, body).await.problem(400), missing, "{what}");
        }
        app.post(&path, good(what)).await.ok();
    }
}

#[tokio::test]
async fn what_exists_is_named() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    for (what, body, id) in [
        (
            "links",
            json!({"name": "main", "url": "wss://other"}),
            &tenant.link,
        ),
        (
            "skillsets",
            json!({"name": "WC_Default_Skillset", "link_id": tenant.link}),
            &tenant.skillset,
        ),
        (
            "accounts",
            json!({"name": "main", "kind": "http", "settings": {"send_url": "https://x/"},
                   "secret": {"signing_secret": AUTH_TOKEN}}),
            &tenant.account,
        ),
        (
            "numbers",
            json!({"address": "+1 415 555 0123", "account_id": tenant.account, "skillset_id": tenant.skillset}),
            &tenant.number,
        ),
    ] {
        let answer = app.post(&format!("{base}/{what}"), body).await;
        answer.problem(409);
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains(id.as_str()), "{what}: {detail}");
    }
}

/// A key belongs to one tenant; the other is told that it is taken, and not by whom.
#[tokio::test]
async fn another_tenants_key_is_refused_without_naming_its_owner() {
    let app = App::start().await;
    let (ours, theirs) = (app.bare_tenant("ours").await, app.bare_tenant("theirs").await);
    let body = json!({"name": "x", "key": "0123456789abcdef"});
    let made = app
        .post(&format!("/v1/tenants/{theirs}/auth-keys"), body.clone())
        .await
        .ok();
    let answer = app.post(&format!("/v1/tenants/{ours}/auth-keys"), body).await;
    assert_eq!(answer.problem(409), "key");
    for secret in [&theirs.to_string(), made["id"].as_str().unwrap()] {
        assert!(!answer.json.to_string().contains(secret));
    }
}

/// Composite references keep tenants apart: another tenant's ids are as unknown as invented ones.
#[tokio::test]
async fn another_tenants_ids_are_unknown() {
    let app = App::start().await;
    let (ours, theirs) = (app.tenant("ours").await, app.tenant("theirs").await);
    let base = format!("/v1/tenants/{}", ours.id);
    for (what, body, field) in [
        (
            "skillsets",
            json!({"name": "x", "link_id": theirs.link}),
            "link_id",
        ),
        (
            "numbers",
            json!({"address": "72345", "account_id": theirs.account, "skillset_id": ours.skillset}),
            "account_id",
        ),
        (
            "numbers",
            json!({"address": "72345", "account_id": ours.account, "skillset_id": theirs.skillset}),
            "skillset_id",
        ),
    ] {
        assert_eq!(
            app.post(&format!("{base}/{what}"), body).await.problem(422),
            field
        );
    }
    let conversation = app.text(&theirs, "+353861234567", "hello").await;
    app.get(&format!("{base}/conversations/{conversation}"))
        .await
        .problem(404);
    app.get(&format!("{base}/conversations/{conversation}/messages"))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_not_found() {
    let app = App::start().await;
    let nobody: TenantId = TenantId::from_uuid(app.deps.ids.next::<TenantId>().uuid());
    for path in [
        "",
        "/links",
        "/skillsets",
        "/accounts",
        "/numbers",
        "/auth-keys",
        "/conversations",
        "/chat-settings",
        "/sms-settings",
        "/screenpop-settings",
        "/screenpop-signing-keys",
        "/dead-letters",
        "/opt-outs",
        "/consent-events",
        "/number-check?number=72345",
        "/routing",
    ] {
        app.get(&format!("/v1/tenants/{nobody}{path}")).await.problem(404);
    }
    let link = json!({"name": "x", "url": "wss://aacc"});
    app.post(&format!("/v1/tenants/{nobody}/links"), link)
        .await
        .problem(404);
    assert_eq!(app.get("/v1/tenants/acme").await.problem(400), "tenant");
}

#[tokio::test]
async fn what_is_not_json_is_told_so() {
    let app = App::start().await;
    let request = |kind: &str, body: String| {
        Request::post("/v1/tenants")
            .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap()
    };
    app.raw(request("text/plain", "slug=x".to_owned()))
        .await
        .problem(415);
    app.raw(request("application/json", "{".to_owned()))
        .await
        .problem(400);
    let large = json!({"slug": "x", "name": "x".repeat(app.deps.max_body_bytes)}).to_string();
    let answer = app.raw(request("application/json", large)).await;
    assert_eq!(answer.status, 413);
}
