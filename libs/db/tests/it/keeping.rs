//! Retention, legal holds and months, held against the tables themselves.

use crate::{
    deflections,
    rig::{IDS, Rig, Tenant, address, connect, incoming, now},
};
use ccm_db::{Begin, DbError, ExportedRow, HoldScope, NewErasure, NewExport, NewHold, Refusal};
use ccm_model::{Address, ConversationId};
use ccm_testkit::canary;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::time::Duration;
use time::OffsetDateTime;

pub const DAY: Duration = Duration::from_secs(86_400);

/// At least one row in each of the tables.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) {
    let db = rig.db.tenant(tenant.id);
    db.put_retention_settings(&ccm_model::RetentionSettings::default(), None)
        .await
        .unwrap();
    db.retention_is_due().await.unwrap();
    hold(rig, tenant, &HoldScope::Customer(Some(address(customer + 300)))).await;
    begin(rig, tenant, &address(customer + 500)).await;
    export(rig, tenant, &address(customer)).await;
    rig.run(&format!(
        "INSERT INTO erased_opt_out (tenant_id, our_address, number_hash, since)
         VALUES ('{0}', '+14155550100', decode(repeat('00', 32), 'hex'), now());
         ",
        tenant.id
    ))
    .await;
    rig.run(&format!(
        "INSERT INTO removal (tenant_id, conversation_id) VALUES ('{}', gen_random_uuid())",
        tenant.id
    ))
    .await;
}

pub async fn hold(rig: &Rig, tenant: Tenant, scope: &HoldScope) -> uuid::Uuid {
    let new = NewHold {
        id: IDS.next(),
        scope,
        reason: "case 2026-117",
        by: "mary",
        at: now(),
    };
    rig.db.tenant(tenant.id).place_hold(new).await.unwrap().id
}

pub async fn export(rig: &Rig, tenant: Tenant, customer: &Address) -> Vec<ExportedRow> {
    let db = rig.db.tenant(tenant.id);
    let new = NewExport {
        id: IDS.next(),
        customer,
        reason: "asked for it",
        by: "mary",
        at: now(),
    };
    db.begin_export(new).await.unwrap();
    let mut rows = db.export_by_number(customer).await.unwrap();
    let mut after = None;
    while let Some((last, more)) = db.export_conversations(customer, after).await.unwrap() {
        rows.extend(more);
        after = Some(last);
    }
    rows
}

pub async fn begin(rig: &Rig, tenant: Tenant, customer: &Address) -> Begin {
    let new = NewErasure {
        id: IDS.next(),
        customer,
        reason: "asked for it",
        by: "mary",
        at: now(),
        dry_run: false,
    };
    rig.db.tenant(tenant.id).begin_erasure(new).await.unwrap()
}

/// Ends a conversation as if nothing of it were under way, so many days ago.
pub async fn ended(rig: &Rig, conversation: ConversationId, days: u32) {
    for sql in [
        "DELETE FROM inbox WHERE conversation_id = '$c'",
        "DELETE FROM outbox WHERE conversation_id = '$c'",
        "UPDATE chat SET state = 'closed', closed_at = now() WHERE conversation_id = '$c' AND state <> 'closed'",
        // Its id is of when it was opened.
        "UPDATE conversation SET state = 'closed', closed_at = now(), last_activity_at = now() - $d * interval '1 day'
         WHERE id = '$c'",
    ] {
        let sql = sql.replace("$c", &conversation.to_string()).replace("$d", &days.to_string());
        rig.run(&sql).await;
    }
}

/// A text of a customer in a conversation that was opened, and ended, so many days ago.
pub async fn old_text(rig: &Rig, tenant: Tenant, customer: u32, days: u32) -> ConversationId {
    let at = now() - days * DAY;
    let id = |at: OffsetDateTime| {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let random = IDS.next_u64().to_be_bytes();
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&random);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    };
    let mut text = incoming(tenant, customer);
    text.conversation = ConversationId(id(at));
    text.message = ccm_model::MessageId(id(at));
    text.received_at = at;
    let conversation = text.conversation;
    rig.db.batch().accept(&[text]).await.unwrap();
    ended(rig, conversation, days).await;
    conversation
}

async fn bodies(rig: &Rig, tenant: Tenant, conversation: ConversationId) -> Vec<String> {
    let db = rig.db.tenant(tenant.id);
    let of = db.conversation(conversation).await.unwrap();
    let texts = db.messages(&of, 0, 10).await.unwrap();
    texts.into_iter().map(|text| text.body.into()).collect()
}

