//! Accounts with rules, changed without being made again.

use crate::app::{ACCOUNT_SID, AUTH_TOKEN, App, Tenant};
use ccm_db::AccountEventRow;
use ccm_model::AccountId;
use serde_json::{Value, json};

fn of(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}/accounts/{}", tenant.id, tenant.account)
}

async fn listed(app: &App, tenant: &Tenant) -> Value {
    let list = app.get(&format!("/v1/tenants/{}/accounts", tenant.id)).await.ok();
    list["items"][0].clone()
}

async fn secret(app: &App, tenant: &Tenant) -> Value {
    let account: AccountId = tenant.account.parse().unwrap();
    let stored = app
        .deps
        .db
        .tenant(tenant.id)
        .account_secret(account)
        .await
        .unwrap();
    serde_json::from_slice(&stored.secret).unwrap()
}

#[tokio::test]
async fn an_account_is_changed_piece_by_piece() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let made = listed(&app, &tenant).await;
    let defaults = json!({"segments_per_second": null, "signature_check": "enforce", "webhook_base": null, "repeat_window_s": 0});
    assert_eq!(made["rules"], defaults);
    assert_eq!(
        (&made["signature_mismatches"], &made["signature_mismatch_at"]),
        (&json!(0), &Value::Null)
    );

    assert_eq!(
        app.patch(&of(&tenant), json!({})).await.ok(),
        made,
        "nothing given, nothing changed"
    );
    let rules = json!({"segments_per_second": 80.5, "signature_check": "report", "webhook_base": "https://hooks.example.com:8443",
                       "repeat_window_s": 3600});
    let changed = app
        .patch(&of(&tenant), json!({"name": "second name", "rules": rules}))
        .await
        .ok();
    assert_eq!(
        (&changed["name"], &changed["rules"]),
        (&json!("second name"), &rules)
    );
    assert_eq!(
        changed["webhook_url"],
        format!("https://hooks.example.com:8443/v1/sms/twilio/{}", tenant.account)
    );
    assert_eq!(
        secret(&app, &tenant).await,
        json!({"auth_token": AUTH_TOKEN}),
        "the secret stays"
    );

    let changed = app
        .patch(
            &of(&tenant),
            json!({"rules": {"segments_per_second": null, "webhook_base": null},
                                    "settings": {"timeout_ms": 5000}}),
        )
        .await
        .ok();
    assert_eq!(
        changed["rules"]["signature_check"], "report",
        "what is left out stays"
    );
    assert_eq!(changed["rules"]["segments_per_second"], Value::Null);
    assert_eq!(
        changed["settings"],
        json!({"account_sid": ACCOUNT_SID, "timeout_ms": 5000})
    );
    let changed = app
        .patch(&of(&tenant), json!({"settings": {"timeout_ms": null}}))
        .await
        .ok();
    assert_eq!(changed["settings"], json!({"account_sid": ACCOUNT_SID}));

    let new = json!({"auth_token": "SECRET-another-token", "previous_auth_token": AUTH_TOKEN});
    app.patch(&of(&tenant), json!({"secret": new})).await.ok();
    assert_eq!(secret(&app, &tenant).await, new);
    app.patch(
        &of(&tenant),
        json!({"secret": {"auth_token": "SECRET-another-token"}}),
    )
    .await
    .ok();
    assert_eq!(
        secret(&app, &tenant).await,
        json!({"auth_token": "SECRET-another-token"}),
        "as a whole"
    );
    assert!(!app.ever_said("SECRET-"));
}

#[tokio::test]
async fn refusals_name_their_field_and_change_nothing() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let second = app
        .post(
            &format!("/v1/tenants/{}/accounts", tenant.id),
            json!({"name": "second", "kind": "http", "settings": {"send_url": "https://x/"},
                   "secret": {"signing_secret": AUTH_TOKEN}, "rules": {"repeat_window_s": 5}}),
        )
        .await
        .ok();
    assert_eq!(second["rules"]["repeat_window_s"], 5);
    let before = listed(&app, &tenant).await;
    for (body, status, field) in [
        (json!({"kind": "http"}), 400, "kind"),
        (json!({"name": null}), 400, "name"),
        (json!({"name": ""}), 422, "name"),
        (json!({"name": "second"}), 409, "name"),
        (json!({"settings": null}), 422, "settings"),
        (
            json!({"settings": {"account_sid": null}}),
            422,
            "settings.account_sid",
        ),
        (
            json!({"settings": {"account_sid": "x"}}),
            422,
            "settings.account_sid",
        ),
        (
            json!({"settings": {"send_url": "https://x"}}),
            422,
            "settings.send_url",
        ),
        (json!({"secret": null}), 422, "secret"),
        (
            json!({"secret": {"previous_auth_token": AUTH_TOKEN}}),
            422,
            "secret.auth_token",
        ),
        (json!({"rules": null}), 422, "rules"),
        (
            json!({"rules": {"segments_per_second": 0.05}}),
            422,
            "rules.segments_per_second",
        ),
        (
            json!({"rules": {"segments_per_second": 10001}}),
            422,
            "rules.segments_per_second",
        ),
        (json!({"rules": {"signature_check": "off"}}), 422, "rules"),
        (
            json!({"rules": {"webhook_base": "https://x/path"}}),
            422,
            "rules.webhook_base",
        ),
        (
            json!({"rules": {"webhook_base": "http://hooks.example.com"}}),
            422,
            "rules.webhook_base",
        ),
        (
            json!({"rules": {"repeat_window_s": 3601}}),
            422,
            "rules.repeat_window_s",
        ),
        (json!({"rules": {"repeat_window": 1}}), 422, "rules.repeat_window"),
    ] {
        assert_eq!(
            app.patch(&of(&tenant), body.clone()).await.problem(status),
            field,
            "{body}"
        );
    }
    assert_eq!(listed(&app, &tenant).await, before);
    let theirs = format!("/v1/tenants/{}/accounts/{}", tenant.id, other.account);
    app.patch(&theirs, json!({})).await.problem(404);
    app.get(&format!("{theirs}/events")).await.problem(404);
}

pub async fn happened(app: &App, tenant: &Tenant, kind: &str) {
    let event = AccountEventRow {
        id: app.deps.ids.next(),
        account: tenant.account.parse().unwrap(),
        kind: kind.to_owned(),
        at: app.deps.ids.clock().now(),
        detail: json!({"code": "20003"}),
    };
    assert!(
        app.deps
            .db
            .tenant(tenant.id)
            .account_turned(&event)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn what_happened_is_listed_the_newest_first() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    for kind in ["failing", "recovered", "failing"] {
        happened(&app, &tenant, kind).await;
    }
    app.deps
        .db
        .tenant(tenant.id)
        .signatures_mismatched(tenant.account.parse().unwrap(), 3, app.deps.ids.clock().now())
        .await
        .unwrap();
    let first = app.get(&format!("{}/events?limit=2", of(&tenant))).await.ok();
    assert_eq!(first["items"][0]["detail"], json!({"code": "20003"}));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app
        .get(&format!("{}/events?limit=2&cursor={cursor}", of(&tenant)))
        .await
        .ok();
    let kinds: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["failing", "recovered", "failing"]);
    let account = listed(&app, &tenant).await;
    assert_eq!(account["signature_mismatches"], 3);
    assert!(account["signature_mismatch_at"].is_string());
}
