//! From one state to the next. Each step can be made again by somebody else when whoever made it was killed.

use super::{DeletionRow, DeletionState, KEPT, TableRows, columns, deletion};
use crate::{
    DbError, Operator, TenantDb,
    keeping::{keep_holds_away, standing_hold},
    storable::storable,
};
use aws_lc_rs::digest;
use ccm_model::{Id, TenantId};
use serde::Serialize;
use sqlx::Row;
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// How long closing takes.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// At least, so that what other processes still hold in mind about the tenant is gone.
    pub least: Duration,
    /// At most: chats that are open then are left to AACC.
    pub most: Duration,
}

/// What of a tenant's is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Open chats.
    pub chats: i64,
    /// Texts wait for a provider.
    pub texts: bool,
    /// Somebody works on them: the tenant is not suspended.
    pub carried: bool,
}

/// What the certificate says. Members keep this order: the text is hashed.
#[derive(Serialize)]
struct Certificate<'a> {
    document: &'static str,
    deletion: Uuid,
    tenant: TenantId,
    slug: &'a str,
    name: &'a str,
    reason: &'a str,
    requested_by: &'a str,
    requested_at: String,
    grace_days: i16,
    closed_at: Option<String>,
    purge_began_at: Option<String>,
    purged_at: String,
    /// Newest migration of the schema whose tables were looked at.
    schema_version: i64,
    tables: Vec<Proved>,
    /// Tables that keep what they have of the tenant.
    kept: &'static [&'static str],
}

#[derive(Serialize)]
struct Proved {
    table: String,
    rows_before: i64,
    rows_after: i64,
}

impl Operator<'_> {
    /// A deletion that has a next step to be made now, claimed for `hold`.
    pub async fn claim_deletion(
        &self,
        closing: Closing,
        hold: Duration,
        now: OffsetDateTime,
    ) -> Result<Option<DeletionRow>, DbError> {
        let row = sqlx::query(concat!(
            "UPDATE tenant_deletion SET claimed_until = now() + make_interval(secs => $1)
             WHERE id = (
               SELECT id FROM tenant_deletion
               WHERE claimed_until <= now()
                 AND (state = 'purging' OR (state = 'grace' AND grace_until <= $2)
                      OR (state = 'closing' AND requested_at <= $2 - make_interval(secs => $3)))
               ORDER BY claimed_until, id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING ",
            columns!()
        ))
        .bind(hold.as_secs_f64())
        .bind(now)
        .bind(closing.least.as_secs_f64())
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(deletion).transpose()
    }

    /// Closing takes a while longer: the claim ends in a second.
    pub async fn wait_for_closing(&self, id: Uuid) -> Result<(), DbError> {
        sqlx::query("UPDATE tenant_deletion SET claimed_until = now() + interval '1 second' WHERE id = $1")
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Closing is over: nobody owns the tenant any more, and nothing is sent. `chats_left` are open still.
    pub async fn deletion_closed(
        &self,
        of: &DeletionRow,
        chats_left: i64,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let moved = sqlx::query(
            "UPDATE tenant_deletion SET state = 'grace', closed_at = $2, chats_left = $3, last_error = NULL, claimed_until = now()
             WHERE id = $1 AND state = 'closing'",
        )
        .bind(of.id)
        .bind(at)
        .bind(i32::try_from(chats_left).unwrap_or(i32::MAX))
        .execute(&mut *tx)
        .await?
        .rows_affected();
        // Else it was taken back meanwhile.
        if moved > 0 {
            sqlx::query(
                "UPDATE tenant SET state = 'suspended', state_reason = 'it is being deleted', state_since = $2, state_by = $3
                 WHERE id = $1",
            )
            .bind(of.tenant.uuid())
            .bind(at)
            .bind(&of.requested_by)
            .execute(&mut *tx)
            .await?;
            sqlx::query("UPDATE lease SET pod_id = NULL WHERE tenant_id = $1")
                .bind(of.tenant.uuid())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The grace period is over: from now on rows go, and nothing can be taken back. Returns whether it is so: somebody may have taken
    /// it back just now. `Held` as long as a legal hold stands over anything of the tenant.
    pub async fn purge_begins(
        &self,
        of: &DeletionRow,
        counts: &[TableRows],
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let counts = serde_json::to_value(counts).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let mut tx = self.begin().await?;
        // No hold is placed between the look and the change.
        keep_holds_away(&mut tx, of.tenant).await?;
        if let Some(hold) = standing_hold(&mut *tx, of.tenant).await? {
            return Err(DbError::Held(hold));
        }
        let moved = sqlx::query(
            "UPDATE tenant_deletion SET state = 'purging', purge_began_at = $2, counts_before = $3, last_error = NULL
             WHERE id = $1 AND state = 'grace'",
        )
        .bind(of.id)
        .bind(at)
        .bind(counts)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(moved.rows_affected() > 0)
    }

    /// Rows have gone; the claim goes on.
    pub async fn purge_goes_on(&self, id: Uuid, rows: u64, hold: Duration) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE tenant_deletion SET rows_gone = rows_gone + $2, claimed_until = now() + make_interval(secs => $3)
             WHERE id = $1 AND state = 'purging'",
        )
        .bind(id)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(hold.as_secs_f64())
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Writes the certificate of a tenant of which `after` has been counted: nothing is left. `Corrupt` when something is.
    pub async fn purged(
        &self,
        of: &DeletionRow,
        after: &[TableRows],
        at: OffsetDateTime,
    ) -> Result<DeletionRow, DbError> {
        if let Some(left) = after.iter().find(|table| table.rows > 0) {
            return Err(DbError::Corrupt(format!(
                "{} still has {} rows of a tenant that was purged",
                left.table, left.rows
            )));
        }
        let now = self.deletion(of.id).await?;
        let schema_version: i64 =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(self.db.app_pool())
                .await?;
        let text = certificate(&now, after, schema_version, at)?;
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let row = sqlx::query(concat!(
            "UPDATE tenant_deletion SET state = 'purged', purged_at = $2, certificate = $3, certificate_sha256 = $4, last_error = NULL
             WHERE id = $1 AND state = 'purging' RETURNING ",
            columns!()
        ))
        .bind(of.id)
        .bind(at)
        .bind(text)
        .bind(hash)
        .fetch_optional(self.pool())
        .await?;
        match row {
            Some(row) => deletion(&row),
            // Another one was faster, and its certificate stands.
            None => self.deletion(of.id).await,
        }
    }

    /// A step failed: it is made again after `pause`.
    pub async fn deletion_failed(&self, id: Uuid, why: &str, pause: Duration) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE tenant_deletion SET last_error = left($2, 500), claimed_until = now() + make_interval(secs => $3)
             WHERE id = $1 AND state NOT IN ('purged', 'restored')",
        )
        .bind(id)
        .bind(storable(why))
        .bind(pause.as_secs_f64())
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Those of a pod's tenants that are being deleted: their chats are to be ended.
    pub async fn closing_tenants(&self, pod: ccm_model::PodId) -> Result<Vec<TenantId>, DbError> {
        let tenants = sqlx::query_scalar(
            "SELECT t.id FROM lease l JOIN tenant t ON t.id = l.tenant_id WHERE l.pod_id = $1 AND t.closing_since IS NOT NULL",
        )
        .bind(pod.uuid())
        .fetch_all(self.pool())
        .await?;
        Ok(tenants.into_iter().map(TenantId).collect())
    }
}

impl TenantDb<'_> {
    /// What is under way still.
    pub async fn under_way(&self) -> Result<UnderWay, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM chat WHERE tenant_id = $1 AND state <> 'closed') AS chats,
                    EXISTS (SELECT FROM outbox WHERE tenant_id = $1) AS texts,
                    (SELECT state = 'active' FROM tenant WHERE id = $1) AS carried",
        )
        .bind(self.tenant.uuid())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(UnderWay {
            chats: row.try_get("chats")?,
            texts: row.try_get("texts")?,
            carried: row.try_get::<Option<bool>, _>("carried")? == Some(true),
        })
    }
}

