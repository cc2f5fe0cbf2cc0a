//! Webhooks: made, changed, tried, told again.

use crate::app::{App, Tenant};
use axum::http::Method;
use ccm_auth::Role;
use serde_json::{Value, json};

fn path(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}/webhooks", tenant.id)
}

fn new(name: &str) -> Value {
    json!({"name": name, "url": "https://93.184.216.34/ccm", "events": ["message.*", "link.down"]})
}

/// The only webhook of a tenant, and something that it is told.
pub async fn tested(app: &App, tenant: &Tenant) -> (String, String) {
    let path = path(tenant);
    for one in app.get(&path).await.ok()["items"].as_array().unwrap() {
        let path = format!("{path}/{}", one["id"].as_str().unwrap());
        assert_eq!(app.delete(&path).await.status, 204);
    }
    let made = app.post(&path, new("tested")).await.ok();
    let id = made["id"].as_str().unwrap().to_owned();
    let test = app.post_nothing(&format!("{path}/{id}/test")).await.ok();
    (id, test["delivery_id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_webhook_is_made_changed_and_deleted_and_its_secret_shown_once() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = path(&tenant);
    let made = app.post(&path, new("CRM")).await.ok();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(
        (&made["state"], &made["include_bodies"]),
        (&json!("enabled"), &json!(false))
    );
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let read = app.get(&one).await;
    assert_eq!(read.json["events"], json!(["message.*", "link.down"]));
    assert!(read.json.get("secret").is_none());
    // Somebody else was faster.
    app.patch(&one, json!({"name": "CRM 2", "events": null}))
        .await
        .ok();
    let late = app
        .send_if(Method::PATCH, &one, &read.etag, Some(&json!({"name": "mine"})))
        .await;
    assert_eq!(late.problem(412), "If-Match");
    let off = app.patch(&one, json!({"enabled": false})).await.ok();
    assert_eq!(
        (&off["state"], &off["events"], &off["name"]),
        (&json!("disabled"), &Value::Null, &json!("CRM 2"))
    );
    app.post_nothing(&format!("{one}/test")).await.problem(409);
    assert_eq!(
        app.patch(&one, json!({"enabled": true})).await.ok()["state"],
        "enabled"
    );
    // A new secret, and the old one for a while.
    let rotated = app
        .post(&format!("{one}/rotate"), json!({"overlap_s": 60}))
        .await
        .ok();
    assert!(rotated["secret"] != made["secret"] && rotated["old_secret_until"].is_string());
    assert_eq!(
        app.post(&format!("{one}/rotate"), json!({"overlap_s": 604_801}))
            .await
            .problem(422),
        "overlap_s"
    );
    let audit = app
        .get(&format!("/v1/tenants/{}/audit?kind=webhook", tenant.id))
        .await;
    assert_eq!(audit.json["items"].as_array().unwrap().len(), 5, "{}", audit.json);
    assert!(!audit.text.contains("whsec_"));
    assert_eq!(app.delete(&one).await.status, 204);
    app.get(&one).await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_called_or_told_is_refused_with_its_field() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = path(&tenant);
    for (member, value, field) in [
        ("name", json!(""), "name"),
        ("url", json!("hooks.example.com"), "url"),
        ("url", json!("http://93.184.216.34/ccm"), "url"),
        ("url", json!("https://mary:HIDDEN@93.184.216.34/"), "url"),
        ("url", json!("https://93.184.216.34/?key=HIDDEN"), "url"),
        // Where only the platform itself may call.
        ("url", json!("https://10.0.0.1/"), "url"),
        ("url", json!("https://169.254.169.254/latest/meta-data/"), "url"),
        ("url", json!("https://[::1]/"), "url"),
        ("url", json!("https://localhost/"), "url"),
        ("url", json!("http://127.0.0.1:5432/"), "url"),
        ("url", json!("https://2130706433/"), "url"),
        ("events", json!([]), "events"),
        ("events", json!(["message.gone"]), "events"),
        ("events", json!(["*"]), "events"),
    ] {
        let mut body = new("one");
        body[member] = value;
        let refused = app.post(&path, body.clone()).await;
        assert_eq!(refused.problem(422), field, "{body}");
        assert!(!refused.text.contains("HIDDEN"), "{body}");
    }
    let made = app.post(&path, new("one")).await.ok();
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        app.patch(&one, json!({"url": "https://10.0.0.1/"}))
            .await
            .problem(422),
        "url"
    );
    assert_eq!(app.post(&path, new("one")).await.problem(409), "name");
    for n in 2..=20 {
        app.post(&path, new(&n.to_string())).await.ok();
    }
    app.post(&path, new("one too many"))
        .await
        .problem_without_field(409);
    for (body, field) in [
        (
            json!({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}),
            "from",
        ),
        (
            json!({"from": "2026-03-01T00:00:00Z", "to": "2026-04-02T00:00:00Z"}),
            "from",
        ),
    ] {
        assert_eq!(app.post(&format!("{one}/replay"), body).await.problem(422), field);
    }
}

/// Whoever may not read texts cannot have them told elsewhere.
#[tokio::test]
async fn nobody_discloses_what_they_may_not_read() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = path(&tenant);
    let keys = format!("/v1/tenants/{}/api-keys", tenant.id);
    let key = json!({"name": "blind", "role": "tenant-admin", "scopes": ["read-settings", "write-settings"]});
    let key = app.post(&keys, key).await.ok()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let send = async |method, path: &str, body: Value| app.send(method, path, Some(&key), Some(&body)).await;
    let mut body = new("mine");
    for member in ["include_numbers", "include_bodies"] {
        body[member] = json!(true);
        assert_eq!(send(Method::POST, &path, body.clone()).await.problem(403), member);
    }
    send(Method::POST, &path, new("mine")).await.ok();
    let open = app
        .post(
            &path,
            json!({"name": "open", "url": "https://93.184.216.34/", "include_bodies": true}),
        )
        .await;
    let open = format!("{path}/{}", open.ok()["id"].as_str().unwrap());
    let elsewhere = json!({"url": "https://93.184.216.35/"});
    assert_eq!(
        send(Method::PATCH, &open, elsewhere).await.problem(403),
        "include_bodies"
    );
    send(Method::PATCH, &open, json!({"name": "renamed"})).await.ok();
    // Nor do they read what a receiver answered.
    let (webhook, _) = tested(&app, &tenant).await;
    let said = json!([{"at": "2026-03-01T00:00:00Z", "ms": 5, "outcome": "status", "status": 500, "why": "x", "answer": "echo"}]);
    app.database
        .superuser_sql(&format!("UPDATE webhook_delivery SET tries = '{said}'"))
        .unwrap();
    let list = format!("{path}/{webhook}/deliveries");
    let blind = app.send(Method::GET, &list, Some(&key), None).await.ok();
    assert_eq!(
        (
            &blind["items"][0]["tries"][0]["answer"],
            &blind["items"][0]["withheld"]
        ),
        (&Value::Null, &json!(true))
    );
    let support = app
        .send(Method::GET, &list, Some(&app.token(Role::Support, None)), None)
        .await
        .ok();
    assert_eq!(support["items"][0]["tries"][0]["answer"], Value::Null);
    assert_eq!(
        app.get(&list).await.ok()["items"][0]["tries"][0]["answer"],
        "echo"
    );
}

