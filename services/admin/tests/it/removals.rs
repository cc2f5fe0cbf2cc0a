//! Taking away what nothing needs any more, while history stays.

use crate::app::{App, Tenant};
use axum::http::Method;
use ccm_db::DbError;
use ccm_model::{AccountId, ConversationId, NumberId};
use serde_json::{Value, json};

fn paths(tenant: &Tenant) -> [(&'static str, String); 4] {
    let base = format!("/v1/tenants/{}", tenant.id);
    [
        ("number", format!("{base}/numbers/{}", tenant.number)),
        ("account", format!("{base}/accounts/{}", tenant.account)),
        ("skillset", format!("{base}/skillsets/{}", tenant.skillset)),
        ("link", format!("{base}/links/{}", tenant.link)),
    ]
}

/// The conversation's chat ends, as a connector writes it down.
fn closed(app: &App, conversation: ConversationId) {
    app.database
        .superuser_sql(&format!(
            "update conversation set state = 'closed', closed_at = now() where id = '{conversation}'"
        ))
        .unwrap();
}

async fn would(app: &App, path: &str) -> Value {
    app.delete(&format!("{path}?dry_run=true")).await.ok()
}

const FREE: fn() -> Value = || json!({"would": "remove", "in_the_way": []});

#[tokio::test]
async fn what_is_needed_stays_and_says_by_what() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let paths = paths(&tenant);
    for (n, (what, needed_by, id)) in [
        ("number", "", ""),
        ("account", "numbers", tenant.number.as_str()),
        ("skillset", "numbers", &tenant.number),
        ("link", "skillsets", &tenant.skillset),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, path) = &paths[n];
        let before = app.get(path).await;
        let plan = would(&app, path).await;
        if needed_by.is_empty() {
            assert_eq!(plan, FREE());
        } else {
            let obstacle = json!({"what": needed_by, "count": 1, "which": [id]});
            assert_eq!(
                plan,
                json!({"would": "refuse", "in_the_way": [obstacle]}),
                "{what}"
            );
            let answer = app.delete(path).await;
            answer.problem(409);
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("1 {needed_by} ({id})")), "{detail}");
        }
        let late = app.send_if(Method::DELETE, path, "\"older\"", None).await;
        assert_eq!(late.problem(412), "If-Match", "{what}");
        let after = app.get(path).await;
        assert_eq!(
            (after.etag.clone(), after.ok()),
            (before.etag.clone(), before.ok()),
            "{what}"
        );
    }
    for (what, path) in &paths {
        assert_eq!(would(&app, path).await, FREE(), "{what}");
        let tag = app.get(path).await.etag;
        assert_eq!(
            app.send_if(Method::DELETE, path, &tag, None).await.status,
            204,
            "{what}"
        );
        app.get(path).await.problem(404);
        app.delete(path).await.problem(404);
    }
    // All of it can be made again, under the same names.
    app.database.superuser_sql("select 1").unwrap();
    for (what, body) in [
        (
            "links",
            json!({"name": "main", "url": "wss://aacc.example.com:8445"}),
        ),
        (
            "accounts",
            json!({"name": "main", "kind": "twilio", "settings": {"account_sid": crate::app::ACCOUNT_SID},
                   "secret": {"auth_token": crate::app::AUTH_TOKEN}}),
        ),
    ] {
        app.post(&format!("/v1/tenants/{}/{what}", tenant.id), body)
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_number_goes_when_nothing_is_under_way_and_its_conversations_stay() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let [(_, number), (_, account), (_, skillset), _] = paths(&tenant);
    let conversation = app.text(&tenant, "+353861234567", "hello").await;
    let obstacle = json!({"what": "open conversations", "count": 1, "which": [conversation.to_string()]});
    assert_eq!(would(&app, &number).await["in_the_way"], json!([obstacle]));
    app.delete(&number).await.problem(409);
    closed(&app, conversation);
    assert_eq!(app.delete(&number).await.status, 204);

    let history = app.get(&format!("{base}/conversations")).await.ok();
    assert_eq!(
        (&history["items"][0]["id"], &history["items"][0]["number_id"]),
        (&json!(conversation.to_string()), &json!(tenant.number))
    );
    let texts = app
        .get(&format!("{base}/conversations/{conversation}/messages"))
        .await
        .ok();
    assert_eq!(texts["items"][0]["body"], "hello");
    assert_eq!(app.get(&format!("{base}/numbers")).await.ok()["items"], json!([]));
    let account_id: AccountId = tenant.account.parse().unwrap();
    let found = app
        .deps
        .db
        .operator()
        .find_number(account_id, &"+14155550123".parse().unwrap())
        .await;
    assert_eq!(found.unwrap(), None, "nothing finds it");
    // One that had looked it up a moment before.
    let late = app.try_text(&tenant, "+353861234567", "late").await;
    let unknown = matches!(late, Err(DbError::Conflict { missing: true, .. }));
    assert!(unknown, "as if it were not there: {late:?}");

    // It comes back as what it was.
    let body =
        json!({"address": "+14155550123", "account_id": tenant.account, "skillset_id": tenant.skillset});
    let again = app.post(&format!("{base}/numbers"), body.clone()).await.ok();
    assert_eq!(again["id"], json!(tenant.number));
    assert_eq!(
        app.post(&format!("{base}/numbers"), body).await.problem(409),
        "address"
    );
    let next = app.text(&tenant, "+353861234567", "again").await;
    closed(&app, next);
    assert_eq!(app.delete(&number).await.status, 204);
    // With its account and its skillset gone it still stands in history.
    assert_eq!(
        (
            app.delete(&account).await.status,
            app.delete(&skillset).await.status
        ),
        (204.try_into().unwrap(), 204.try_into().unwrap())
    );
    let history = app.get(&format!("{base}/conversations")).await.ok();
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
}

