//! Whose turn it is, and at which moment a text may leave.

use crate::{
    outbox::{HOLD, begin_as, sender},
    outbox_rules::{sms_settings, texts},
    rig::{IDS, Rig, now},
};
use ccm_db::{AsSent, Claim, Head, Sender};
use ccm_model::sms_settings::Transliterate;
use serde_json::json;
use sqlx::Row;
use std::{sync::Arc, time::Duration};
use tokio::sync::Barrier;

async fn all(rig: &Rig, limit: i64) -> Vec<Claim> {
    let mut claims = Vec::new();
    loop {
        let more = rig.claim(HOLD, limit).await;
        if more.is_empty() {
            return claims;
        }
        claims.extend(more);
    }
}

#[tokio::test]
async fn tenants_take_turns_whatever_one_of_them_has_due() {
    let rig = Rig::new().await;
    let (crowd, one, other) = (rig.tenant(1).await, rig.tenant(2).await, rig.tenant(3).await);
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at)
         SELECT gen_random_uuid(), '{}', now() - interval '1 hour' FROM generate_series(1, 10000)",
        crowd.id
    ))
    .await;
    for tenant in [one, other] {
        rig.run(&format!(
            "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES (gen_random_uuid(), '{}', now())",
            tenant.id
        ))
        .await;
    }
    let claims = rig.claim(HOLD, 12).await;
    assert_eq!(claims.len(), 4 + 1 + 1, "equal shares of twelve");
    for tenant in [one, other] {
        assert_eq!(claims.iter().filter(|c| c.tenant == tenant.id).count(), 1);
    }
    assert_eq!(rig.claim(HOLD, 12).await.len(), 12, "alone it gets all");
    let without = rig.db.operator();
    let none = without
        .claim_lines(uuid::Uuid::now_v7(), HOLD, 12, &[crowd.id])
        .await;
    assert!(none.unwrap().is_empty());
}

/// More tenants wait than there is room for: who has the oldest lines is not always first.
#[tokio::test]
async fn turns_are_drawn_where_there_is_not_room_for_all() {
    let rig = Rig::new().await;
    rig.run(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at)
         SELECT gen_random_uuid(), md5(t::text)::uuid, now() - make_interval(hours => 1 + t)
         FROM generate_series(1, 20) t, generate_series(1, 100)",
    )
    .await;
    let late = rig.tenant(1).await;
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES (gen_random_uuid(), '{}', now())",
        late.id
    ))
    .await;
    for claims in 1.. {
        let got = rig.claim(HOLD, 2).await;
        assert_eq!(got.len(), 2);
        if got.iter().any(|c| c.tenant == late.id) {
            break;
        }
        assert!(claims < 300, "two of 21 in each draw");
    }
}

#[tokio::test]
async fn chats_go_before_bulk_and_bulk_before_nothing() {
    let rig = Rig::new().await;
    let (tenant, _, _) = texts(&rig, 6).await;
    rig.run(
        "UPDATE outbox_line SET priority = 1, due_at = now() - interval '1 hour' WHERE conversation_id IN
         (SELECT conversation_id FROM outbox_line ORDER BY 1 LIMIT 4)",
    )
    .await;
    let priority = async |claims: &[Claim]| {
        let mut priorities = Vec::new();
        for claim in claims {
            let sql = format!(
                "SELECT priority::bigint FROM outbox_line WHERE conversation_id = '{}'",
                claim.conversation
            );
            priorities.push(rig.count(&sql).await);
        }
        priorities
    };
    assert_eq!(priority(&rig.claim(HOLD, 1).await).await, [0]);
    let other = rig.tenant(2).await;
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at, priority)
         VALUES (gen_random_uuid(), '{}', now(), 1)",
        other.id
    ))
    .await;
    let claims = rig.claim(HOLD, 4).await;
    assert_eq!(
        claims.len(),
        2,
        "a chat of the one, and bulk of the other in its turn"
    );
    let rest = rig.claim(HOLD, 10).await;
    assert_eq!(priority(&rest).await, [1; 4]);
    assert!(rest.iter().all(|c| c.tenant == tenant.id));
}

/// One, two or three segments.
fn one_to_three(body: ccm_model::Body, _: Transliterate) -> AsSent {
    let segments = (IDS.next_u64() % 3) as u16 + 1;
    AsSent { body, segments }
}

