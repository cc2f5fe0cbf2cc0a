//! Texts that did not get through: seen, mended, replayed, discarded.

use crate::app::{Answer, App, Tenant};
use axum::http::Method;
use ccm_auth::Role;
use ccm_bus::{Topic, Wake};
use ccm_db::Unrouted;
use ccm_model::{Address, Body, ConversationId, Id};
use serde_json::{Value, json};
use uuid::Uuid;

const CUSTOMER: &str = "+353861234567";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/dead-letters{rest}", tenant.id)
}

/// A customer's text that no agent got, as the connector gives one up; returns its id and the conversation.
pub async fn refused(app: &App, tenant: &Tenant, body: &str) -> (String, ConversationId) {
    let conversation = app.text(tenant, CUSTOMER, body).await;
    let sql = format!(
        "INSERT INTO dead_letter (id, tenant_id, kind, message_id, conversation_id, code, detail, created_at)
         SELECT id, tenant_id, 'mo', id, conversation_id, 'refused', 'AACC said: ' || body, now() FROM message
         WHERE tenant_id = '{}' AND body = '{body}' ON CONFLICT DO NOTHING; UPDATE message SET state = 'refused' WHERE body = '{body}'",
        tenant.id
    );
    app.database.superuser_sql(&sql).unwrap();
    (newest(app, tenant).await, conversation)
}

/// An agent's text that no phone got, as dispatch gives one up.
async fn failed(app: &App, tenant: &Tenant, body: &str) -> (String, ConversationId) {
    let conversation = app.text(tenant, CUSTOMER, body).await;
    let sql = format!(
        "UPDATE message SET direction = 'mt', origin = 'agent', author = 'Mary', state = 'failed' WHERE body = '{body}';
         INSERT INTO dead_letter (id, tenant_id, kind, message_id, conversation_id, code, detail, created_at)
         SELECT id, tenant_id, 'mt', id, conversation_id, '30007', 'filtered', now() FROM message WHERE body = '{body}'"
    );
    app.database.superuser_sql(&sql).unwrap();
    (newest(app, tenant).await, conversation)
}

