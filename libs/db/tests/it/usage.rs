//! What tenants use, and what they may send.

use crate::{
    outbox::{begin, claim, finish, sent},
    outbox_rules::texts,
    rig::{IDS, Rig, now, open},
};
use ccm_db::{AsSent, Caps, CapsRow, DbError, Head, Knows, Sender, UsageRow};
use ccm_model::{Id, MessageId};
use sqlx::Row;
use std::time::Duration;
use time::{Date, OffsetDateTime};

const EVERY: Duration = Duration::from_secs(240);

fn today() -> Date {
    now().date()
}

async fn counted(rig: &Rig, tenant: ccm_model::TenantId, day: Date) -> Option<UsageRow> {
    assert!(rig.db.operator().count_usage(day, now()).await.unwrap());
    let (rows, as_of) = rig.db.tenant(tenant).usage(day, day).await.unwrap();
    assert!(as_of.is_some());
    rows.into_iter().next()
}

#[tokio::test]
async fn a_day_is_counted_from_its_texts_and_chats() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 3).await;
    let other = rig.tenant(2).await;
    rig.text(other, 1).await;
    let quiet = rig.tenant(3).await;
    let day = today();
    rig.run("UPDATE message SET segments = 3 WHERE direction = 'mt'")
        .await;
    for (message, state) in said.iter().zip(["delivered", "failed", "queued"]) {
        rig.run(&format!(
            "UPDATE message SET state = '{state}' WHERE id = '{message}'"
        ))
        .await;
    }
    // A note to agents is nobody's text.
    rig.run("UPDATE message SET origin = 'system' WHERE direction = 'mo' AND id = (SELECT min(id::text)::uuid FROM message WHERE direction = 'mo')")
        .await;
    let usage = UsageRow {
        tenant: tenant.id,
        day,
        mo_texts: 2,
        mo_segments: 2,
        mt_texts: 1,
        mt_segments: 3,
        mt_failed: 1,
        chats_opened: 3,
        peak_chats: 3,
        deflections: 0,
    };
    assert_eq!(counted(&rig, tenant.id, day).await, Some(usage.clone()));
    assert_eq!(
        counted(&rig, tenant.id, day).await,
        Some(usage.clone()),
        "once more"
    );
    assert_eq!(counted(&rig, quiet.id, day).await, None);
    // Receipts change it.
    rig.run(&format!(
        "UPDATE message SET state = 'undeliverable' WHERE id = '{}'",
        said[2]
    ))
    .await;
    rig.run("UPDATE chat SET state = 'closed', closed_at = now()")
        .await;
    let later = counted(&rig, tenant.id, day).await.unwrap();
    assert_eq!((later.mt_texts, later.mt_segments, later.peak_chats), (2, 6, 3));
    let (all, as_of) = rig.db.operator().usage_of_all(day, None, 10).await.unwrap();
    let mut tenants: Vec<_> = all
        .iter()
        .map(|row| (row.slug.as_str(), row.usage.mo_texts))
        .collect();
    tenants.sort();
    assert_eq!(tenants, [("tenant-1", 2), ("tenant-2", 1)]);
    assert!(as_of.is_some());
    let after = rig
        .db
        .operator()
        .usage_of_all(day, Some(all[0].usage.tenant), 10)
        .await
        .unwrap();
    assert_eq!(after.0, all[1..]);
    assert_eq!(counted(&rig, tenant.id, day.previous_day().unwrap()).await, None);
}

#[tokio::test]
async fn the_peak_is_of_chats_that_are_open_together() {
    let rig = Rig::new().await;
    let (tenant, _, _) = texts(&rig, 6).await;
    let day = today().previous_day().unwrap();
    let begins = day.midnight().assume_utc();
    // Hours from the day's begin: opened, closed. Two that follow each other are not open together.
    let spans: [(i64, Option<i64>); 6] = [
        (-30, Some(2)),
        (1, Some(3)),
        (3, Some(5)),
        (4, Some(30)),
        (23, None),
        (25, None),
    ];
    let chats = rig.rows("SELECT id FROM chat ORDER BY id").await;
    let hour = |hours: i64| begins + time::Duration::hours(hours);
    for (chat, (opened, closed)) in chats.iter().zip(spans) {
        let id: uuid::Uuid = chat.get(0);
        let millis = u64::try_from(hour(opened).unix_timestamp_nanos() / 1_000_000).unwrap();
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&IDS.next_u64().to_be_bytes());
        let new = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        let (state, closed) = match closed {
            Some(closed) => ("closed", format!("'{}'", hour(closed))),
            None => ("live", "NULL".to_owned()),
        };
        rig.run(&format!(
            "UPDATE chat SET id = '{new}', opened_at = '{}', closed_at = {closed}, state = '{state}' WHERE id = '{id}'",
            hour(opened)
        ))
        .await;
    }
    let usage = counted(&rig, tenant.id, day).await.unwrap();
    assert_eq!((usage.peak_chats, usage.chats_opened), (2, 4));
    let long_ago = begins + time::Duration::days(20);
    assert!(
        rig.db
            .operator()
            .count_usage(long_ago.date(), now())
            .await
            .unwrap()
    );
    let (rows, _) = rig
        .db
        .tenant(tenant.id)
        .usage(long_ago.date(), long_ago.date())
        .await
        .unwrap();
    assert_eq!(rows[0].peak_chats, 2, "those that are open still");
}

