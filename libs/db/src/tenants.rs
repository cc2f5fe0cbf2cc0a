use crate::{DbError, Operator, TenantDb, storable::storable};
use ccm_model::{Id, TenantId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// Somebody's word about whether a tenant's texts are carried.
#[derive(Debug, Clone, Copy)]
pub struct StateChange<'a> {
    pub active: bool,
    pub reason: &'a str,
    pub by: &'a str,
    pub at: OffsetDateTime,
}

/// A tenant.
#[derive(Debug, Clone)]
pub struct TenantRow {
    pub id: TenantId,
    /// Unique, for people and addresses: lower-case letters, digits and single dashes.
    pub slug: String,
    pub name: String,
    /// `active` or `suspended`.
    pub state: String,
    /// Why, since when, and who said so; `None` while nobody has said anything.
    pub state_reason: Option<String>,
    pub state_since: Option<OffsetDateTime>,
    pub state_by: Option<String>,
    /// Since when it is being deleted.
    pub closing_since: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}

/// What a tenant is to be called.
#[derive(Debug, Clone)]
pub struct TenantChange {
    pub slug: String,
    pub name: String,
}

/// Which tenants; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct TenantFilter {
    pub state: Option<String>,
    pub slug: Option<String>,
    /// A part of the name or the slug, in any case.
    pub part: Option<String>,
}

macro_rules! columns {
    () => {
        "id, slug, name, state, state_reason, state_since, state_by, closing_since, created_at"
    };
}

fn tenant(row: &PgRow) -> Result<TenantRow, sqlx::Error> {
    Ok(TenantRow {
        id: TenantId(row.try_get("id")?),
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        state: row.try_get("state")?,
        state_reason: row.try_get("state_reason")?,
        state_since: row.try_get("state_since")?,
        state_by: row.try_get("state_by")?,
        closing_since: row.try_get("closing_since")?,
        created_at: row.try_get("created_at")?,
    })
}

impl Operator<'_> {
    /// Makes a tenant. `Conflict` on `tenant_slug_key` when the slug is taken.
    pub async fn create_tenant(&self, id: TenantId, slug: &str, name: &str) -> Result<TenantRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO tenant (id, slug, name) VALUES ($1, $2, $3) RETURNING ",
            columns!()
        ))
        .bind(id.uuid())
        .bind(slug)
        .bind(name)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(tenant(&row)?)
    }

    /// Makes a tenant active or suspended. A suspended one loses its owner at once: whoever holds its chats can write nothing
    /// more, and nobody takes them until it is active again. `NotFound` once it is being deleted, too.
    pub async fn set_tenant_state(&self, id: TenantId, to: StateChange<'_>) -> Result<TenantRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "UPDATE tenant SET state = $2, state_reason = $3, state_by = left($4, 300),
                    state_since = CASE WHEN state = $2 THEN coalesce(state_since, created_at) ELSE $5 END
             WHERE id = $1 AND closing_since IS NULL RETURNING ",
            columns!()
        ))
        .bind(id.uuid())
        .bind(if to.active { "active" } else { "suspended" })
        .bind(storable(to.reason))
        .bind(storable(to.by))
        .bind(to.at)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("tenant"))?;
        if !to.active {
            sqlx::query("UPDATE lease SET pod_id = NULL WHERE tenant_id = $1")
                .bind(id.uuid())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(tenant(&row)?)
    }

    /// Changes what a tenant is called; nobody else changes it meanwhile. `Conflict` on `tenant_slug_key` when the slug is taken.
    pub async fn change_tenant<E: From<DbError>>(
        &self,
        id: TenantId,
        change: impl FnOnce(&TenantRow) -> Result<TenantChange, E>,
    ) -> Result<TenantRow, E> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant WHERE id = $1 FOR NO KEY UPDATE"
        ))
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await
        .map_err(DbError::from)?
        .ok_or(DbError::NotFound("tenant"))?;
        let new = change(&tenant(&row).map_err(DbError::from)?)?;
        let row = sqlx::query(concat!(
            "UPDATE tenant SET slug = $2, name = $3, updated_at = clock_timestamp() WHERE id = $1 RETURNING ",
            columns!()
        ))
        .bind(id.uuid())
        .bind(&new.slug)
        .bind(&new.name)
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(tenant(&row).map_err(DbError::from)?)
    }

    /// Tenants after `after` in the order of their ids, `limit` at most.
    pub async fn tenants(&self, after: Option<TenantId>, limit: i64) -> Result<Vec<TenantRow>, DbError> {
        self.tenants_of(&TenantFilter::default(), after, limit).await
    }

    /// These tenants, in any order; those that are not there are left out.
    pub async fn tenants_named(&self, ids: &[TenantId]) -> Result<Vec<TenantRow>, DbError> {
        let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query(concat!("SELECT ", columns!(), " FROM tenant WHERE id = ANY ($1)"))
            .bind(ids)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(tenant).collect::<Result<_, _>>()?)
    }

    /// As [`Self::tenants`], those that are meant.
    pub async fn tenants_of(
        &self,
        filter: &TenantFilter,
        after: Option<TenantId>,
        limit: i64,
    ) -> Result<Vec<TenantRow>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant WHERE id > $1 AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR slug = $4)
                AND ($5::text IS NULL OR strpos(lower(name), lower($5)) > 0 OR strpos(slug, lower($5)) > 0)
              ORDER BY id LIMIT $2"
        ))
        .bind(after.map_or(uuid::Uuid::nil(), Id::uuid))
        .bind(limit)
        .bind(&filter.state)
        .bind(&filter.slug)
        .bind(&filter.part)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(tenant).collect::<Result<_, _>>()?)
    }
}

impl TenantDb<'_> {
    /// The tenant itself.
    pub async fn tenant(&self) -> Result<TenantRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM tenant WHERE id = $1"))
            .bind(self.tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(DbError::NotFound("tenant"))?;
        Ok(tenant(&row)?)
    }
}