fn certificate(
    of: &DeletionRow,
    after: &[TableRows],
    schema_version: i64,
    at: OffsetDateTime,
) -> Result<String, DbError> {
    let written = |at: OffsetDateTime| {
        let utc = at.to_offset(time::UtcOffset::UTC);
        utc.format(&Rfc3339).map_err(|e| DbError::Corrupt(e.to_string()))
    };
    let before: Vec<TableRows> = match (&of.counts_before, of.state) {
        (Some(counts), DeletionState::Purging | DeletionState::Purged) => {
            serde_json::from_value(counts.clone()).map_err(|e| DbError::Corrupt(format!("counts: {e}")))?
        }
        _ => {
            return Err(DbError::Corrupt(
                "a certificate of what was not purged".to_owned(),
            ));
        }
    };
    let tables = after.iter().map(|table| Proved {
        table: table.table.clone(),
        // A table that came with a migration meanwhile had none.
        rows_before: before
            .iter()
            .find(|b| b.table == table.table)
            .map_or(0, |b| b.rows),
        rows_after: table.rows,
    });
    let certificate = Certificate {
        document: "CCM: certificate of a tenant's deletion",
        deletion: of.id,
        tenant: of.tenant,
        slug: &of.slug,
        name: &of.name,
        reason: &of.reason,
        requested_by: &of.requested_by,
        requested_at: written(of.requested_at)?,
        grace_days: of.grace_days,
        closed_at: of.closed_at.map(written).transpose()?,
        purge_began_at: of.purge_began_at.map(written).transpose()?,
        purged_at: written(at)?,
        schema_version,
        tables: tables.collect(),
        kept: KEPT,
    };
    serde_json::to_string_pretty(&certificate).map_err(|e| DbError::Corrupt(e.to_string()))
}
