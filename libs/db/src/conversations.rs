use crate::{DbError, TenantDb};
use ccm_model::{
    Address, Body, ChatId, ConversationId, ConversationState, Direction, Id, MessageId, MessageState,
    NumberId, Origin,
};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A conversation, as its readers see it.
#[derive(Debug, Clone)]
pub struct ConversationRow {
    pub id: ConversationId,
    pub number: NumberId,
    pub our_address: Address,
    pub customer_address: Address,
    pub state: ConversationState,
    pub opened_at: OffsetDateTime,
    pub last_activity_at: OffsetDateTime,
    pub closed_at: Option<OffsetDateTime>,
    /// What its texts wait for, as the connector says it, and since when.
    pub waits_for: Option<String>,
    pub waits_since: Option<OffsetDateTime>,
    /// Since when what was written in it is gone.
    pub bodies_erased_at: Option<OffsetDateTime>,
}

/// A text, as its readers see it.
#[derive(Debug, Clone)]
pub struct MessageRow {
    pub id: MessageId,
    pub chat: Option<ChatId>,
    /// 1 for the first of the conversation.
    pub seq: i64,
    pub direction: Direction,
    pub origin: Origin,
    pub author: Option<String>,
    pub body: Body,
    pub state: MessageState,
    pub attempts: i32,
    /// How often it was sent although the far side may have had it.
    pub resends: i32,
    pub provider_message_id: Option<String>,
    pub error_code: Option<String>,
    pub error_detail: Option<String>,
    pub trace_parent: Option<String>,
    /// What became of it, after it was stored.
    pub steps: Vec<MessageStep>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// A state that a text came to, or an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageStep {
    pub at: OffsetDateTime,
    pub state: MessageState,
    /// So far.
    pub attempts: i32,
    pub error_code: Option<String>,
}

/// A text of a customer's history, as the agents' page shows it.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    pub id: MessageId,
    pub our_address: Address,
    pub direction: Direction,
    pub origin: Origin,
    pub author: Option<String>,
    pub body: Body,
    pub state: MessageState,
    pub error_code: Option<String>,
    /// It did not arrive, and another one was sent in its place.
    pub sent_again: bool,
    pub created_at: OffsetDateTime,
}

fn history(row: &PgRow) -> Result<HistoryRow, DbError> {
    Ok(HistoryRow {
        id: MessageId(row.try_get("id")?),
        our_address: row.try_get::<&str, _>("our_address")?.parse()?,
        direction: row.try_get::<&str, _>("direction")?.parse()?,
        origin: row.try_get::<&str, _>("origin")?.parse()?,
        author: row.try_get("author")?,
        body: Body::new(row.try_get::<String, _>("body")?)?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        error_code: row.try_get("error_code")?,
        sent_again: row.try_get::<Option<Uuid>, _>("sent_again_as")?.is_some(),
        created_at: row.try_get("created_at")?,
    })
}

fn conversation(row: &PgRow) -> Result<ConversationRow, DbError> {
    Ok(ConversationRow {
        id: ConversationId(row.try_get("id")?),
        number: NumberId(row.try_get("number_id")?),
        our_address: row.try_get::<&str, _>("our_address")?.parse()?,
        customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        opened_at: row.try_get("opened_at")?,
        last_activity_at: row.try_get("last_activity_at")?,
        closed_at: row.try_get("closed_at")?,
        waits_for: row.try_get("waits_for")?,
        waits_since: row.try_get("waits_since")?,
        bodies_erased_at: row.try_get("bodies_erased_at")?,
    })
}

pub(crate) fn message(row: &PgRow) -> Result<MessageRow, DbError> {
    Ok(MessageRow {
        id: MessageId(row.try_get("id")?),
        chat: row.try_get::<Option<_>, _>("chat_id")?.map(ChatId),
        seq: row.try_get("seq")?,
        direction: row.try_get::<&str, _>("direction")?.parse()?,
        origin: row.try_get::<&str, _>("origin")?.parse()?,
        author: row.try_get("author")?,
        body: Body::new(row.try_get::<String, _>("body")?)?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        attempts: row.try_get("attempts")?,
        resends: row.try_get("resends")?,
        provider_message_id: row.try_get("provider_message_id")?,
        error_code: row.try_get("error_code")?,
        error_detail: row.try_get("error_detail")?,
        trace_parent: row.try_get("trace_parent")?,
        steps: steps(row.try_get("steps")?)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// A step as the trigger of migration 0216 writes it: milliseconds, state, attempts, code.
type WrittenStep = (i64, String, i32, Option<String>);

fn steps(written: Json<Vec<WrittenStep>>) -> Result<Vec<MessageStep>, DbError> {
    let read = |(ms, state, attempts, error_code): WrittenStep| {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
        Ok(MessageStep {
            at: at.map_err(|error| DbError::Corrupt(error.to_string()))?,
            state: state.parse()?,
            attempts,
            error_code,
        })
    };
    written.0.into_iter().map(read).collect()
}

/// Ids and clocks of different machines differ a little: partitions are looked into from a day before.
const CLOCK_SLACK: Duration = Duration::DAY;

macro_rules! conversation_columns {
    () => {
        "id, number_id, our_address, customer_address, state, opened_at, last_activity_at, closed_at, waits_for, \
         waits_since, bodies_erased_at"
    };
}
/// Of `message`, each behind the prefix.
macro_rules! message_columns {
    ($p:literal) => {
        concat!(
            $p,
            "id, ",
            $p,
            "chat_id, ",
            $p,
            "seq, ",
            $p,
            "direction, ",
            $p,
            "origin, ",
            $p,
            "author, ",
            $p,
            "body, ",
            $p,
            "state, ",
            $p,
            "attempts, ",
            $p,
            "resends, ",
            $p,
            "provider_message_id, ",
            $p,
            "error_code, ",
            $p,
            "error_detail, ",
            $p,
            "trace_parent, ",
            $p,
            "steps, ",
            $p,
            "created_at, ",
            $p,
            "updated_at"
        )
    };
}
pub(crate) use message_columns;
const CONVERSATION: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE tenant_id = $1 AND id = $2"
);
// Two statements, not one with `$2 IS NULL OR …`: its generic plan could use one index only.
pub(crate) const CONVERSATIONS: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
);
pub(crate) const CONVERSATIONS_OF_CUSTOMER: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE tenant_id = $1 AND customer_address = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
const MESSAGE: &str = concat!(
    "SELECT ",
    message_columns!(""),
    " FROM message WHERE tenant_id = $1 AND id = $2"
);
pub(crate) const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(""),
    " FROM message WHERE tenant_id = $1 AND conversation_id = $2 AND seq > $3 AND id >= uuid_v7_floor($4)
ORDER BY seq LIMIT $5"
);

