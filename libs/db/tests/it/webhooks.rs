//! Events on their way to webhooks: written with what happens, claimed by one worker at a time, never lost.

use crate::rig::{IDS, Rig, Tenant, address, now};
use ccm_db::{
    ClaimedDelivery, ConsentChange, ConsentSource, Db, DbError, DeliveryClaim, DeliveryFilter, DeliveryRow,
    Then, Tried, Webhook,
};
use ccm_model::{DeliveryState, WebhookId, WebhookState};
use secrecy::ExposeSecret;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

fn webhook(name: &str, events: Option<&[&str]>) -> Webhook {
    Webhook {
        name: name.to_owned(),
        url: "https://hooks.example.com/ccm".to_owned(),
        events: events.map(|events| events.iter().map(ToString::to_string).collect()),
        include_numbers: false,
        include_bodies: false,
    }
}

async fn made(db: &Db, tenant: Tenant, name: &str, events: Option<&[&str]>) -> WebhookId {
    let id = IDS.next();
    let secret = format!("whsec_{name}").into();
    let new = webhook(name, events);
    let made = db
        .tenant(tenant.id)
        .create_webhook(id, &new, &secret, 20, now())
        .await
        .unwrap();
    assert_eq!(made.unwrap().state, WebhookState::Enabled);
    id
}

/// One webhook that waits to be called.
pub async fn fill(db: &Db, tenant: Tenant) {
    let id = made(db, tenant, "fill", Some(&["link.down"])).await;
    db.tenant(tenant.id)
        .create_test_delivery(id, IDS.next(), now())
        .await
        .unwrap();
}

async fn told(db: &Db, tenant: Tenant, webhook: WebhookId) -> Vec<DeliveryRow> {
    let (db, whichever) = (db.tenant(tenant.id), DeliveryFilter::default());
    let all = db.deliveries(webhook, &whichever, None, 100);
    all.await.unwrap().into_iter().rev().collect()
}

async fn types(db: &Db, tenant: Tenant, webhook: WebhookId) -> Vec<String> {
    let mut types: Vec<_> = told(db, tenant, webhook)
        .await
        .into_iter()
        .map(|row| row.kind)
        .collect();
    types.sort();
    types
}

async fn claim(db: &Db, limit: i64, per_webhook: i64, busy: &[(WebhookId, i64)]) -> Vec<ClaimedDelivery> {
    claim_at(db, now() + Duration::SECOND, limit, per_webhook, busy).await
}

async fn claim_at(
    db: &Db,
    now: OffsetDateTime,
    limit: i64,
    per_webhook: i64,
    busy: &[(WebhookId, i64)],
) -> Vec<ClaimedDelivery> {
    let claim = DeliveryClaim {
        claim: IDS.next(),
        now,
        until: now + Duration::seconds(30),
        limit,
        per_webhook,
        busy,
    };
    db.operator().claim_deliveries(claim).await.unwrap()
}

fn tried(then: Then) -> Tried {
    Tried {
        attempt: json!({"answer": "with a \0", "status": 500}),
        now: now(),
        then,
    }
}

const PATIENCE: Duration = Duration::days(5);

