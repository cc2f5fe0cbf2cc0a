use crate::{DbError, Operator, TenantDb};
use ccm_model::{Id, TenantId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A tenant.
#[derive(Debug, Clone)]
pub struct TenantRow {
    pub id: TenantId,
    /// Unique, for people and addresses: lower-case letters, digits and single dashes.
    pub slug: String,
    pub name: String,
    /// `active` or `suspended`.
    pub state: String,
    pub created_at: OffsetDateTime,
}

macro_rules! columns {
    () => {
        "id, slug, name, state, created_at"
    };
}

fn tenant(row: &PgRow) -> Result<TenantRow, sqlx::Error> {
    Ok(TenantRow {
        id: TenantId(row.try_get("id")?),
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        state: row.try_get("state")?,
        created_at: row.try_get("created_at")?,
    })
}

impl Operator<'_> {
    /// Makes a tenant. `Conflict` on `tenant_slug_key` when the slug is taken.
    pub async fn create_tenant(&self, id: TenantId, slug: &str, name: &str) -> Result<TenantRow, DbError> {
        let row = sqlx::query(concat!(
            "INSERT INTO tenant (id, slug, name) VALUES ($1, $2, $3) RETURNING ",
            columns!()
        ))
        .bind(id.uuid())
        .bind(slug)
        .bind(name)
        .fetch_one(self.pool())
        .await?;
        Ok(tenant(&row)?)
    }

    /// Tenants after `after` in the order of their ids, `limit` at most.
    pub async fn tenants(&self, after: Option<TenantId>, limit: i64) -> Result<Vec<TenantRow>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenant WHERE id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after.map_or(uuid::Uuid::nil(), Id::uuid))
        .bind(limit)
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
