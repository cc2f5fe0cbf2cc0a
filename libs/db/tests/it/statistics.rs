//! A tenant's figures by time.

use crate::rig::{IDS, Rig, Tenant};
use ccm_db::{BucketRow, FailureRow, Span, Statistics};
use ccm_model::{ConversationId, Id};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

const FROM: OffsetDateTime = datetime!(2026-11-30 08:00 UTC);

/// A UUIDv7 of a moment.
fn id_at(at: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&IDS.next_u64().to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

async fn conversation(rig: &Rig, tenant: Tenant, customer: u32, opened: OffsetDateTime) -> ConversationId {
    let id = id_at(opened);
    rig.run(&format!(
        "INSERT INTO conversation (id, tenant_id, number_id, our_address, customer_address, state, opened_at, last_activity_at)
         VALUES ('{id}', '{}', '{}', '+14155550100', '+1415555{customer:04}', 'open', '{opened}', '{opened}')",
        tenant.id,
        tenant.number.uuid()
    ))
    .await;
    ConversationId(id)
}

/// `what` are direction, origin, state, code, segments; `took` is until it changed last.
async fn text(rig: &Rig, tenant: Tenant, of: ConversationId, at: OffsetDateTime, what: &str, took: Duration) {
    rig.run(&format!(
        "INSERT INTO message (direction, origin, state, error_code, segments, id, tenant_id, conversation_id, seq, body, attempts, created_at,
                              updated_at)
         VALUES ({what}, '{}', '{}', '{}', {}, 'x', {}, '{at}', '{}');
         ",
        id_at(at),
        tenant.id,
        of.uuid(),
        at.unix_timestamp(),
        // What CCM answers itself is handed to nobody.
        u8::from(took != Duration::milliseconds(7)),
        at + took
    ))
    .await;
    rig.run(&format!(
        "UPDATE conversation SET last_activity_at = greatest(last_activity_at, '{at}') WHERE id = '{}'",
        of.uuid()
    ))
    .await;
}

async fn chat(
    rig: &Rig,
    tenant: Tenant,
    customer: u32,
    opened: OffsetDateTime,
    closed: Option<OffsetDateTime>,
) {
    let conversation = conversation(rig, tenant, customer, opened).await;
    let (state, closed) = match closed {
        Some(closed) => ("closed", format!("'{closed}'")),
        None => ("live", "NULL".to_owned()),
    };
    rig.run(&format!(
        "INSERT INTO chat (id, tenant_id, conversation_id, link_id, state, guid, key_sealed, epoch, opened_at, closed_at)
         VALUES ('{}', '{}', '{}', '{}', '{state}', '1', '', 1, '{opened}', {closed})",
        id_at(opened),
        tenant.id,
        conversation.uuid(),
        tenant.link.uuid()
    ))
    .await;
}

async fn read(rig: &Rig, tenant: Tenant, steps: i32) -> Statistics {
    let step = std::time::Duration::from_secs(900);
    let span = Span {
        from: FROM,
        to: FROM + step * u32::try_from(steps).unwrap(),
        step,
    };
    rig.db.tenant(tenant.id).statistics(span).await.unwrap()
}

#[tokio::test]
async fn texts_are_counted_in_their_steps_and_in_no_others() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let minutes = |n: i64| FROM + Duration::minutes(n);
    let seconds = Duration::seconds;
    // One of today, one that is open since long before, one that is over.
    let today = conversation(&rig, tenant, 1, minutes(-5)).await;
    let old = conversation(&rig, tenant, 2, FROM - Duration::days(60)).await;
    let closed = conversation(&rig, tenant, 3, FROM - Duration::days(20)).await;
    let of_other = conversation(&rig, other, 4, minutes(0)).await;
    for (of, at, what, took) in [
        (today, -1, "'mo', 'customer', 'delivered', NULL, 1", 1),
        (today, 0, "'mo', 'customer', 'delivered', NULL, 2", 2),
        (today, 1, "'mo', 'customer', 'delivered', NULL, NULL", 4),
        (today, 2, "'mo', 'customer', 'accepted', NULL, 1", 0),
        (today, 3, "'mo', 'system', 'delivered', NULL, 1", 1),
        (old, 4, "'mt', 'agent', 'delivered', NULL, 3", 9),
        (closed, 5, "'mt', 'agent', 'undeliverable', '30003', 1", 1),
        (closed, 14, "'mt', 'agent', 'failed', NULL, 1", 1),
        (closed, 15, "'mo', 'customer', 'refused', 'ccm:no', 1", 1),
        (today, 30, "'mo', 'customer', 'delivered', NULL, 1", 1),
    ] {
        text(&rig, tenant, of, minutes(at), what, seconds(took)).await;
    }
    const BY_A_RULE: &str = "'mo', 'customer', 'delivered', NULL, 1";
    text(
        &rig,
        tenant,
        today,
        minutes(16),
        BY_A_RULE,
        Duration::milliseconds(7),
    )
    .await;
    text(
        &rig,
        other,
        of_other,
        minutes(1),
        "'mo', 'customer', 'delivered', NULL, 1",
        seconds(1),
    )
    .await;
    rig.run(&format!(
        "UPDATE conversation SET state = 'closed', closed_at = last_activity_at WHERE id = '{}'",
        closed.uuid()
    ))
    .await;

    let found = read(&rig, tenant, 2).await;
    assert_eq!(
        found.buckets,
        [
            BucketRow {
                texts_in: 3,
                segments_in: 4,
                texts_out: 3,
                segments_out: 5,
                to_agent_p50_ms: Some(2000),
                to_agent_p95_ms: Some(4000),
                ..BucketRow::default()
            },
            BucketRow {
                texts_in: 2,
                segments_in: 2,
                ..BucketRow::default()
            }
        ]
    );
    let mut failures = found.failures;
    failures.sort_by(|a, b| (a.bucket, &a.reason).cmp(&(b.bucket, &b.reason)));
    let failure = |bucket, reason: &str| FailureRow {
        bucket,
        reason: reason.to_owned(),
        count: 1,
    };
    assert_eq!(
        failures,
        [failure(0, "30003"), failure(0, "failed"), failure(1, "ccm:no")]
    );
    assert_eq!(read(&rig, other, 2).await.buckets[0].texts_in, 1);
    let quiet = rig.tenant(3).await;
    assert_eq!(
        read(&rig, quiet, 96).await.buckets,
        vec![BucketRow::default(); 96]
    );
}

#[tokio::test]
async fn peaks_are_of_chats_that_are_open_together() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let minutes = |n: i64| FROM + Duration::minutes(n);
    for (customer, (opened, closed)) in [
        // Open since long before.
        (-60 * 24 * 30, None),
        (-10, Some(2)),
        // Two that follow each other at the same moment.
        (2, Some(20)),
        (20, Some(25)),
        (50, None),
        // Over before, and after.
        (-30, Some(-20)),
        (60, None),
    ]
    .into_iter()
    .enumerate()
    {
        chat(
            &rig,
            tenant,
            customer as u32,
            minutes(opened),
            closed.map(minutes),
        )
        .await;
    }
    let found = read(&rig, tenant, 4).await;
    let peaks: Vec<_> = found.buckets.iter().map(|bucket| bucket.peak_chats).collect();
    assert_eq!(peaks, [2, 2, 1, 2]);
}
