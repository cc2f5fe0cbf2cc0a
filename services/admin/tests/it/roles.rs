//! Who may do what: every endpoint, every role, the own tenant and another one.

use crate::{
    access,
    app::{AUTH_TOKEN, App, Tenant},
    certificates, dead_letters, deletions, doctor, overview, store, webhooks,
};
use axum::http::Method;
use ccm_auth::Role::{self, Engineer, PlatformAdmin, Support, TenantAdmin, TenantViewer};
use ccm_model::ConversationId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const WRITERS: &[Role] = &[PlatformAdmin, Engineer, TenantAdmin];
const READERS: &[Role] = &[PlatformAdmin, Engineer, Support, TenantAdmin, TenantViewer];
const PLATFORM: &[Role] = &[PlatformAdmin, Engineer, Support];
const AUDITORS: &[Role] = &[PlatformAdmin, Engineer, Support, TenantAdmin];
const TEXT_READERS: &[Role] = &[PlatformAdmin, Engineer, TenantAdmin, TenantViewer];

/// Method, path, roles. A tenant's roles are allowed in their own tenant only.
const MATRIX: &[(&str, &str, &[Role])] = &[
    ("get", "/v1/me", READERS),
    ("post", "/v1/sessions", READERS),
    ("delete", "/v1/me/session", READERS),
    ("post", "/v1/tenants", &[PlatformAdmin, Engineer]),
    ("get", "/v1/tenants", &[PlatformAdmin, Engineer, Support]),
    ("get", "/v1/tenants/{tenant}", READERS),
    ("patch", "/v1/tenants/{tenant}", &[PlatformAdmin, Engineer]),
    ("get", "/v1/tenants/{tenant}/chat-settings", READERS),
    ("put", "/v1/tenants/{tenant}/chat-settings", WRITERS),
    ("get", "/v1/tenants/{tenant}/sms-settings", READERS),
    ("put", "/v1/tenants/{tenant}/sms-settings", WRITERS),
    ("get", "/v1/tenants/{tenant}/deflection-settings", READERS),
    ("put", "/v1/tenants/{tenant}/deflection-settings", WRITERS),
    ("get", "/v1/tenants/{tenant}/deflections", READERS),
    ("get", "/v1/tenants/{tenant}/deflection-funnel", READERS),
    ("get", "/v1/tenants/{tenant}/screenpop-settings", READERS),
    ("put", "/v1/tenants/{tenant}/screenpop-settings", WRITERS),
    ("post", "/v1/tenants/{tenant}/screenpop-signing-keys", WRITERS),
    ("get", "/v1/tenants/{tenant}/screenpop-signing-keys", READERS),
    (
        "delete",
        "/v1/tenants/{tenant}/screenpop-signing-keys/{signing_key}",
        WRITERS,
    ),
    ("put", "/v1/tenants/{tenant}/state", &[PlatformAdmin, Engineer]),
    ("get", "/v1/tenants/{tenant}/events", READERS),
    ("get", "/v1/overview", PLATFORM),
    ("get", "/v1/platform", PLATFORM),
    ("post", "/v1/platform/lives", &[PlatformAdmin]),
    ("get", "/v1/platform/lives", PLATFORM),
    ("post", "/v1/platform/lives/{life}/settle", &[PlatformAdmin]),
    ("get", "/v1/tenants/{tenant}/overview", READERS),
    ("get", "/v1/tenants/{tenant}/statistics", READERS),
    ("get", "/v1/tenants/{tenant}/routing", READERS),
    ("put", "/v1/tenants/{tenant}/routing", WRITERS),
    ("post", "/v1/tenants/{tenant}/routing/dry-run", READERS),
    ("post", "/v1/tenants/{tenant}/webhook-secrets", WRITERS),
    ("get", "/v1/tenants/{tenant}/webhook-secrets", READERS),
    ("delete", "/v1/tenants/{tenant}/webhook-secrets/{secret}", WRITERS),
    ("post", "/v1/tenants/{tenant}/webhooks", WRITERS),
    ("get", "/v1/tenants/{tenant}/webhooks", READERS),
    ("get", "/v1/tenants/{tenant}/webhooks/{webhook}", READERS),
    ("patch", "/v1/tenants/{tenant}/webhooks/{webhook}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/webhooks/{webhook}", WRITERS),
    ("post", "/v1/tenants/{tenant}/webhooks/{webhook}/rotate", WRITERS),
    ("post", "/v1/tenants/{tenant}/webhooks/{webhook}/test", WRITERS),
    (
        "get",
        "/v1/tenants/{tenant}/webhooks/{webhook}/deliveries",
        READERS,
    ),
    (
        "post",
        "/v1/tenants/{tenant}/webhooks/{webhook}/deliveries/{delivery}/replay",
        WRITERS,
    ),
    ("post", "/v1/tenants/{tenant}/webhooks/{webhook}/replay", WRITERS),
    ("post", "/v1/tenants/{tenant}/links", WRITERS),
    ("get", "/v1/tenants/{tenant}/links", READERS),
    ("put", "/v1/tenants/{tenant}/links/{link}", WRITERS),
    ("get", "/v1/tenants/{tenant}/links/{link}", READERS),
    ("patch", "/v1/tenants/{tenant}/links/{link}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/links/{link}", WRITERS),
    ("get", "/v1/tenants/{tenant}/links/{link}/state", READERS),
    ("get", "/v1/tenants/{tenant}/links/{link}/events", READERS),
    (
        "post",
        "/v1/tenants/{tenant}/links/{link}/maintenance-windows",
        WRITERS,
    ),
    (
        "get",
        "/v1/tenants/{tenant}/links/{link}/maintenance-windows",
        READERS,
    ),
    (
        "delete",
        "/v1/tenants/{tenant}/links/{link}/maintenance-windows/{window}",
        WRITERS,
    ),
    ("get", "/v1/tenants/{tenant}/links/{link}/certificates", READERS),
    ("post", "/v1/tenants/{tenant}/links/{link}/trusted-cas", WRITERS),
    ("get", "/v1/tenants/{tenant}/links/{link}/trusted-cas", READERS),
    (
        "delete",
        "/v1/tenants/{tenant}/links/{link}/trusted-cas/{sha256}",
        WRITERS,
    ),
    ("post", "/v1/tenants/{tenant}/links/{link}/client-key", WRITERS),
    ("get", "/v1/tenants/{tenant}/links/{link}/client-key", READERS),
    ("delete", "/v1/tenants/{tenant}/links/{link}/client-key", WRITERS),
    (
        "put",
        "/v1/tenants/{tenant}/links/{link}/client-certificate",
        WRITERS,
    ),
    (
        "delete",
        "/v1/tenants/{tenant}/links/{link}/client-certificate",
        WRITERS,
    ),
    ("post", "/v1/doctor", &[PlatformAdmin, Engineer]),
    ("post", "/v1/tenants/{tenant}/doctor", WRITERS),
    ("post", "/v1/tenants/{tenant}/links/{link}/doctor", WRITERS),
    ("get", "/v1/tenants/{tenant}/doctor-reports", READERS),
    ("get", "/v1/tenants/{tenant}/doctor-reports/{report}", READERS),
    (
        "post",
        "/v1/tenants/{tenant}/doctor-reports/{report}/share",
        WRITERS,
    ),
    (
        "delete",
        "/v1/tenants/{tenant}/doctor-reports/{report}/share",
        WRITERS,
    ),
    ("post", "/v1/tenants/{tenant}/skillsets", WRITERS),
    ("get", "/v1/tenants/{tenant}/skillsets", READERS),
    ("get", "/v1/tenants/{tenant}/skillsets/{skillset}", READERS),
    ("patch", "/v1/tenants/{tenant}/skillsets/{skillset}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/skillsets/{skillset}", WRITERS),
    ("post", "/v1/tenants/{tenant}/accounts", WRITERS),
    ("get", "/v1/tenants/{tenant}/accounts", READERS),
    ("patch", "/v1/tenants/{tenant}/accounts/{account}", WRITERS),
    ("get", "/v1/tenants/{tenant}/accounts/{account}", READERS),
    ("delete", "/v1/tenants/{tenant}/accounts/{account}", WRITERS),
    ("get", "/v1/tenants/{tenant}/accounts/{account}/events", READERS),
    ("post", "/v1/tenants/{tenant}/numbers", WRITERS),
    ("patch", "/v1/tenants/{tenant}/numbers/{number}", WRITERS),
    ("get", "/v1/tenants/{tenant}/numbers/{number}", READERS),
    ("delete", "/v1/tenants/{tenant}/numbers/{number}", WRITERS),
    ("post", "/v1/tenants/{tenant}/numbers/{number}/moves", WRITERS),
    ("get", "/v1/tenants/{tenant}/numbers/{number}/moves", READERS),
    (
        "delete",
        "/v1/tenants/{tenant}/numbers/{number}/moves/{number_move}",
        WRITERS,
    ),
    ("get", "/v1/tenants/{tenant}/numbers", READERS),
    ("post", "/v1/tenants/{tenant}/auth-keys", WRITERS),
    ("get", "/v1/tenants/{tenant}/auth-keys", READERS),
    ("get", "/v1/tenants/{tenant}/auth-keys/{key}", READERS),
    ("patch", "/v1/tenants/{tenant}/auth-keys/{key}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/auth-keys/{key}", WRITERS),
    ("post", "/v1/tenants/{tenant}/auth-keys/{key}/rotate", WRITERS),
    ("post", "/v1/tenants/{tenant}/templates", WRITERS),
    ("get", "/v1/tenants/{tenant}/templates", READERS),
    ("get", "/v1/tenants/{tenant}/templates/{template}", READERS),
    ("patch", "/v1/tenants/{tenant}/templates/{template}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/templates/{template}", WRITERS),
    ("get", "/v1/tenants/{tenant}/conversations", READERS),
    (
        "get",
        "/v1/tenants/{tenant}/conversations/{conversation}",
        READERS,
    ),
    (
        "get",
        "/v1/tenants/{tenant}/conversations/{conversation}/messages",
        READERS,
    ),
    (
        "get",
        "/v1/tenants/{tenant}/conversations/{conversation}/transcript",
        TEXT_READERS,
    ),
    ("get", "/v1/tenants/{tenant}/messages/search", TEXT_READERS),
    ("get", "/v1/tenants/{tenant}/dead-letters", READERS),
    ("post", "/v1/tenants/{tenant}/dead-letters/replay", WRITERS),
    ("post", "/v1/tenants/{tenant}/dead-letters/discard", WRITERS),
    ("get", "/v1/tenants/{tenant}/dead-letters/{letter}", READERS),
    (
        "post",
        "/v1/tenants/{tenant}/dead-letters/{letter}/replay",
        WRITERS,
    ),
    (
        "post",
        "/v1/tenants/{tenant}/dead-letters/{letter}/discard",
        WRITERS,
    ),
    ("get", "/v1/tenants/{tenant}/opt-outs", TEXT_READERS),
    ("put", "/v1/tenants/{tenant}/opt-outs", WRITERS),
    ("delete", "/v1/tenants/{tenant}/opt-outs", WRITERS),
    ("get", "/v1/tenants/{tenant}/consent-events", TEXT_READERS),
    ("post", "/v1/api-keys", &[PlatformAdmin]),
    ("get", "/v1/api-keys", &[PlatformAdmin]),
    ("get", "/v1/api-keys/{key}", &[PlatformAdmin]),
    ("delete", "/v1/api-keys/{key}", &[PlatformAdmin]),
    ("post", "/v1/api-keys/{key}/rotate", &[PlatformAdmin]),
    ("post", "/v1/tenants/{tenant}/api-keys", WRITERS),
    ("get", "/v1/tenants/{tenant}/api-keys", WRITERS),
    ("get", "/v1/tenants/{tenant}/api-keys/{key}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/api-keys/{key}", WRITERS),
    ("post", "/v1/tenants/{tenant}/api-keys/{key}/rotate", WRITERS),
    ("post", "/v1/users", &[PlatformAdmin]),
    ("get", "/v1/users", &[PlatformAdmin]),
    ("get", "/v1/users/{user}", &[PlatformAdmin]),
    ("patch", "/v1/users/{user}", &[PlatformAdmin]),
    ("delete", "/v1/users/{user}", &[PlatformAdmin]),
    ("post", "/v1/tenants/{tenant}/users", WRITERS),
    ("get", "/v1/tenants/{tenant}/users", WRITERS),
    ("get", "/v1/tenants/{tenant}/users/{user}", WRITERS),
    ("patch", "/v1/tenants/{tenant}/users/{user}", WRITERS),
    ("delete", "/v1/tenants/{tenant}/users/{user}", WRITERS),
    ("get", "/v1/audit", PLATFORM),
    ("get", "/v1/audit/export", PLATFORM),
    ("get", "/v1/audit/verify", PLATFORM),
    ("get", "/v1/tenants/{tenant}/audit", AUDITORS),
    ("get", "/v1/tenants/{tenant}/audit/export", AUDITORS),
    ("get", "/v1/tenants/{tenant}/audit/verify", AUDITORS),
    ("get", "/v1/tenants/{tenant}/number-check", READERS),
    ("post", "/v1/tenants/{tenant}/text-check", READERS),
    ("get", "/v1/tenants/{tenant}/usage", READERS),
    ("get", "/v1/usage", PLATFORM),
    ("get", "/v1/tenants/{tenant}/caps", READERS),
    ("put", "/v1/tenants/{tenant}/caps", &[PlatformAdmin, Engineer]),
    ("post", "/v1/tenants/{tenant}/deletion", &[PlatformAdmin]),
    ("get", "/v1/tenants/{tenant}/deletion", READERS),
    ("delete", "/v1/tenants/{tenant}/deletion", &[PlatformAdmin]),
    ("get", "/v1/deletions", PLATFORM),
    ("get", "/v1/deletions/{deletion}", PLATFORM),
    ("get", "/v1/deletions/{deletion}/certificate", PLATFORM),
    // After the deletions: a hold that stands is in their way.
    ("get", "/v1/tenants/{tenant}/retention-settings", READERS),
    ("put", "/v1/tenants/{tenant}/retention-settings", WRITERS),
    ("post", "/v1/tenants/{tenant}/retention-settings/dry-run", WRITERS),
    ("get", "/v1/tenants/{tenant}/retention", READERS),
    ("post", "/v1/tenants/{tenant}/legal-holds", WRITERS),
    ("get", "/v1/tenants/{tenant}/legal-holds", TEXT_READERS),
    ("get", "/v1/tenants/{tenant}/legal-holds/{hold}", TEXT_READERS),
    ("delete", "/v1/tenants/{tenant}/legal-holds/{hold}", WRITERS),
    ("post", "/v1/tenants/{tenant}/erasures", WRITERS),
    ("get", "/v1/tenants/{tenant}/erasures", READERS),
    ("get", "/v1/tenants/{tenant}/erasures/{erasure}", READERS),
    (
        "get",
        "/v1/tenants/{tenant}/erasures/{erasure}/certificate",
        READERS,
    ),
    ("post", "/v1/tenants/{tenant}/person-exports", TEXT_READERS),
];