/// Every reservation is noted by a trigger: the row, its rate, and the transaction, which leads to the text.
async fn note_moments(rig: &Rig) {
    rig.run("CREATE TABLE noted (row text, rate float8, tx bigint, next_at timestamptz)")
        .await;
    rig.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         DECLARE r jsonb := to_jsonb(NEW);
         BEGIN
           INSERT INTO public.noted VALUES (coalesce(r->>'id', 'tenant'),
             coalesce(r->>'per_second', r->'settings'->>'segments_per_second')::float8,
             pg_current_xact_id()::text::bigint, NEW.next_at);
           RETURN NEW;
         END $$",
    )
    .await;
    for table in ["number", "provider_account", "sms_settings"] {
        rig.run(&format!(
            "CREATE TRIGGER note AFTER UPDATE OF next_at ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_rates_hold_at_once() {
    const LINES: u32 = 24;
    let rig = Arc::new(Rig::new().await);
    let (tenant, _, _) = texts(&rig, LINES).await;
    // Half of the texts leave from another number, of the same account.
    let other = IDS.next::<uuid::Uuid>();
    rig.run(&format!(
        "INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second)
         SELECT '{other}', tenant_id, account_id, skillset_id, '+19995559999', 30 FROM number"
    ))
    .await;
    rig.run(&format!(
        "UPDATE conversation SET number_id = '{other}'
         WHERE id IN (SELECT conversation_id FROM outbox_line ORDER BY 1 LIMIT {})",
        LINES / 2
    ))
    .await;
    rig.run("UPDATE provider_account SET per_second = 60").await;
    sms_settings(&rig, tenant, json!({ "segments_per_second": 50.0 })).await;
    note_moments(&rig).await;
    let claims = all(&rig, 100).await;
    assert_eq!(claims.len(), LINES as usize);
    let start = Arc::new(Barrier::new(LINES as usize));
    let tasks: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let (rig, start) = (rig.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let sender = Sender {
                    as_sent: &one_to_three,
                    ..sender()
                };
                let Head::Send(sending) = begin_as(&rig, &claim, &sender).await else {
                    panic!("all of them fit into two seconds")
                };
                (sending.message, now() + sending.wait)
            })
        })
        .collect();
    let mut leaves = std::collections::HashMap::new();
    for task in tasks {
        let (message, at) = task.await.unwrap();
        leaves.insert(message.0, at.unix_timestamp_nanos() as f64 / 1e9);
    }
    let noted = rig
        .rows(
            "SELECT row, extract(epoch FROM next_at)::float8, segments / rate, m.id FROM noted n
             JOIN message m ON m.xmin::text::bigint = n.tx AND m.direction = 'mt' ORDER BY row, next_at",
        )
        .await;
    assert_eq!(
        noted.len(),
        3 * LINES as usize,
        "number, account and tenant of each text"
    );
    let read = |row: &sqlx::postgres::PgRow| -> (String, f64, f64, uuid::Uuid) {
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };
    let mut moments: std::collections::HashMap<uuid::Uuid, f64> = Default::default();
    let mut last: Option<(String, f64)> = None;
    for (row, next_at, takes, message) in noted.iter().map(read) {
        let moment = next_at - takes;
        if let Some((_, free)) = last.filter(|(other, _)| *other == row) {
            assert!(moment >= free - 3e-6, "{row}: {moment} before {free}");
        }
        let same = *moments.entry(message).or_insert(moment);
        assert!(
            (moment - same).abs() < 3e-6,
            "one moment for a text: {moment} {same}"
        );
        assert!(leaves[&message] >= moment - 1e-5, "leaves before its moment");
        last = Some((row, next_at));
    }
    assert_eq!(moments.len(), LINES as usize);
}

#[tokio::test]
async fn a_moment_is_reserved_with_all_rates_or_with_none() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 2).await;
    sms_settings(&rig, tenant, json!({ "segments_per_second": 2.0 })).await;
    rig.run("UPDATE provider_account SET per_second = 0.5").await;
    let claims = all(&rig, 10).await;
    let three = |body, _| AsSent { body, segments: 3 };
    let sender = Sender {
        as_sent: &three,
        ..sender()
    };
    let Head::Send(first) = begin_as(&rig, &claims[0], &sender).await else {
        panic!("everything is free")
    };
    assert!(first.wait < Duration::from_millis(1) && first.segments == 3);
    let ahead = async |sql: &str| -> f64 { rig.rows(sql).await[0].get(0) };
    let rows = [
        ("number", 0.003),
        ("provider_account", 6.0),
        ("sms_settings", 1.5),
    ];
    let mut before = Vec::new();
    for (table, takes) in rows {
        let next = ahead(&format!(
            "SELECT extract(epoch FROM next_at)::float8 FROM {table}"
        ))
        .await;
        let is = ahead(&format!(
            "SELECT extract(epoch FROM next_at - now())::float8 FROM {table}"
        ))
        .await;
        assert!(is <= takes && is > takes - 1.0, "{table}: {is}");
        before.push(next);
    }
    assert!(matches!(begin_as(&rig, &claims[1], &sender).await, Head::Later));
    for ((table, _), before) in rows.iter().zip(before) {
        let next = ahead(&format!(
            "SELECT extract(epoch FROM next_at)::float8 FROM {table}"
        ))
        .await;
        assert_eq!(next, before, "{table}");
    }
    let due = "SELECT extract(epoch FROM due_at - now())::float8 FROM outbox_line WHERE claim IS NULL";
    let due = ahead(due).await;
    assert!(
        due > 4.0 && due <= 5.0,
        "a second before the account is free: {due}"
    );
    assert_eq!(said.len(), 2);
}
