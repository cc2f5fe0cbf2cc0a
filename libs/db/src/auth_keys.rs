//! Keys for the screen-pop page.

use crate::{DbError, Operator, Part, TenantDb, listing::row_of};
use ccm_model::{AuthKeyId, Id, KeyUse, TenantId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;

/// A key for the screen-pop page; the key itself is stored nowhere.
#[derive(Debug, Clone)]
pub struct AuthKeyRow {
    pub id: AuthKeyId,
    pub name: String,
    pub prefix: String,
    /// CIDR blocks from which it may be used; none: from anywhere.
    pub networks: Vec<String>,
    /// What it opens.
    pub uses: Vec<KeyUse>,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    /// The key that takes its place.
    pub replaced_by: Option<AuthKeyId>,
    /// To the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

impl AuthKeyRow {
    /// Whether it opens anything now.
    pub fn is_active(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

pub struct NewAuthKey<'a> {
    pub id: AuthKeyId,
    pub name: &'a str,
    pub prefix: &'a str,
    /// HMAC-SHA256 of the key under the platform's look-up key.
    pub lookup_hash: &'a [u8; 32],
    pub expires_at: Option<OffsetDateTime>,
    pub networks: &'a [String],
    pub uses: &'a [KeyUse],
}

/// What a key is to become.
#[derive(Debug, Clone)]
pub struct AuthKeyChange {
    pub name: String,
    pub expires_at: Option<OffsetDateTime>,
    pub networks: Vec<String>,
    pub uses: Vec<KeyUse>,
}

/// The key that takes another one's place: its name, its networks and what it opens are that one's.
pub struct Successor<'a> {
    pub id: AuthKeyId,
    pub prefix: &'a str,
    pub lookup_hash: &'a [u8; 32],
    pub expires_at: Option<OffsetDateTime>,
    /// When the key before it ends, if it does not end earlier.
    pub overlap_until: OffsetDateTime,
}

/// Whose key it is, as a page's request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthKeyOwner {
    pub tenant: TenantId,
    pub key: AuthKeyId,
    /// CIDR blocks from which it may be used; none: from anywhere.
    pub networks: Vec<String>,
    /// What it opens.
    pub uses: Vec<KeyUse>,
}

macro_rules! auth_key_columns {
    () => {
        "id, name, prefix, networks, uses, created_at, expires_at, revoked_at, replaced_by, last_used_at"
    };
}

const LOCKED: &str = concat!(
    "SELECT ",
    auth_key_columns!(),
    " FROM auth_key WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

/// Those that this version knows.
fn uses(stored: Vec<String>) -> Vec<KeyUse> {
    stored.iter().filter_map(|name| name.parse().ok()).collect()
}

fn names(uses: &[KeyUse]) -> Vec<&'static str> {
    uses.iter().map(|one| one.as_str()).collect()
}

fn auth_key(row: &PgRow) -> Result<AuthKeyRow, DbError> {
    Ok(AuthKeyRow {
        id: AuthKeyId(row.try_get("id")?),
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        networks: row.try_get("networks")?,
        uses: uses(row.try_get("uses")?),
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        replaced_by: row.try_get::<Option<_>, _>("replaced_by")?.map(AuthKeyId),
        last_used_at: row.try_get("last_used_at")?,
    })
}

const WHAT: &str = "auth key";

impl TenantDb<'_> {
    /// Makes a screen-pop key. `Conflict` on `auth_key_lookup_hash_key` when the same key exists, here or elsewhere; else when
    /// one of this name is in use.
    pub async fn create_auth_key(&self, new: NewAuthKey<'_>) -> Result<AuthKeyRow, DbError> {
        let mut tx = self.begin().await?;
        let row = self.insert_auth_key(&mut tx, new).await?;
        tx.commit().await?;
        auth_key(&row)
    }

    async fn insert_auth_key(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        new: NewAuthKey<'_>,
    ) -> Result<PgRow, DbError> {
        let row = sqlx::query(concat!(
            "INSERT INTO auth_key (id, tenant_id, name, prefix, lookup_hash, expires_at, networks, uses)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
            auth_key_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.name)
        .bind(new.prefix)
        .bind(&new.lookup_hash[..])
        .bind(new.expires_at)
        .bind(new.networks)
        .bind(names(new.uses))
        .fetch_one(&mut **tx)
        .await?;
        Ok(row)
    }

    /// The tenant's screen-pop keys, by name.
    pub async fn auth_keys(&self) -> Result<Vec<AuthKeyRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                auth_key_columns!(),
                " FROM auth_key WHERE tenant_id = $1 ORDER BY name, id"
            ),
            auth_key,
        )
        .await
    }

    /// A part of the tenant's screen-pop keys, by name: those that open something at `now`, those that do not, or all.
    pub async fn auth_keys_part(
        &self,
        active: Option<bool>,
        name: Option<&str>,
        now: OffsetDateTime,
        part: &Part,
    ) -> Result<Vec<AuthKeyRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                auth_key_columns!(),
                " FROM auth_key WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
                   AND ($5::bool IS NULL OR $5 = (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $6)))
                   AND ($7::text IS NULL OR name = $7)
                 ORDER BY name, id LIMIT $4"
            ),
            part,
            |asked| asked.bind(active).bind(now).bind(name),
            auth_key,
        )
        .await
    }

    /// One of the tenant's screen-pop keys.
    pub async fn auth_key(&self, id: AuthKeyId) -> Result<AuthKeyRow, DbError> {
        let sql = concat!(
            "SELECT ",
            auth_key_columns!(),
            " FROM auth_key WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), WHAT, auth_key).await
    }

    /// Changes a key to what `change` makes of it; nobody else changes it meanwhile. `Conflict` when one of its name is in
    /// use.
    pub async fn change_auth_key<E: From<DbError>>(
        &self,
        id: AuthKeyId,
        change: impl FnOnce(&AuthKeyRow) -> Result<AuthKeyChange, E>,
    ) -> Result<AuthKeyRow, E> {
        let mut tx = self.begin().await?;
        let new = change(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, auth_key).await?)?;
        let row = sqlx::query(concat!(
            "UPDATE auth_key SET name = $3, expires_at = $4, networks = $5, uses = $6 WHERE tenant_id = $1 AND id = $2 RETURNING ",
            auth_key_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(&new.name)
        .bind(new.expires_at)
        .bind(&new.networks)
        .bind(names(&new.uses))
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(auth_key(&row)?)
    }

    /// Makes the key that takes another one's place, if `allowed`; that one goes on until the overlap ends.
    pub async fn rotate_auth_key<E: From<DbError>>(
        &self,
        id: AuthKeyId,
        new: Successor<'_>,
        allowed: impl FnOnce(&AuthKeyRow) -> Result<(), E>,
    ) -> Result<AuthKeyRow, E> {
        let mut tx = self.begin().await?;
        let old = row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, auth_key).await?;
        allowed(&old)?;
        // First: it leaves its name to the new one.
        sqlx::query(
            "UPDATE auth_key SET replaced_by = $3, expires_at = least(expires_at, $4) WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(new.id.uuid())
        .bind(new.overlap_until)
        .execute(&mut *tx)
        .await
        .map_err(DbError::from)?;
        let new = NewAuthKey {
            id: new.id,
            name: &old.name,
            prefix: new.prefix,
            lookup_hash: new.lookup_hash,
            expires_at: new.expires_at,
            networks: &old.networks,
            uses: &old.uses,
        };
        let row = self.insert_auth_key(&mut tx, new).await?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(auth_key(&row)?)
    }

    /// Ends a key at once, if `allowed`; one that was revoked before stays as it is.
    pub async fn revoke_auth_key<E: From<DbError>>(
        &self,
        id: AuthKeyId,
        at: OffsetDateTime,
        allowed: impl FnOnce(&AuthKeyRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.begin().await?;
        allowed(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, auth_key).await?)?;
        sqlx::query(
            "UPDATE auth_key SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(())
    }

    /// Notes that a key was used, once a minute at most: every pop uses one.
    pub async fn auth_key_used(&self, id: AuthKeyId, at: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE auth_key SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2
               AND (last_used_at IS NULL OR last_used_at <= $3::timestamptz - interval '1 minute')",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Operator<'_> {
    /// Whose key it is that has this hash, if it is one and neither expired nor revoked, and its tenant
    /// is not being deleted: a page's request names no tenant.
    pub async fn auth_key_owner(
        &self,
        lookup_hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<AuthKeyOwner>, DbError> {
        let row = sqlx::query(
            "SELECT k.tenant_id, k.id, k.networks, k.uses FROM auth_key k JOIN tenant t ON t.id = k.tenant_id
             WHERE k.lookup_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
               AND t.closing_since IS NULL",
        )
        .bind(&lookup_hash[..])
        .bind(now)
        .fetch_optional(self.pool())
        .await?;
        row.map(|r| {
            Ok(AuthKeyOwner {
                tenant: TenantId(r.try_get(0)?),
                key: AuthKeyId(r.try_get(1)?),
                networks: r.try_get(2)?,
                uses: uses(r.try_get(3)?),
            })
        })
        .transpose()
    }
}
