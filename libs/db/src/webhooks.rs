//! Where a tenant wants to be told of what happens.

use crate::{DbError, Part, TenantDb, listing::row_of, seal::Place};
use ccm_model::{Id, WebhookId, WebhookState};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;

/// What is decided about a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub name: String,
    pub url: String,
    /// Types, or groups such as `message.*`; `None`: all.
    pub events: Option<Vec<String>>,
    /// Whether customers' numbers are told.
    pub include_numbers: bool,
    /// Whether it is told what was written.
    pub include_bodies: bool,
}

/// A webhook, without its secrets.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub webhook: Webhook,
    pub state: WebhookState,
    pub state_since: OffsetDateTime,
    /// Since when nothing was taken.
    pub failing_since: Option<OffsetDateTime>,
    /// Until when the receiver wants to be left alone.
    pub paused_until: Option<OffsetDateTime>,
    /// Until when calls are signed with the secret before this one too.
    pub old_secret_until: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

macro_rules! columns {
    () => {
        "id, name, url, events, include_numbers, include_bodies, state, state_since, failing_since, paused_until, \
         old_secret_until, created_at, updated_at"
    };
}

const WHAT: &str = "webhook";
const SECRET: &str = "secret_sealed";
const OLD_SECRET: &str = "old_secret_sealed";

const ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM webhook WHERE tenant_id = $1 AND id = $2"
);
const LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM webhook WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);
const CHANGE: &str = concat!(
    "UPDATE webhook SET name = $3, url = $4, events = $5, include_numbers = $6, include_bodies = $7, state = $8,
            state_since = CASE WHEN state = $8 THEN state_since ELSE $9 END,
            failing_since = CASE WHEN state = $8 AND url = $4 THEN failing_since END,
            paused_until = CASE WHEN state = $8 AND url = $4 THEN paused_until END,
            updated_at = clock_timestamp()
     WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);