pub(crate) const LAST_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(""),
    " FROM message WHERE tenant_id = $1 AND conversation_id = $2 AND seq < $3 AND id >= uuid_v7_floor($4)
ORDER BY seq DESC LIMIT $5"
);

// Of each conversation its last texts, by its own index. Notes of ours to agents are no texts of the customer's.
pub(crate) const HISTORY: &str = "
SELECT m.id, c.our_address, m.direction, m.origin, m.author, m.body, m.state, m.error_code, m.sent_again_as, m.created_at FROM (
  SELECT id, our_address, opened_at FROM conversation WHERE tenant_id = $1 AND customer_address = $2
  ORDER BY id DESC LIMIT 30) AS c,
LATERAL (
  SELECT id, direction, origin, author, body, state, error_code, sent_again_as, created_at FROM message
  WHERE tenant_id = $1 AND conversation_id = c.id AND id >= uuid_v7_floor(c.opened_at - interval '1 day')
    AND NOT (direction = 'mo' AND origin = 'system')
  ORDER BY seq DESC LIMIT $3) AS m
ORDER BY m.id DESC LIMIT $3";

impl TenantDb<'_> {
    /// The last texts to and from a customer, over all conversations and numbers of the tenant; the newest first, `limit` at most.
    pub async fn history(&self, customer: &Address, limit: i64) -> Result<Vec<HistoryRow>, DbError> {
        let asked = sqlx::query(HISTORY)
            .bind(self.tenant.uuid())
            .bind(customer.as_str())
            .bind(limit);
        self.rows(asked, history).await
    }

    /// Conversations from the newest on, `before` excluded, of one customer or of all, `limit` at most.
    pub async fn conversations(
        &self,
        customer: Option<&Address>,
        before: Option<ConversationId>,
        limit: i64,
    ) -> Result<Vec<ConversationRow>, DbError> {
        let mut tx = self.begin().await?;
        let query = match customer {
            Some(customer) => sqlx::query(CONVERSATIONS_OF_CUSTOMER)
                .bind(self.tenant.uuid())
                .bind(customer.as_str()),
            None => sqlx::query(CONVERSATIONS).bind(self.tenant.uuid()),
        };
        let rows = query
            .bind(before.map_or(Uuid::max(), Id::uuid))
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(conversation).collect()
    }

    /// One conversation.
    pub async fn conversation(&self, id: ConversationId) -> Result<ConversationRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(CONVERSATION)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(DbError::NotFound("conversation"))?;
        tx.commit().await?;
        conversation(&row)
    }

    /// One text.
    pub async fn message(&self, id: MessageId) -> Result<MessageRow, DbError> {
        self.one(MESSAGE, id.uuid(), "message", message).await
    }

    /// A conversation's texts after sequence `after`, in order, `limit` at most.
    pub async fn messages(
        &self,
        of: &ConversationRow,
        after: i64,
        limit: i64,
    ) -> Result<Vec<MessageRow>, DbError> {
        self.texts(MESSAGES, of, after, limit).await
    }

    /// A conversation's last texts before sequence `before`, the newest first, `limit` at most.
    pub async fn last_messages(
        &self,
        of: &ConversationRow,
        before: i64,
        limit: i64,
    ) -> Result<Vec<MessageRow>, DbError> {
        self.texts(LAST_MESSAGES, of, before, limit).await
    }

    async fn texts(
        &self,
        query: &'static str,
        of: &ConversationRow,
        seq: i64,
        limit: i64,
    ) -> Result<Vec<MessageRow>, DbError> {
        let asked = sqlx::query(query)
            .bind(self.tenant.uuid())
            .bind(of.id.uuid())
            .bind(seq)
            .bind(of.opened_at - CLOCK_SLACK)
            .bind(limit);
        self.rows(asked, message).await
    }
}