#[tokio::test]
async fn days_are_counted_until_they_do_not_change_any_more() {
    let rig = Rig::new().await;
    let operator = rig.db.operator();
    let midnight = today().midnight().assume_utc();
    let noon = midnight + time::Duration::hours(12);
    let due = async |at: OffsetDateTime| operator.usage_due(at, EVERY).await.unwrap();
    let all = due(noon).await;
    assert_eq!((all.len(), all[0]), (36, today()));
    for day in all {
        operator.count_usage(day, noon).await.unwrap();
    }
    assert!(due(noon).await.is_empty());
    let later = noon + time::Duration::minutes(4);
    assert_eq!(due(later).await, [today()]);
    operator.count_usage(today(), later).await.unwrap();
    assert!(due(later).await.is_empty());
    // Six hours later yesterday and the two days before it, too.
    assert_eq!(due(noon + time::Duration::hours(6)).await.len(), 4);
    // After midnight the day that is over once more, at once.
    let next = midnight + time::Duration::days(1) + time::Duration::minutes(1);
    let after = due(next).await;
    assert_eq!(after[..2], [today().next_day().unwrap(), today()]);
    // Two at once count a day once.
    let (a, b) = tokio::join!(
        operator.count_usage(today(), next),
        operator.count_usage(today(), next)
    );
    assert!(a.unwrap() || b.unwrap());
}

fn caps(daily: Option<i64>, monthly: Option<i64>) -> Caps {
    Caps {
        daily_segments: daily,
        monthly_segments: monthly,
    }
}

async fn events(rig: &Rig) -> Vec<String> {
    let rows = rig
        .rows("SELECT kind || ' ' || (detail->>'period') || ' ' || (detail->>'segments') FROM tenant_event ORDER BY (detail->>'segments')::bigint, 1")
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn no_segment_goes_beyond_a_cap_over_all_pods() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 30).await;
    let db = rig.db.tenant(tenant.id);
    let set = db
        .put_caps(caps(Some(20), None), None, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((set.day_segments, set.month_segments), (0, 0));
    let claims = rig.claim(Duration::from_secs(30), 100).await;
    assert_eq!(claims.len(), said.len());
    let pods: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let pod = open(rig.test.urls(), 1, crate::rig::MASTER);
            tokio::spawn(async move {
                let two = |body, _| AsSent { body, segments: 2 };
                let sender = Sender {
                    hold: Duration::from_secs(30),
                    knows: |_| Knows::Again,
                    paused: &|_| None,
                    as_sent: &two,
                };
                let db = pod.tenant(claim.tenant);
                match db.begin_send(&claim, &sender, now()).await.unwrap() {
                    Head::Send(_) => true,
                    Head::Capped { .. } => false,
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut begun = 0;
    for pod in pods {
        begun += i64::from(pod.await.unwrap());
    }
    assert_eq!(begun, 10);
    let row = db.caps(now()).await.unwrap().unwrap();
    assert_eq!((row.day_segments, row.month_segments), (20, 20));
    assert_eq!(events(&rig).await, ["cap_near day 16", "cap_reached day 20"]);
    // Set anew, it is counted anew from what began.
    let again = db
        .put_caps(caps(None, Some(100)), None, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((again.day_segments, again.month_segments), (20, 20));
}

#[tokio::test]
async fn a_text_is_counted_once_and_replies_to_stop_always_go() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 2).await;
    let db = rig.db.tenant(tenant.id);
    db.put_caps(caps(Some(1), Some(1)), None, now()).await.unwrap();
    let mine = claim(&rig).await;
    assert!(matches!(begin(&rig, &mine).await, Head::Send(_)));
    let first = db.caps(now()).await.unwrap().unwrap();
    assert!(
        matches!(begin(&rig, &mine).await, Head::Send(_)),
        "a second attempt"
    );
    assert_eq!(db.caps(now()).await.unwrap().unwrap(), first);
    let message: uuid::Uuid = rig.rows("SELECT id FROM message WHERE state = 'sending'").await[0].get(0);
    finish(&rig, &mine, MessageId(message), &sent("1")).await;
    let theirs = claim(&rig).await;
    let capped = begin(&rig, &theirs).await;
    let Head::Capped { message, .. } = capped else {
        panic!("{capped:?}")
    };
    assert!(said.contains(&message));
    rig.run(&format!(
        "UPDATE message SET origin = 'system', author = 'stop_reply' WHERE id = '{}'",
        message.uuid()
    ))
    .await;
    assert!(matches!(begin(&rig, &theirs).await, Head::Send(_)));
    assert_eq!(db.caps(now()).await.unwrap().unwrap().day_segments, 2);
    // A new month, and a pod whose clock is behind.
    let next = now() + time::Duration::days(32);
    let row: CapsRow = db.caps(next).await.unwrap().unwrap();
    assert_eq!((row.day_segments, row.month_segments), (0, 0));
    assert_eq!(events(&rig).await, ["cap_reached day 1", "cap_reached month 1"]);
}

#[tokio::test]
async fn caps_are_replaced_only_as_they_were_read() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    assert_eq!(db.caps(now()).await.unwrap(), None);
    let none = Some(None);
    let set = db
        .put_caps(caps(Some(1), None), none, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(db.put_caps(caps(Some(2), None), none, now()).await.unwrap(), None);
    let read = Some(Some(set.updated_at));
    let again = db
        .put_caps(caps(None, Some(3)), read, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.caps, caps(None, Some(3)));
    assert_eq!(db.put_caps(caps(Some(2), None), read, now()).await.unwrap(), None);
    let refused = db.put_caps(caps(Some(-1), None), None, now()).await;
    assert!(matches!(refused, Err(DbError::Invalid { .. })), "{refused:?}");
}
