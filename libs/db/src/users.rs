//! People whom an OIDC issuer knows, and what they are here.

use crate::{AccessDb, DbError, Operator, listing::row_of};
use ccm_model::{Id, TenantId, UserId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// Somebody.
#[derive(Debug, Clone)]
pub struct UserRow {
    pub id: UserId,
    /// [`TenantId::PLATFORM`]: no tenant's.
    pub owner: TenantId,
    pub name: String,
    pub issuer: String,
    pub subject: Option<String>,
    pub email: Option<String>,
    /// As it was written; a later version may know more of them.
    pub role: String,
    pub disabled_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub last_seen_at: Option<OffsetDateTime>,
}

pub struct NewUser<'a> {
    pub id: UserId,
    pub name: &'a str,
    pub issuer: &'a str,
    pub subject: Option<&'a str>,
    /// In lower case.
    pub email: Option<&'a str>,
    pub role: &'a str,
}

/// What a user becomes.
pub struct UserChange {
    pub name: String,
    pub role: String,
    pub disabled: bool,
}

macro_rules! columns {
    () => {
        "id, tenant_id, name, issuer, subject, email, role, disabled_at, created_at, updated_at, last_seen_at"
    };
}

const WHAT: &str = "user";

const LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM app_user WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

fn user(row: &PgRow) -> Result<UserRow, DbError> {
    Ok(UserRow {
        id: UserId(row.try_get("id")?),
        owner: TenantId(row.try_get("tenant_id")?),
        name: row.try_get("name")?,
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        email: row.try_get("email")?,
        role: row.try_get("role")?,
        disabled_at: row.try_get("disabled_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
    })
}

impl AccessDb<'_> {
    /// Makes a user. `Conflict` when the issuer's subject or e-mail is somebody's already, here or elsewhere.
    pub async fn create_user(&self, new: NewUser<'_>) -> Result<UserRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO app_user (id, tenant_id, name, issuer, subject, email, role)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ",
            columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.owner.uuid())
        .bind(new.name)
        .bind(new.issuer)
        .bind(new.subject)
        .bind(new.email)
        .bind(new.role)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        user(&row)
    }

    /// Changes a user to what `change` makes of it; nobody else changes it meanwhile.
    pub async fn change_user<E: From<DbError>>(
        &self,
        id: UserId,
        now: OffsetDateTime,
        change: impl FnOnce(&UserRow) -> Result<UserChange, E>,
    ) -> Result<UserRow, E> {
        let mut tx = self.begin().await?;
        let new = change(&row_of(&mut tx, self.owner, LOCKED, id.uuid(), WHAT, user).await?)?;
        let row = sqlx::query(concat!(
            "UPDATE app_user SET name = $3, role = $4, disabled_at = CASE WHEN $5 THEN coalesce(disabled_at, $6) END,
                    updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 RETURNING ",
            columns!()
        ))
        .bind(self.owner.uuid())
        .bind(id.uuid())
        .bind(&new.name)
        .bind(&new.role)
        .bind(new.disabled)
        .bind(now)
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(user(&row)?)
    }

    /// Takes a user away.
    pub async fn delete_user(&self, id: UserId) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM app_user WHERE tenant_id = $1 AND id = $2")
            .bind(self.owner.uuid())
            .bind(id.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        match gone.rows_affected() {
            0 => Err(DbError::NotFound(WHAT)),
            _ => Ok(()),
        }
    }

    /// One user.
    pub async fn user(&self, id: UserId) -> Result<UserRow, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM app_user WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), WHAT, user).await
    }

    /// Users after `after`, the oldest first, `limit` at most.
    pub async fn users(&self, after: Option<UserId>, limit: i64) -> Result<Vec<UserRow>, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM app_user WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        self.after(sql, after, limit, user).await
    }

    /// Remembers when somebody was here, to the minute, and what the issuer calls them for ever if that was not known.
    pub async fn user_seen(&self, id: UserId, subject: &str, now: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE app_user SET last_seen_at = $4, subject = coalesce(subject, $3)
             WHERE tenant_id = $1 AND id = $2
               AND (subject IS NULL OR last_seen_at IS NULL OR last_seen_at < $4 - interval '1 minute')",
        )
        .bind(self.owner.uuid())
        .bind(id.uuid())
        .bind(subject)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

impl Operator<'_> {
    /// Whom an issuer's token names: by its subject, or, for somebody who has not been here yet, by a verified e-mail. The answer
    /// tells of a disabled one too.
    pub async fn find_user(
        &self,
        issuer: &str,
        subject: &str,
        email: Option<&str>,
    ) -> Result<Option<UserRow>, DbError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM app_user WHERE issuer = $1 AND (subject = $2 OR (subject IS NULL AND email = $3))
              ORDER BY subject NULLS LAST LIMIT 1"
        ))
        .bind(issuer)
        .bind(subject)
        .bind(email)
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(user).transpose()
    }
}