#[tokio::test]
async fn words_go_and_then_conversations_but_for_what_is_open_or_held() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let old = old_text(&rig, tenant, 1, 20).await;
    let older = old_text(&rig, tenant, 2, 40).await;
    let held = old_text(&rig, tenant, 3, 40).await;
    let held_by_id = old_text(&rig, tenant, 4, 40).await;
    let young = old_text(&rig, tenant, 5, 5).await;
    let of_other = old_text(&rig, other, 1, 40).await;
    let (open, _) = rig.text(tenant, 6).await;
    rig.run(&format!(
        "UPDATE conversation SET last_activity_at = now() - interval '40 days' WHERE id = '{open}'"
    ))
    .await;
    hold(&rig, tenant, &HoldScope::Customer(Some(address(3)))).await;
    let by_id = hold(&rig, tenant, &HoldScope::Conversation(held_by_id)).await;

    let db = rig.db.tenant(tenant.id);
    db.retention_is_due().await.unwrap();
    let operator = rig.db.operator();
    assert_eq!(operator.claim_retention(DAY).await.unwrap(), Some(tenant.id));
    assert_eq!(
        operator.claim_retention(DAY).await.unwrap(),
        None,
        "somebody has it"
    );
    let (ten, thirty) = (now() - 10 * DAY, now() - 30 * DAY);
    let plan = db.plan_retention(Some(ten), Some(thirty)).await.unwrap();
    assert_eq!((plan.bodies, plan.conversations, plan.held), (2, 1, 2));

    let erased = db.erase_bodies(ten, None, 1, now()).await.unwrap();
    assert_eq!(
        (erased.conversations, erased.texts, erased.last),
        (1, 1, Some(older))
    );
    let erased = db.erase_bodies(ten, erased.last, 10, now()).await.unwrap();
    assert_eq!(
        (erased.conversations, erased.texts, erased.last),
        (1, 1, Some(old))
    );
    assert_eq!(db.erase_bodies(ten, None, 10, now()).await.unwrap().last, None);
    for gone in [old, older] {
        assert_eq!(bodies(&rig, tenant, gone).await, [""]);
        assert!(db.conversation(gone).await.unwrap().bodies_erased_at.is_some());
    }
    for kept in [held, held_by_id, young, open] {
        assert_ne!(bodies(&rig, tenant, kept).await, [""]);
    }
    assert_ne!(bodies(&rig, other, of_other).await, [""]);

    let gone = db.remove_conversations(thirty, None, 10).await.unwrap();
    assert_eq!((gone.conversations, gone.texts), (1, 1));
    assert!(matches!(db.conversation(older).await, Err(DbError::NotFound(_))));
    let left = format!("SELECT count(*) FROM message WHERE conversation_id = '{older}'");
    assert_eq!(rig.count(&left).await, 0);
    for kept in [old, held, held_by_id, young, open] {
        db.conversation(kept).await.unwrap();
    }
    // A hold that is released holds no more.
    db.release_hold(by_id, "mary", now()).await.unwrap();
    assert_eq!(
        db.remove_conversations(thirty, None, 10).await.unwrap().last,
        Some(held_by_id)
    );

    let progress = db.retention_progress().await.unwrap().unwrap();
    assert_eq!(
        (
            progress.texts_erased,
            progress.texts_gone,
            progress.conversations_gone
        ),
        (2, 2, 2)
    );
    db.retention_rests(DAY, Some(now()), None).await.unwrap();
    assert_eq!(operator.claim_retention(DAY).await.unwrap(), None);
    assert!(
        db.retention_progress()
            .await
            .unwrap()
            .unwrap()
            .caught_up_at
            .is_some()
    );
}

#[tokio::test]
async fn what_scripts_said_of_callers_is_kept_no_longer_than_texts() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let conversation = old_text(&rig, tenant, 1, 20).await;
    deflections::fill(&rig, tenant, 1).await;
    rig.run(&format!(
        "UPDATE deflection SET conversation_id = '{conversation}', asked_at = now() - interval '20 days'"
    ))
    .await;
    for (customer, days) in [(2, 20), (3, 20), (4, 1)] {
        let refused = deflections::new(tenant, customer, None);
        db.keep_refusal(&refused, Refusal::Closed, now() - days * DAY)
            .await
            .unwrap();
    }
    hold(&rig, tenant, &HoldScope::Customer(Some(address(3)))).await;
    db.retention_is_due().await.unwrap();
    let left = async || {
        let rows = rig
            .rows("SELECT customer_address, name, context::text FROM deflection ORDER BY customer_address")
            .await;
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect::<Vec<(Option<String>, Option<String>, String)>>()
    };
    let number = |customer| Some(address(customer).as_str().to_owned());
    let name = || Some("Mary".to_owned());
    let context = || r#"{"order": "A1"}"#.to_owned();
    let ten = now() - 10 * DAY;
    db.erase_bodies(ten, None, 10, now()).await.unwrap();
    assert_eq!(
        left().await,
        [
            (number(1), None, "{}".to_owned()),
            (number(2), None, "{}".to_owned()),
            (number(3), name(), context()),
            (number(4), name(), context()),
        ]
    );
    db.remove_conversations(ten, None, 10).await.unwrap();
    assert_eq!(
        left().await,
        [
            (number(3), name(), context()),
            (number(4), name(), context()),
            (None, None, "{}".to_owned()),
        ]
    );
}

