//! Numbers go to another account or tenant from a moment on; nothing is lost on the way.

use crate::{
    app::{App, Tenant},
    roles::other_account,
};
use ccm_auth::Role;
use ccm_db::{DueMove, Moved, TextKind};
use ccm_model::{AccountId, Actor, Address, NumberId, TenantId};
use serde_json::{Value, json};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

fn moves(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}/numbers/{}/moves", tenant.id, tenant.number)
}

fn in_hours(app: &App, hours: u64) -> OffsetDateTime {
    app.deps.ids.clock().now() + Duration::from_secs(3600 * hours)
}

/// All that is due at that moment is made.
async fn made(app: &App, at: OffsetDateTime) -> Vec<Moved> {
    let mut made = Vec::new();
    for due in app.deps.db.operator().due_number_moves(at, 10).await.unwrap() {
        made.push(make(app, due, at).await);
    }
    made
}

async fn make(app: &App, due: DueMove, at: OffsetDateTime) -> Moved {
    let actor = Actor {
        sub: "mover".to_owned(),
        role: "system",
        via: "timer",
        key: None,
        user: None,
        from: None,
        request: due.id,
    };
    app.deps.db.make_number_move(due, &actor, at).await.unwrap()
}

async fn found(app: &App, account: &str) -> Option<(TenantId, NumberId)> {
    let (account, address): (AccountId, Address) =
        (account.parse().unwrap(), "+14155550123".parse().unwrap());
    app.deps
        .db
        .operator()
        .find_number(account, &address)
        .await
        .unwrap()
}

async fn kinds(app: &App, tenant: TenantId) -> Vec<String> {
    let page = app.get(&format!("/v1/tenants/{tenant}/events")).await.ok();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_number_goes_to_another_account_at_its_moment() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (path, other) = (moves(&tenant), other_account(&app, &tenant).await);
    let conversation = app.text(&tenant, "+353861234567", "hello").await;
    let at = in_hours(&app, 2);
    let body = json!({"to_account_id": other, "at": at.format(&Rfc3339).unwrap()});

    let mut tried = body.clone();
    tried["dry_run"] = json!(true);
    let plan = app.post(&path, tried).await;
    assert_eq!(
        (plan.status.as_u16(), plan.json),
        (200, json!({"would": "move", "conversations_ended": 0}))
    );
    assert_eq!(
        app.get(&path).await.ok()["items"],
        json!([]),
        "nothing was planned"
    );

    let planned = app.post(&path, body.clone()).await.ok();
    assert_eq!(
        (
            &planned["state"],
            &planned["leaves"],
            &planned["to_account_id"],
            &planned["created_by"]
        ),
        (
            &json!("pending"),
            &json!(false),
            &json!(other),
            &json!("somebody")
        )
    );
    let again = app.post(&path, body).await;
    again.problem(409);
    assert!(
        again.json["detail"]
            .as_str()
            .unwrap()
            .contains(planned["id"].as_str().unwrap())
    );
    let number = format!("/v1/tenants/{}/numbers/{}", tenant.id, tenant.number);
    let account = format!("/v1/tenants/{}/accounts/{other}", tenant.id);
    for path in [&number, &account] {
        let plan = app.delete(&format!("{path}?dry_run=true")).await.ok();
        assert!(plan.to_string().contains("planned moves"), "{plan}");
    }

    assert_eq!(made(&app, in_hours(&app, 1)).await, [], "not yet");
    assert!(found(&app, &tenant.account).await.is_some());
    assert_eq!(made(&app, at).await, [Moved::Done]);
    assert_eq!(made(&app, at).await, [], "once");
    let here = Some((tenant.id, tenant.number.parse().unwrap()));
    assert_eq!(
        (found(&app, &tenant.account).await, found(&app, &other).await),
        (None, here)
    );
    assert_eq!(app.get(&number).await.ok()["account_id"], json!(other));
    let done = app.get(&path).await.ok()["items"][0].clone();
    assert_eq!((&done["state"], &done["problem"]), (&json!("done"), &Value::Null));
    let open = app
        .get(&format!("/v1/tenants/{}/conversations/{conversation}", tenant.id))
        .await
        .ok();
    assert_eq!(
        open["state"], "open",
        "its next texts leave through the new account"
    );
    assert_eq!(kinds(&app, tenant.id).await, ["number_moved"]);
    let taken_back = app
        .delete(&format!("{path}/{}", done["id"].as_str().unwrap()))
        .await;
    taken_back.problem(409);
}

