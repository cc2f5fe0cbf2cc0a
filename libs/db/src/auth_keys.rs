//! Keys for the screen-pop page.

use crate::{DbError, Operator, TenantDb};
use ccm_model::{AuthKeyId, Id, TenantId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A key for the screen-pop page; the key itself is stored nowhere.
#[derive(Debug, Clone)]
pub struct AuthKeyRow {
    pub id: AuthKeyId,
    pub name: String,
    pub prefix: String,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
}

pub struct NewAuthKey<'a> {
    pub id: AuthKeyId,
    pub name: &'a str,
    pub prefix: &'a str,
    /// HMAC-SHA256 of the key under the platform's look-up key.
    pub lookup_hash: &'a [u8; 32],
    pub expires_at: Option<OffsetDateTime>,
}

macro_rules! auth_key_columns {
    () => {
        "id, name, prefix, created_at, expires_at, revoked_at"
    };
}

fn auth_key(row: &PgRow) -> Result<AuthKeyRow, DbError> {
    Ok(AuthKeyRow {
        id: AuthKeyId(row.try_get("id")?),
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

impl TenantDb<'_> {
    /// Makes a screen-pop key. `Conflict` on `auth_key_lookup_hash_key` when the same key exists, here or elsewhere.
    pub async fn create_auth_key(&self, new: NewAuthKey<'_>) -> Result<AuthKeyRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO auth_key (id, tenant_id, name, prefix, lookup_hash, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
            auth_key_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.name)
        .bind(new.prefix)
        .bind(&new.lookup_hash[..])
        .bind(new.expires_at)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        auth_key(&row)
    }

    /// The tenant's screen-pop keys, by name.
    pub async fn auth_keys(&self) -> Result<Vec<AuthKeyRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                auth_key_columns!(),
                " FROM auth_key WHERE tenant_id = $1 ORDER BY name"
            ),
            auth_key,
        )
        .await
    }
}

impl Operator<'_> {
    /// Whose key it is that has this hash, if it is one and neither expired nor revoked, and its tenant
    /// is not being deleted: a page's request names no tenant.
    pub async fn auth_key_owner(
        &self,
        lookup_hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<(TenantId, AuthKeyId)>, DbError> {
        let row = sqlx::query(
            "SELECT k.tenant_id, k.id FROM auth_key k JOIN tenant t ON t.id = k.tenant_id
             WHERE k.lookup_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
               AND t.closing_since IS NULL",
        )
        .bind(&lookup_hash[..])
        .bind(now)
        .fetch_optional(self.pool())
        .await?;
        row.map(|r| Ok((TenantId(r.try_get(0)?), AuthKeyId(r.try_get(1)?))))
            .transpose()
    }
}