#[tokio::test]
async fn what_happens_is_written_for_those_who_want_it_and_nobody_else() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    // Before there was a webhook: told nobody.
    rig.text(tenant, 9).await;
    let all = made(&rig.db, tenant, "all", None).await;
    let texts = made(&rig.db, tenant, "texts", Some(&["message.*"])).await;
    let ends = made(
        &rig.db,
        tenant,
        "ends",
        Some(&["conversation.closed", "consent.opt_out"]),
    )
    .await;
    let of_other = made(&rig.db, other, "other", None).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let db = rig.db.tenant(tenant.id);
    db.set_room(&fence, chat, ccm_db::RoomState::Live).await.unwrap();
    // The same state again is nothing new.
    db.set_room(&fence, chat, ccm_db::RoomState::Live).await.unwrap();
    let said = rig.say(&fence, conversation, chat).await;
    for state in ["sending", "sent", "sent", "delivered"] {
        rig.run(&format!(
            "UPDATE message SET state = '{state}' WHERE id = '{said}'"
        ))
        .await;
    }
    rig.run(&format!(
        "UPDATE conversation SET state = 'closed', closed_at = now() WHERE id = '{conversation}'"
    ))
    .await;
    db.change_consent(&ConsentChange {
        event: IDS.next(),
        our_address: &address(tenant.ours),
        customer_address: &address(1),
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: None,
        at: now(),
    })
    .await
    .unwrap();
    let expected = [
        "consent.opt_out",
        "conversation.agent_joined",
        "conversation.closed",
        "conversation.opened",
        "message.delivered",
        "message.delivered",
        "message.queued",
        "message.received",
        "message.sent",
    ];
    assert_eq!(types(&rig.db, tenant, all).await, expected);
    assert_eq!(types(&rig.db, tenant, texts).await, expected[4..]);
    assert_eq!(
        types(&rig.db, tenant, ends).await,
        ["consent.opt_out", "conversation.closed"]
    );
    assert_eq!(types(&rig.db, other, of_other).await, [""; 0]);

    // A transaction that comes to nothing tells nothing.
    let mut root = rig.root.begin().await.unwrap();
    sqlx::query("UPDATE message SET state = 'failed' WHERE tenant_id = $1")
        .bind(tenant.id.0)
        .execute(&mut *root)
        .await
        .unwrap();
    root.rollback().await.unwrap();
    assert_eq!(types(&rig.db, tenant, all).await.len(), expected.len());
    // Who erased bodies, changed no state.
    rig.run("UPDATE message SET body = ''").await;
    assert_eq!(types(&rig.db, tenant, all).await.len(), expected.len());
    // Neither body nor number, but the one by which an opt-out's row goes.
    let rows = rig
        .count(&format!(
            "SELECT count(*) FROM webhook_delivery WHERE detail::text LIKE '%{0}%'
               OR customer_address = '{0}' AND type <> 'consent.opt_out'",
            ccm_testkit::canary::number(1)
        ))
        .await;
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn links_accounts_and_the_tenant_tell_too() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let all = made(&rig.db, tenant, "all", None).await;
    for (table, column, value) in [
        ("link_event", "link_id", tenant.link.0),
        ("account_event", "account_id", tenant.account.0),
    ] {
        let kind = if table == "link_event" {
            "link_down"
        } else {
            "failing"
        };
        rig.run(&format!(
            "INSERT INTO {table} (id, tenant_id, {column}, kind, at, detail)
             VALUES (gen_random_uuid(), '{}', '{value}', '{kind}', now(), '{{\"error\": \"refused\"}}')",
            tenant.id
        ))
        .await;
    }
    // By the system's login.
    let suspended = ccm_db::StateChange {
        active: false,
        reason: "unpaid",
        by: "mary",
        at: now(),
    };
    rig.db
        .operator()
        .set_tenant_state(tenant.id, suspended)
        .await
        .unwrap();
    let types_so_far = types(&rig.db, tenant, all).await.len();
    assert_eq!(types_so_far, 3);
    let active = ccm_db::StateChange {
        active: true,
        reason: "paid",
        ..suspended
    };
    rig.db
        .operator()
        .set_tenant_state(tenant.id, active)
        .await
        .unwrap();
    crate::deflections::fill(&rig, tenant, 1).await;
    let types = types(&rig.db, tenant, all).await;
    for kind in ["link.down", "account.failing", "tenant.state_changed"] {
        assert!(types.iter().any(|one| one == kind), "{kind} of {types:?}");
    }
    assert!(
        types.iter().any(|one| one.starts_with("deflection.")),
        "{types:?}"
    );
    assert!(
        !types.iter().any(|one| one.starts_with("tenant.deflection")),
        "{types:?}"
    );
    let link = told(&rig.db, tenant, all)
        .await
        .into_iter()
        .find(|row| row.kind == "link.down")
        .unwrap();
    assert_eq!(link.detail["kind"], "link_down");
    assert_eq!(link.detail["detail"]["error"], "refused");
}

