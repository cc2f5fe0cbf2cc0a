//! How links do, what happened to them, and when they are meant to be away.

use crate::{Batch, DbError, Fence, TenantDb, links::operators_words};
use ccm_model::{Id, LinkId, TenantId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// How a link does, as its owner last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStateRow {
    pub link: LinkId,
    /// `unknown`, `up`, `down`, `half_open`, `held` (a maintenance window) or `unusable` (its settings).
    pub state: String,
    pub since: OffsetDateTime,
    /// `primary` or `secondary`.
    pub endpoint: String,
    pub error: Option<String>,
    pub remedy: Option<String>,
    /// Open sockets.
    pub chats: i32,
    /// Chats that wait to dial.
    pub waiting: i32,
    /// The end of the peer's certificate.
    pub certificate_until: Option<OffsetDateTime>,
    /// What the peer's certificate says.
    pub certificate: Option<Value>,
    pub updated_at: OffsetDateTime,
}

/// Something that happened to a link.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkEventRow {
    pub id: Uuid,
    pub link: LinkId,
    /// `link_down`, `link_up`, `failover`, `failback`, `certificate_expires`, `certificate_expired`,
    /// `maintenance_began`, `maintenance_ended`.
    pub kind: String,
    pub at: OffsetDateTime,
    pub muted: bool,
    pub detail: Value,
}

/// Which earlier event of the same kind makes a new one needless.
#[derive(Debug, Clone, PartialEq)]
pub enum Once {
    /// None.
    EachTime,
    /// One since then.
    Since(OffsetDateTime),
    /// One whose detail has these members.
    About(Value),
}

/// A planned absence of an AACC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    pub id: Uuid,
    pub tenant: TenantId,
    pub link: LinkId,
    pub begins_at: OffsetDateTime,
    pub ends_at: OffsetDateTime,
    pub reason: String,
}

fn window(row: &PgRow) -> Result<MaintenanceWindow, DbError> {
    Ok(MaintenanceWindow {
        id: row.try_get("id")?,
        tenant: TenantId(row.try_get("tenant_id")?),
        link: LinkId(row.try_get("link_id")?),
        begins_at: row.try_get("begins_at")?,
        ends_at: row.try_get("ends_at")?,
        reason: row.try_get("reason")?,
    })
}