#[tokio::test]
async fn a_number_goes_to_another_tenant_and_its_history_stays() {
    let app = App::start().await;
    let (old, new) = (app.tenant("old").await, app.bare_tenant("new").await);
    let path = moves(&old);
    let base = format!("/v1/tenants/{new}");
    let make_there = async |what: &str, body: Value| {
        app.post(&format!("{base}/{what}"), body).await.ok()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let link = make_there("links", json!({"name": "main", "url": "wss://aacc"})).await;
    let skillset = make_there("skillsets", json!({"name": "WC_New", "link_id": link})).await;
    let account = make_there(
        "accounts",
        json!({"name": "main", "kind": "http", "settings": {"send_url": "https://x/"},
               "secret": {"signing_secret": crate::app::AUTH_TOKEN}}),
    )
    .await;
    let patch = json!({"per_second": 7});
    app.patch(&format!("/v1/tenants/{}/numbers/{}", old.id, old.number), patch)
        .await
        .ok();
    let body = json!({"to_tenant_id": new, "to_account_id": account, "to_skillset_id": skillset});

    // For the platform's roles.
    let token = app.token(Role::TenantAdmin, Some(old.id));
    let refused = app
        .send(axum::http::Method::POST, &path, Some(&token), Some(&body))
        .await;
    refused.problem(403);
    let conversation = app.text(&old, "+353861234567", "hello").await;
    let mut tried = body.clone();
    tried["dry_run"] = json!(true);
    assert_eq!(app.post(&path, tried).await.ok()["conversations_ended"], 1);
    let planned = app.post(&path, body).await.ok();
    assert_eq!(
        (&planned["leaves"], &planned["to_tenant_id"]),
        (&json!(true), &json!(new))
    );
    // The tenant that has it is not told where it goes.
    let seen = app
        .send(axum::http::Method::GET, &path, Some(&token), None)
        .await
        .ok()["items"][0]
        .clone();
    for hidden in ["to_tenant_id", "to_account_id", "to_skillset_id", "to_number_id"] {
        assert_eq!(seen[hidden], Value::Null, "{hidden}");
    }
    assert_eq!(seen["leaves"], json!(true));

    let now = app.deps.ids.clock().now();
    assert_eq!(made(&app, now).await, [Moved::Done]);
    let (owner, number) = found(&app, &account).await.unwrap();
    assert_eq!(owner, new);
    assert_eq!(found(&app, &old.account).await, None);
    let listed = app.get(&format!("{base}/numbers")).await.ok()["items"][0].clone();
    assert_eq!(
        (
            &listed["id"],
            &listed["address"],
            &listed["per_second"],
            &listed["skillset_id"]
        ),
        (
            &json!(number.to_string()),
            &json!("+14155550123"),
            &json!(7.0),
            &json!(skillset)
        )
    );
    assert_eq!(
        app.get(&path).await.ok()["items"][0]["to_number_id"],
        json!(number.to_string())
    );
    assert_eq!(kinds(&app, old.id).await, ["number_left"]);
    assert_eq!(kinds(&app, new).await, ["number_came"]);

    // What waits for the agent comes first, then the note that ends the chat.
    let db = app.deps.db.tenant(old.id);
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|text| text.kind).collect();
    assert_eq!(waiting, [TextKind::Text, TextKind::End]);
    assert!(
        app.try_text(&old, "+353867654321", "late").await.is_err(),
        "no conversation begins on it"
    );
    db.actor_context(conversation).await.unwrap();

    // Replies leave through the old account until the conversation is over.
    let number_of_old: NumberId = old.number.parse().unwrap();
    assert!(
        !db.finish_release(number_of_old).await.unwrap(),
        "a conversation is open"
    );
    app.database
        .superuser_sql(&format!(
            "delete from inbox where tenant_id = '{0}'; \
             update conversation set state = 'closed', closed_at = now() where tenant_id = '{0}'",
            old.id
        ))
        .unwrap();
    assert!(db.finish_release(number_of_old).await.unwrap());
    let account_of_old = format!("/v1/tenants/{}/accounts/{}", old.id, old.account);
    assert_eq!(
        app.delete(&account_of_old).await.status,
        204,
        "nothing needs it any more"
    );
    let history = app
        .get(&format!("/v1/tenants/{}/conversations", old.id))
        .await
        .ok();
    assert_eq!(history["items"][0]["id"], json!(conversation.to_string()));
    assert_eq!(
        app.get(&format!("{base}/conversations")).await.ok()["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_number_that_comes_back_has_its_id_and_its_history() {
    let app = App::start().await;
    let (one, two) = (app.tenant("one").await, app.tenant("two").await);
    let number = |tenant: &Tenant| format!("/v1/tenants/{}/numbers/{}", tenant.id, tenant.number);
    assert_eq!(app.delete(&number(&two)).await.status, 204);
    let there = json!({"to_tenant_id": two.id, "to_account_id": two.account, "to_skillset_id": two.skillset});
    app.post(&moves(&one), there).await.ok();
    assert_eq!(made(&app, app.deps.ids.clock().now()).await, [Moved::Done]);
    assert_eq!(
        found(&app, &two.account).await,
        Some((two.id, two.number.parse().unwrap()))
    );
    let back = json!({"to_tenant_id": one.id, "to_account_id": one.account, "to_skillset_id": one.skillset});
    app.post(&moves(&two), back).await.ok();
    assert_eq!(made(&app, app.deps.ids.clock().now()).await, [Moved::Done]);
    assert_eq!(
        found(&app, &one.account).await,
        Some((one.id, one.number.parse().unwrap()))
    );
    assert_eq!(found(&app, &two.account).await, None);
    app.get(&number(&one)).await.ok();
    app.get(&number(&two)).await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_once_or_fails_at_its_moment() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let (path, account) = (moves(&tenant), other_account(&app, &tenant).await);
    let nobody = Uuid::nil();
    for (body, status, field) in [
        (json!({"to_account_id": nobody}), 422, "to_account_id"),
        (json!({"to_account_id": other.account}), 422, "to_account_id"),
        (json!({"to_account_id": tenant.account}), 409, "to_account_id"),
        (
            json!({"to_account_id": account, "at": "2001-01-01T00:00:00Z"}),
            422,
            "at",
        ),
        (
            json!({"to_account_id": account, "at": "2999-01-01T00:00:00Z"}),
            422,
            "at",
        ),
        (json!({"to_account_id": account, "at": "tomorrow"}), 400, "at"),
        (
            json!({"to_account_id": account, "to_skillset_id": tenant.skillset}),
            422,
            "to_skillset_id",
        ),
        (
            json!({"to_account_id": account, "to_tenant_id": tenant.id}),
            422,
            "to_tenant_id",
        ),
        (
            json!({"to_account_id": other.account, "to_tenant_id": other.id}),
            422,
            "to_skillset_id",
        ),
        (
            json!({"to_account_id": other.account, "to_tenant_id": other.id, "to_skillset_id": tenant.skillset}),
            422,
            "to_skillset_id",
        ),
        (
            json!({"to_account_id": account, "to_tenant_id": other.id, "to_skillset_id": other.skillset}),
            422,
            "to_account_id",
        ),
        (
            json!({"to_account_id": account, "to_tenant_id": nobody, "to_skillset_id": other.skillset}),
            422,
            "to_tenant_id",
        ),
        (
            json!({"to_account_id": other.account, "to_tenant_id": other.id, "to_skillset_id": other.skillset}),
            409,
            "to_account_id",
        ),
    ] {
        let answer = app.post(&path, body.clone()).await;
        assert_eq!(answer.problem(status), field, "{body}");
    }
    app.post(
        &format!("/v1/tenants/{}/numbers/{}/moves", tenant.id, other.number),
        json!({"to_account_id": account}),
    )
    .await
    .problem(404);

    // Taken back in time.
    let later = in_hours(&app, 1);
    let body = json!({"to_account_id": account, "at": later.format(&Rfc3339).unwrap()});
    let planned = app.post(&path, body.clone()).await.ok();
    let one = format!("{path}/{}", planned["id"].as_str().unwrap());
    assert_eq!(app.delete(&one).await.status, 204);
    assert_eq!(app.delete(&one).await.status, 204, "twice is once");
    assert_eq!(made(&app, later).await, []);
    assert_eq!(app.get(&path).await.ok()["items"][0]["state"], "cancelled");
    app.delete(&format!("{path}/{nobody}")).await.problem(404);

    // The other account has got the number in the meantime.
    app.post(&path, body).await.ok();
    let same = json!({"address": "+14155550123", "account_id": account, "skillset_id": tenant.skillset});
    app.post(&format!("/v1/tenants/{}/numbers", tenant.id), same)
        .await
        .ok();
    assert_eq!(
        made(&app, later).await,
        [Moved::Failed("the account has the number already")]
    );
    let failed = app.get(&path).await.ok()["items"][0].clone();
    assert_eq!(
        (&failed["state"], &failed["problem"]),
        (&json!("failed"), &json!("the account has the number already"))
    );
    assert_eq!(kinds(&app, tenant.id).await, ["number_move_failed"]);
    assert!(
        found(&app, &tenant.account).await.is_some(),
        "it stays where it was"
    );
}

/// Whoever is first: the text is the old tenant's and its conversation ends behind it, or it finds no number there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_number_that_is_texted_while_it_goes() {
    let app = App::start().await;
    for n in 0..10 {
        let (old, new) = (
            app.tenant(&format!("old{n}")).await,
            app.tenant(&format!("new{n}")).await,
        );
        let gone = format!("/v1/tenants/{}/numbers/{}", new.id, new.number);
        assert_eq!(app.delete(&gone).await.status, 204);
        let body =
            json!({"to_tenant_id": new.id, "to_account_id": new.account, "to_skillset_id": new.skillset});
        app.post(&moves(&old), body).await.ok();
        let (texted, moved) = tokio::join!(
            app.try_text(&old, "+353861234567", "hello"),
            made(&app, app.deps.ids.clock().now())
        );
        assert_eq!(moved, [Moved::Done]);
        if let Ok(conversation) = texted {
            let db = app.deps.db.tenant(old.id);
            let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
            let kinds: Vec<_> = waiting.iter().map(|text| text.kind).collect();
            assert_eq!(kinds, [TextKind::Text, TextKind::End]);
        }
        assert!(app.try_text(&old, "+353867654321", "late").await.is_err());
        assert!(app.text(&new, "+353867654321", "in time").await.to_string().len() > 1);
    }
}