/// Whoever is first: either the number is released and the text finds none, or a conversation is open and the number stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_number_that_is_released_while_it_is_texted() {
    let app = App::start().await;
    for n in 0..20 {
        let tenant = app.tenant(&format!("t{n}")).await;
        let number: NumberId = tenant.number.parse().unwrap();
        let db = app.deps.db.tenant(tenant.id);
        let release = db.release_number(
            number,
            ccm_db::Removal::default(),
            |_| Ok::<_, DbError>(()),
            app.deps.ids.clock().now(),
        );
        let (texted, in_the_way) = tokio::join!(app.try_text(&tenant, "+353861234567", "hello"), release);
        assert_eq!(texted.is_ok(), !in_the_way.unwrap().is_empty(), "{texted:?}");
    }
}

#[tokio::test]
async fn what_routing_names_stays() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let made = app
        .post(
            &format!("{base}/skillsets"),
            json!({"name": "WC_Sales", "link_id": tenant.link}),
        )
        .await
        .ok();
    let sales = format!("{base}/skillsets/{}", made["id"].as_str().unwrap());
    let rule =
        json!({"name": "sales", "when": {"numbers": ["+14155550123"]}, "action": {"skillset": "WC_Sales"}});
    app.put(&format!("{base}/routing"), json!({"rules": [rule]}))
        .await
        .ok();
    for (path, place) in [
        (&sales, "rules[0].action.skillset"),
        (
            &format!("{base}/numbers/{}", tenant.number),
            "rules[0].when.numbers[0]",
        ),
    ] {
        let obstacle = json!({"what": "places in routing", "count": 1, "which": [place]});
        assert_eq!(would(&app, path).await["in_the_way"], json!([obstacle]));
        app.delete(path).await.problem(409);
    }
    let answer = app.patch(&sales, json!({"name": "WC_Other"})).await;
    assert_eq!(answer.problem(409), "name");
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("rules[0].action.skillset")
    );
    app.patch(&sales, json!({"name": "WC_Sales"})).await.ok();
    app.put(&format!("{base}/routing"), json!({})).await.ok();
    app.patch(&sales, json!({"name": "WC_Other"})).await.ok();
    assert_eq!(app.delete(&sales).await.status, 204);
}