/// A request that succeeds if the role is allowed.
fn body(path: &str, tenant: &Tenant, n: usize) -> Value {
    let name = format!("n-{n}");
    if path.ends_with("/{letter}/replay") {
        return json!({"text": name});
    }
    if path.ends_with("/{delivery}/replay") || path.ends_with("/{webhook}/test") {
        return Value::Null;
    }
    if path.ends_with("/{webhook}/replay") {
        return json!({"from": "2026-03-01T22:00:00Z", "to": "2026-03-02T02:00:00Z"});
    }
    match path.rsplit('/').next().unwrap() {
        "sms-settings" => json!({"transliterate": "latin"}),
        "deflection-settings" => json!({"offer": {"en": "Text back for a chat."}}),
        "screenpop-settings" => json!({"region": "IE"}),
        "state" => json!({"state": "active", "reason": name}),
        "webhooks" => json!({"name": name, "url": "https://93.184.216.34/ccm"}),
        "{account}" | "{skillset}" | "{key}" | "{webhook}" => json!({"name": name}),
        "templates" => json!({"name": name, "text": "Hello from {agent}", "scope": "tenant"}),
        "{template}" => json!({"text": name}),
        "rotate" => json!({"overlap_s": 60}),
        "moves" => json!({"dry_run": true}),
        "{number}" => json!({"per_second": 2}),
        "replay" => json!({"code": "nothing"}),
        "discard" if path.ends_with("/dead-letters/discard") => json!({"code": "nothing"}),
        "discard" | "sessions" => Value::Null,
        "lives" | "settle" => json!({"reason": name}),
        "opt-outs" => {
            json!({"our_address": "+14155550123", "customer_address": "+353867654321", "evidence": name})
        }
        "deletion" => json!({"reason": name}),
        "caps" => json!({"daily_mt_segments": n}),
        "text-check" => json!({"text": "hello"}),
        "tenants" => json!({"slug": name, "name": name}),
        "{tenant}" => json!({"name": name}),
        "chat-settings" => json!({"language": "de"}),
        "routing" => json!({"lists": {"vip": {"numbers": ["+353861234567"]}}}),
        "retention-settings" => json!({"bodies_days": 90}),
        "legal-holds" => json!({"customer": "+353861111111", "reason": name}),
        "person-exports" => json!({"number": "+353861234567", "reason": name}),
        "erasures" => json!({"number": format!("+35386{:07}", 2_000_000 + n), "reason": name}),
        "dry-run" if path.contains("retention") => json!({"bodies_days": 90}),
        "dry-run" => json!({"to": "+14155550123", "from": "+353861234567", "text": "hello"}),
        "links" | "{link}" => json!({"name": name, "url": "wss://aacc"}),
        "maintenance-windows" => window(),
        "trusted-cas" => json!({"ca_pem": certificates::new_ca().pem()}),
        "client-key" => json!({"common_name": name}),
        "client-certificate" => certificates::client_certificate(),
        "doctor" if path.contains("{link}") => Value::Null,
        "doctor" => json!({"link": {"name": name, "url": "ws://127.0.0.1:1"}}),
        "share" => json!({"ttl_s": 60}),
        "skillsets" => json!({"name": name, "link_id": tenant.link}),
        "accounts" => json!({"name": name, "kind": "http", "settings": {"send_url": "https://x/"},
                             "secret": {"signing_secret": AUTH_TOKEN}}),
        "numbers" => json!({"address": (10_000 + n).to_string(), "account_id": tenant.account,
                            "skillset_id": tenant.skillset}),
        "auth-keys" | "webhook-secrets" | "screenpop-signing-keys" => json!({"name": name}),
        "api-keys" if path.contains("{tenant}") => json!({"name": name, "role": "tenant-viewer"}),
        "api-keys" => json!({"name": name, "role": "support"}),
        "users" if path.contains("{tenant}") => access::new_user(&name, "tenant-viewer"),
        "users" => access::new_user(&name, "support"),
        "{user}" => json!({"name": name}),
        other => panic!("no body for {other}"),
    }
}