fn state(row: &PgRow) -> Result<LinkStateRow, DbError> {
    Ok(LinkStateRow {
        link: LinkId(row.try_get("link_id")?),
        state: row.try_get("state")?,
        since: row.try_get("since")?,
        endpoint: row.try_get("endpoint")?,
        error: row.try_get("error")?,
        remedy: row.try_get("remedy")?,
        chats: row.try_get("chats")?,
        waiting: row.try_get("waiting")?,
        certificate_until: row.try_get("certificate_until")?,
        certificate: row.try_get("certificate")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl Batch<'_> {
    /// Windows of these tenants that are open now, or will be within the next minute.
    pub async fn maintenance_windows(
        &self,
        tenants: &[TenantId],
        now: OffsetDateTime,
    ) -> Result<Vec<MaintenanceWindow>, DbError> {
        let ids: Vec<_> = tenants.iter().map(|t| t.uuid()).collect();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let rows = sqlx::query(
            "SELECT w.id, w.tenant_id, w.link_id, w.begins_at, w.ends_at, w.reason
             FROM unnest($1::uuid[]) AS mine (id) JOIN maintenance_window w ON w.tenant_id = mine.id
             WHERE w.ends_at > $2 AND w.begins_at < $2 + interval '1 minute'",
        )
        .bind(ids)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(window).collect()
    }
}

impl TenantDb<'_> {
    /// Says how a link does. A pod that lost the tenant is refused with [`DbError::Fenced`].
    pub async fn put_link_state(&self, fence: &Fence, row: &LinkStateRow) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query(
            "INSERT INTO link_state (link_id, tenant_id, state, since, endpoint, error, remedy, chats, waiting,
                                     certificate_until, updated_at, certificate)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (link_id) DO UPDATE SET state = excluded.state, since = excluded.since,
               endpoint = excluded.endpoint, error = excluded.error, remedy = excluded.remedy, chats = excluded.chats,
               waiting = excluded.waiting, updated_at = excluded.updated_at,
               certificate_until = coalesce(excluded.certificate_until, link_state.certificate_until),
               certificate = coalesce(excluded.certificate, link_state.certificate)",
        )
        .bind(row.link.uuid())
        .bind(self.tenant.uuid())
        .bind(&row.state)
        .bind(row.since)
        .bind(&row.endpoint)
        .bind(operators_words(row.error.as_deref()))
        .bind(operators_words(row.remedy.as_deref()))
        .bind(row.chats)
        .bind(row.waiting)
        .bind(row.certificate_until)
        .bind(row.updated_at)
        .bind(&row.certificate)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How the tenant's links do.
    pub async fn link_states(&self) -> Result<Vec<LinkStateRow>, DbError> {
        self.list(
            "SELECT link_id, state, since, endpoint, error, remedy, chats, waiting, certificate_until, updated_at, certificate
             FROM link_state WHERE tenant_id = $1 ORDER BY link_id",
            state,
        )
        .await
    }

    /// Writes down what happened to a link, unless it was written before as `once` says; returns whether it was now.
    pub async fn link_event(&self, fence: &Fence, event: &LinkEventRow, once: Once) -> Result<bool, DbError> {
        let (since, about) = match once {
            Once::EachTime => (None, None),
            Once::Since(moment) => (Some(moment), None),
            Once::About(detail) => (None, Some(detail)),
        };
        let mut tx = self.fenced(fence).await?;
        let written = sqlx::query(
            "INSERT INTO link_event (id, tenant_id, link_id, kind, at, muted, detail)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE NOT EXISTS (SELECT 1 FROM link_event WHERE tenant_id = $2 AND link_id = $3 AND kind = $4
                                 AND (at >= $8 OR detail @> $9))
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(event.id)
        .bind(self.tenant.uuid())
        .bind(event.link.uuid())
        .bind(&event.kind)
        .bind(event.at)
        .bind(event.muted)
        .bind(&event.detail)
        .bind(since)
        .bind(about)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(written > 0)
    }

    /// What happened to a link, from the newest on, `before` excluded, `limit` at most.
    pub async fn link_events(
        &self,
        link: LinkId,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<LinkEventRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT id, link_id, kind, at, muted, detail FROM link_event
             WHERE tenant_id = $1 AND link_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        )
        .bind(self.tenant.uuid())
        .bind(link.uuid())
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(LinkEventRow {
                    id: row.try_get("id")?,
                    link: LinkId(row.try_get("link_id")?),
                    kind: row.try_get("kind")?,
                    at: row.try_get("at")?,
                    muted: row.try_get("muted")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }

    /// Plans an absence. `Conflict { missing: true }` when the tenant has no such link.
    pub async fn create_maintenance_window(&self, new: &MaintenanceWindow) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO maintenance_window (id, tenant_id, link_id, begins_at, ends_at, reason)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(new.link.uuid())
        .bind(new.begins_at)
        .bind(new.ends_at)
        .bind(&new.reason)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A link's windows that have not ended at `now`, by begin.
    pub async fn windows_of_link(
        &self,
        link: LinkId,
        now: OffsetDateTime,
    ) -> Result<Vec<MaintenanceWindow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT id, tenant_id, link_id, begins_at, ends_at, reason FROM maintenance_window
             WHERE tenant_id = $1 AND link_id = $2 AND ends_at > $3 ORDER BY begins_at, id",
        )
        .bind(self.tenant.uuid())
        .bind(link.uuid())
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(window).collect()
    }

    /// Takes a planned absence back, also one that is under way. Returns whether there was one.
    pub async fn delete_maintenance_window(&self, link: LinkId, id: Uuid) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let gone =
            sqlx::query("DELETE FROM maintenance_window WHERE tenant_id = $1 AND link_id = $2 AND id = $3")
                .bind(self.tenant.uuid())
                .bind(link.uuid())
                .bind(id)
                .execute(&mut *tx)
                .await?
                .rows_affected();
        tx.commit().await?;
        Ok(gone > 0)
    }
}