#[tokio::test]
async fn what_other_settings_name_stays() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let new = json!({"name": "WC_Sales", "link_id": tenant.link});
    let made = app.post(&format!("{base}/skillsets"), new).await.ok();
    let sales = format!("{base}/skillsets/{}", made["id"].as_str().unwrap());
    let number = format!("{base}/numbers/{}", tenant.number);
    let (deflection, screenpop) = (
        format!("{base}/deflection-settings"),
        format!("{base}/screenpop-settings"),
    );
    for (settings, field) in [
        (json!({"skillsets": {"Voice": "WC_Nobody"}}), "skillsets.Voice"),
        (
            json!({"priorities": [{"over_s": 60, "skillset": "WC_Nobody"}]}),
            "priorities[0].skillset",
        ),
        (json!({"sender": "+14155559999"}), "sender"),
        (json!({"senders": {"4711": "+14155559999"}}), "senders.4711"),
    ] {
        assert_eq!(app.put(&deflection, settings).await.problem(422), field);
    }
    let settings = json!({
        "skillsets": {"Voice": "WC_Sales"}, "priorities": [{"over_s": 60, "skillset": "WC_Sales"}],
        "sender": "+14155550123",
    });
    app.put(&deflection, settings).await.ok();
    app.put(&screenpop, json!({"senders": {"Sales": "+14155550123"}}))
        .await
        .ok();
    let obstacle = |what: &str, which: &[&str]| json!({"what": what, "count": which.len(), "which": which});
    let (in_deflection, in_screenpop) = (
        "places in the deflection settings",
        "places in the screen-pop settings",
    );
    for (path, in_the_way) in [
        (
            &sales,
            json!([obstacle(
                in_deflection,
                &["skillsets.Voice", "priorities[0].skillset"]
            )]),
        ),
        (
            &number,
            json!([
                obstacle(in_deflection, &["sender"]),
                obstacle(in_screenpop, &["senders.Sales"])
            ]),
        ),
    ] {
        assert_eq!(would(&app, path).await["in_the_way"], in_the_way);
        app.delete(path).await.problem_without_field(409);
    }
    let renamed = app.patch(&sales, json!({"name": "WC_Other"})).await;
    assert_eq!(renamed.problem(409), "name");
    let detail = renamed.json["detail"].as_str().unwrap();
    assert!(
        detail.contains("deflection settings (skillsets.Voice"),
        "{detail}"
    );
    for path in [&deflection, &screenpop] {
        app.put(path, json!({})).await.ok();
    }
    app.patch(&sales, json!({"name": "WC_Other"})).await.ok();
    for path in [&sales, &number] {
        assert_eq!(app.delete(path).await.status, 204);
    }
}

#[tokio::test]
async fn a_link_goes_with_its_windows_and_leaves_its_events() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let event = crate::link_watch::happened(&app, &tenant, "link_down");
    let window =
        json!({"begins_at": "2099-03-01T22:00:00Z", "ends_at": "2099-03-02T02:00:00Z", "reason": "patch"});
    app.post(
        &format!("{base}/links/{}/maintenance-windows", tenant.link),
        window,
    )
    .await
    .ok();
    for (what, path) in paths(&tenant) {
        assert_eq!(app.delete(&path).await.status, 204, "{what}");
    }
    let left = |table: &str| {
        let sql = format!("select count(*) from {table} where tenant_id = '{}'", tenant.id);
        app.database.superuser_sql(&sql).unwrap()
    };
    assert_eq!(
        (left("maintenance_window").as_str(), left("link_event").as_str()),
        ("0", "1"),
        "{event}"
    );
}
