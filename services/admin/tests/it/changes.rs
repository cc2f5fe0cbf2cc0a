//! Things that are read one by one and changed, without two people overwriting each other.

use crate::app::{AUTH_TOKEN, App, Tenant};
use axum::http::Method;
use ccm_testkit::certs::Ca;
use serde_json::{Value, json};

async fn key(app: &App, tenant: &Tenant) -> String {
    let path = format!("/v1/tenants/{}/auth-keys", tenant.id);
    let made = app.post(&path, json!({"name": "agents"})).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_is_read_with_a_tag_that_guards_its_change() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let (key, of_other) = (key(&app, &tenant).await, key(&app, &other).await);
    let base = format!("/v1/tenants/{}", tenant.id);
    for (what, id, foreign, change) in [
        ("links", &tenant.link, &other.link, json!({"name": "new"})),
        (
            "skillsets",
            &tenant.skillset,
            &other.skillset,
            json!({"name": "new"}),
        ),
        (
            "accounts",
            &tenant.account,
            &other.account,
            json!({"name": "new"}),
        ),
        ("numbers", &tenant.number, &other.number, json!({"per_second": 9})),
        ("auth-keys", &key, &of_other, json!({"name": "new"})),
    ] {
        let path = format!("{base}/{what}/{id}");
        let list = app.get(&format!("{base}/{what}")).await.ok();
        let before = app.get(&path).await;
        let (tag, before) = (before.etag.clone(), before.ok());
        assert_eq!(list["items"], json!([before]), "{what}");
        assert!(tag.starts_with('"'), "{what}: {tag}");
        assert_eq!(app.get(&path).await.etag, tag, "{what}: it stays");

        let patch = async |tag: &str| app.send_if(Method::PATCH, &path, tag, Some(&change)).await;
        assert_eq!(patch("\"older\"").await.problem(412), "If-Match", "{what}");
        assert_eq!(app.get(&path).await.ok(), before, "{what}: nothing was changed");
        let changed = patch(&tag).await;
        let (newer, changed) = (changed.etag.clone(), changed.ok());
        assert_ne!(newer, tag, "{what}");
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(changed[field].as_f64(), value.as_f64(), "{what}");
            assert_eq!(changed[field].as_str(), value.as_str(), "{what}");
        }
        assert_eq!(
            patch(&tag).await.problem(412),
            "If-Match",
            "{what}: changed meanwhile"
        );
        patch("*").await.ok();
        app.patch(&path, change.clone()).await.ok();
        app.patch(&path, json!({"nmae": "typo"})).await.problem(400);

        let foreign = format!("{base}/{what}/{foreign}");
        app.get(&foreign).await.problem(404);
        app.patch(&foreign, change.clone()).await.problem(404);
        app.delete(&foreign).await.problem(404);
    }
}

#[tokio::test]
async fn a_secret_that_nobody_sees_changes_the_tag() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/accounts/{}", tenant.id, tenant.account);
    let tag = app.get(&path).await.etag;
    let secret = json!({"secret": {"auth_token": "another-secret-of-twilio"}});
    let newer = app.send_if(Method::PATCH, &path, &tag, Some(&secret)).await;
    assert_ne!(newer.etag, tag);
    newer.ok();
    // What is counted is nobody's change.
    let account = tenant.account.parse().unwrap();
    let db = app.deps.db.tenant(tenant.id);
    let tag = app.get(&path).await.etag;
    db.signatures_mismatched(account, 3, app.deps.ids.clock().now())
        .await
        .unwrap();
    let read = app.get(&path).await;
    assert_eq!(
        (read.etag.clone(), read.ok()["signature_mismatches"].clone()),
        (tag, json!(3))
    );
}

