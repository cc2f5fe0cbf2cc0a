//! How links are reached: all that can be set, what is shown of it, and what is kept when a link is replaced.

use crate::app::App;
use ccm_model::{LinkId, TenantId};
use ccm_testkit::certs::{Ca, ServerCert};
use serde_json::{Value, json};

const PASSWORD: &str = "SECRET-of-the-proxy";

/// A tenant with a link that has everything.
struct Full {
    app: App,
    tenant: TenantId,
    cert: ServerCert,
    /// As it was sent.
    sent: Value,
    /// As it was answered.
    link: Value,
}

fn identity() -> ServerCert {
    Ca::new("Client CA").unwrap().issue(&["ccm.example.com"]).unwrap()
}

impl Full {
    async fn make() -> Self {
        let app = App::start().await;
        let tenant = app.bare_tenant("acme").await;
        let cert = identity();
        let sent = json!({
            "name": "main", "url": "wss://aacc1.example.com:8445",
            "server_name": "aacc.example.com", "addresses": ["192.0.2.10", "2001:db8::10"],
            "secondary_url": "wss://aacc2.example.com:8445",
            "client_certificate_pem": cert.cert_pem, "client_key_pem": cert.key_pem,
            "proxy_url": format!("http://ccm:{PASSWORD}@proxy.example.com:3128"),
        });
        let link = app
            .post(&format!("/v1/tenants/{tenant}/links"), sent.clone())
            .await
            .ok();
        Self {
            app,
            tenant,
            cert,
            sent,
            link,
        }
    }

    fn path(&self) -> String {
        format!(
            "/v1/tenants/{}/links/{}",
            self.tenant,
            self.link["id"].as_str().unwrap()
        )
    }

    /// What the answer shows, as a program that changes one thing would send it back.
    fn shown(&self) -> Value {
        let mut body = self.link.clone();
        for only_shown in ["id", "has_client_key", "created_at", "updated_at"] {
            body.as_object_mut().unwrap().remove(only_shown).unwrap();
        }
        body
    }

    /// The stored key and the proxy's user and password.
    async fn secrets(&self) -> (Option<String>, Option<String>) {
        let id: LinkId = self.link["id"].as_str().unwrap().parse().unwrap();
        let secrets = self
            .app
            .deps
            .db
            .tenant(self.tenant)
            .link_secrets(id)
            .await
            .unwrap();
        (
            secrets.client_key_pem.map(|key| key.to_string()),
            secrets.proxy_auth.map(|auth| auth.to_string()),
        )
    }

    fn auth(&self) -> String {
        format!("ccm:{PASSWORD}")
    }
}

#[tokio::test]
async fn everything_is_stored_and_secrets_are_not_shown() {
    let full = Full::make().await;
    for (member, value) in [
        ("server_name", json!("aacc.example.com")),
        ("addresses", json!(["192.0.2.10", "2001:db8::10"])),
        (
            "secondary_url",
            json!("wss://aacc2.example.com:8445/CustomerControllerWeb/chat"),
        ),
        ("client_certificate_pem", json!(full.cert.cert_pem)),
        ("has_client_key", json!(true)),
        ("proxy_url", json!("http://***@proxy.example.com:3128")),
    ] {
        assert_eq!(full.link[member], value, "{member}");
    }
    assert_eq!(
        full.secrets().await,
        (Some(full.cert.key_pem.clone()), Some(full.auth()))
    );
    let listed = full
        .app
        .get(&format!("/v1/tenants/{}/links", full.tenant))
        .await
        .ok();
    assert_eq!(listed, json!({"items": [full.link]}));

    let plain = json!({"name": "plain", "url": "ws://aacc", "proxy_url": "http://proxy"});
    let plain = full
        .app
        .post(&format!("/v1/tenants/{}/links", full.tenant), plain)
        .await
        .ok();
    assert_eq!(plain["proxy_url"], "http://proxy:80");
    for (member, value) in [
        ("server_name", Value::Null),
        ("addresses", json!([])),
        ("secondary_url", Value::Null),
        ("client_certificate_pem", Value::Null),
        ("has_client_key", json!(false)),
    ] {
        assert_eq!(plain[member], value, "{member}");
    }
    let key = full.cert.key_pem.lines().nth(1).unwrap();
    assert!(!full.app.ever_said(key) && !full.app.ever_said(PASSWORD));
    let stored = full
        .app
        .database
        .superuser_sql("select row_to_json(l) from ewc_link l")
        .unwrap();
    assert!(!stored.contains(key) && !stored.contains(PASSWORD));
}

