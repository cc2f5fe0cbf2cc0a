//! Texts to a customer without a chat: a voice agent's from the screen pop, an offer to a caller who waits. They open the
//! conversation that the answer comes into, and say what is to be known about the customer then.

use crate::{DbError, SentForm, TenantDb, consent::OPTED_OUT, documents, mt::Mt, receipts::derived_id};
use ccm_model::{
    Address, Body, ConversationId, Id, MessageId, NumberId, Origin, SmsSettings, TenantId, TraceParent,
};
use serde_json::Value;
use sqlx::{Postgres, Row, Transaction};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A text to a customer with whom there need not be a chat.
#[derive(Debug, Clone)]
pub struct NewText<'a> {
    /// The same id again is the same text.
    pub message: MessageId,
    /// The conversation's id if this text opens one.
    pub conversation: ConversationId,
    /// One of the tenant's numbers.
    pub from: &'a Address,
    pub to: &'a Address,
    /// [`Origin::Agent`]: agents of a chat that is open read it too.
    pub origin: Origin,
    pub author: &'a str,
    pub body: &'a Body,
    /// Members that [`crate::ActorContext::about`] gets: of each name the last one stays, `null` takes one away. A `context` that is
    /// no deflection's own is added to the one that is there.
    pub about: Option<&'a Value>,
    /// How long an answer is waited for: then the conversation is closed, if only we have written in it.
    pub answer_within: Duration,
    /// The event that tells of it: its kind, and a detail without number and text.
    pub event: Option<(&'a str, &'a Value)>,
    pub trace: Option<&'a TraceParent>,
}

/// What became of a text to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texted {
    pub conversation: ConversationId,
    pub outcome: TextOutcome,
    /// It was stored by an earlier call.
    pub repeated: bool,
    /// A note about it waits for the agents of the open chat: the connector is to be woken.
    pub noted: bool,
}

/// Whether a text to a customer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOutcome {
    /// It is in the line to the phone, or has left it already.
    Queued,
    /// It does not: the customer has opted out of texts from this number.
    OptedOut,
    /// It does not: nobody can be texted there.
    Unanswerable,
}

/// What a text uses up in the transaction that stores it: of two that would use the same, one is stored.
#[derive(Clone, Copy)]
pub enum UsesUp<'a> {
    /// The form of a page.
    Form(&'a SentForm<'a>),
    /// A text that did not arrive, in whose place this one is sent.
    Failed(MessageId),
}