#[tokio::test]
async fn a_delivery_is_in_one_workers_hands_until_its_claim_runs_out() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = made(&rig.db, tenant, "texts", Some(&["message.received"])).await;
    for customer in 1..=6 {
        rig.text(tenant, customer).await;
    }
    let (one, two) = tokio::join!(claim(&rig.db, 3, 100, &[]), claim(&rig.db, 3, 100, &[]));
    let mut ids: Vec<Uuid> = one.iter().chain(&two).map(|claimed| claimed.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), one.len() + two.len(), "none twice");
    let rest = claim(&rig.db, 100, 100, &[]).await;
    assert_eq!(ids.len() + rest.len(), 6);
    assert_eq!(claim(&rig.db, 100, 100, &[]).await, []);
    // Its worker died.
    let later = now() + Duration::seconds(40);
    assert_eq!(claim_at(&rig.db, later, 100, 100, &[]).await.len(), 6);
    // Who was only slow has lost it.
    let db = rig.db.tenant(tenant.id);
    let late = db
        .delivery_tried(&one[0], &tried(Then::Delivered), PATIENCE)
        .await
        .unwrap();
    assert_eq!(late, (false, None));
    assert_eq!(
        db.delivery(id, one[0].id).await.unwrap().state,
        DeliveryState::Pending
    );
}

#[tokio::test]
async fn a_webhook_takes_no_more_than_its_share() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let slow = made(&rig.db, tenant, "slow", Some(&["message.received"])).await;
    for customer in 1..=10 {
        rig.text(tenant, customer).await;
    }
    let quick = made(&rig.db, tenant, "quick", Some(&["message.received"])).await;
    rig.text(tenant, 11).await;
    let many = |claimed: &[ClaimedDelivery], of| claimed.iter().filter(|one| one.webhook == of).count();
    let first = claim(&rig.db, 100, 4, &[]).await;
    assert_eq!((many(&first, slow), many(&first, quick)), (4, 1));
    let second = claim(&rig.db, 100, 4, &[(slow, 3)]).await;
    assert_eq!((many(&second, slow), many(&second, quick)), (1, 0));
    assert_eq!(claim(&rig.db, 100, 4, &[(slow, 4)]).await, []);
    // What is due longest comes first, whose ever it is.
    let oldest = claim(&rig.db, 2, 4, &[]).await;
    let rows = told(&rig.db, tenant, slow).await;
    let order: Vec<_> = oldest
        .iter()
        .map(|one| rows.iter().position(|row| row.id == one.id).unwrap())
        .collect();
    assert_eq!(
        order
            .iter()
            .copied()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        2
    );
    assert!(order.iter().all(|n| *n >= 5), "{order:?}");
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_fails_for_days_is_not_called_any_more() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let id = made(&rig.db, tenant, "texts", Some(&["message.received"])).await;
    let watcher = made(&rig.db, tenant, "watcher", Some(&["tenant.webhook_disabled"])).await;
    let next = async |customer| {
        rig.text(tenant, customer).await;
        claim(&rig.db, 1, 4, &[]).await[0]
    };
    let again = Then::Again {
        at: now() + Duration::HOUR,
        pause: None,
    };
    let first = next(1).await;
    assert_eq!(
        db.delivery_tried(&first, &tried(again), PATIENCE).await.unwrap(),
        (true, None)
    );
    let row = db.delivery(id, first.id).await.unwrap();
    assert_eq!((row.state, row.attempts), (DeliveryState::Pending, 1));
    assert_eq!(row.tries[0]["answer"], "with a \u{fffd}");
    assert!(db.webhook(id).await.unwrap().failing_since.is_some());
    // One that is taken makes all good.
    db.delivery_tried(&next(2).await, &tried(Then::Delivered), PATIENCE)
        .await
        .unwrap();
    assert_eq!(db.webhook(id).await.unwrap().failing_since, None);
    // A pause is heeded.
    let pause = Then::Again {
        at: now() + Duration::HOUR,
        pause: Some(now() + Duration::HOUR),
    };
    db.delivery_tried(&next(3).await, &tried(pause), PATIENCE)
        .await
        .unwrap();
    rig.text(tenant, 4).await;
    assert_eq!(claim(&rig.db, 9, 4, &[]).await, []);
    rig.run("UPDATE webhook SET paused_until = NULL, failing_since = now() - interval '5 days 1 hour'")
        .await;
    let last = claim(&rig.db, 9, 4, &[]).await[0];
    let judged = db.delivery_tried(&last, &tried(again), PATIENCE).await.unwrap();
    assert_eq!(judged, (true, Some(WebhookState::Failing)));
    rig.text(tenant, 5).await;
    let claimed = claim(&rig.db, 9, 4, &[]).await;
    assert!(
        claimed.iter().all(|one| one.webhook == watcher),
        "what happens meanwhile waits"
    );
    assert_eq!(types(&rig.db, tenant, watcher).await, ["tenant.webhook_disabled"]);
    // Enabled again, it begins anew, with what waits.
    db.change_webhook(id, now(), |was| {
        Ok::<_, DbError>((was.webhook.clone(), WebhookState::Enabled))
    })
    .await
    .unwrap();
    let waiting = claim(&rig.db, 9, 4, &[]).await;
    assert_eq!(waiting.len(), 1);
    let judged = db
        .delivery_tried(&waiting[0], &tried(Then::Gone), PATIENCE)
        .await
        .unwrap();
    assert_eq!(judged, (true, Some(WebhookState::Gone)));
    assert_eq!(
        db.delivery(id, waiting[0].id).await.unwrap().state,
        DeliveryState::Failed
    );
}