pub(crate) fn webhook(row: &PgRow) -> Result<WebhookRow, DbError> {
    Ok(WebhookRow {
        id: WebhookId(row.try_get("id")?),
        webhook: Webhook {
            name: row.try_get("name")?,
            url: row.try_get("url")?,
            events: row.try_get("events")?,
            include_numbers: row.try_get("include_numbers")?,
            include_bodies: row.try_get("include_bodies")?,
        },
        state: row.try_get::<&str, _>("state")?.parse()?,
        state_since: row.try_get("state_since")?,
        failing_since: row.try_get("failing_since")?,
        paused_until: row.try_get("paused_until")?,
        old_secret_until: row.try_get("old_secret_until")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn place(id: WebhookId, column: &'static str) -> Place<'static> {
    Place {
        table: WHAT,
        column,
        row: id.uuid(),
    }
}

impl TenantDb<'_> {
    /// Makes a webhook. `None`: the tenant has `most` already. `Conflict` when the name is taken.
    pub async fn create_webhook(
        &self,
        id: WebhookId,
        new: &Webhook,
        secret: &SecretString,
        most: i64,
        at: OffsetDateTime,
    ) -> Result<Option<WebhookRow>, DbError> {
        let mut tx = self.begin().await?;
        // One at a time, so that the count is true.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('ccm webhooks ' || $1, 0))")
            .bind(self.tenant.to_string())
            .execute(&mut *tx)
            .await?;
        let sealed = self
            .seal(&mut tx, place(id, SECRET), secret.expose_secret().as_bytes())
            .await?;
        let made = sqlx::query(concat!(
            "INSERT INTO webhook (id, tenant_id, name, url, events, include_numbers, include_bodies, state_since, secret_sealed)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE (SELECT count(*) FROM webhook WHERE tenant_id = $2) < $10
             RETURNING ",
            columns!()
        ))
        .bind(id.uuid())
        .bind(self.tenant.uuid())
        .bind(&new.name)
        .bind(&new.url)
        .bind(&new.events)
        .bind(new.include_numbers)
        .bind(new.include_bodies)
        .bind(at)
        .bind(sealed)
        .bind(most)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        made.as_ref().map(webhook).transpose()
    }

    /// A part of the tenant's webhooks, by name.
    pub async fn webhooks_part(&self, part: &Part) -> Result<Vec<WebhookRow>, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM webhook WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3)) ORDER BY name, id LIMIT $4"
        );
        self.part(sql, part, |asked| asked, webhook).await
    }

    /// One of the tenant's webhooks.
    pub async fn webhook(&self, id: WebhookId) -> Result<WebhookRow, DbError> {
        self.one(ONE, id.uuid(), WHAT, webhook).await
    }

    /// Changes a webhook to what `change` makes of it; nobody else changes it meanwhile. What is enabled, or leads elsewhere from now
    /// on, begins anew. `Conflict` when the name is taken.
    pub async fn change_webhook<E: From<DbError>>(
        &self,
        id: WebhookId,
        at: OffsetDateTime,
        change: impl FnOnce(&WebhookRow) -> Result<(Webhook, WebhookState), E>,
    ) -> Result<WebhookRow, E> {
        let mut tx = self.begin().await?;
        let (new, state) = change(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, webhook).await?)?;
        let row = sqlx::query(CHANGE)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .bind(&new.name)
            .bind(&new.url)
            .bind(&new.events)
            .bind(new.include_numbers)
            .bind(new.include_bodies)
            .bind(state.as_str())
            .bind(at)
            .fetch_one(&mut *tx)
            .await
            .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(webhook(&row)?)
    }

    /// Takes a webhook away, if `allowed`. What has not been delivered to it is not tried any more.
    pub async fn delete_webhook<E: From<DbError>>(
        &self,
        id: WebhookId,
        allowed: impl FnOnce(&WebhookRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.begin().await?;
        allowed(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, webhook).await?)?;
        sqlx::query("DELETE FROM webhook WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(())
    }

    /// Puts a new secret in the place of the one that is there, with which calls are signed too until `old_until`.
    pub async fn rotate_webhook_secret(
        &self,
        id: WebhookId,
        secret: &SecretString,
        old_until: OffsetDateTime,
    ) -> Result<WebhookRow, DbError> {
        let mut tx = self.begin().await?;
        row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, webhook).await?;
        let was = self.webhook_secret(&mut tx, id, SECRET).await?;
        let was = was.ok_or_else(|| DbError::Corrupt("a webhook without a secret".to_owned()))?;
        let old = self
            .seal(&mut tx, place(id, OLD_SECRET), was.expose_secret().as_bytes())
            .await?;
        let new = self
            .seal(&mut tx, place(id, SECRET), secret.expose_secret().as_bytes())
            .await?;
        let row = sqlx::query(concat!(
            "UPDATE webhook SET secret_sealed = $3, old_secret_sealed = $4, old_secret_until = $5,
                    updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 RETURNING ",
            columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(new)
        .bind(old)
        .bind(old_until)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        webhook(&row)
    }

    async fn webhook_secret(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: WebhookId,
        column: &'static str,
    ) -> Result<Option<SecretString>, DbError> {
        let sql = match column {
            SECRET => "SELECT secret_sealed FROM webhook WHERE tenant_id = $1 AND id = $2",
            _ => "SELECT old_secret_sealed FROM webhook WHERE tenant_id = $1 AND id = $2",
        };
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(sql)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .fetch_one(&mut **tx)
            .await?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let opened = self.unseal(tx, place(id, column), &sealed).await?;
        let secret =
            str::from_utf8(&opened).map_err(|_| DbError::Corrupt("a webhook's secret".to_owned()))?;
        Ok(Some(SecretString::from(secret)))
    }

    /// A webhook and all that its calls are signed with now.
    pub async fn webhook_to_call(
        &self,
        id: WebhookId,
        now: OffsetDateTime,
    ) -> Result<(WebhookRow, Vec<SecretString>), DbError> {
        let mut tx = self.begin().await?;
        let row = row_of(&mut tx, self.tenant, ONE, id.uuid(), WHAT, webhook).await?;
        let mut secrets = Vec::with_capacity(2);
        secrets.extend(self.webhook_secret(&mut tx, id, SECRET).await?);
        if row.old_secret_until.is_some_and(|until| now < until) {
            secrets.extend(self.webhook_secret(&mut tx, id, OLD_SECRET).await?);
        }
        tx.commit().await?;
        Ok((row, secrets))
    }
}