/// Why a text to a customer was not even stored.
#[derive(Debug, thiserror::Error)]
pub enum NotTexted {
    /// Something was sent before from the page's form, or in place of the failed text; or that one has not failed.
    #[error("what the text would use up is used already")]
    Used,
    #[error("the sender is none of the tenant's numbers")]
    NotOurs,
    #[error("the tenant is suspended or being deleted")]
    Stopped,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The timer that ends a conversation in which nobody answers.
const UNANSWERED: &str = "unanswered";
/// Between two looks at a conversation whose time is over and that something keeps open.
const LOOK_AGAIN: Duration = Duration::HOUR;
/// The author of a note about a text that somebody else has sent to the chat's customer.
const TEXTED: &str = "texted";
/// Texts that a chat's first note repeats.
const REPEATED: i64 = 3;

pub(crate) const OPEN_FOR_TEXT: &str = "
INSERT INTO conversation (id, tenant_id, number_id, our_address, customer_address, next_seq, opened_at, last_activity_at, about)
VALUES ($1, $2, $3, $4, $5, 1, $6, $6, jsonb_strip_nulls(coalesce($7::jsonb, '{}')))
ON CONFLICT (tenant_id, our_address, customer_address) WHERE state = 'open'
DO UPDATE SET about = jsonb_strip_nulls(conversation.about || coalesce($7::jsonb, '{}')
  || CASE WHEN NOT $7::jsonb ? 'deflection' AND jsonb_typeof(conversation.about -> 'context') = 'object'
               AND jsonb_typeof($7::jsonb -> 'context') = 'object'
     THEN jsonb_build_object('context', (conversation.about -> 'context') || ($7::jsonb -> 'context'))
     ELSE '{}' END)
RETURNING id";

/// What was written to the customer since the last chat.
pub(crate) const WRITTEN_BEFORE: &str = "
SELECT author, body FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'mt' AND origin = 'agent' AND chat_id IS NULL
  AND state <> 'failed' AND id >= uuid_v7_floor($3 - interval '1 day')
  AND created_at >= coalesce((SELECT max(opened_at) FROM chat WHERE tenant_id = $1 AND conversation_id = $2), '-infinity')
ORDER BY seq DESC LIMIT $4";

/// Texts of ours to a customer that did not arrive, or of which nobody knows, and that were not sent again. Who has opted out gets none again.
macro_rules! failed {
    () => {
        "m.tenant_id = $1 AND m.id = $2 AND c.customer_address = $3 AND m.direction = 'mt' AND m.sent_again_as IS NULL
         AND m.state IN ('failed', 'expired', 'undeliverable', 'unknown') AND m.error_code IS DISTINCT FROM 'ccm:opted_out'"
    };
}

impl TenantDb<'_> {
    /// Texts a customer, in one transaction: the conversation of the two addresses is the open one or a new one, is told what is
    /// known about the customer, and gets the text into its line to the phone.
    ///
    /// Of a text that does not go out nothing is stored. Can be called again with the same message id when it is not known whether a
    /// call was committed.
    pub async fn text_customer(
        &self,
        text: &NewText<'_>,
        uses: Option<UsesUp<'_>>,
        at: OffsetDateTime,
    ) -> Result<Texted, NotTexted> {
        if let Some(before) = self.texted_before(text.message).await? {
            return Ok(before);
        }
        let mut tx = self.begin().await?;
        if let Some(UsesUp::Form(form)) = uses
            && !self.use_form(&mut tx, form, text).await?
        {
            return Err(NotTexted::Used);
        }
        let Some(texted) = self.text_in(&mut tx, text, at).await? else {
            drop(tx);
            let before = self.texted_before(text.message).await?;
            return before.ok_or(NotTexted::Db(DbError::NotFound("message")));
        };
        // After the conversation's lock, as whoever else changes texts takes them.
        if let Some(UsesUp::Failed(failed)) = uses
            && !self.replace_failed(&mut tx, failed, text).await?
        {
            return Err(NotTexted::Used);
        }
        if texted.outcome == TextOutcome::Queued {
            tx.commit().await.map_err(DbError::from)?;
        }
        Ok(texted)
    }

