//! Moving deflections on: what is due is claimed over all tenants, looked at under its own, and written down.

use super::address;
use crate::{DbError, NewText, NotTexted, Operator, TenantDb, derived_id, outbox::Because};
use ccm_model::{
    Body, ConversationId, DeflectionId, DeflectionState, Id, MessageId, MessageState, Origin, TenantId,
};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A deflection that is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDeflection {
    pub tenant: TenantId,
    pub id: DeflectionId,
}

/// A text of the caller's after the offer. Deliberately without `Debug`.
#[derive(Clone)]
pub struct HeardText {
    pub body: String,
    pub at: OffsetDateTime,
}

/// How a deflection stands. Deliberately without `Debug`.
#[derive(Clone)]
pub struct DeflectionSeen {
    pub id: DeflectionId,
    pub state: DeflectionState,
    pub name: Option<String>,
    pub voice_skillset: String,
    pub language: String,
    pub asked_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub sent_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    pub answered_at: Option<OffsetDateTime>,
    pub chat_at: Option<OffsetDateTime>,
    /// Of the offer's text, and since when; `None` when it has been deleted.
    pub message: Option<(MessageState, OffsetDateTime)>,
    /// What the caller has texted since the offer, the oldest first; of an answered one nothing.
    pub heard: Vec<HeardText>,
    /// When the first chat that the answer came to was opened.
    pub opened_at: Option<OffsetDateTime>,
    /// When an agent wrote for the first time since the answer.
    pub agent_at: Option<OffsetDateTime>,
    /// When the conversation was closed.
    pub closed_at: Option<OffsetDateTime>,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeflectionChange {
    pub state: DeflectionState,
    pub reason: Option<&'static str>,
    pub sent_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    pub answered_at: Option<OffsetDateTime>,
    pub chat_at: Option<OffsetDateTime>,
    pub agent_at: Option<OffsetDateTime>,
    /// The offer is not to leave any more, if it has not yet.
    pub take_back: bool,
    /// What the caller is told who has had the offer.
    pub say: Option<Body>,
    /// When to look again; `None`: it has ended.
    pub due_at: Option<OffsetDateTime>,
}

/// A deflection that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflectionMoved {
    pub from: DeflectionState,
    pub to: DeflectionState,
    /// The caller was told something: dispatch is to be woken.
    pub texted: Option<ConversationId>,
}

/// The author of the text that says that an offer is over.
const EXPIRED: &str = "deflection_expired";

const OVER: Because = Because {
    code: "ccm:withdrawn",
    detail: "the offer was over before it had left",
};

/// What is read of an answer: enough to tell a keyword from it, and to pass over a few.
const HEARD: i64 = 20;

pub(crate) const CLAIM: &str = "
UPDATE deflection SET due_at = $3 + make_interval(secs => $2)
WHERE due_at IS NOT NULL AND id = ANY (ARRAY(
  SELECT id FROM deflection WHERE due_at <= $3 ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING tenant_id, id";

pub(crate) const SEEN: &str = "
SELECT d.id, d.state, d.name, d.voice_skillset, d.language, d.our_address, d.customer_address, d.message_id, d.conversation_id, d.asked_at, d.expires_at, d.sent_at, d.delivered_at, d.answered_at, d.chat_at, m.seq,
       m.state AS message_state, m.updated_at AS message_at, c.closed_at, h.opened_at, a.agent_at
FROM deflection d
JOIN conversation c ON c.tenant_id = $1 AND c.id = d.conversation_id
LEFT JOIN message m ON m.tenant_id = $1 AND m.id = d.message_id
LEFT JOIN LATERAL (
  SELECT min(opened_at) AS opened_at FROM chat
  WHERE tenant_id = $1 AND conversation_id = d.conversation_id AND (closed_at IS NULL OR closed_at > d.answered_at)) h
  ON d.answered_at IS NOT NULL
LEFT JOIN LATERAL (
  SELECT min(created_at) AS agent_at FROM message
  WHERE tenant_id = $1 AND conversation_id = d.conversation_id AND direction = 'mt' AND origin = 'agent'
    AND chat_id IS NOT NULL AND created_at >= d.answered_at AND id >= uuid_v7_floor(d.asked_at - interval '1 day')) a
  ON d.answered_at IS NOT NULL
WHERE d.tenant_id = $1 AND d.id = $2";

pub(crate) const HEARD_SINCE: &str = "
SELECT body, created_at FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'mo' AND origin = 'customer' AND state <> 'refused'
  AND seq > $3 AND id >= uuid_v7_floor($4)
ORDER BY seq LIMIT $5";

impl Operator<'_> {
    /// Takes up to `limit` deflections that are due; nobody else gets them for `hold`.
    pub async fn claim_deflections(
        &self,
        limit: i64,
        hold: std::time::Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<DueDeflection>, DbError> {
        let rows = sqlx::query(CLAIM)
            .bind(limit)
            .bind(hold.as_secs_f64())
            .bind(now)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(DueDeflection {
                    tenant: TenantId(row.try_get("tenant_id")?),
                    id: DeflectionId(row.try_get("id")?),
                })
            })
            .collect()
    }
}

