//! A tenant that goes: what is left of it, what of the others, and what a kill in the middle changes.

use crate::{
    rig::{IDS, Rig, now},
    walls::{fill, tenant_tables},
};
use ccm_db::{Closing, Db, DbError, DeletionRow, DeletionState, NewDeletion};
use ccm_model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::{collections::BTreeMap, time::Duration};
use time::OffsetDateTime;

const CLOSING: Closing = Closing {
    least: Duration::ZERO,
    most: Duration::from_secs(60),
};
const HOLD: Duration = Duration::from_secs(30);

async fn asked(rig: &Rig, tenant: TenantId, grace_days: u8) -> DeletionRow {
    let new = NewDeletion {
        id: IDS.next(),
        reason: "contract has ended",
        by: "mary",
        grace_days,
        at: now(),
    };
    rig.db.operator().begin_deletion(tenant, new).await.unwrap()
}

/// As if the one who claimed had died.
async fn unclaimed(rig: &Rig) {
    rig.run("UPDATE tenant_deletion SET claimed_until = now()").await;
}

async fn claim(rig: &Rig, at: OffsetDateTime) -> Option<DeletionRow> {
    unclaimed(rig).await;
    rig.db.operator().claim_deletion(CLOSING, HOLD, at).await.unwrap()
}

async fn release_holds(rig: &Rig, tenant: TenantId) {
    rig.run(&format!(
        "UPDATE legal_hold SET released_at = now(), released_by = 'mary'
         WHERE released_at IS NULL AND tenant_id = '{tenant}'"
    ))
    .await;
}

/// On to where rows may go.
async fn to_purging(rig: &Rig, tenant: TenantId) -> DeletionRow {
    release_holds(rig, tenant).await;
    asked(rig, tenant, 0).await;
    let operator = rig.db.operator();
    let closing = claim(rig, now()).await.unwrap();
    operator.deletion_closed(&closing, 0, now()).await.unwrap();
    let grace = claim(rig, now()).await.unwrap();
    let counts = rig.db.tenant(tenant).count_rows().await.unwrap();
    assert!(operator.purge_begins(&grace, &counts, now()).await.unwrap());
    let purging = claim(rig, now()).await.unwrap();
    assert_eq!(purging.state, DeletionState::Purging);
    purging
}

#[tokio::test]
async fn rows_go_or_are_held_and_never_both() {
    let rig = Rig::new().await;
    let operator = rig.db.operator();
    for n in 0..12 {
        let tenant = rig.tenant(n).await;
        asked(&rig, tenant.id, 0).await;
        let closing = claim(&rig, now()).await.unwrap();
        operator.deletion_closed(&closing, 0, now()).await.unwrap();
        let grace = claim(&rig, now()).await.unwrap();
        let db = rig.db.tenant(tenant.id);
        let new = ccm_db::NewHold {
            id: IDS.next(),
            scope: &ccm_db::HoldScope::Tenant,
            reason: "case 2026-117",
            by: "mary",
            at: now(),
        };
        let (begins, placed) = tokio::join!(operator.purge_begins(&grace, &[], now()), db.place_hold(new));
        match (begins, placed) {
            (Ok(true), Err(DbError::NotFound("tenant"))) => {}
            (Err(DbError::Held(hold)), Ok(row)) => assert_eq!(hold, row.id),
            other => panic!("{other:?}"),
        }
        rig.run("DELETE FROM tenant_deletion").await;
    }
}

/// Rows of a tenant in each table that has some, by the catalogue and around the policies.
async fn left(rig: &Rig, tenant: TenantId) -> BTreeMap<String, i64> {
    let mut left = BTreeMap::new();
    for table in tenant_tables(rig).await {
        let column = if table == "tenant" { "id" } else { "tenant_id" };
        let rows = rig
            .count(&format!(
                "SELECT count(*) FROM {table} WHERE {column} = '{tenant}'"
            ))
            .await;
        if rows > 0 {
            left.insert(table, rows);
        }
    }
    left
}

