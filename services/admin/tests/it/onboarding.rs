use crate::app::{ACCOUNT_SID, AUTH_TOKEN, App, SIGNING_SECRET};
use axum::http::Method;
use ccm_auth::{AuthKey, Role};
use ccm_bus::{Subscription, Topic, Wake};
use ccm_testkit::certs::Ca;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// From nothing to a tenant that can carry texts, as the walk-through of docs/api.md does it.
#[tokio::test]
async fn a_tenant_is_made_from_nothing() {
    let app = App::start().await;
    let ca = Ca::new("Acme CA").unwrap();
    let tenant = app
        .post("/v1/tenants", json!({"slug": "acme-bank", "name": "Acme Bank"}))
        .await;
    assert_eq!(tenant.status, 201);
    assert_eq!(tenant.cache_control, "no-store");
    let tenant = tenant.ok();
    assert_eq!(tenant["state"], "active");
    let id = tenant["id"].as_str().unwrap();
    let base = format!("/v1/tenants/{id}");
    let made = async |what: &str, body: Value| app.post(&format!("{base}/{what}"), body).await.ok();

    let link = made(
        "links",
        json!({"name": "Dublin", "url": "wss://AACC.example.com:8445", "ca_pem": ca.pem()}),
    )
    .await;
    assert_eq!(
        link["url"],
        "wss://aacc.example.com:8445/CustomerControllerWeb/chat"
    );
    assert_eq!(link["ca_pem"], ca.pem());
    assert_eq!(
        (&link["swap_angle_brackets"], &link["connects_per_second"]),
        (&json!(true), &json!(10.0))
    );
    let skillset = made(
        "skillsets",
        json!({"name": "WC_Default_Skillset", "link_id": link["id"]}),
    )
    .await;

    let twilio = json!({"name": "Twilio", "kind": "twilio", "secret": {"auth_token": AUTH_TOKEN},
                        "settings": {"account_sid": ACCOUNT_SID, "api_base": "https://api.twilio.com"}});
    let twilio = made("accounts", twilio).await;
    assert_eq!(
        twilio["webhook_url"],
        format!(
            "https://sms.example.com/v1/sms/twilio/{}",
            twilio["id"].as_str().unwrap()
        )
    );
    assert_eq!(
        twilio["settings"],
        json!({"account_sid": ACCOUNT_SID, "api_base": "https://api.twilio.com"})
    );
    let http = json!({"name": "Gateway", "kind": "http", "secret": {"signing_secret": SIGNING_SECRET},
                      "settings": {"send_url": "https://sms.example.org/send"}});
    let http = made("accounts", http).await;
    assert_eq!(
        http["webhook_url"],
        format!(
            "https://sms.example.com/v1/sms/http/{}",
            http["id"].as_str().unwrap()
        )
    );

    let number =
        json!({"address": "+1 (415) 555-0123", "account_id": twilio["id"], "skillset_id": skillset["id"]});
    let number = made("numbers", number).await;
    assert_eq!(
        (&number["address"], &number["per_second"]),
        (&json!("+14155550123"), &json!(1.0))
    );
    let short = json!({"address": "72345", "account_id": http["id"], "skillset_id": skillset["id"], "per_second": 0.1});
    let short = made("numbers", short).await;
    assert_eq!(short["per_second"], json!(0.1));

    for (what, expected) in [
        ("links", vec![link]),
        ("skillsets", vec![skillset]),
        ("accounts", vec![http, twilio]),
        ("numbers", vec![number, short]),
    ] {
        let listed = app.get(&format!("{base}/{what}")).await.ok();
        assert_eq!(listed["items"], json!(expected), "{what}: as made, in order");
    }
    assert_eq!(app.get(&base).await.ok(), tenant);
    assert_eq!(app.get("/v1/tenants").await.ok(), json!({"items": [tenant]}));
    assert!(!app.ever_said(AUTH_TOKEN) && !app.ever_said(SIGNING_SECRET));
}

/// What the edges will read is what was typed.
#[tokio::test]
async fn secrets_are_sealed_and_come_back_to_the_edges_only() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let account = tenant.account.parse().unwrap();
    let opened = app
        .deps
        .db
        .tenant(tenant.id)
        .account_secret(account)
        .await
        .unwrap();
    ccm_sms::Account::parse(opened.account.kind, &opened.account.settings, &opened.secret).unwrap();
    assert_eq!(
        *opened.secret,
        json!({"auth_token": AUTH_TOKEN}).to_string().into_bytes()
    );
    let stored = app
        .database
        .superuser_sql("select row_to_json(a) from provider_account a")
        .unwrap();
    assert!(stored.contains(ACCOUNT_SID) && !stored.contains(AUTH_TOKEN));
    assert!(!app.ever_said(AUTH_TOKEN));
}

#[tokio::test]
async fn a_screen_pop_key_is_shown_once_and_stored_as_a_hash() {
    let app = App::start().await;
    let id = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{id}/auth-keys");
    let made = app
        .post(
            &path,
            json!({"name": "new", "expires_at": "2099-01-01T00:00:00Z"}),
        )
        .await
        .ok();
    let key = AuthKey::parse(made["key"].as_str().unwrap()).unwrap();
    assert_eq!(made["prefix"], key.prefix());
    assert_eq!(
        (&made["expires_at"], &made["revoked_at"]),
        (&json!("2099-01-01T00:00:00Z"), &Value::Null)
    );

    const OLD: &str = "OLD-key-16-chars";
    let imported = app.post(&path, json!({"name": "old", "key": OLD})).await.ok();
    assert_eq!((imported.get("key"), &imported["prefix"]), (None, &json!("OLD-")));
    assert!(!app.ever_said(OLD));

    let listed = app.get(&path).await.ok();
    let names: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["new", "old"]);
    assert!(!listed.to_string().contains(key.expose()));
    let stored = app
        .database
        .superuser_sql("select row_to_json(k) from auth_key k")
        .unwrap();
    assert!(!stored.contains(key.expose()) && !stored.contains(OLD));
    for hash in [&key, &AuthKey::parse(OLD).unwrap()].map(|k| k.lookup_hash(&app.deps.lookup_key)) {
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert!(stored.contains(&hex), "the screen-pop page will find it");
    }
}

