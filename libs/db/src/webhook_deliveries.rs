//! Events on their way to webhooks. Triggers write them, in the transaction of what happened.

use crate::{DbError, Operator, TenantDb, storable::storable};
use ccm_model::{ConversationId, DeliveryState, Id, TenantId, WebhookId, WebhookState};
use serde_json::{Value, json};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// The type of the event that somebody asks for to try a webhook.
pub const TEST_EVENT: &str = "ccm.test";

/// So many of the last attempts are kept.
const KEPT_TRIES: i64 = 20;

/// An event for one webhook.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub webhook: WebhookId,
    pub kind: String,
    pub at: OffsetDateTime,
    pub conversation: Option<ConversationId>,
    /// The message, consent event or deflection.
    pub subject: Option<Uuid>,
    /// What it was when it happened.
    pub detail: Value,
    pub state: DeliveryState,
    pub attempts: i32,
    /// The last attempts, the oldest first, as they were recorded.
    pub tries: Vec<Value>,
    pub next_at: Option<OffsetDateTime>,
}

/// Which deliveries; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub state: Option<DeliveryState>,
    pub kind: Option<String>,
    /// Of events from this moment on.
    pub since: Option<OffsetDateTime>,
    /// Of events before this moment.
    pub until: Option<OffsetDateTime>,
}

/// A delivery in a worker's hands until its claim runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedDelivery {
    pub id: Uuid,
    pub tenant: TenantId,
    pub webhook: WebhookId,
    pub claim: Uuid,
}

/// How much a worker takes up.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryClaim<'a> {
    pub claim: Uuid,
    pub now: OffsetDateTime,
    /// When others may take it up, should this worker die.
    pub until: OffsetDateTime,
    /// At most so many.
    pub limit: i64,
    /// At most so many of one webhook, with those that the worker has in hand.
    pub per_webhook: i64,
    /// What the worker has in hand, by webhook.
    pub busy: &'a [(WebhookId, i64)],
}

/// What an attempt came to.
#[derive(Debug, Clone)]
pub struct Tried {
    /// As it is shown.
    pub attempt: Value,
    pub now: OffsetDateTime,
    pub then: Then,
}

/// What becomes of a delivery after an attempt, and of its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Delivered,
    /// Tried again at this moment; the webhook is left alone until `pause`.
    Again {
        at: OffsetDateTime,
        pause: Option<OffsetDateTime>,
    },
    /// Not tried again: it was tried often enough.
    Failed,
    /// Not tried at all: what it is about is not kept any more. Says nothing of the receiver.
    Forgotten,
    /// Not tried again, and the webhook is disabled: its receiver is there no more.
    Gone,
}

macro_rules! columns {
    () => {
        "id, webhook_id, type, at, conversation_id, subject_id, detail, state, attempts, tries, next_at"
    };
}

const WHAT: &str = "delivery";

const ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM webhook_delivery WHERE tenant_id = $1 AND id = $2"
);

pub(crate) const DELIVERIES: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM webhook_delivery WHERE tenant_id = $1 AND webhook_id = $2 AND id < $3 AND ($5::text IS NULL OR state = $5)
        AND ($6::text IS NULL OR type = $6) AND ($7::timestamptz IS NULL OR at >= $7)
        AND ($8::timestamptz IS NULL OR at < $8)
      ORDER BY id DESC LIMIT $4"
);

/// Webhooks that something waits for: from one to the next in the index, not through all that waits.
macro_rules! waiting {
    () => {
        "WITH RECURSIVE waiting (webhook_id) AS (
           (SELECT webhook_id FROM webhook_delivery WHERE next_at IS NOT NULL ORDER BY webhook_id LIMIT 1)
           UNION ALL
           SELECT (SELECT d.webhook_id FROM webhook_delivery d WHERE d.next_at IS NOT NULL AND d.webhook_id > waiting.webhook_id
                   ORDER BY d.webhook_id LIMIT 1)
           FROM waiting WHERE waiting.webhook_id IS NOT NULL),
         callable AS (
           SELECT w.id FROM waiting JOIN webhook w ON w.id = waiting.webhook_id
           WHERE w.state = 'enabled' AND (w.paused_until IS NULL OR w.paused_until <= $1))"
    };
}

pub(crate) const CLAIM: &str = concat!(
    waiting!(),
    ", due AS (
       SELECT d.id FROM callable
       LEFT JOIN unnest($5::uuid[], $6::bigint[]) AS busy (webhook_id, many) ON busy.webhook_id = callable.id
       CROSS JOIN LATERAL (
         SELECT id, next_at FROM webhook_delivery
         WHERE webhook_id = callable.id AND next_at <= $1
         ORDER BY next_at, id LIMIT greatest($4 - coalesce(busy.many, 0), 0) FOR UPDATE SKIP LOCKED) AS d
       ORDER BY d.next_at, d.id LIMIT $3)
     UPDATE webhook_delivery d SET next_at = $2, claim = $7 WHERE d.id = ANY (ARRAY(SELECT id FROM due))
     RETURNING d.id, d.tenant_id, d.webhook_id"
);

