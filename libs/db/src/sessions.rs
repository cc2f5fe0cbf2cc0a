//! Who has signed in.

use crate::{AccessDb, DbError, Operator};
use ccm_model::{ApiKeyId, Id, SessionId, TenantId, UserId};
use sqlx::Row;
use time::{Duration, OffsetDateTime};

/// How long rows of sessions that are over are kept.
const KEPT: Duration = Duration::days(1);

/// By what somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedIn {
    /// As a user: the role is the user's, as it is when it is asked for.
    User(UserId),
    /// By an API key: so are role and scopes the key's.
    ApiKey(ApiKeyId),
    /// By a token that was issued here: role and scopes are as it said.
    Token,
}

pub struct NewSession<'a> {
    pub id: SessionId,
    /// HMAC-SHA256 of its key under the platform's look-up key.
    pub lookup_hash: &'a [u8; 32],
    pub by: SignedIn,
    pub subject: &'a str,
    pub role: &'a str,
    pub scopes: Option<&'a [String]>,
    pub now: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// A session that is good, and who is in it.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: SessionId,
    /// [`TenantId::PLATFORM`]: no tenant's.
    pub owner: TenantId,
    pub by: SignedIn,
    pub subject: String,
    /// As it was written; a later version may know more of them.
    pub role: String,
    pub scopes: Option<Vec<String>>,
    pub expires_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
}

impl AccessDb<'_> {
    /// Begins a session. The owner's sessions that have long been over are cleared away.
    pub async fn create_session(&self, new: NewSession<'_>) -> Result<(), DbError> {
        let (user, key) = match new.by {
            SignedIn::User(id) => (Some(id.uuid()), None),
            SignedIn::ApiKey(id) => (None, Some(id.uuid())),
            SignedIn::Token => (None, None),
        };
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE tenant_id = $1 AND expires_at < $2")
            .bind(self.owner.uuid())
            .bind(new.now - KEPT)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO session (id, tenant_id, lookup_hash, user_id, api_key_id, subject, role, scopes, created_at, last_used_at,
                                  expires_at)
             VALUES ($1, $2, $3, $4, $5, left($6, 300), $7, $8, $9, $9, $10)",
        )
        .bind(new.id.uuid())
        .bind(self.owner.uuid())
        .bind(&new.lookup_hash[..])
        .bind(user)
        .bind(key)
        .bind(new.subject)
        .bind(new.role)
        .bind(new.scopes)
        .bind(new.now)
        .bind(new.expires_at)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Remembers that a session was used, to the minute.
    pub async fn session_used(&self, id: SessionId, now: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE session SET last_used_at = $3
             WHERE tenant_id = $1 AND id = $2 AND last_used_at < $3 - interval '1 minute'",
        )
        .bind(self.owner.uuid())
        .bind(id.uuid())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// From now on the session is refused.
    pub async fn end_session(&self, id: SessionId, now: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE session SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL")
            .bind(self.owner.uuid())
            .bind(id.uuid())
            .bind(now)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

impl Operator<'_> {
    /// The session that has this hash, if it is not over, was used after `idle_since`, and those who are in it may still come in: the
    /// user is not disabled, the API key neither expired nor revoked nor of a tenant on its way out.
    pub async fn find_session(
        &self,
        lookup_hash: &[u8; 32],
        now: OffsetDateTime,
        idle_since: OffsetDateTime,
    ) -> Result<Option<SessionRow>, DbError> {
        let row = sqlx::query(
            "SELECT s.id, s.tenant_id, s.user_id, s.api_key_id, s.expires_at, s.last_used_at,
                    coalesce(u.email, u.name, k.name, s.subject) AS subject, coalesce(u.role, k.role, s.role) AS role,
                    CASE WHEN k.id IS NULL THEN s.scopes ELSE k.scopes END AS scopes
             FROM session s
             LEFT JOIN app_user u ON u.id = s.user_id AND u.tenant_id = s.tenant_id AND u.disabled_at IS NULL
             LEFT JOIN api_key k ON k.id = s.api_key_id AND k.tenant_id = s.tenant_id AND k.revoked_at IS NULL
               AND (k.expires_at IS NULL OR k.expires_at > $2)
               AND NOT EXISTS (SELECT FROM tenant t WHERE t.id = k.tenant_id AND t.closing_since IS NOT NULL)
             WHERE s.lookup_hash = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND s.last_used_at > $3
               AND (s.user_id IS NULL OR u.id IS NOT NULL) AND (s.api_key_id IS NULL OR k.id IS NOT NULL)",
        )
        .bind(&lookup_hash[..])
        .bind(now)
        .bind(idle_since)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (user, key): (Option<_>, Option<_>) = (row.try_get("user_id")?, row.try_get("api_key_id")?);
        Ok(Some(SessionRow {
            id: SessionId(row.try_get("id")?),
            owner: TenantId(row.try_get("tenant_id")?),
            by: match (user, key) {
                (Some(user), _) => SignedIn::User(UserId(user)),
                (None, Some(key)) => SignedIn::ApiKey(ApiKeyId(key)),
                (None, None) => SignedIn::Token,
            },
            subject: row.try_get("subject")?,
            role: row.try_get("role")?,
            scopes: row.try_get("scopes")?,
            expires_at: row.try_get("expires_at")?,
            last_used_at: row.try_get("last_used_at")?,
        }))
    }
}