#[tokio::test]
async fn deliveries_are_found_and_replayed() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (webhook, test) = tested(&app, &tenant).await;
    let one = format!("{}/{webhook}", path(&tenant));
    app.text(&tenant, "+353861234567", "hello").await;
    let all = app.get(&format!("{one}/deliveries")).await.ok();
    let types: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["type"].clone())
        .collect();
    assert_eq!(types, ["message.received", "ccm.test"]);
    let found = async |query: &str| {
        let found = app.get(&format!("{one}/deliveries?{query}")).await.ok();
        found["items"].as_array().unwrap().len()
    };
    assert_eq!(found("type=message.received").await, 1);
    assert_eq!(
        (found("state=pending").await, found("state=failed").await),
        (2, 0)
    );
    assert_eq!(
        (
            found("since=2099-01-01T00:00:00Z").await,
            found("until=2099-01-01T00:00:00Z").await
        ),
        (0, 2)
    );
    assert_eq!(found("limit=1").await, 1);
    app.get(&format!("{one}/deliveries?state=gone"))
        .await
        .problem(400);
    app.database
        .superuser_sql("UPDATE webhook_delivery SET state = 'failed', next_at = NULL, attempts = 10")
        .unwrap();
    let hour = json!({"from": "2000-01-01T00:00:00Z", "to": "2000-01-31T00:00:00Z"});
    assert_eq!(
        app.post(&format!("{one}/replay"), hour).await.ok(),
        json!({"replayed": 0})
    );
    let now = app.deps.ids.clock().now();
    let at = |days: i64| {
        let at = now + time::Duration::days(days);
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let days = json!({"from": at(-1), "to": at(1)});
    // A test is not told again by the way.
    assert_eq!(
        app.post(&format!("{one}/replay"), days).await.ok(),
        json!({"replayed": 1})
    );
    let again = app
        .post_nothing(&format!("{one}/deliveries/{test}/replay"))
        .await
        .ok();
    assert_eq!(
        (&again["state"], &again["attempts"]),
        (&json!("pending"), &json!(0))
    );
    let of_none = "019331f0-7a00-7000-8000-000000000002";
    app.post_nothing(&format!("{one}/deliveries/{of_none}/replay"))
        .await
        .problem(404);
}