pub(crate) const OLDEST: &str = concat!(
    waiting!(),
    " SELECT min(first.next_at) FROM callable CROSS JOIN LATERAL (
        SELECT next_at FROM webhook_delivery WHERE webhook_id = callable.id AND next_at <= $1 ORDER BY next_at LIMIT 1) AS first"
);

const TRIED: &str = "
UPDATE webhook_delivery SET state = $4, next_at = $5, claim = NULL, attempts = attempts + 1,
  tries = (SELECT coalesce(jsonb_agg(one ORDER BY n), '[]') FROM (
             SELECT one, n FROM jsonb_array_elements(tries || $6) WITH ORDINALITY AS t (one, n) ORDER BY n DESC LIMIT $7) AS last)
WHERE tenant_id = $1 AND id = $2 AND claim = $3 RETURNING webhook_id, type";

fn delivery(row: &PgRow) -> Result<DeliveryRow, DbError> {
    let tries: Value = row.try_get("tries")?;
    Ok(DeliveryRow {
        id: row.try_get("id")?,
        webhook: WebhookId(row.try_get("webhook_id")?),
        kind: row.try_get("type")?,
        at: row.try_get("at")?,
        conversation: row
            .try_get::<Option<_>, _>("conversation_id")?
            .map(ConversationId),
        subject: row.try_get("subject_id")?,
        detail: row.try_get("detail")?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        attempts: row.try_get("attempts")?,
        tries: serde_json::from_value(tries).map_err(|e| DbError::Corrupt(format!("tries: {e}")))?,
        next_at: row.try_get("next_at")?,
    })
}

impl Operator<'_> {
    /// Takes up what is due, of all tenants: of each webhook what is due longest. No other worker takes it up until the claim runs out.
    pub async fn claim_deliveries(&self, claim: DeliveryClaim<'_>) -> Result<Vec<ClaimedDelivery>, DbError> {
        let (webhooks, many): (Vec<Uuid>, Vec<i64>) =
            claim.busy.iter().map(|(id, many)| (id.uuid(), *many)).unzip();
        let rows = sqlx::query(CLAIM)
            .bind(claim.now)
            .bind(claim.until)
            .bind(claim.limit)
            .bind(claim.per_webhook)
            .bind(webhooks)
            .bind(many)
            .bind(claim.claim)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ClaimedDelivery {
                    id: row.try_get("id")?,
                    tenant: TenantId(row.try_get("tenant_id")?),
                    webhook: WebhookId(row.try_get("webhook_id")?),
                    claim: claim.claim,
                })
            })
            .collect()
    }

    /// Since when the delivery is due that is due longest, of webhooks that can be called.
    pub async fn oldest_due_delivery(&self, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, DbError> {
        Ok(sqlx::query_scalar(OLDEST)
            .bind(now)
            .fetch_one(self.pool())
            .await?)
    }
}