    /// The body of a text to this customer that did not arrive and can be sent again.
    pub async fn failed_text(&self, customer: &Address, failed: MessageId) -> Result<Option<Body>, DbError> {
        let mut tx = self.begin().await?;
        let body: Option<String> = sqlx::query_scalar(concat!(
            "SELECT m.body FROM message m JOIN conversation c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id WHERE ",
            failed!()
        ))
        .bind(self.tenant.uuid())
        .bind(failed.uuid())
        .bind(customer.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(body.and_then(|body| Body::new(body).ok()))
    }

    async fn replace_failed(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        failed: MessageId,
        text: &NewText<'_>,
    ) -> Result<bool, DbError> {
        let replaced = sqlx::query(concat!(
            "UPDATE message m SET sent_again_as = $4 FROM conversation c
             WHERE c.tenant_id = m.tenant_id AND c.id = m.conversation_id AND ",
            failed!()
        ))
        .bind(self.tenant.uuid())
        .bind(failed.uuid())
        .bind(text.to.as_str())
        .bind(text.message.uuid())
        .execute(&mut **tx)
        .await?;
        Ok(replaced.rows_affected() > 0)
    }

    /// As [`Self::text_customer`], in a transaction of the caller's. `None` when it was stored before; the transaction is to be rolled back
    /// then.
    pub(crate) async fn text_in(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        text: &NewText<'_>,
        at: OffsetDateTime,
    ) -> Result<Option<Texted>, NotTexted> {
        let number = self.sender(tx, text.from).await?;
        let conversation = self.open_for(tx, number, text, at).await?;
        let mt = Mt {
            message: text.message,
            conversation,
            chat: None,
            origin: text.origin,
            author: text.author,
            body: text.body,
            heard: None,
            written_at: None,
            replayed: false,
            trace: text.trace,
        };
        if !self.put_in_line(tx, &mt, at).await? {
            return Ok(None);
        }
        let outcome = self.outcome_of(tx, text.message).await?;
        let noted = match (text.origin, outcome) {
            (Origin::Agent, TextOutcome::Queued) => self.note_texted(tx, conversation, text, at).await?,
            _ => false,
        };
        self.expect_answer(tx, conversation, at + text.answer_within, at)
            .await?;
        if let Some((kind, detail)) = text.event
            && outcome == TextOutcome::Queued
        {
            sqlx::query(
                "INSERT INTO tenant_event (id, tenant_id, kind, at, detail) VALUES (uuid_v7($3), $1, $2, $3, $4)",
            )
            .bind(self.tenant.uuid())
            .bind(kind)
            .bind(at)
            .bind(detail)
            .execute(&mut **tx)
            .await
            .map_err(DbError::from)?;
        }
        Ok(Some(Texted {
            conversation,
            outcome,
            repeated: false,
            noted,
        }))
    }

    async fn texted_before(&self, message: MessageId) -> Result<Option<Texted>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT conversation_id, state, error_code FROM message WHERE tenant_id = $1 AND id = $2 AND direction = 'mt'",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(Texted {
                conversation: ConversationId(row.try_get("conversation_id")?),
                outcome: outcome(row.try_get("state")?, row.try_get("error_code")?),
                repeated: true,
                noted: false,
            })
        })
        .transpose()
    }

    async fn outcome_of(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        message: MessageId,
    ) -> Result<TextOutcome, DbError> {
        let row = sqlx::query("SELECT state, error_code FROM message WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .fetch_one(&mut **tx)
            .await?;
        Ok(outcome(row.try_get("state")?, row.try_get("error_code")?))
    }

    /// The number that `from` is, of a tenant whose texts are carried.
    async fn sender(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        from: &Address,
    ) -> Result<NumberId, NotTexted> {
        // A short code may be two accounts' number.
        let row = sqlx::query(
            "SELECT t.state = 'active' AND t.closing_since IS NULL AS carried, (
               SELECT n.id FROM number n WHERE n.tenant_id = t.id AND n.address = $2 AND n.released_at IS NULL
               ORDER BY n.id LIMIT 1) AS number
             FROM tenant t WHERE t.id = $1",
        )
        .bind(self.tenant.uuid())
        .bind(from.as_str())
        .fetch_optional(&mut **tx)
        .await
        .map_err(DbError::from)?
        .ok_or(NotTexted::Stopped)?;
        if !row.try_get::<bool, _>("carried").map_err(DbError::from)? {
            return Err(NotTexted::Stopped);
        }
        let number: Option<Uuid> = row.try_get("number").map_err(DbError::from)?;
        number.map(NumberId).ok_or(NotTexted::NotOurs)
    }

    async fn open_for(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        number: NumberId,
        text: &NewText<'_>,
        at: OffsetDateTime,
    ) -> Result<ConversationId, NotTexted> {
        let opened = sqlx::query_scalar(OPEN_FOR_TEXT)
            .bind(text.conversation.uuid())
            .bind(self.tenant.uuid())
            .bind(number.uuid())
            .bind(text.from.as_str())
            .bind(text.to.as_str())
            .bind(at)
            .bind(text.about)
            .fetch_one(&mut **tx)
            .await;
        match opened.map_err(DbError::from) {
            Ok(id) => Ok(ConversationId(id)),
            // It was released at this very moment.
            Err(DbError::Conflict { missing: true, .. }) => Err(NotTexted::NotOurs),
            Err(error) => Err(error.into()),
        }
    }

    /// Agents who chat with this customer are told what somebody else has written to them.
    async fn note_texted(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        conversation: ConversationId,
        text: &NewText<'_>,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let row = sqlx::query(
            "SELECT s.settings, t.settings ->> 'language' AS language FROM chat c
             LEFT JOIN sms_settings s ON s.tenant_id = c.tenant_id
             LEFT JOIN chat_settings t ON t.tenant_id = c.tenant_id
             WHERE c.tenant_id = $1 AND c.conversation_id = $2 AND c.state <> 'closed'",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let settings: SmsSettings = documents::parse_or_default("SMS settings", row.try_get("settings")?)?;
        let language = row.try_get::<Option<&str>, _>("language")?.unwrap_or("en");
        let note = settings
            .agent_notes
            .of_text(language, text.author, text.body.as_str());
        let Some(note) = note else { return Ok(false) };
        let id = derived_id(text.message, TEXTED);
        self.put_note(tx, id, conversation, TEXTED, &note, at).await
    }

    /// From now on an answer is waited for until `until` at least.
    async fn expect_answer(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        conversation: ConversationId,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO timer (id, tenant_id, conversation_id, kind, due_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET due_at = greatest(timer.due_at, excluded.due_at)",
        )
        .bind(answer_timer(conversation))
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(UNANSWERED)
        .bind(until)
        .bind(now)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// What agents have written to the customer without a chat, since the last one: who, and what; the oldest first, of many the
    /// last few.
    pub async fn written_before(
        &self,
        conversation: ConversationId,
    ) -> Result<Vec<(Option<String>, String)>, DbError> {
        let mut tx = self.begin().await?;
        let opened: Option<OffsetDateTime> =
            sqlx::query_scalar("SELECT opened_at FROM conversation WHERE tenant_id = $1 AND id = $2")
                .bind(self.tenant.uuid())
                .bind(conversation.uuid())
                .fetch_optional(&mut *tx)
                .await?;
        let Some(opened) = opened else {
            return Ok(Vec::new());
        };
        let mut written: Vec<(Option<String>, String)> = sqlx::query_as(WRITTEN_BEFORE)
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(opened)
            .bind(REPEATED)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        written.reverse();
        Ok(written)
    }

    /// Closes conversations whose time for an answer is over and in which nothing waits and nobody chats, `limit` at most. What was
    /// known about the customer goes with them. Returns which.
    pub async fn close_unanswered(
        &self,
        now: OffsetDateTime,
        limit: i64,
    ) -> Result<Vec<ConversationId>, DbError> {
        let mut tx = self.begin().await?;
        // The conversations' locks first and in a statement of their own, as whoever ends a chat takes them: what an ingest that
        // held one has stored is seen then.
        let locked: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM conversation WHERE tenant_id = $1 AND id = ANY (ARRAY(
               SELECT conversation_id FROM timer WHERE tenant_id = $1 AND kind = $2 AND due_at <= $3
               ORDER BY due_at LIMIT $4))
             ORDER BY id FOR UPDATE SKIP LOCKED",
        )
        .bind(self.tenant.uuid())
        .bind(UNANSWERED)
        .bind(now)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        let closed: Vec<Uuid> = sqlx::query_scalar(
            "UPDATE conversation c SET state = 'closed', closed_at = $3, about = '{}', waits_for = NULL, waits_since = NULL
             WHERE c.tenant_id = $1 AND c.id = ANY ($2) AND c.state = 'open'
               AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = $1 AND i.conversation_id = c.id)
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_id = $1 AND o.conversation_id = c.id)
               AND NOT EXISTS (SELECT 1 FROM chat h WHERE h.tenant_id = $1 AND h.conversation_id = c.id AND h.state <> 'closed')
             RETURNING c.id",
        )
        .bind(self.tenant.uuid())
        .bind(&locked)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        let timers: Vec<Uuid> = locked
            .iter()
            .map(|id| answer_timer(ConversationId(*id)))
            .collect();
        sqlx::query(
            "WITH over AS (
               DELETE FROM timer t USING conversation c
               WHERE t.tenant_id = $1 AND t.id = ANY ($2) AND t.due_at <= $3
                 AND c.tenant_id = $1 AND c.id = t.conversation_id AND c.state = 'closed'
               RETURNING t.id)
             UPDATE timer SET due_at = $4 WHERE tenant_id = $1 AND id = ANY ($2) AND due_at <= $3
               AND id NOT IN (SELECT id FROM over)",
        )
        .bind(self.tenant.uuid())
        .bind(timers)
        .bind(now)
        .bind(now + LOOK_AGAIN)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(closed.into_iter().map(ConversationId).collect())
    }
}

impl crate::Operator<'_> {
    /// Tenants with conversations whose time for an answer is over, of up to `limit` such conversations.
    pub async fn tenants_with_unanswered(&self, limit: i64) -> Result<Vec<TenantId>, DbError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT tenant_id FROM (
               SELECT tenant_id FROM timer WHERE kind = $1 AND due_at <= now() ORDER BY due_at LIMIT $2) AS due",
        )
        .bind(UNANSWERED)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        Ok(tenants.into_iter().map(TenantId).collect())
    }
}

/// The timer of a conversation in which an answer is waited for.
pub(crate) fn answer_timer(conversation: ConversationId) -> Uuid {
    derived_id(MessageId(conversation.uuid()), UNANSWERED).uuid()
}

fn outcome(state: &str, code: Option<&str>) -> TextOutcome {
    match (state, code) {
        ("failed", Some(OPTED_OUT)) => TextOutcome::OptedOut,
        ("failed", Some(crate::mt::UNANSWERABLE)) => TextOutcome::Unanswerable,
        _ => TextOutcome::Queued,
    }
}
