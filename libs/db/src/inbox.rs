use crate::{
    DbError, Fence, TenantDb, TextKind, keeping::ERASURE, number_moves::NUMBER_MOVED, storable::storable,
};
use ccm_model::{Body, ChatId, ConversationId, Id, MessageId, TraceParent};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A customer's text that no agent has yet.
#[derive(Debug, Clone)]
pub struct PendingText {
    pub message: MessageId,
    pub seq: i64,
    pub body: Body,
    pub trace: Option<TraceParent>,
    pub created_at: OffsetDateTime,
    pub kind: TextKind,
    /// How often it was sent without its fate being known.
    pub doubts: u32,
}

pub(crate) const PENDING: &str = "
SELECT i.message_id, i.seq, i.kind, m.author, m.body, m.trace_parent, m.created_at,
       m.resends + (i.state = 'sending' OR m.created_at < life.began_at AND m.resends = 0)::int AS doubts
FROM inbox i JOIN message m ON m.id = i.message_id AND m.tenant_id = i.tenant_id
CROSS JOIN (SELECT began_at FROM database_life ORDER BY began_at DESC LIMIT 1) AS life
WHERE i.tenant_id = $1 AND i.conversation_id = $2 AND i.seq > $3 ORDER BY i.seq LIMIT $4";

/// Pods of before take what ends a chat for any other note.
fn kind(row: &PgRow) -> Result<TextKind, DbError> {
    let author: Option<&str> = row.try_get("author")?;
    Ok(match (TextKind::parse(row.try_get("kind")?), author) {
        (TextKind::Note, Some(NUMBER_MOVED)) => TextKind::End,
        (TextKind::Note, Some(ERASURE)) => TextKind::Erased,
        (kind, _) => kind,
    })
}

impl TenantDb<'_> {
    /// What waits for the agent, in order, after `after` (0: from the head), `limit` at most.
    pub async fn pending_texts(
        &self,
        conversation: ConversationId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingText>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(PENDING)
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|r| {
                Ok(PendingText {
                    message: MessageId(r.try_get("message_id")?),
                    seq: r.try_get("seq")?,
                    body: Body::new(r.try_get::<String, _>("body")?)?,
                    trace: r
                        .try_get::<Option<&str>, _>("trace_parent")?
                        .and_then(TraceParent::parse),
                    created_at: r.try_get("created_at")?,
                    kind: kind(r)?,
                    doubts: r.try_get::<i32, _>("doubts")?.unsigned_abs(),
                })
            })
            .collect()
    }

    /// Says that a text is about to be written to the agent's chat; committed before the frame leaves. Returns whether this is
    /// a re-send: an earlier attempt was written and its fate is unknown.
    pub async fn text_sending(
        &self,
        fence: &Fence,
        message: MessageId,
        chat: ChatId,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let mut tx = self.fenced(fence).await?;
        // What came before the database was restored may have been shown (ADR 27); of that one mark is enough.
        let before: Option<bool> = sqlx::query_scalar(
            "UPDATE inbox i SET state = 'sending', epoch = $3
             FROM (SELECT message_id, state = 'sending' OR (
                     SELECT m.created_at < (SELECT began_at FROM database_life ORDER BY began_at DESC LIMIT 1) AND m.resends = 0
                     FROM message m WHERE m.tenant_id = $1 AND m.id = $2) AS may_be_shown
                   FROM inbox WHERE tenant_id = $1 AND message_id = $2 FOR UPDATE) was
             WHERE i.tenant_id = $1 AND i.message_id = was.message_id RETURNING was.may_be_shown",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(fence.owned.epoch)
        .fetch_optional(&mut *tx)
        .await?;
        let resend = before.ok_or(DbError::NotFound("waiting text"))?;
        sqlx::query(
            "UPDATE message SET state = 'sending', chat_id = $3, attempts = attempts + 1, resends = resends + $4,
                                updated_at = $5
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(chat.uuid())
        .bind(i32::from(resend))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(resend)
    }

    /// AACC refused the text for now: it has not been shown to anybody, and the next attempt is no re-send. Does nothing
    /// to a text that does not wait any more.
    pub async fn text_held(
        &self,
        fence: &Fence,
        message: MessageId,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let waits = sqlx::query("UPDATE inbox SET state = 'held' WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if waits == 0 {
            return Ok(());
        }
        sqlx::query(
            "UPDATE message SET state = 'accepted', updated_at = $3 WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// AACC acknowledged the text.
    pub async fn text_delivered(
        &self,
        fence: &Fence,
        message: MessageId,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        self.text_left(fence, message, "delivered", None, at).await
    }

    /// What waits beyond the first `most`, from the oldest of them on, `limit` at most: more than the tenant wants held.
    pub async fn texts_beyond(
        &self,
        conversation: ConversationId,
        most: i64,
        limit: i64,
    ) -> Result<Vec<MessageId>, DbError> {
        let mut tx = self.begin().await?;
        let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
            "SELECT message_id FROM inbox WHERE tenant_id = $1 AND conversation_id = $2 AND kind <> 'note'
             ORDER BY seq OFFSET $3 LIMIT $4",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(most)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(ids.into_iter().map(MessageId).collect())
    }

    /// The text will not reach an agent: a dead letter, that an operator sees and can replay,
    /// so that it does not block the line.
    pub async fn text_refused(
        &self,
        fence: &Fence,
        message: MessageId,
        code: &str,
        detail: &str,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        self.text_left(fence, message, "refused", Some((code, detail)), at)
            .await
    }

    /// A note for the agent of a chat that is over: nobody needs it any more.
    pub async fn note_expired(
        &self,
        fence: &Fence,
        message: MessageId,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let error = Some((
            "ccm:chat_over",
            "the chat was over before the agent could read it",
        ));
        self.text_left(fence, message, "expired", error, at).await
    }

    async fn text_left(
        &self,
        fence: &Fence,
        message: MessageId,
        state: &str,
        error: Option<(&str, &str)>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let waited = sqlx::query("DELETE FROM inbox WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if waited == 0 {
            // Settled by an earlier call whose answer was lost.
            return Ok(());
        }
        sqlx::query(
            "UPDATE message SET state = $3, error_code = $4, error_detail = $5, updated_at = $6
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(state)
        .bind(error.map(|e| storable(e.0)))
        .bind(error.map(|e| storable(e.1)))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        if let Some((code, detail)) = error
            && state == "refused"
        {
            self.bury(&mut tx, message, None, code, detail, at).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