impl TenantDb<'_> {
    /// Deliveries to a webhook from the newest on, `before` excluded, `limit` at most.
    pub async fn deliveries(
        &self,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>, DbError> {
        let asked = sqlx::query(DELIVERIES)
            .bind(self.tenant.uuid())
            .bind(webhook.uuid())
            .bind(before.unwrap_or(Uuid::max()))
            .bind(limit)
            .bind(filter.state.map(DeliveryState::as_str))
            .bind(&filter.kind)
            .bind(filter.since)
            .bind(filter.until);
        self.rows(asked, delivery).await
    }

    /// One delivery to a webhook.
    pub async fn delivery(&self, webhook: WebhookId, id: Uuid) -> Result<DeliveryRow, DbError> {
        let row = self.one(ONE, id, WHAT, delivery).await?;
        match row.webhook == webhook {
            true => Ok(row),
            false => Err(DbError::NotFound(WHAT)),
        }
    }

    /// Has a webhook called with an event that nothing has happened for, before all others.
    pub async fn create_test_delivery(
        &self,
        webhook: WebhookId,
        id: Uuid,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE webhook SET paused_until = NULL WHERE tenant_id = $1 AND id = $2 AND paused_until IS NOT NULL",
        )
        .bind(self.tenant.uuid())
        .bind(webhook.uuid())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO webhook_delivery (id, tenant_id, webhook_id, type, at, next_at)
             VALUES ($1, $2, $3, $4, $5, 'epoch')",
        )
        .bind(id)
        .bind(self.tenant.uuid())
        .bind(webhook.uuid())
        .bind(TEST_EVENT)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Has a delivery tried again from the beginning, whatever became of it.
    pub async fn replay_delivery(
        &self,
        webhook: WebhookId,
        id: Uuid,
        now: OffsetDateTime,
    ) -> Result<DeliveryRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_at = $4, claim = NULL
             WHERE tenant_id = $1 AND webhook_id = $2 AND id = $3 RETURNING ",
            columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(webhook.uuid())
        .bind(id)
        .bind(now)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        delivery(&row.ok_or(DbError::NotFound(WHAT))?)
    }

    /// The same for those of a time, `after` excluded, `limit` at most, and none that still waits. Returns how many, and the last one.
    pub async fn replay_deliveries(
        &self,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        after: Option<Uuid>,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<(usize, Option<Uuid>), DbError> {
        let mut tx = self.begin().await?;
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "WITH again AS (
               SELECT id FROM webhook_delivery
               WHERE tenant_id = $1 AND webhook_id = $2 AND id > $3 AND ($5::text IS NULL OR state = $5) AND state <> 'pending'
                 AND ($6::text IS NULL OR type = $6) AND ($7::timestamptz IS NULL OR at >= $7)
                 AND ($8::timestamptz IS NULL OR at < $8) AND type <> $10
               ORDER BY id LIMIT $4)
             UPDATE webhook_delivery d SET state = 'pending', attempts = 0, next_at = $9, claim = NULL
             FROM again WHERE d.tenant_id = $1 AND d.id = again.id RETURNING d.id",
        )
        .bind(self.tenant.uuid())
        .bind(webhook.uuid())
        .bind(after.unwrap_or_default())
        .bind(limit)
        .bind(filter.state.map(DeliveryState::as_str))
        .bind(&filter.kind)
        .bind(filter.since)
        .bind(filter.until)
        .bind(now)
        .bind(TEST_EVENT)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((ids.len(), ids.into_iter().max()))
    }

    /// Records what an attempt came to, if the claim still holds, and what it means for the webhook: one that has taken nothing for
    /// `patience` is disabled. Returns whether the claim held, and whether the webhook was disabled.
    pub async fn delivery_tried(
        &self,
        claimed: &ClaimedDelivery,
        tried: &Tried,
        patience: time::Duration,
    ) -> Result<(bool, Option<WebhookState>), DbError> {
        let (state, next_at) = match tried.then {
            Then::Delivered => (DeliveryState::Delivered, None),
            Then::Again { at, .. } => (DeliveryState::Pending, Some(at)),
            Then::Failed | Then::Forgotten | Then::Gone => (DeliveryState::Failed, None),
        };
        let mut tx = self.begin().await?;
        let row = sqlx::query(TRIED)
            .bind(self.tenant.uuid())
            .bind(claimed.id)
            .bind(claimed.claim)
            .bind(state.as_str())
            .bind(next_at)
            .bind(without_nul(&tried.attempt))
            .bind(KEPT_TRIES)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            return Ok((false, None));
        };
        let mut disabled = None;
        if row.try_get::<&str, _>("type")? != TEST_EVENT {
            disabled = self
                .judge_webhook(&mut tx, claimed.webhook, tried, patience)
                .await?;
        }
        tx.commit().await?;
        Ok((true, disabled))
    }

    async fn judge_webhook(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: WebhookId,
        tried: &Tried,
        patience: time::Duration,
    ) -> Result<Option<WebhookState>, DbError> {
        let pause = match tried.then {
            Then::Delivered => {
                sqlx::query(
                    "UPDATE webhook SET failing_since = NULL WHERE tenant_id = $1 AND id = $2 AND failing_since IS NOT NULL",
                )
                .bind(self.tenant.uuid())
                .bind(id.uuid())
                .execute(&mut **tx)
                .await?;
                return Ok(None);
            }
            Then::Forgotten => return Ok(None),
            Then::Again { pause, .. } => pause,
            Then::Failed | Then::Gone => None,
        };
        let sql = "
            UPDATE webhook SET failing_since = coalesce(failing_since, $3),
              paused_until = greatest(paused_until, $4),
              state = CASE WHEN $5 THEN 'gone' WHEN failing_since < $6 THEN 'failing' ELSE state END,
              state_since = CASE WHEN $5 OR failing_since < $6 THEN $3 ELSE state_since END
            WHERE tenant_id = $1 AND id = $2 AND state = 'enabled'
              AND ($5 OR $4 IS NOT NULL OR failing_since IS NULL OR failing_since < $6)
            RETURNING state, name";
        let row = sqlx::query(sql)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .bind(tried.now)
            .bind(pause)
            .bind(tried.then == Then::Gone)
            .bind(tried.now - patience)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let state: WebhookState = row.try_get::<&str, _>("state")?.parse()?;
        if state == WebhookState::Enabled {
            return Ok(None);
        }
        let name: String = row.try_get("name")?;
        sqlx::query(
            "INSERT INTO tenant_event (id, tenant_id, kind, at, detail) VALUES (uuid_v7($2), $1, 'webhook_disabled', $2, $3)",
        )
        .bind(self.tenant.uuid())
        .bind(tried.now)
        .bind(json!({ "webhook": id, "name": name, "why": state }))
        .execute(&mut **tx)
        .await?;
        Ok(Some(state))
    }
}

/// jsonb stores no NUL, and a receiver's answer may hold one.
fn without_nul(attempt: &Value) -> Value {
    match attempt {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), without_nul(value)))
            .collect(),
        Value::String(said) => Value::String(storable(said).into_owned()),
        other => other.clone(),
    }
}
