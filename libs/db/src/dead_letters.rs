//! What could not be brought to an agent or a phone, or has no number to belong to, until somebody replays or discards it.

use crate::{
    Accepted, DbError, IncomingText, Route, TenantDb, TextKind, accept::accept_in, storable::storable,
};
use ccm_model::{AccountId, Address, Body, ConversationId, Id, MessageId, NumberId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// A dead letter, with its text.
#[derive(Debug, Clone)]
pub struct DeadLetterRow {
    pub id: Uuid,
    /// `mo`: no agent got it; `mt`: no phone; `unrouted`: it came for a number that is none of the account's.
    pub kind: String,
    pub message: Option<MessageId>,
    pub conversation: Option<ConversationId>,
    pub account: Option<AccountId>,
    pub our_address: Option<Address>,
    pub customer_address: Option<Address>,
    pub body: Option<Body>,
    pub code: String,
    pub detail: String,
    pub created_at: OffsetDateTime,
    /// `replayed` or `discarded`.
    pub resolution: Option<String>,
    pub resolved_at: Option<OffsetDateTime>,
    pub resolved_by: Option<String>,
    pub replay: Option<MessageId>,
}

/// A text that came for a number that is none of the account's.
#[derive(Debug, Clone)]
pub struct Unrouted<'a> {
    pub id: Uuid,
    pub account: AccountId,
    pub provider_id: &'a str,
    pub to: &'a Address,
    pub from: &'a Address,
    pub body: &'a Body,
    pub code: &'a str,
    pub detail: &'a str,
    pub at: OffsetDateTime,
}

/// Which dead letters; what is `None` does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadLetterFilter<'a> {
    /// Those that somebody has replayed or discarded as well.
    pub resolved_too: bool,
    /// `mo`, `mt` or `unrouted`.
    pub kind: Option<&'a str>,
    pub code: Option<&'a str>,
    /// Only those that became one before.
    pub before: Option<OffsetDateTime>,
}

/// What is mended before a replay; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Mend {
    /// The number of ours that it is for, or from.
    pub number: Option<NumberId>,
    pub body: Option<Body>,
}

/// Ids and words for a replay.
#[derive(Debug, Clone)]
pub struct Replay<'a> {
    pub message: MessageId,
    /// The conversation's id if the text opens one.
    pub conversation: ConversationId,
    pub by: &'a str,
    pub at: OffsetDateTime,
    pub mend: Mend,
}

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The text goes its way again, as this one.
    Yes {
        message: MessageId,
        conversation: ConversationId,
        /// To the phone; else to an agent.
        to_phone: bool,
    },
    /// Somebody has replayed or discarded it already.
    Resolved,
    /// It is for an address that none of the tenant's numbers has: mend that first.
    NoNumber,
    /// The customer gets no texts from this address.
    OptedOut,
}

/// A tenant keeps that many texts without a number; more are refused to their provider.
pub const MOST_UNROUTED: i64 = 10_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.kind, d.message_id, d.conversation_id, d.account_id,
                    coalesce(d.our_address, c.our_address) AS our_address,
                    coalesce(d.customer_address, c.customer_address) AS customer_address,
                    coalesce(d.body, m.body) AS body, d.code, d.detail, d.created_at, d.resolution, d.resolved_at,
                    d.resolved_by, d.replay_message_id
             FROM dead_letter d
             LEFT JOIN message m ON m.tenant_id = d.tenant_id AND m.id = d.message_id
             LEFT JOIN conversation c ON c.tenant_id = d.tenant_id AND c.id = d.conversation_id
             WHERE d.tenant_id = $1 ",
            $rest
        )
    };
}
// Two statements, not one with `$n OR …`: its generic plan could use one index only.
pub(crate) const OPEN: &str = select!(
    "AND d.id < $2 AND d.resolution IS NULL AND ($4::text IS NULL OR d.kind = $4) AND ($5::text IS NULL OR d.code = $5)
       AND ($6::timestamptz IS NULL OR d.created_at < $6) ORDER BY d.id DESC LIMIT $3"
);
pub(crate) const ALL: &str = select!(
    "AND d.id < $2 AND ($4::text IS NULL OR d.kind = $4) AND ($5::text IS NULL OR d.code = $5)
       AND ($6::timestamptz IS NULL OR d.created_at < $6) ORDER BY d.id DESC LIMIT $3"
);
const OPEN_IDS: &str = "
SELECT id FROM dead_letter WHERE tenant_id = $1 AND id > $2 AND resolution IS NULL AND ($4::text IS NULL OR kind = $4)
  AND ($5::text IS NULL OR code = $5) AND ($6::timestamptz IS NULL OR created_at < $6) ORDER BY id LIMIT $3";