#[tokio::test]
async fn what_failed_is_told_again_when_somebody_says_so() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let id = made(&rig.db, tenant, "texts", Some(&["message.received"])).await;
    for customer in 1..=3 {
        rig.text(tenant, customer).await;
    }
    let claimed = claim(&rig.db, 9, 9, &[]).await;
    for (one, then) in claimed.iter().zip([Then::Failed, Then::Failed, Then::Delivered]) {
        db.delivery_tried(one, &tried(then), PATIENCE).await.unwrap();
    }
    let failed = DeliveryFilter {
        state: Some(DeliveryState::Failed),
        since: Some(now() - Duration::HOUR),
        until: Some(now() + Duration::HOUR),
        ..DeliveryFilter::default()
    };
    let (many, last) = db.replay_deliveries(id, &failed, None, 1, now()).await.unwrap();
    assert_eq!(many, 1);
    let (rest, _) = db.replay_deliveries(id, &failed, last, 9, now()).await.unwrap();
    assert_eq!(rest, 1);
    assert_eq!(claim(&rig.db, 9, 9, &[]).await.len(), 2);
    let again = db.replay_delivery(id, claimed[2].id, now()).await.unwrap();
    assert_eq!(
        (again.state, again.attempts, again.tries.len()),
        (DeliveryState::Pending, 0, 1)
    );
    let other: WebhookId = IDS.next();
    assert!(matches!(
        db.replay_delivery(other, claimed[2].id, now()).await,
        Err(DbError::NotFound(_))
    ));
    // A webhook that is deleted is told nothing more.
    db.delete_webhook(id, |_| Ok::<_, DbError>(())).await.unwrap();
    let much_later = now() + Duration::DAY;
    assert_eq!(claim_at(&rig.db, much_later, 9, 9, &[]).await, []);
    assert_eq!(
        rig.db.operator().oldest_due_delivery(much_later).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_tenant_has_so_many_and_two_secrets_while_they_overlap() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let id = made(&rig.db, tenant, "one", None).await;
    let another = async |most| {
        let new = webhook("two", None);
        db.create_webhook(IDS.next(), &new, &"whsec_".into(), most, now())
            .await
    };
    assert!(another(1).await.unwrap().is_none());
    assert!(another(2).await.unwrap().is_some());
    assert!(matches!(another(9).await, Err(DbError::Conflict { .. })));
    let until = now() + Duration::HOUR;
    db.rotate_webhook_secret(id, &"whsec_new".into(), until)
        .await
        .unwrap();
    let known = async |at| -> Vec<String> {
        let (_, secrets) = db.webhook_to_call(id, at).await.unwrap();
        secrets
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .collect()
    };
    assert_eq!(known(now()).await, ["whsec_new", "whsec_one"]);
    assert_eq!(known(until).await, ["whsec_new"]);
    let sealed = rig
        .count("SELECT count(*) FROM webhook WHERE position('whsec_' in encode(secret_sealed, 'escape')) > 0")
        .await;
    assert_eq!(sealed, 0);
}