impl TenantDb<'_> {
    /// Looks at a deflection and writes down what comes of it; nobody answers, ends or moves it meanwhile. `None`: it had ended
    /// already.
    pub async fn advance_deflection(
        &self,
        id: DeflectionId,
        now: OffsetDateTime,
        step: impl FnOnce(&DeflectionSeen) -> DeflectionChange,
    ) -> Result<Option<DeflectionMoved>, DbError> {
        let mut tx = self.begin().await?;
        // The conversation's lock first and in a statement of its own: what an ingest that held it has stored is seen then.
        let conversation: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM conversation WHERE tenant_id = $1 AND id = (
               SELECT conversation_id FROM deflection WHERE tenant_id = $1 AND id = $2) FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let live: Option<bool> = sqlx::query_scalar(
            "SELECT due_at IS NOT NULL FROM deflection WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let live = live.ok_or(DbError::NotFound("deflection"))?;
        let Some(conversation) = conversation.filter(|_| live) else {
            if live {
                self.let_go(&mut tx, id, now).await?;
            }
            tx.commit().await?;
            return Ok(None);
        };
        let row = sqlx::query(SEEN)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .fetch_one(&mut *tx)
            .await?;
        let mut seen = read(&row)?;
        if seen.state.is_open() {
            seen.heard = self.heard_since(&mut tx, conversation, &row).await?;
        }
        let change = step(&seen);
        self.write(&mut tx, &seen, &change, now).await?;
        let taken_back = change.take_back && self.take_offer_back(&mut tx, &row, now).await?;
        let texted = match &change.say {
            Some(said) if !taken_back => self.say_to_caller(&mut tx, &row, said, now).await?,
            _ => None,
        };
        tx.commit().await?;
        Ok(Some(DeflectionMoved {
            from: seen.state,
            to: change.state,
            texted,
        }))
    }

    /// The conversation has been deleted: nothing can be seen any more.
    async fn let_go(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        id: DeflectionId,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query("UPDATE deflection SET due_at = NULL, ended_at = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .bind(now)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Takes the offer's text out of its line; false: it has left, or is about to.
    async fn take_offer_back(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        row: &PgRow,
        now: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let conversation = ConversationId(row.try_get("conversation_id")?);
        let offer = MessageId(row.try_get("message_id")?);
        let taken = self.take_back(tx, conversation, Some(offer), OVER, now).await?;
        Ok(taken > 0)
    }

    /// Texts the caller, once.
    async fn say_to_caller(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        row: &PgRow,
        said: &Body,
        now: OffsetDateTime,
    ) -> Result<Option<ConversationId>, DbError> {
        let (Some(from), Some(to)) = (address(row, "our_address")?, address(row, "customer_address")?) else {
            return Ok(None);
        };
        let text = NewText {
            message: derived_id(MessageId(row.try_get("message_id")?), EXPIRED),
            conversation: ConversationId(row.try_get("conversation_id")?),
            from: &from,
            to: &to,
            origin: Origin::System,
            author: EXPIRED,
            body: said,
            about: None,
            answer_within: Duration::ZERO,
            event: None,
            trace: None,
        };
        match self.text_in(tx, &text, now).await {
            Ok(texted) => Ok(texted.map(|texted| texted.conversation)),
            // Nobody is texted for a tenant that is suspended, or from a number that is no longer its own.
            Err(NotTexted::NotOurs | NotTexted::Stopped | NotTexted::Used) => Ok(None),
            Err(NotTexted::Db(error)) => Err(error),
        }
    }

    async fn heard_since(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        conversation: Uuid,
        row: &PgRow,
    ) -> Result<Vec<HeardText>, DbError> {
        let asked_at: OffsetDateTime = row.try_get("asked_at")?;
        let rows = sqlx::query(HEARD_SINCE)
            .bind(self.tenant.uuid())
            .bind(conversation)
            .bind(row.try_get::<Option<i64>, _>("seq")?.unwrap_or(i64::MAX))
            .bind(asked_at - Duration::DAY)
            .bind(HEARD)
            .fetch_all(&mut **tx)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(HeardText {
                    body: row.try_get("body")?,
                    at: row.try_get("created_at")?,
                })
            })
            .collect()
    }

    async fn write(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        seen: &DeflectionSeen,
        change: &DeflectionChange,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        let answered = seen.answered_at.is_none() && change.answered_at.is_some();
        sqlx::query(
            "UPDATE deflection SET state = $3, reason = coalesce($4, reason), sent_at = $5, delivered_at = $6, answered_at = $7,
                    answered_by = CASE WHEN $8 THEN 'text' ELSE answered_by END, chat_at = $9, agent_at = $10, due_at = $11,
                    ended_at = CASE WHEN $11::timestamptz IS NULL THEN $12 END
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(seen.id.uuid())
        .bind(change.state.as_str())
        .bind(change.reason)
        .bind(change.sent_at)
        .bind(change.delivered_at)
        .bind(change.answered_at)
        .bind(answered)
        .bind(change.chat_at)
        .bind(change.agent_at)
        .bind(change.due_at)
        .bind(now)
        .execute(&mut **tx)
        .await?;
        if change.state != seen.state {
            self.tell(tx, seen.id, change.state, now).await?;
        }
        if change.due_at.is_none() && change.answered_at.is_none() {
            self.forget_about(tx, seen.id).await?;
        }
        Ok(())
    }

    /// Nobody took the offer: a text that comes later is like any other.
    async fn forget_about(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        id: DeflectionId,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE conversation SET about = about - $3::text[]
             WHERE tenant_id = $1 AND id = (SELECT conversation_id FROM deflection WHERE tenant_id = $1 AND id = $2)
               AND about ->> 'deflection' = $2::text",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(ABOUT)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// What an offer tells the chat of a caller, besides name and language.
const ABOUT: [&str; 7] = [
    "deflection",
    "skillset",
    "said",
    "context",
    "waited_s",
    "contact_id",
    "priority",
];

fn read(row: &PgRow) -> Result<DeflectionSeen, DbError> {
    let message = row.try_get::<Option<&str>, _>("message_state")?;
    let message = message.map(str::parse).transpose()?;
    Ok(DeflectionSeen {
        id: DeflectionId(row.try_get("id")?),
        state: row.try_get::<&str, _>("state")?.parse()?,
        name: row.try_get("name")?,
        voice_skillset: row.try_get("voice_skillset")?,
        language: row.try_get("language")?,
        asked_at: row.try_get("asked_at")?,
        expires_at: row.try_get("expires_at")?,
        sent_at: row.try_get("sent_at")?,
        delivered_at: row.try_get("delivered_at")?,
        answered_at: row.try_get("answered_at")?,
        chat_at: row.try_get("chat_at")?,
        message: message.zip(row.try_get("message_at")?),
        heard: Vec::new(),
        opened_at: row.try_get("opened_at")?,
        agent_at: row.try_get("agent_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}