const ONE: &str = select!("AND d.id = $2");

fn dead_letter(row: &PgRow) -> Result<DeadLetterRow, DbError> {
    let address = |raw: Option<&str>| raw.map(str::parse).transpose();
    Ok(DeadLetterRow {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        message: row.try_get::<Option<_>, _>("message_id")?.map(MessageId),
        conversation: row
            .try_get::<Option<_>, _>("conversation_id")?
            .map(ConversationId),
        account: row.try_get::<Option<_>, _>("account_id")?.map(AccountId),
        our_address: address(row.try_get("our_address")?)?,
        customer_address: address(row.try_get("customer_address")?)?,
        body: row
            .try_get::<Option<String>, _>("body")?
            .map(Body::new)
            .transpose()?,
        code: row.try_get("code")?,
        detail: row.try_get("detail")?,
        created_at: row.try_get("created_at")?,
        resolution: row.try_get("resolution")?,
        resolved_at: row.try_get("resolved_at")?,
        resolved_by: row.try_get("resolved_by")?,
        replay: row.try_get::<Option<_>, _>("replay_message_id")?.map(MessageId),
    })
}

impl TenantDb<'_> {
    /// Keeps a text that has no number to belong to. The same one again is kept once. `false`: the tenant has
    /// [`MOST_UNROUTED`] already, and nothing was stored.
    pub async fn keep_unrouted(&self, text: &Unrouted<'_>) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let kept: bool = sqlx::query_scalar(
            "WITH new AS (
               INSERT INTO dead_letter (id, tenant_id, kind, account_id, provider_message_id, our_address,
                                        customer_address, body, code, detail, created_at)
               SELECT $1, $2, 'unrouted', $3, $4, $5, $6, $7, $8, $9, $10
               WHERE (SELECT count(*) FROM (SELECT 1 FROM dead_letter WHERE tenant_id = $2 AND resolution IS NULL
                        AND kind = 'unrouted' LIMIT $11) AS kept) < $11
               ON CONFLICT DO NOTHING RETURNING 1)
             SELECT EXISTS (SELECT 1 FROM new) OR EXISTS (
               SELECT 1 FROM dead_letter WHERE account_id = $3 AND provider_message_id = $4 AND kind = 'unrouted')",
        )
        .bind(text.id)
        .bind(self.tenant.uuid())
        .bind(text.account.uuid())
        .bind(storable(text.provider_id))
        .bind(text.to.as_str())
        .bind(text.from.as_str())
        .bind(text.body.as_str())
        .bind(text.code)
        .bind(text.detail)
        .bind(text.at)
        .bind(MOST_UNROUTED)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Dead letters from the newest on, `before` excluded, `limit` at most.
    pub async fn dead_letters(
        &self,
        filter: DeadLetterFilter<'_>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<DeadLetterRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(if filter.resolved_too { ALL } else { OPEN })
            .bind(self.tenant.uuid())
            .bind(before.unwrap_or(Uuid::max()))
            .bind(limit)
            .bind(filter.kind)
            .bind(filter.code)
            .bind(filter.before)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(dead_letter).collect()
    }

    /// The ids of those that nobody has resolved, from the oldest text on, `after` excluded, `limit` at most.
    pub async fn open_dead_letters(
        &self,
        filter: DeadLetterFilter<'_>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Uuid>, DbError> {
        let mut tx = self.begin().await?;
        let ids = sqlx::query_scalar(OPEN_IDS)
            .bind(self.tenant.uuid())
            .bind(after.unwrap_or_default())
            .bind(limit)
            .bind(filter.kind)
            .bind(filter.code)
            .bind(filter.before)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// One dead letter.
    pub async fn dead_letter(&self, id: Uuid) -> Result<DeadLetterRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(ONE)
            .bind(self.tenant.uuid())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(DbError::NotFound("dead letter"))?;
        tx.commit().await?;
        dead_letter(&row)
    }

    /// Nothing more is to be done about it. Whether somebody else was faster.
    pub async fn discard_dead_letter(&self, id: Uuid, by: &str, at: OffsetDateTime) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        self.lock_dead_letter(&mut tx, id).await?;
        let done = self.resolve(&mut tx, id, "discarded", None, by, at).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Sends the text on its way again, as a new text of the two addresses' conversation.
    ///
    /// Can be called again with the same ids when it is not known whether a call was committed: then it says
    /// [`Replayed::Resolved`].
    pub async fn replay_dead_letter(&self, id: Uuid, replay: Replay<'_>) -> Result<Replayed, DbError> {
        let mut tx = self.begin().await?;
        self.lock_dead_letter(&mut tx, id).await?;
        let row = sqlx::query(ONE)
            .bind(self.tenant.uuid())
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
        let letter = dead_letter(&row)?;
        if letter.resolution.is_some() {
            return Ok(Replayed::Resolved);
        }
        let (Some(ours), Some(customer), Some(body)) = (
            letter.our_address.as_ref(),
            letter.customer_address.clone(),
            replay.mend.body.clone().or(letter.body.clone()),
        ) else {
            return Err(DbError::Corrupt("a dead letter without its text".into()));
        };
        let to_phone = letter.kind == "mt";
        // A text to a phone leaves from its conversation's number or not at all.
        let number = sqlx::query(
            "SELECT id, account_id, address FROM number WHERE tenant_id = $1 AND released_at IS NULL
               AND CASE WHEN $2::uuid IS NULL THEN address = $3 ELSE id = $2 END
               AND ($5::uuid IS NULL OR id = (SELECT number_id FROM conversation WHERE tenant_id = $1 AND id = $5))
             ORDER BY account_id = $4 DESC NULLS LAST, id LIMIT 1 FOR KEY SHARE",
        )
        .bind(self.tenant.uuid())
        .bind(replay.mend.number.map(Id::uuid))
        .bind(ours.as_str())
        .bind(letter.account.map(Id::uuid))
        .bind(letter.conversation.filter(|_| to_phone).map(Id::uuid))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(number) = number else {
            return Ok(Replayed::NoNumber);
        };
        let conversation = if to_phone {
            let conversation = letter.conversation.ok_or(DbError::NotFound("conversation"))?;
            let of = letter.message.ok_or(DbError::NotFound("message"))?;
            if !self
                .say_again(&mut tx, of, replay.message, &body, replay.at)
                .await?
            {
                return Ok(Replayed::OptedOut);
            }
            conversation
        } else {
            let text = IncomingText {
                message: replay.message,
                conversation: replay.conversation,
                route: Route {
                    tenant: self.tenant,
                    number: NumberId(number.try_get("id")?),
                    account: AccountId(number.try_get("account_id")?),
                },
                provider_id: format!("replay:{id}"),
                repeat_window: None,
                kind: TextKind::Text,
                refused: None,
                segments: None,
                to: number.try_get::<&str, _>("address")?.parse()?,
                from: customer,
                body,
                received_at: replay.at,
                written_at: Some(letter.created_at),
                trace: None,
            };
            match accept_in(self.db, &mut tx, std::slice::from_ref(&text)).await?[0] {
                Accepted::New { conversation, .. } => conversation,
                Accepted::Repeated => return Ok(Replayed::Resolved),
            }
        };
        self.resolve(
            &mut tx,
            id,
            "replayed",
            Some(replay.message),
            replay.by,
            replay.at,
        )
        .await?;
        tx.commit().await?;
        Ok(Replayed::Yes {
            message: replay.message,
            conversation,
            to_phone,
        })
    }

    /// Writes that a text of the tenant is a dead letter, in the transaction that gives it up; one that nobody wrote is none.
    pub(crate) async fn bury(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        message: MessageId,
        account: Option<AccountId>,
        code: &str,
        detail: &str,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO dead_letter (id, tenant_id, kind, message_id, conversation_id, account_id, code, detail, created_at)
             SELECT id, tenant_id, direction, id, conversation_id, $3, left($4, 100), $5, $6 FROM message
             WHERE tenant_id = $1 AND id = $2 AND origin <> 'system'
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(account.map(Id::uuid))
        .bind(storable(code))
        .bind(storable(detail))
        .bind(at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn lock_dead_letter(&self, tx: &mut Transaction<'_, Postgres>, id: Uuid) -> Result<(), DbError> {
        sqlx::query("SELECT 1 FROM dead_letter WHERE tenant_id = $1 AND id = $2 FOR UPDATE")
            .bind(self.tenant.uuid())
            .bind(id)
            .fetch_optional(&mut **tx)
            .await?
            .ok_or(DbError::NotFound("dead letter"))?;
        Ok(())
    }

    async fn resolve(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: Uuid,
        resolution: &str,
        message: Option<MessageId>,
        by: &str,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "UPDATE dead_letter SET resolution = $3, resolved_at = $4, resolved_by = $5, replay_message_id = $6
             WHERE tenant_id = $1 AND id = $2 AND resolution IS NULL",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(resolution)
        .bind(at)
        .bind(storable(by))
        .bind(message.map(Id::uuid))
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
