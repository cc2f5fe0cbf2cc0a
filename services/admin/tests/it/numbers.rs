//! Kinds of numbers, their rates, a second account, and what can be changed.

use crate::app::{AUTH_TOKEN, App, Tenant};
use serde_json::{Value, json};

async fn second_account(app: &App, tenant: &Tenant) -> String {
    let made = app
        .post(
            &format!("/v1/tenants/{}/accounts", tenant.id),
            json!({"name": "second", "kind": "http", "settings": {"send_url": "https://x/"},
                   "secret": {"signing_secret": AUTH_TOKEN}}),
        )
        .await
        .ok();
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn kind_and_rate_have_defaults_by_the_address() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let second = second_account(&app, &tenant).await;
    for (address, kind, rate) in [
        ("+14155550199", "long_code", 1.0),
        ("+18885550199", "toll_free", 3.0),
        ("72345", "short_code", 100.0),
    ] {
        let body = json!({"address": address, "account_id": tenant.account, "skillset_id": tenant.skillset});
        let made = app
            .post(&format!("/v1/tenants/{}/numbers", tenant.id), body)
            .await
            .ok();
        assert_eq!(
            (&made["kind"], &made["per_second"]),
            (&json!(kind), &json!(rate)),
            "{address}"
        );
        assert_eq!(made["second_account_id"], Value::Null);
    }
    let body = json!({"address": "+18775550199", "account_id": tenant.account, "skillset_id": tenant.skillset,
                      "second_account_id": second, "kind": "long_code", "per_second": 0.5});
    let made = app
        .post(&format!("/v1/tenants/{}/numbers", tenant.id), body)
        .await
        .ok();
    assert_eq!(
        (&made["kind"], &made["per_second"], &made["second_account_id"]),
        (&json!("long_code"), &json!(0.5), &json!(second))
    );
}

#[tokio::test]
async fn a_number_is_changed_piece_by_piece() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let second = second_account(&app, &tenant).await;
    let path = format!("/v1/tenants/{}/numbers/{}", tenant.id, tenant.number);
    let before = app.patch(&path, json!({})).await.ok();
    assert_eq!(
        (&before["kind"], &before["per_second"]),
        (&json!("long_code"), &json!(1.0))
    );

    let changed = app
        .patch(&path, json!({"second_account_id": second, "per_second": 7}))
        .await
        .ok();
    assert_eq!(
        (&changed["second_account_id"], &changed["per_second"]),
        (&json!(second), &json!(7.0))
    );
    let changed = app.patch(&path, json!({"kind": "toll_free"})).await.ok();
    assert_eq!(
        (&changed["kind"], &changed["per_second"]),
        (&json!("toll_free"), &json!(7.0)),
        "its rate stays"
    );
    let changed = app.patch(&path, json!({"per_second": null})).await.ok();
    assert_eq!(changed["per_second"], 3.0);
    let changed = app
        .patch(
            &path,
            json!({"kind": null, "per_second": null, "second_account_id": null}),
        )
        .await
        .ok();
    assert_eq!(changed, before);

    let sales = app
        .post(
            &format!("/v1/tenants/{}/skillsets", tenant.id),
            json!({"name": "WC_Sales", "link_id": tenant.link}),
        )
        .await
        .ok();
    let changed = app
        .patch(&path, json!({"account_id": second, "skillset_id": sales["id"]}))
        .await
        .ok();
    assert_eq!(
        (&changed["account_id"], &changed["skillset_id"]),
        (&json!(second), &sales["id"])
    );
    let listed = app.get(&format!("/v1/tenants/{}/numbers", tenant.id)).await.ok();
    assert_eq!(listed["items"], json!([changed]));
}

#[tokio::test]
async fn refusals_name_their_field_and_change_nothing() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let numbers = format!("/v1/tenants/{}/numbers", tenant.id);
    let second = second_account(&app, &tenant).await;
    let same = json!({"address": "+14155550123", "account_id": second, "skillset_id": tenant.skillset});
    let taken = app.post(&numbers, same).await.ok();
    let path = format!("{numbers}/{}", tenant.number);
    let before = app.patch(&path, json!({})).await.ok();
    for (body, status, field) in [
        (json!({"address": "+14155550199"}), 400, "address"),
        (json!({"account_id": null}), 400, "account_id"),
        (json!({"account_id": other.account}), 422, "account_id"),
        (json!({"account_id": second}), 409, "address"),
        (
            json!({"second_account_id": other.account}),
            422,
            "second_account_id",
        ),
        (
            json!({"second_account_id": tenant.account}),
            422,
            "second_account_id",
        ),
        (json!({"skillset_id": other.skillset}), 422, "skillset_id"),
        (json!({"kind": "short_code"}), 422, "kind"),
        (json!({"kind": "pager"}), 400, "kind"),
        (json!({"per_second": 0}), 422, "per_second"),
        (json!({"per_second": 1001}), 422, "per_second"),
    ] {
        let answer = app.patch(&path, body.clone()).await;
        assert_eq!(answer.problem(status), field, "{body}");
        if status == 409 {
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(taken["id"].as_str().unwrap()), "{detail}");
        }
    }
    assert_eq!(app.patch(&path, json!({})).await.ok(), before);
    app.patch(&format!("{numbers}/{}", other.number), json!({}))
        .await
        .problem(404);
    let mut body = json!({"address": "72345", "account_id": tenant.account, "skillset_id": tenant.skillset});
    body["second_account_id"] = json!(other.account);
    assert_eq!(
        app.post(&numbers, body.clone()).await.problem(422),
        "second_account_id"
    );
    body["second_account_id"] = json!(tenant.account);
    assert_eq!(
        app.post(&numbers, body.clone()).await.problem(422),
        "second_account_id"
    );
    body["second_account_id"] = Value::Null;
    body["kind"] = json!("toll_free");
    assert_eq!(app.post(&numbers, body).await.problem(422), "kind");
}