#[tokio::test]
async fn what_is_not_shown_is_kept_when_the_answer_comes_back() {
    let mut full = Full::make().await;
    let mut body = full.shown();
    body["name"] = json!("renamed");
    let replaced = full.app.put(&full.path(), body).await.ok();
    assert_eq!(replaced["name"], "renamed");
    assert_ne!(replaced["updated_at"], full.link["updated_at"]);
    for member in full.link.as_object().unwrap().keys() {
        if !["name", "updated_at"].contains(&member.as_str()) {
            assert_eq!(replaced[member], full.link[member], "{member}");
        }
    }
    assert_eq!(
        full.secrets().await,
        (Some(full.cert.key_pem.clone()), Some(full.auth()))
    );

    let other = identity();
    full.link = replaced;
    let mut body = full.shown();
    body["client_certificate_pem"] = json!(other.cert_pem);
    let refused = full.app.put(&full.path(), body.clone()).await;
    assert_eq!(
        refused.problem(422),
        "client_key_pem",
        "a new certificate has a new key"
    );
    body["client_key_pem"] = json!(full.cert.key_pem);
    let refused = full.app.put(&full.path(), body.clone()).await;
    assert_eq!(refused.problem(422), "client_key_pem", "and not the old one");
    body["client_key_pem"] = json!(other.key_pem);
    full.link = full.app.put(&full.path(), body).await.ok();
    assert_eq!(full.secrets().await, (Some(other.key_pem), Some(full.auth())));

    let mut body = full.shown();
    for gone in [
        "client_certificate_pem",
        "proxy_url",
        "secondary_url",
        "server_name",
        "addresses",
    ] {
        body.as_object_mut().unwrap().remove(gone);
    }
    let bare = full.app.put(&full.path(), body).await.ok();
    assert_eq!(
        (&bare["has_client_key"], &bare["proxy_url"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&bare["addresses"], &bare["secondary_url"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(full.secrets().await, (None, None), "what is left out is gone");
}

/// Whoever may change a link may not have its proxy's password sent to a server of their own.
#[tokio::test]
async fn a_proxys_password_goes_to_that_proxy_only() {
    let full = Full::make().await;
    for elsewhere in [
        "http://***@elsewhere.example.com:3128",
        "http://***@proxy.example.com:3129",
    ] {
        let mut body = full.shown();
        body["proxy_url"] = json!(elsewhere);
        let refused = full.app.put(&full.path(), body).await;
        assert_eq!(refused.problem(422), "proxy_url", "{elsewhere}");
    }
    assert_eq!(full.secrets().await.1, Some(full.auth()), "nothing was replaced");
    for (raw, shown, auth) in [
        (
            "http://u:other@proxy.example.com:3128",
            "http://***@proxy.example.com:3128",
            Some("u:other"),
        ),
        (
            "http://proxy.example.com:3128",
            "http://proxy.example.com:3128",
            None,
        ),
    ] {
        let mut body = full.shown();
        body["proxy_url"] = json!(raw);
        let replaced = full.app.put(&full.path(), body).await.ok();
        assert_eq!(replaced["proxy_url"], shown);
        assert_eq!(full.secrets().await.1.as_deref(), auth);
    }
    let again = full.app.put(&full.path(), full.shown()).await;
    assert_eq!(again.problem(422), "proxy_url", "there is none any more");
}

#[tokio::test]
async fn certificates_keys_and_schemes_go_together() {
    let full = Full::make().await;
    let links = format!("/v1/tenants/{}/links", full.tenant);
    let (key, cert) = (&full.cert.key_pem, &full.cert.cert_pem);
    for (change, field) in [
        (json!({"client_key_pem": null}), "client_key_pem"),
        (json!({"client_certificate_pem": null}), "client_certificate_pem"),
        (json!({"client_certificate_pem": key}), "client_certificate_pem"),
        (json!({"client_key_pem": cert}), "client_key_pem"),
        (json!({"client_key_pem": identity().key_pem}), "client_key_pem"),
        (
            json!({"url": "ws://aacc1", "secondary_url": "ws://aacc2"}),
            "client_certificate_pem",
        ),
        (
            json!({"secondary_url": "wss://aacc1.example.com:8445"}),
            "secondary_url",
        ),
        (
            json!({"secondary_url": "wss://aacc2.example.com/elsewhere"}),
            "secondary_url",
        ),
        (json!({"proxy_url": "http://ccm@proxy:3128"}), "proxy_url"),
    ] {
        let mut body = full.sent.clone();
        body["name"] = json!("new");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        for answer in [
            full.app.post(&links, body.clone()).await,
            full.app.put(&full.path(), with_new_identity(&body, &full)).await,
        ] {
            assert_eq!(answer.problem(422), field, "{change}");
            assert!(answer.json["remedy"].as_str().unwrap().len() > 10);
        }
    }
    let listed = full.app.get(&links).await.ok();
    assert_eq!(
        listed,
        json!({"items": [full.link]}),
        "nothing was made or replaced"
    );
    let line = key.lines().nth(1).unwrap();
    assert!(!full.app.ever_said(line) && !full.app.ever_said(PASSWORD));
}

/// A PUT without key and with the stored certificate is good; another certificate makes it as bad as in a POST.
fn with_new_identity(body: &Value, full: &Full) -> Value {
    let mut body = body.clone();
    if body["client_key_pem"].is_null() && body["client_certificate_pem"] == full.cert.cert_pem {
        body["client_certificate_pem"] = json!(identity().cert_pem);
    }
    body
}

#[tokio::test]
async fn a_name_that_another_link_has_is_refused() {
    let full = Full::make().await;
    let links = format!("/v1/tenants/{}/links", full.tenant);
    let second = full
        .app
        .post(&links, json!({"name": "second", "url": "wss://aacc"}))
        .await
        .ok();
    let mut body = full.shown();
    body["name"] = json!("second");
    let answer = full.app.put(&full.path(), body).await;
    assert_eq!(answer.problem(409), "name");
    let detail = answer.json["detail"].as_str().unwrap();
    assert!(detail.contains(second["id"].as_str().unwrap()), "{detail}");
}