async fn purge(db: &Db, tenant: TenantId, at_once: i64, batches: usize) -> Result<(), DbError> {
    let mut left = batches;
    let mut purge = db.tenant(tenant).purge().await?;
    while let Some(batch) = db.tenant(tenant).purge_some(&mut purge, at_once).await? {
        if batch.rows > 0 {
            left = left.checked_sub(1).ok_or(DbError::Fenced)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_purged_tenant_is_left_and_nothing_of_another_is_gone() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    fill(&rig, a, 1).await;
    fill(&rig, b, 2).await;
    rig.run(&format!(
        "DELETE FROM tenant_deletion WHERE tenant_id IN ('{}', '{}')",
        a.id, b.id
    ))
    .await;
    for customer in 10..25 {
        rig.text(a, customer).await;
        rig.text(b, customer).await;
    }
    let of_b = left(&rig, b.id).await;
    let row = to_purging(&rig, a.id).await;
    let before = left(&rig, a.id).await;
    assert!(
        before["message"] > 15 && before["inbound_dedup"] > 15,
        "{before:?}"
    );

    // Killed in the middle, again and again; each who comes has processes and connections of its own.
    let mut kills = 0;
    loop {
        let fresh = crate::rig::open(rig.test.urls(), 2, crate::rig::MASTER);
        match purge(&fresh, a.id, 7, 4).await {
            Ok(()) => break,
            Err(DbError::Fenced) => kills += 1,
            Err(e) => panic!("{e}"),
        }
    }
    assert!(kills > 3, "{kills}");

    let after = rig.db.tenant(a.id).count_rows().await.unwrap();
    let operator = rig.db.operator();
    let purged = operator.purged(&row, &after, now()).await.unwrap();
    let mut of_a = left(&rig, a.id).await;
    assert_eq!(of_a.remove("tenant_deletion"), Some(1));
    of_a.remove("audit_entry");
    of_a.remove("audit_head");
    assert_eq!(of_a, BTreeMap::new());
    assert_eq!(left(&rig, b.id).await, of_b);

    assert_eq!(purged.state, DeletionState::Purged);
    let text = purged.certificate.unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(purged.certificate_sha256.as_deref(), Some(hash.as_str()));
    let proof: serde_json::Value = serde_json::from_str(&text).unwrap();
    let proved = proof["tables"].as_array().unwrap();
    for (table, rows) in before {
        if ccm_db::KEPT.contains(&table.as_str()) {
            continue;
        }
        let line = proved.iter().find(|line| line["table"] == table.as_str());
        let line = line.unwrap_or_else(|| panic!("{table} is not in the certificate"));
        assert_eq!(
            (&line["rows_before"], &line["rows_after"]),
            (&rows.into(), &0.into()),
            "{table}"
        );
    }
    assert_eq!(
        (&proof["requested_by"], &proof["slug"]),
        (&"mary".into(), &"tenant-1".into())
    );
    // The slug is free again, and the proof stays.
    rig.tenant(1).await;
    assert_eq!(operator.deletion(row.id).await.unwrap().certificate, Some(text));
}

/// By the tenant's id in a column of another name, a row of somebody else would keep the tenant from going.
#[tokio::test]
async fn nothing_but_a_tenants_own_rows_refers_to_it() {
    let rig = Rig::new().await;
    let others = rig
        .rows(
            "SELECT f.conname::text FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey)
             WHERE f.contype = 'f' AND f.confrelid = 'tenant'::regclass AND a.attname <> 'tenant_id'",
        )
        .await;
    let others: Vec<String> = others.iter().map(|row| row.get(0)).collect();
    assert_eq!(others, [""; 0], "drop the reference");
}

#[tokio::test]
async fn a_certificate_is_not_given_while_something_is_left() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.text(tenant, 1).await;
    let row = to_purging(&rig, tenant.id).await;
    let counts = rig.db.tenant(tenant.id).count_rows().await.unwrap();
    let refused = rig.db.operator().purged(&row, &counts, now()).await;
    assert!(matches!(refused, Err(DbError::Corrupt(_))), "{refused:?}");
}

#[tokio::test]
async fn rows_of_a_tenant_that_is_not_purged_cannot_be_deleted() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    rig.say(&fence, conversation, chat).await;
    let mut before = left(&rig, tenant.id).await;
    for kept in ccm_db::KEPT {
        before.remove(*kept);
    }
    for grace in [false, true] {
        if grace {
            asked(&rig, tenant.id, 30).await;
        }
        // Where services delete all the time (settings, queues) rows do go; these are the others.
        for table in [
            "message",
            "conversation",
            "chat",
            "consent_event",
            "tenant_key",
            "lease",
            "tenant",
        ] {
            let mut app = crate::rig::connect(rig.test.app_url()).await;
            let sql = format!(
                "BEGIN; SELECT set_config('app.tenant_ids', '{}', true); DELETE FROM {table}; COMMIT",
                tenant.id
            );
            app.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let mut now = left(&rig, tenant.id).await;
        for kept in ccm_db::KEPT {
            now.remove(*kept);
        }
        assert_eq!(now, before, "in grace: {grace}");
    }
}

#[tokio::test]
async fn a_deletion_that_is_taken_back_leaves_the_tenant_as_it_was() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    fill(&rig, tenant, 1).await;
    let operator = rig.db.operator();
    let owner = async || operator.account_owner(tenant.account).await.unwrap();
    for closed in [false, true] {
        let before = rig.db.tenant(tenant.id).tenant().await.unwrap();
        assert_eq!(owner().await, Some(tenant.id));
        let row = asked(&rig, tenant.id, 30).await;
        assert_eq!(owner().await, None, "webhooks find nobody");
        let twice = operator
            .begin_deletion(
                tenant.id,
                NewDeletion {
                    id: IDS.next(),
                    reason: "again",
                    by: "joe",
                    grace_days: 1,
                    at: now(),
                },
            )
            .await;
        assert!(
            matches!(twice, Err(DbError::Conflict { missing: false, .. })),
            "{twice:?}"
        );
        if closed {
            let closing = claim(&rig, now()).await.unwrap();
            operator.deletion_closed(&closing, 0, now()).await.unwrap();
            assert_eq!(
                rig.db.tenant(tenant.id).tenant().await.unwrap().state,
                "suspended"
            );
            assert!(claim(&rig, now()).await.is_none(), "the grace period is not over");
        }
        let suspended = operator.set_tenant_state(
            tenant.id,
            ccm_db::StateChange {
                active: true,
                reason: "no",
                by: "joe",
                at: now(),
            },
        );
        assert!(matches!(suspended.await, Err(DbError::NotFound(_))));
        let restored = operator.restore_tenant(tenant.id, "joe", now()).await.unwrap();
        assert_eq!((restored.id, restored.state), (row.id, DeletionState::Restored));
        let after = rig.db.tenant(tenant.id).tenant().await.unwrap();
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
        assert!(operator.restore_tenant(tenant.id, "joe", now()).await.is_err());
        // What a step that began before finds now.
        release_holds(&rig, tenant.id).await;
        operator.deletion_closed(&row, 0, now()).await.unwrap();
        assert!(!operator.purge_begins(&row, &[], now()).await.unwrap());
        assert_eq!(rig.db.tenant(tenant.id).tenant().await.unwrap().state, "active");
    }
    let later = now() + time::Duration::days(40);
    assert!(claim(&rig, later).await.is_none());
}

