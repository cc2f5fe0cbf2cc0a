//! Keys for programs that use the admin API.

use crate::{AccessDb, DbError, Operator};
use ccm_model::{ApiKeyId, Id, TenantId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A key; the key itself is stored nowhere.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    pub id: ApiKeyId,
    /// [`TenantId::PLATFORM`]: no tenant's.
    pub owner: TenantId,
    pub name: String,
    pub prefix: String,
    /// As it was written; a later version may know more of them.
    pub role: String,
    pub scopes: Option<Vec<String>>,
    pub created_by: String,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    pub replaced_by: Option<ApiKeyId>,
}

pub struct NewApiKey<'a> {
    pub id: ApiKeyId,
    pub name: &'a str,
    pub prefix: &'a str,
    /// HMAC-SHA256 of the key under the platform's look-up key.
    pub lookup_hash: &'a [u8; 32],
    pub role: &'a str,
    pub scopes: Option<&'a [String]>,
    pub created_by: &'a str,
    pub expires_at: Option<OffsetDateTime>,
}

macro_rules! columns {
    () => {
        "id, tenant_id, name, prefix, role, scopes, created_by, created_at, expires_at, last_used_at, revoked_at, replaced_by"
    };
}

fn api_key(row: &PgRow) -> Result<ApiKeyRow, DbError> {
    Ok(ApiKeyRow {
        id: ApiKeyId(row.try_get("id")?),
        owner: TenantId(row.try_get("tenant_id")?),
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        role: row.try_get("role")?,
        scopes: row.try_get("scopes")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
        replaced_by: row.try_get::<Option<_>, _>("replaced_by")?.map(ApiKeyId),
    })
}

const INSERT: &str = concat!(
    "INSERT INTO api_key (id, tenant_id, name, prefix, lookup_hash, role, scopes, created_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, left($8, 300), $9) RETURNING ",
    columns!()
);

impl AccessDb<'_> {
    /// Makes a key. `Conflict` on `api_key_tenant_id_name_key` when a key in use has the name.
    pub async fn create_api_key(&self, new: NewApiKey<'_>) -> Result<ApiKeyRow, DbError> {
        let mut tx = self.begin().await?;
        let row = self.insert(new).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        api_key(&row)
    }

    fn insert<'q>(
        &self,
        new: NewApiKey<'q>,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(INSERT)
            .bind(new.id.uuid())
            .bind(self.owner.uuid())
            .bind(new.name)
            .bind(new.prefix)
            .bind(&new.lookup_hash[..])
            .bind(new.role)
            .bind(new.scopes)
            .bind(new.created_by)
            .bind(new.expires_at)
    }

    /// Puts `new` in a key's place; the old one goes on until `old_until`, or until it expires if that is sooner. `NotFound`
    /// when the key is not in use: revoked, expired or replaced already.
    pub async fn rotate_api_key(
        &self,
        old: ApiKeyId,
        old_until: OffsetDateTime,
        now: OffsetDateTime,
        new: NewApiKey<'_>,
    ) -> Result<ApiKeyRow, DbError> {
        let mut tx = self.begin().await?;
        let replaced = sqlx::query(
            "UPDATE api_key SET replaced_by = $3, expires_at = least(expires_at, $4)
             WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL AND replaced_by IS NULL
               AND (expires_at IS NULL OR expires_at > $5)",
        )
        .bind(self.owner.uuid())
        .bind(old.uuid())
        .bind(new.id.uuid())
        .bind(old_until)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if replaced.rows_affected() == 0 {
            return Err(DbError::NotFound("API key in use"));
        }
        let row = self.insert(new).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        api_key(&row)
    }

    /// From now on the key is refused. One that is revoked already stays as it is.
    pub async fn revoke_api_key(&self, id: ApiKeyId, now: OffsetDateTime) -> Result<ApiKeyRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND id = $2 RETURNING ",
            columns!()
        ))
        .bind(self.owner.uuid())
        .bind(id.uuid())
        .bind(now)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("API key"))?;
        tx.commit().await?;
        api_key(&row)
    }

    /// One key.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<ApiKeyRow, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM api_key WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), "API key", api_key).await
    }

    /// Keys after `after`, the oldest first, `limit` at most; revoked and expired ones too.
    pub async fn api_keys(&self, after: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKeyRow>, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM api_key WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        self.after(sql, after, limit, api_key).await
    }

    /// Remembers that a key was used, to the minute.
    pub async fn api_key_used(&self, id: ApiKeyId, now: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE api_key SET last_used_at = $3
             WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3 - interval '1 minute')",
        )
        .bind(self.owner.uuid())
        .bind(id.uuid())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

impl Operator<'_> {
    /// The key that has this hash, if it is neither expired nor revoked and its tenant is not on its way out: whose it is comes with
    /// it.
    pub async fn find_api_key(
        &self,
        lookup_hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<ApiKeyRow>, DbError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM api_key k WHERE lookup_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                AND NOT EXISTS (SELECT FROM tenant t WHERE t.id = k.tenant_id AND t.closing_since IS NOT NULL)"
        ))
        .bind(&lookup_hash[..])
        .bind(now)
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(api_key).transpose()
    }
}