#[tokio::test]
async fn a_link_is_changed_piece_by_piece_and_keeps_its_secrets() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/links/{}", tenant.id, tenant.link);
    let ca = Ca::new("Test CA").unwrap();
    let client = ca.issue_client("ccm").unwrap();
    let rich = json!({"server_name": "aacc.internal", "addresses": ["192.0.2.1"], "ca_pem": ca.pem(),
                      "secondary_url": "wss://aacc2.example.com:8445",
                      "client_certificate_pem": client.cert_pem, "client_key_pem": client.key_pem,
                      "proxy_url": "http://user:PROXY-SECRET@proxy:3128"});
    let rich = app.patch(&path, rich).await.ok();
    assert_eq!(
        (&rich["server_name"], &rich["has_client_key"], &rich["proxy_url"]),
        (
            &json!("aacc.internal"),
            &json!(true),
            &json!("http://***@proxy:3128")
        )
    );
    let secrets = async || {
        let db = app.deps.db.tenant(tenant.id);
        let secrets = db.link_secrets(tenant.link.parse().unwrap()).await.unwrap();
        (
            secrets.client_key_pem.is_some(),
            secrets.proxy_auth.map(|auth| auth.to_string()),
        )
    };
    let kept = (true, Some("user:PROXY-SECRET".to_owned()));
    assert_eq!(secrets().await, kept);

    let moved = app
        .patch(
            &path,
            json!({"url": "wss://aacc3.example.com:8445/other/path", "connects_per_second": 2}),
        )
        .await
        .ok();
    let mut expected = rich.clone();
    expected["url"] = json!("wss://aacc3.example.com:8445/other/path");
    expected["secondary_url"] = json!("wss://aacc2.example.com:8445/other/path");
    expected["connects_per_second"] = json!(2.0);
    expected["updated_at"] = moved["updated_at"].clone();
    assert_eq!(moved, expected, "what is left out stays");
    assert_eq!(secrets().await, kept);

    for (patch, status, field) in [
        (json!({"name": null}), 400, "name"),
        (json!({"url": "https://aacc"}), 422, "url"),
        (
            json!({"client_key_pem": 1234567890123456u64}),
            400,
            "client_key_pem",
        ),
        (json!({"proxy_url": 1234567890123456u64}), 400, "proxy_url"),
        (
            json!({"proxy_url": "http://***@elsewhere:3128"}),
            422,
            "proxy_url",
        ),
        (json!({"connects_per_second": 0}), 422, "connects_per_second"),
        (json!({"secondary_url": "ws://aacc2"}), 422, "secondary_url"),
    ] {
        assert_eq!(
            app.patch(&path, patch.clone()).await.problem(status),
            field,
            "{patch}"
        );
    }
    assert_eq!(app.get(&path).await.ok(), moved);

    let nothing = json!({"server_name": null, "addresses": null, "secondary_url": null, "ca_pem": null,
                         "client_certificate_pem": null, "proxy_url": null, "swap_angle_brackets": null,
                         "connects_per_second": null});
    let plain = app.patch(&path, nothing).await.ok();
    for field in [
        "server_name",
        "secondary_url",
        "ca_pem",
        "client_certificate_pem",
        "proxy_url",
    ] {
        assert_eq!(plain[field], Value::Null, "{field}");
    }
    assert_eq!(
        (
            &plain["addresses"],
            &plain["connects_per_second"],
            &plain["has_client_key"]
        ),
        (&json!([]), &json!(10.0), &json!(false))
    );
    assert_eq!(secrets().await, (false, None));
    assert!(!app.ever_said("PROXY-SECRET") && !app.ever_said("1234567890123456"));
}

#[tokio::test]
async fn a_link_that_is_replaced_heeds_if_match_too() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = format!("/v1/tenants/{}/links/{}", tenant.id, tenant.link);
    let (tag, body) = (
        app.get(&path).await.etag,
        json!({"name": "new", "url": "wss://aacc"}),
    );
    app.send_if(Method::PUT, &path, &tag, Some(&body)).await.ok();
    let late = app
        .send_if(
            Method::PUT,
            &path,
            &tag,
            Some(&json!({"name": "late", "url": "wss://aacc"})),
        )
        .await;
    assert_eq!(late.problem(412), "If-Match");
    assert_eq!(app.get(&path).await.ok()["name"], "new");
}

#[tokio::test]
async fn names_stay_unique_and_ids_of_others_are_unknown() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let base = format!("/v1/tenants/{}", tenant.id);
    for (what, id, second) in [
        (
            "links",
            &tenant.link,
            json!({"name": "second", "url": "wss://aacc"}),
        ),
        (
            "skillsets",
            &tenant.skillset,
            json!({"name": "second", "link_id": tenant.link}),
        ),
        (
            "accounts",
            &tenant.account,
            json!({"name": "second", "kind": "http", "settings": {"send_url": "https://x/"},
                   "secret": {"signing_secret": AUTH_TOKEN}}),
        ),
        ("auth-keys", &key(&app, &tenant).await, json!({"name": "second"})),
    ] {
        let second = app.post(&format!("{base}/{what}"), second).await.ok();
        let answer = app
            .patch(&format!("{base}/{what}/{id}"), json!({"name": "second"}))
            .await;
        assert_eq!(answer.problem(409), "name", "{what}");
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(
            detail.contains(second["id"].as_str().unwrap()),
            "{what}: {detail}"
        );
    }
    let skillset = format!("{base}/skillsets/{}", tenant.skillset);
    let answer = app.patch(&skillset, json!({"link_id": other.link})).await;
    assert_eq!(answer.problem(422), "link_id");
}