/// The wall under the queries: what is not named goes nowhere, and what is open or held cannot be named.
#[tokio::test]
async fn the_database_itself_keeps_what_is_open_or_held() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (open, _) = rig.text(tenant, 1).await;
    let held = old_text(&rig, tenant, 2, 10).await;
    let free = old_text(&rig, tenant, 3, 10).await;
    hold(&rig, tenant, &HoldScope::Customer(Some(address(2)))).await;
    let mut app = connect(rig.test.app_url()).await;
    let begin = format!("BEGIN; SET LOCAL app.tenant_ids = '{}'", tenant.id);
    for (what, fits) in [
        (
            format!("conversation_id) VALUES ('{}', '{open}'", tenant.id),
            false,
        ),
        (
            format!("conversation_id) VALUES ('{}', '{held}'", tenant.id),
            false,
        ),
        (
            format!(
                "customer_address) VALUES ('{}', '{}'",
                tenant.id,
                canary::number(2)
            ),
            false,
        ),
        (
            format!("conversation_id) VALUES ('{}', '{free}'", tenant.id),
            true,
        ),
    ] {
        app.execute(AssertSqlSafe(begin.clone())).await.unwrap();
        let named = app
            .execute(AssertSqlSafe(format!("INSERT INTO removal (tenant_id, {what})")))
            .await;
        match fits {
            true => assert_eq!(named.unwrap().rows_affected(), 1),
            false => {
                let error = named.unwrap_err().into_database_error().unwrap();
                assert_eq!(error.code().as_deref(), Some("23001"), "{what}");
            }
        }
        app.execute("ROLLBACK").await.unwrap();
    }
    for sql in [
        "DELETE FROM message",
        "DELETE FROM chat",
        "DELETE FROM consent_event",
    ] {
        app.execute(AssertSqlSafe(begin.clone())).await.unwrap();
        assert_eq!(app.execute(sql).await.unwrap().rows_affected(), 0, "{sql}");
        app.execute("ROLLBACK").await.unwrap();
    }
    // Of what is named, those rows alone.
    app.execute(AssertSqlSafe(format!(
        "{begin}; INSERT INTO removal (tenant_id, conversation_id) VALUES ('{}', '{free}')",
        tenant.id
    )))
    .await
    .unwrap();
    assert_eq!(
        app.execute("DELETE FROM message").await.unwrap().rows_affected(),
        1
    );
    app.execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn months_come_and_go_by_themselves() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let operator = rig.db.operator();
    assert_eq!(operator.keep_months(12).await.unwrap(), 0, "they are there");
    assert_eq!(operator.drop_empty_month().await.unwrap(), None);
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'message'::regclass";
    let before = rig.count(months).await;
    let mut owner = connect(rig.test.owner_url()).await;
    owner
        .execute("SELECT ensure_message_partitions('2019-03-01', 2)")
        .await
        .unwrap();
    // One of them has a text.
    let old = old_text(&rig, tenant, 1, 0).await;
    rig.run(&format!(
        "UPDATE message SET id = (left(uuid_v7_floor('2019-03-15')::text, 14) || right(id::text, 22))::uuid
         WHERE conversation_id = '{old}'"
    ))
    .await;
    assert_eq!(rig.count("SELECT count(*) FROM message_201903").await, 1);
    let dropped = operator.drop_empty_month().await.unwrap();
    assert_eq!(dropped.as_deref(), Some("message_201904"));
    assert_eq!(
        operator.drop_empty_month().await.unwrap(),
        None,
        "what has texts stays"
    );
    // Somebody reads the month all the time: nobody waits for long behind the one who wants to drop it.
    rig.run("DELETE FROM message_201903").await;
    let mut reader = connect(rig.test.owner_url()).await;
    reader
        .execute("BEGIN; LOCK TABLE message_201903 IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let busy = operator.drop_empty_month().await.unwrap_err();
    assert!(
        busy.is_retryable() && began.elapsed() < Duration::from_secs(3),
        "{busy}"
    );
    reader.execute("ROLLBACK").await.unwrap();
    let dropped = operator.drop_empty_month().await.unwrap();
    assert_eq!(dropped.as_deref(), Some("message_201903"));
    assert_eq!(rig.count(months).await, before);

    // A month that is missing is made, with all that the others have.
    owner
        .execute(
            "DO $$ DECLARE m text := 'message_' || to_char(now() + interval '5 months', 'YYYYMM');
             BEGIN EXECUTE 'DROP TABLE ' || m; END $$",
        )
        .await
        .unwrap();
    assert_eq!(operator.keep_months(12).await.unwrap(), 1);
    assert_eq!(rig.count(months).await, before);
    let unindexed =
        "SELECT count(*) FROM pg_inherits i WHERE inhparent = 'message'::regclass AND NOT EXISTS (
        SELECT FROM pg_index x JOIN pg_inherits a ON a.inhrelid = x.indexrelid
        WHERE x.indrelid = i.inhrelid AND a.inhparent = 'message_words'::regclass)";
    assert_eq!(rig.count(unindexed).await, 0);
    let mut app = connect(rig.test.app_url()).await;
    for sql in ["SELECT keep_months(1)", "SELECT drop_empty_month()"] {
        let denied = app.execute(sql).await.unwrap_err().into_database_error().unwrap();
        assert_eq!(denied.code().as_deref(), Some("42501"), "{sql}");
    }
}