#[tokio::test]
async fn webhook_secrets_are_shown_once_sealed_and_two_at_most() {
    let app = App::start().await;
    let id = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{id}/webhook-secrets");
    let made = app.post(&path, json!({"name": "one"})).await.ok();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let answer = app.post(&path, json!({"name": "one"})).await;
    assert_eq!(answer.problem(409), "name");
    app.post(&path, json!({"name": "two"})).await.ok();
    app.post(&path, json!({"name": "three"}))
        .await
        .problem_without_field(409);
    let listed = app.get(&path).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(&secret));
    let stored = app
        .database
        .superuser_sql("select row_to_json(s) from webhook_secret s")
        .unwrap();
    assert!(!stored.contains(&secret));
    let opened = app.deps.db.tenant(id).webhook_secrets().await.unwrap();
    assert_eq!(opened[0].expose_secret(), secret);
    // Nobody else takes it away.
    let other = app.bare_tenant("other").await;
    let one = format!("webhook-secrets/{}", made["id"].as_str().unwrap());
    let theirs = app.delete(&format!("/v1/tenants/{other}/{one}")).await;
    theirs.problem_without_field(404);
    assert_eq!(app.delete(&format!("/v1/tenants/{id}/{one}")).await.status, 204);
    app.post(&path, json!({"name": "three"})).await.ok();
}

async fn next(heard: &mut Subscription) -> Wake {
    let wait = Duration::from_secs(10);
    timeout(wait, heard.next()).await.expect("a wake-up comes")
}

#[tokio::test]
async fn other_pods_are_woken_by_everything_that_is_made() {
    let app = App::start().await;
    let mut heard = app.deps.bus.subscribe(&[Topic::Tenants]);
    assert_eq!(next(&mut heard).await, Wake::LookAgain);
    let tenant = app.tenant("acme").await;
    app.post(
        &format!("/v1/tenants/{}/auth-keys", tenant.id),
        json!({"name": "x"}),
    )
    .await
    .ok();
    // The same wake-up may be merged with one that still waits: at least one is heard, and nothing else.
    assert_eq!(next(&mut heard).await, Wake::TenantChanged { tenant: tenant.id });

    let mut heard = app.deps.bus.subscribe(&[Topic::Tenants]);
    assert_eq!(next(&mut heard).await, Wake::LookAgain);
    for (what, body) in [
        ("links", json!({"name": "2", "url": "wss://aacc"})),
        ("skillsets", json!({"name": "2", "link_id": tenant.link})),
        (
            "accounts",
            json!({"name": "2", "kind": "http", "settings": {"send_url": "https://x/"},
                            "secret": {"signing_secret": SIGNING_SECRET}}),
        ),
        (
            "numbers",
            json!({"address": "72345", "account_id": tenant.account, "skillset_id": tenant.skillset}),
        ),
        ("auth-keys", json!({"name": "2"})),
    ] {
        app.post(&format!("/v1/tenants/{}/{what}", tenant.id), body)
            .await
            .ok();
        assert_eq!(
            next(&mut heard).await,
            Wake::TenantChanged { tenant: tenant.id },
            "{what}"
        );
    }
}

#[tokio::test]
async fn other_pods_are_woken_by_what_changes_and_goes() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let windows = format!("{base}/links/{}/maintenance-windows", tenant.link);
    let mut heard = app.deps.bus.subscribe(&[Topic::Tenants]);
    assert_eq!(next(&mut heard).await, Wake::LookAgain);
    let changed = Wake::TenantChanged { tenant: tenant.id };

    app.put(&format!("{base}/chat-settings"), json!({})).await.ok();
    assert_eq!(next(&mut heard).await, changed, "settings");
    let link = json!({"name": "main", "url": "wss://other"});
    app.put(&format!("{base}/links/{}", tenant.link), link).await.ok();
    assert_eq!(next(&mut heard).await, changed, "a link");
    let window =
        json!({"begins_at": "2099-03-01T22:00:00Z", "ends_at": "2099-03-02T02:00:00Z", "reason": "patch"});
    let window = app.post(&windows, window).await.ok();
    assert_eq!(next(&mut heard).await, changed, "a window");
    app.delete(&format!("{windows}/{}", window["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(next(&mut heard).await, changed, "a window that is gone");
}

#[tokio::test]
async fn tenants_come_in_pages() {
    let app = App::start().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(app.bare_tenant(&format!("t-{n}")).await.to_string());
    }
    let token = app.token(Role::Support, None);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let path = format!("/v1/tenants?limit=2{cursor}");
        let page = app.send(Method::GET, &path, Some(&token), None).await.ok();
        let ids = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        cursor = page["next_cursor"]
            .as_str()
            .map(|c| format!("&cursor={c}"))
            .unwrap_or_default();
    }
    made.sort();
    assert_eq!(seen, made, "each one once, by id");
    assert_eq!(cursor, "", "the last page says that it is the last");
}