async fn newest(app: &App, tenant: &Tenant) -> String {
    let page = app.get(&of(tenant, "?limit=1")).await.ok();
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn unrouted(app: &App, tenant: &Tenant, to: &str, body: &str) -> String {
    let (to, from): (Address, Address) = (to.parse().unwrap(), CUSTOMER.parse().unwrap());
    let id: Uuid = app.deps.ids.next();
    let text = Unrouted {
        id,
        account: tenant.account.parse().unwrap(),
        provider_id: &id.to_string(),
        to: &to,
        from: &from,
        body: &Body::new(body).unwrap(),
        code: "no_number",
        detail: "none of the account's numbers",
        at: app.deps.ids.clock().now(),
    };
    assert!(app.deps.db.tenant(tenant.id).keep_unrouted(&text).await.unwrap());
    id.to_string()
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|letter| letter["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn they_are_listed_filtered_and_read() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let other = app.tenant("other").await;
    let (first, conversation) = refused(&app, &tenant, "BODY-ONE").await;
    let (second, _) = failed(&app, &tenant, "BODY-TWO").await;
    let third = unrouted(&app, &tenant, "+14155550199", "BODY-THREE").await;
    refused(&app, &other, "BODY-FOUR").await;

    let page = app.get(&of(&tenant, "")).await.ok();
    assert_eq!(ids(&page), [&third, &second, &first]);
    assert!(!app.ever_said("\"BODY-ONE\""), "the list has no texts");
    let listed = &page["items"][2];
    assert_eq!(
        (
            &listed["kind"],
            &listed["our_address"],
            &listed["customer_address"]
        ),
        (&json!("mo"), &json!("+14155550123"), &json!(CUSTOMER))
    );
    for (filter, expected) in [
        ("?kind=mt", vec![&second]),
        ("?code=no_number", vec![&third]),
        ("?kind=mo&code=refused", vec![&first]),
        ("?kind=mo&code=30007", vec![]),
    ] {
        assert_eq!(
            ids(&app.get(&of(&tenant, filter)).await.ok()),
            expected,
            "{filter}"
        );
    }
    let paged = app.get(&of(&tenant, "?limit=2")).await.ok();
    let cursor = paged["next_cursor"].as_str().unwrap();
    assert_eq!(
        ids(&app
            .get(&of(&tenant, &format!("?limit=2&cursor={cursor}")))
            .await
            .ok()),
        [&first]
    );

    let one = app.get(&of(&tenant, &format!("/{first}"))).await.ok();
    assert_eq!(one["text"], "BODY-ONE");
    assert_eq!(one["detail"], "AACC said: BODY-ONE");
    assert_eq!(one["conversation_id"], conversation.to_string());
    let mut without = one.clone();
    without.as_object_mut().unwrap().remove("text");
    assert_eq!(&without, listed, "else the same");
    app.get(&of(&other, &format!("/{first}"))).await.problem(404);
    assert_eq!(app.get(&of(&tenant, "?kind=fax")).await.status, 400);
    assert_eq!(app.get(&of(&tenant, "/first")).await.problem(400), "letter");
}

#[tokio::test]
async fn support_sees_that_there_are_some_and_not_what_they_say() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (id, _) = refused(&app, &tenant, "BODY-CANARY").await;
    let token = app.token(Role::Support, None);
    for rest in [String::new(), format!("/{id}")] {
        let answer = app
            .send(Method::GET, &of(&tenant, &rest), Some(&token), None)
            .await;
        assert!(
            !answer.text.contains("BODY-CANARY") && !answer.text.contains("353861234567"),
            "{}",
            answer.text
        );
        let json = answer.ok();
        let letter = json["items"].get(0).unwrap_or(&json);
        assert_eq!(
            (&letter["withheld"], &letter["code"]),
            (&json!(true), &json!("refused"))
        );
        assert_eq!(
            (&letter["customer_address"], &letter["detail"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn a_text_goes_its_way_again_once() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let mut inbound = app
        .deps
        .bus
        .subscribe(&[Topic::inbound(tenant.id), Topic::Outbound]);
    let (id, conversation) = refused(&app, &tenant, "hello").await;
    let replay =
        async |id: &str| -> Answer { app.post_nothing(&of(&tenant, &format!("/{id}/replay"))).await };
    let replayed = replay(&id).await.ok();
    assert_eq!(replayed["conversation_id"], conversation.to_string());
    loop {
        match inbound.next().await {
            Wake::Inbound {
                conversation: woken, ..
            } => break assert_eq!(woken, conversation),
            Wake::LookAgain => {}
            other => panic!("{other:?}"),
        }
    }
    let waiting = app
        .deps
        .db
        .tenant(tenant.id)
        .pending_texts(conversation, 1, 10)
        .await
        .unwrap();
    assert_eq!(
        waiting.last().unwrap().message.to_string(),
        replayed["message_id"].as_str().unwrap()
    );
    assert_eq!(waiting.last().unwrap().body.as_str(), "hello");

    replay(&id).await.problem(409);
    app.post_nothing(&of(&tenant, &format!("/{id}/discard")))
        .await
        .problem(409);
    assert_eq!(ids(&app.get(&of(&tenant, "")).await.ok()), Vec::<&str>::new());
    let all = app.get(&of(&tenant, "?all=true")).await.ok();
    let letter = &all["items"][0];
    assert_eq!(
        (
            &letter["resolution"],
            &letter["resolved_by"],
            &letter["replay_message_id"]
        ),
        (&json!("replayed"), &json!("somebody"), &replayed["message_id"])
    );

    let (id, conversation) = failed(&app, &tenant, "to the phone").await;
    let replayed = app
        .post(&of(&tenant, &format!("/{id}/replay")), json!({"text": "mended"}))
        .await
        .ok();
    let texts = app
        .get(&format!(
            "/v1/tenants/{}/conversations/{conversation}/messages",
            tenant.id
        ))
        .await
        .ok();
    let last = texts["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["id"], &last["body"]),
        (&replayed["message_id"], &json!("mended"))
    );
    assert_eq!(
        (&last["direction"], &last["state"]),
        (&json!("mt"), &json!("queued"))
    );
    let nobody: Uuid = app.deps.ids.next();
    replay(&nobody.to_string()).await.problem(404);
}

#[tokio::test]
async fn what_is_mended_must_fit() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let lost = unrouted(&app, &tenant, "+14155550199", "for nobody").await;
    let (to_phone, _) = failed(&app, &tenant, "to the phone").await;
    let replay = async |id: &str, body: Value| app.post(&of(&tenant, &format!("/{id}/replay")), body).await;
    assert_eq!(replay(&lost, json!({})).await.problem(422), "number_id");
    for (id, body, status, field) in [
        (&lost, json!({"number_id": other.number}), 422, "number_id"),
        (&lost, json!({"number": tenant.number}), 400, "number"),
        (&lost, json!({"text": " "}), 422, "text"),
        (&lost, json!({"text": "nul \0"}), 422, "text"),
        (&to_phone, json!({"number_id": tenant.number}), 422, "number_id"),
    ] {
        assert_eq!(replay(id, body.clone()).await.problem(status), field, "{body}");
    }
    let replayed = replay(&lost, json!({"number_id": tenant.number})).await.ok();
    let conversation = replayed["conversation_id"].as_str().unwrap();
    let read = app
        .get(&format!("/v1/tenants/{}/conversations/{conversation}", tenant.id))
        .await
        .ok();
    assert_eq!(
        (&read["our_address"], &read["customer_address"]),
        (&json!("+14155550123"), &json!(CUSTOMER))
    );
}

#[tokio::test]
async fn who_opted_out_gets_no_replay() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (id, _) = failed(&app, &tenant, "to the phone").await;
    let opt_out =
        json!({"our_address": "+14155550123", "customer_address": CUSTOMER, "evidence": "by phone"});
    app.put(&format!("/v1/tenants/{}/opt-outs", tenant.id), opt_out)
        .await
        .ok();
    let answer = app.post_nothing(&of(&tenant, &format!("/{id}/replay"))).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["type"]),
        (409, &json!("urn:ccm:problem:opted-out"))
    );
    let discarded = app
        .post_nothing(&of(&tenant, &format!("/{id}/discard")))
        .await
        .ok();
    assert_eq!(
        (&discarded["resolution"], &discarded["resolved_by"]),
        (&json!("discarded"), &json!("somebody"))
    );
}

#[tokio::test]
async fn many_go_in_their_order_and_failures_are_told() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let many = async |body: Value| app.post(&of(&tenant, "/replay"), body).await;
    let (first, conversation) = refused(&app, &tenant, "one").await;
    let lost = unrouted(&app, &tenant, "+14155550199", "for nobody").await;
    let (second, _) = refused(&app, &tenant, "two").await;
    let (third, _) = refused(&app, &tenant, "three").await;
    let (to_phone, _) = failed(&app, &tenant, "to the phone").await;

    let answer = many(json!({"kind": "mo", "code": "refused", "limit": 2}))
        .await
        .ok();
    assert_eq!(answer, json!({"replayed": 2, "failed": [], "next_after": second}));
    let answer = many(json!({"kind": "mo", "code": "refused", "limit": 2, "after": second}))
        .await
        .ok();
    assert_eq!(answer, json!({"replayed": 1, "failed": []}));
    let waiting = app
        .deps
        .db
        .tenant(tenant.id)
        .pending_texts(conversation, 4, 10)
        .await
        .unwrap();
    let bodies: Vec<_> = waiting.iter().map(|text| text.body.as_str()).collect();
    assert_eq!(
        bodies,
        ["one", "two", "three"],
        "in the order in which they were written"
    );

    let nobody: Uuid = app.deps.ids.next();
    let answer = many(json!({"ids": [nobody, to_phone, lost, first, third]}))
        .await
        .ok();
    assert_eq!(answer["replayed"], 1);
    let failed = answer["failed"].as_array().unwrap();
    let reason = |id: &str| failed.iter().find(|f| f["id"] == id).map(|f| f["reason"].clone());
    assert_eq!(reason(&first), Some(json!("resolved")));
    assert_eq!(reason(&third), Some(json!("resolved")));
    assert_eq!(reason(&lost), Some(json!("no_number")));
    assert_eq!(reason(&nobody.uuid().to_string()), Some(json!("not_found")));

    let answer = many(json!({"code": "no_number", "before": "2001-01-01T00:00:00Z"}))
        .await
        .ok();
    assert_eq!(answer, json!({"replayed": 0, "failed": []}));
    for (body, status, field) in [
        (json!({}), 422, "code"),
        (json!({"before": "2001-01-01T00:00:00Z"}), 422, "code"),
        (json!({"ids": [], "code": "x"}), 422, "ids"),
        (json!({"ids": vec![nobody; 501]}), 422, "ids"),
        (json!({"code": "x", "limit": 0}), 422, "limit"),
        (json!({"code": "x", "limit": 501}), 422, "limit"),
        (json!({"kind": "fax"}), 400, "kind"),
        (json!({"codes": "x"}), 400, "codes"),
    ] {
        assert_eq!(many(body.clone()).await.problem(status), field, "{body}");
    }
}