/// A `POST` that is an action.
pub fn makes_nothing(path: &str) -> bool {
    let ends = [
        "/replay",
        "/test",
        "/discard",
        "/settle",
        "/text-check",
        "/dry-run",
        "/moves",
        "/doctor",
        "/person-exports",
    ];
    ends.iter().any(|end| path.ends_with(end))
}

fn window() -> Value {
    json!({"begins_at": "2099-03-01T22:00:00Z", "ends_at": "2099-03-02T02:00:00Z", "reason": "patch"})
}

/// A `DELETE` that can be tried: what it would take away is needed by the rows after it.
pub fn can_be_tried(path: &str) -> bool {
    let ends = ["/{link}", "/{skillset}", "/{account}", "/{number}"];
    ends.iter().any(|end| path.ends_with(end))
}

/// A key that can be replaced or revoked once.
async fn auth_key(app: &App, tenant: &Tenant) -> String {
    let name = app.deps.ids.next::<uuid::Uuid>().to_string();
    let path = format!("/v1/tenants/{}/auth-keys", tenant.id);
    let made = app.post(&path, json!({"name": name})).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// An account that has no number.
pub async fn other_account(app: &App, tenant: &Tenant) -> String {
    let name = app.deps.ids.next::<uuid::Uuid>().to_string();
    let body = json!({"name": name, "kind": "http", "settings": {"send_url": "https://x/"},
                      "secret": {"signing_secret": AUTH_TOKEN}});
    let path = format!("/v1/tenants/{}/accounts", tenant.id);
    app.post(&path, body).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A move that can be taken back once.
pub async fn planned_move(app: &App, tenant: &Tenant) -> String {
    let path = format!("/v1/tenants/{}/numbers/{}/moves", tenant.id, tenant.number);
    let last = app.get(&path).await.ok()["items"][0].clone();
    if last["state"] == "pending" {
        return last["id"].as_str().unwrap().to_owned();
    }
    let at = app.deps.ids.clock().now() + std::time::Duration::from_secs(86_400);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"to_account_id": other_account(app, tenant).await, "at": at});
    app.post(&path, body).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A template that can be deleted once.
pub async fn template(app: &App, tenant: &Tenant) -> String {
    let name = app.deps.ids.next::<uuid::Uuid>().to_string();
    let path = format!("/v1/tenants/{}/templates", tenant.id);
    let body = json!({"name": name, "text": "Hello from {agent}", "scope": "tenant"});
    let made = app.post(&path, body).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// A window that can be taken back once.
async fn planned(app: &App, tenant: &Tenant) -> String {
    let path = format!(
        "/v1/tenants/{}/links/{}/maintenance-windows",
        tenant.id, tenant.link
    );
    let made = app.post(&path, window()).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// Of what there are two at most.
async fn without(app: &App, tenant: &Tenant, these: &str) {
    let path = format!("/v1/tenants/{}/{these}", tenant.id);
    for secret in app.get(&path).await.ok()["items"].as_array().unwrap() {
        let id = secret["id"].as_str().unwrap();
        assert_eq!(app.delete(&format!("{path}/{id}")).await.status, 204);
    }
}

/// A secret that can be deleted once.
async fn webhook_secret(app: &App, tenant: &Tenant, n: usize) -> String {
    without(app, tenant, "webhook-secrets").await;
    let path = format!("/v1/tenants/{}/webhook-secrets", tenant.id);
    let made = app.post(&path, json!({"name": format!("secret {n}")})).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// A key that can be deleted once.
async fn signing_key(app: &App, tenant: &Tenant, n: usize) -> String {
    without(app, tenant, "screenpop-signing-keys").await;
    let path = format!("/v1/tenants/{}/screenpop-signing-keys", tenant.id);
    let made = app.post(&path, json!({"name": format!("key {n}")})).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// A session's key, for a good token.
async fn begun(app: &App, token: &str) -> Option<String> {
    let made = app.send(Method::POST, "/v1/sessions", Some(token), None).await;
    made.json["key"].as_str().map(ToOwned::to_owned)
}

#[tokio::test]
async fn every_endpoint_and_every_role() {
    let app = App::start().await;
    let (own, other) = (app.tenant("own").await, app.tenant("other").await);
    let own_conversation = app.text(&own, "+353861234567", "hello").await;
    let other_conversation = app.text(&other, "+353861234567", "hello").await;
    let targets: [(&Tenant, ConversationId); 2] = [(&own, own_conversation), (&other, other_conversation)];
    let mut n = 0;
    for (method, route, allowed) in MATRIX {
        for (tenant, conversation) in targets {
            let path = route
                .replace("{tenant}", &tenant.id.to_string())
                .replace("{conversation}", &conversation.to_string());
            let send = async |token: Option<&str>, n: usize| {
                let mut path = path.replace("{link}", &tenant.link);
                if path.ends_with("/deletion") {
                    deletions::begun(&app, tenant).await;
                    if *method == "post" {
                        deletions::taken_back(&app, tenant).await;
                    }
                }
                if path.contains("{deletion}") {
                    path = path.replace("{deletion}", &deletions::proved(&app).await.to_string());
                }
                if path.contains("{window}") {
                    path = path.replace("{window}", &planned(&app, tenant).await);
                }
                if path.contains("{secret}") {
                    path = path.replace("{secret}", &webhook_secret(&app, tenant, n).await);
                }
                if path.contains("{signing_key}") {
                    path = path.replace("{signing_key}", &signing_key(&app, tenant, n).await);
                }
                // Two at most.
                if *method == "post" && path.ends_with("/webhook-secrets") {
                    without(&app, tenant, "webhook-secrets").await;
                }
                if *method == "post" && path.ends_with("/screenpop-signing-keys") {
                    without(&app, tenant, "screenpop-signing-keys").await;
                }
                if path.contains("{webhook}") {
                    let (webhook, delivery) = webhooks::tested(&app, tenant).await;
                    path = path
                        .replace("{webhook}", &webhook)
                        .replace("{delivery}", &delivery);
                } else if path.ends_with("/webhooks") {
                    without(&app, tenant, "webhooks").await;
                }
                if path.contains("{sha256}") {
                    path = path.replace("{sha256}", &certificates::trusted(&app, tenant).await);
                }
                if path.ends_with("/client-key") {
                    match *method {
                        // One at most.
                        "post" => _ = app.delete(&path).await,
                        _ => certificates::key_waits(&app, tenant).await,
                    }
                }
                if *method == "delete" && path.ends_with("/client-certificate") {
                    app.put(&path, certificates::client_certificate()).await.ok();
                }
                if path.contains("/links/") && path.ends_with("/doctor") {
                    doctor::to_nowhere(&app, tenant).await;
                }
                if path.contains("{report}") {
                    let report = doctor::kept(&app, tenant).await;
                    if *method == "delete" {
                        doctor::shared(&app, tenant, &report).await;
                    }
                    path = path.replace("{report}", &report);
                }
                if path.contains("{letter}") {
                    let (letter, _) =
                        dead_letters::refused(&app, tenant, &format!("text {n} {method}")).await;
                    path = path.replace("{letter}", &letter);
                }
                if path.contains("{life}") {
                    path = path.replace("{life}", &overview::open_life(&app).await);
                }
                if path.contains("{number_move}") {
                    path = path.replace("{number_move}", &planned_move(&app, tenant).await);
                }
                if path.contains("{hold}") {
                    path = path.replace("{hold}", &store::held(&app, tenant).await);
                }
                if path.contains("{erasure}") {
                    path = path.replace("{erasure}", &store::erased(&app, tenant, "+353863333333").await);
                }
                if path.contains("{template}") {
                    path = path.replace("{template}", &template(&app, tenant).await);
                }
                let of_tenant = route.contains("{tenant}").then_some(tenant);
                if path.contains("/api-keys/{key}") {
                    path = path.replace("{key}", &access::api_key(&app, of_tenant).await);
                }
                if path.contains("{user}") {
                    path = path.replace("{user}", &access::user(&app, of_tenant).await);
                }
                if path.contains("{key}") {
                    path = path.replace("{key}", &auth_key(&app, tenant).await);
                }
                path = path
                    .replace("{account}", &tenant.account)
                    .replace("{skillset}", &tenant.skillset)
                    .replace("{number}", &tenant.number);
                if *method == "delete" && path.ends_with("/opt-outs") {
                    let opt_out = body(route, tenant, n);
                    app.put(&path, opt_out).await.ok();
                    path += "?our_address=%2B14155550123&customer_address=%2B353867654321&evidence=asked";
                }
                if *method == "delete" && can_be_tried(route) {
                    path += "?dry_run=true";
                }
                if path.ends_with("/messages/search") {
                    path += "?q=hello";
                }
                if path.ends_with("/number-check") {
                    path += "?number=%2B353861234567";
                }
                let mut body = ["post", "put", "patch"]
                    .contains(method)
                    .then(|| body(route, tenant, n))
                    .filter(|body| !body.is_null());
                if *method == "post" && path.ends_with("/moves") {
                    body.as_mut().unwrap()["to_account_id"] = json!(other_account(&app, tenant).await);
                }
                let session = match token {
                    Some(token) if path.ends_with("/me/session") => begun(&app, token).await,
                    _ => None,
                };
                let token = session.as_deref().or(token);
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                app.send(method, &path, token, body.as_ref()).await
            };
            send(None, 0).await.problem_without_field(401);
            send(Some("not.a.token"), 0).await.problem_without_field(401);
            for role in Role::ALL {
                n += 1;
                let token = app.token(*role, role.is_of_tenant().then_some(own.id));
                let mine = !role.is_of_tenant() || tenant.id == own.id || !route.contains("{tenant}");
                let answer = send(Some(&token), n).await;
                let case = format!("{role} {method} {path} (own: {mine})");
                if allowed.contains(role) && mine {
                    let success = match *method {
                        "post" if makes_nothing(route) => 200,
                        "post" => 201,
                        "delete" if !can_be_tried(route) => 204,
                        _ => 200,
                    };
                    assert_eq!(answer.status, success, "{case}: {}", answer.json);
                } else {
                    assert_eq!(answer.status, 403, "{case}");
                    answer.problem_without_field(403);
                }
            }
            if route.ends_with("/deletion") {
                deletions::begun(&app, tenant).await;
                deletions::taken_back(&app, tenant).await;
            }
        }
    }
}

/// A new route without a row above fails here, and so does a description that names other roles than the row.
#[test]
fn the_matrix_is_complete_and_the_document_tells_the_same() {
    let document = serde_json::to_value(ccm_admin::openapi()).unwrap();
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some((_, _, allowed)) = MATRIX.iter().find(|(m, p, _)| m == method && p == path) else {
                panic!("{method} {path} has no row in the matrix");
            };
            let description = operation["description"].as_str().unwrap_or_default();
            for role in Role::ALL {
                let named = description.contains(role.as_str());
                assert_eq!(
                    named,
                    allowed.contains(role),
                    "{method} {path}: {role} in {description:?}"
                );
            }
            found.insert((method.clone(), path.clone()));
        }
    }
    assert_eq!(found.len(), MATRIX.len(), "a row has no route");
}

/// The table of docs/api.md has a line for each row.
#[test]
fn the_page_tells_the_same() {
    let page = include_str!("../../../../docs/api.md");
    let lines = page
        .lines()
        .filter(|line| line.contains(" /v1/") && line.starts_with("| `"));
    assert_eq!(lines.count(), MATRIX.len());
    for (method, path, allowed) in MATRIX {
        let cells = Role::ALL.iter().map(|role| match role {
            _ if !allowed.contains(role) => "–",
            Support
                if *method == "get"
                    && ["conversations", "dead-letters", "/deflections", "/deliveries"]
                        .iter()
                        .any(|texts| path.contains(texts)) =>
            {
                "withheld"
            }
            _ if role.is_of_tenant() => "own",
            _ => "yes",
        });
        let cells: Vec<_> = cells.collect();
        let line = format!("| `{} {path}` | {} |", method.to_uppercase(), cells.join(" | "));
        assert!(page.contains(&line), "docs/api.md has not: {line}");
    }
}