#[tokio::test]
async fn steps_come_when_they_are_due_and_one_works_at_a_time() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let operator = rig.db.operator();
    let row = asked(&rig, tenant.id, 2).await;
    let slow = Closing {
        least: Duration::from_secs(3),
        most: Duration::from_secs(60),
    };
    assert!(
        operator
            .claim_deletion(slow, HOLD, row.requested_at)
            .await
            .unwrap()
            .is_none()
    );
    let after = row.requested_at + time::Duration::seconds(3);
    let closing = operator.claim_deletion(slow, HOLD, after).await.unwrap().unwrap();
    assert!(
        operator
            .claim_deletion(slow, HOLD, after)
            .await
            .unwrap()
            .is_none(),
        "claimed"
    );
    operator
        .deletion_failed(row.id, "no", Duration::ZERO)
        .await
        .unwrap();
    let again = operator.claim_deletion(slow, HOLD, after).await.unwrap().unwrap();
    assert_eq!((again.id, again.last_error.as_deref()), (row.id, Some("no")));
    operator.deletion_closed(&closing, 3, now()).await.unwrap();
    let grace = operator.deletion(row.id).await.unwrap();
    assert_eq!((grace.state, grace.chats_left), (DeletionState::Grace, Some(3)));
    let end = row.grace_until;
    assert_eq!(end - row.requested_at, time::Duration::days(2));
    let early = end - time::Duration::seconds(1);
    assert!(
        operator
            .claim_deletion(slow, HOLD, early)
            .await
            .unwrap()
            .is_none()
    );
    assert!(operator.claim_deletion(slow, HOLD, end).await.unwrap().is_some());
    assert_eq!(operator.deletions(None, 10).await.unwrap().len(), 1);
    assert!(operator.deletions(Some(row.id), 10).await.unwrap().is_empty());
    let newest = rig.db.tenant(tenant.id).newest_deletion().await.unwrap();
    assert_eq!(newest.unwrap().id, row.id);
}
