//! The end of a tenant: asked for, waited for, carried out, and proved.
//!
//! `closing` → `grace` → `purging` → `purged`, each step a committed state, so that whoever goes on after a kill begins where the last
//! one was ([`steps`]). Until `purging` it can be taken back. What goes is read from the catalogue ([`purge`]).

mod purge;
mod steps;

pub use purge::{Batch as PurgeBatch, KEPT, Purge, TableRows};
pub use steps::{Closing, UnderWay};

use crate::{DbError, Operator, TenantDb, storable::storable};
use ccm_model::{Id, TenantId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionState {
    /// Texts and keys are refused; agents' chats are being ended.
    Closing,
    /// Nothing is carried any more; it can be taken back until the grace period is over.
    Grace,
    /// Rows are being deleted.
    Purging,
    /// Nothing is left, and the certificate says so.
    Purged,
    /// It was taken back.
    Restored,
}

impl DeletionState {
    pub const ALL: &'static [Self] = &[
        Self::Closing,
        Self::Grace,
        Self::Purging,
        Self::Purged,
        Self::Restored,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closing => "closing",
            Self::Grace => "grace",
            Self::Purging => "purging",
            Self::Purged => "purged",
            Self::Restored => "restored",
        }
    }

    fn parse(name: &str) -> Result<Self, DbError> {
        let found = Self::ALL.iter().find(|state| state.as_str() == name);
        found
            .copied()
            .ok_or_else(|| DbError::Corrupt(format!("deletion state {name:?}")))
    }
}

/// Somebody's word that a tenant is to go.
#[derive(Debug, Clone, Copy)]
pub struct NewDeletion<'a> {
    pub id: Uuid,
    pub reason: &'a str,
    pub by: &'a str,
    /// 0 to 90.
    pub grace_days: u8,
    pub at: OffsetDateTime,
}

/// A tenant's deletion.
#[derive(Debug, Clone)]
pub struct DeletionRow {
    pub id: Uuid,
    pub tenant: TenantId,
    pub slug: String,
    pub name: String,
    pub state: DeletionState,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: OffsetDateTime,
    pub grace_days: i16,
    pub grace_until: OffsetDateTime,
    pub closed_at: Option<OffsetDateTime>,
    pub chats_left: Option<i32>,
    pub purge_began_at: Option<OffsetDateTime>,
    pub purged_at: Option<OffsetDateTime>,
    pub restored_at: Option<OffsetDateTime>,
    pub restored_by: Option<String>,
    /// Rows of each table when the purge began.
    pub counts_before: Option<Value>,
    pub rows_gone: i64,
    /// JSON, as it was hashed.
    pub certificate: Option<String>,
    /// Lower-case hex.
    pub certificate_sha256: Option<String>,
    pub last_error: Option<String>,
}

macro_rules! columns {
    () => {
        "id, tenant_id, slug, name, state, reason, requested_by, requested_at, grace_days, grace_until, closed_at, chats_left,
         purge_began_at, purged_at, restored_at, restored_by, counts_before, rows_gone, certificate, certificate_sha256, last_error"
    };
}
use columns;

fn deletion(row: &PgRow) -> Result<DeletionRow, DbError> {
    Ok(DeletionRow {
        id: row.try_get("id")?,
        tenant: TenantId(row.try_get("tenant_id")?),
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        state: DeletionState::parse(row.try_get("state")?)?,
        reason: row.try_get("reason")?,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        grace_days: row.try_get("grace_days")?,
        grace_until: row.try_get("grace_until")?,
        closed_at: row.try_get("closed_at")?,
        chats_left: row.try_get("chats_left")?,
        purge_began_at: row.try_get("purge_began_at")?,
        purged_at: row.try_get("purged_at")?,
        restored_at: row.try_get("restored_at")?,
        restored_by: row.try_get("restored_by")?,
        counts_before: row.try_get("counts_before")?,
        rows_gone: row.try_get("rows_gone")?,
        certificate: row.try_get("certificate")?,
        certificate_sha256: row.try_get("certificate_sha256")?,
        last_error: row.try_get("last_error")?,
    })
}

impl Operator<'_> {
    /// Begins a tenant's deletion: its numbers and keys are unknown from now on. `Conflict` on `tenant_deletion_open` when one is under
    /// way.
    pub async fn begin_deletion(
        &self,
        tenant: TenantId,
        new: NewDeletion<'_>,
    ) -> Result<DeletionRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO tenant_deletion (id, tenant_id, slug, name, state, reason, requested_by, requested_at, grace_days,
                                          grace_until, before)
             SELECT $1, id, slug, name, 'closing', $3, left($4, 300), $5, $6::int, $5 + $6::int * interval '24 hours',
                    jsonb_build_object('state', state, 'reason', state_reason, 'since', state_since, 'by', state_by)
             FROM tenant WHERE id = $2 FOR UPDATE RETURNING ",
            columns!()
        ))
        .bind(new.id)
        .bind(tenant.uuid())
        .bind(storable(new.reason))
        .bind(storable(new.by))
        .bind(new.at)
        .bind(i32::from(new.grace_days))
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("tenant"))?;
        sqlx::query("UPDATE tenant SET closing_since = $2 WHERE id = $1")
            .bind(tenant.uuid())
            .bind(new.at)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        deletion(&row)
    }

    /// Takes a deletion back, as long as no rows have gone: the tenant is what it was before. `NotFound` when none can be taken back.
    pub async fn restore_tenant(
        &self,
        tenant: TenantId,
        by: &str,
        at: OffsetDateTime,
    ) -> Result<DeletionRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "UPDATE tenant_deletion SET state = 'restored', restored_at = $2, restored_by = left($3, 300), last_error = NULL
             WHERE tenant_id = $1 AND state IN ('closing', 'grace') RETURNING before, ",
            columns!()
        ))
        .bind(tenant.uuid())
        .bind(at)
        .bind(storable(by))
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("deletion that can be taken back"))?;
        sqlx::query(
            "UPDATE tenant SET closing_since = NULL, state = $2->>'state', state_reason = $2->>'reason',
                               state_since = ($2->>'since')::timestamptz, state_by = $2->>'by'
             WHERE id = $1",
        )
        .bind(tenant.uuid())
        .bind(row.try_get::<Value, _>("before")?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        deletion(&row)
    }

    /// Deletions of all tenants, the newest first: those before `before`, `limit` at most.
    pub async fn deletions(&self, before: Option<Uuid>, limit: i64) -> Result<Vec<DeletionRow>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant_deletion WHERE id < $1 ORDER BY id DESC LIMIT $2"
        ))
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(deletion).collect()
    }

    /// One of them.
    pub async fn deletion(&self, id: Uuid) -> Result<DeletionRow, DbError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant_deletion WHERE id = $1"
        ))
        .bind(id)
        .fetch_optional(self.pool())
        .await?
        .ok_or(DbError::NotFound("deletion"))?;
        deletion(&row)
    }
}

impl TenantDb<'_> {
    /// The tenant's newest deletion, which may have been taken back, or be all that is left of it.
    pub async fn newest_deletion(&self) -> Result<Option<DeletionRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant_deletion WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1"
        ))
        .bind(self.tenant.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.as_ref().map(deletion).transpose()
    }
}
