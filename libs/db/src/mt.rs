//! Texts to the phone: an agent's, and the tenant's notices.

use crate::{
    DbError, Fence, TenantDb,
    consent::{OPTED_OUT, OPTED_OUT_REASON},
    receipts::Fate,
    storable::storable,
};
use ccm_model::{
    Address, Body, ChatId, ConversationId, Id, MessageId, Origin, TraceParent, sms_settings::AutoReplies,
};
use serde_json::Value;
use sqlx::{Postgres, Row, Transaction};
use time::{Duration, OffsetDateTime};

/// What an agent wrote, to be stored and sent to the phone.
#[derive(Debug, Clone)]
pub struct AgentText {
    pub message: MessageId,
    pub author: String,
    pub body: Body,
    /// Fingerprint of timestamp, name and text. `None` on all but the last part of a text that had to be cut.
    pub heard: Option<[u8; 32]>,
    /// As AACC says.
    pub written_at: Option<OffsetDateTime>,
    /// It came with the transcript after a resume.
    pub replayed: bool,
    pub trace: Option<TraceParent>,
}

/// The tenant's words for something that happened, to be sent to the phone.
#[derive(Debug, Clone)]
pub struct Notice {
    pub message: MessageId,
    /// Which notice it is; stands as the text's author.
    pub kind: &'static str,
    pub body: Body,
    pub chat: Option<ChatId>,
    /// What the chat's customer has been told by now, stored with it.
    pub told: Option<Value>,
    /// Nobody wrote it: how many such texts the customer gets.
    pub bound: Option<AutoReplies>,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Stored,
    /// The customer's last text from us says the same: it was left out.
    Repeated,
    /// The customer has had so many texts that nobody wrote: it was left out.
    TooMany,
}

/// The notices that answer a text without anybody having written them. Two robots would go on for ever.
const AUTO_REPLIES: [&str; 5] = [
    "stop_reply",
    "start_reply",
    "help_reply",
    "rule_reply",
    "after_hours",
];

/// The one text that a customer who has opted out gets: that he has.
pub(crate) const STOP_REPLY: &str = "stop_reply";

/// The code of a text to an address that takes none.
pub(crate) const UNANSWERABLE: &str = "ccm:unanswerable";

pub(crate) struct Mt<'a> {
    pub message: MessageId,
    pub conversation: ConversationId,
    pub chat: Option<ChatId>,
    pub origin: Origin,
    pub author: &'a str,
    pub body: &'a Body,
    pub heard: Option<&'a [u8; 32]>,
    pub written_at: Option<OffsetDateTime>,
    pub replayed: bool,
    pub trace: Option<&'a TraceParent>,
}

impl TenantDb<'_> {
    /// Stores an agent's text and puts it in the line to the phone, in one transaction. A customer who cannot be answered
    /// (an alphanumeric sender) gets nothing: the text is stored as failed.
    ///
    /// Can be called again with the same message id when it is not known whether a call was committed.
    pub async fn agent_said(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        chat: ChatId,
        text: &AgentText,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let mt = Mt {
            message: text.message,
            conversation,
            chat: Some(chat),
            origin: Origin::Agent,
            author: &text.author,
            body: &text.body,
            heard: text.heard.as_ref(),
            written_at: text.written_at,
            replayed: text.replayed,
            trace: text.trace.as_ref(),
        };
        if self.put_in_line(&mut tx, &mt, at).await? {
            tx.commit().await?;
        }
        Ok(())
    }

    /// Stores a notice and puts it in the line to the phone, unless the last text from us says the same: nobody is told
    /// a thing twice in a row.
    ///
    /// Can be called again with the same message id when it is not known whether a call was committed.
    pub async fn say(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        notice: &Notice,
        at: OffsetDateTime,
    ) -> Result<Said, DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query("SELECT 1 FROM conversation WHERE tenant_id = $1 AND id = $2 FOR UPDATE")
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .execute(&mut *tx)
            .await?;
        if let (Some(chat), Some(told)) = (notice.chat, &notice.told) {
            sqlx::query("UPDATE chat SET told = $3 WHERE tenant_id = $1 AND id = $2")
                .bind(self.tenant.uuid())
                .bind(chat.uuid())
                .bind(told)
                .execute(&mut *tx)
                .await?;
        }
        let last = sqlx::query(
            "SELECT origin, author, body FROM message
             WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'mt' ORDER BY seq DESC LIMIT 1",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(last) = last
            && last.try_get::<&str, _>("origin")? == Origin::System.as_str()
            && last.try_get::<Option<&str>, _>("author")? == Some(notice.kind)
            && last.try_get::<&str, _>("body")? == notice.body.as_str()
        {
            tx.commit().await?;
            return Ok(Said::Repeated);
        }
        if let Some(bound) = &notice.bound {
            let had: i64 = sqlx::query_scalar(
                // Of the two addresses, not of the conversation: what needs no agent ends it each time.
                "SELECT count(*) FROM (
                   SELECT e.id FROM conversation c
                   JOIN conversation e ON e.tenant_id = c.tenant_id AND e.customer_address = c.customer_address
                                      AND e.our_address = c.our_address
                   WHERE c.tenant_id = $1 AND c.id = $2 ORDER BY e.id DESC LIMIT 100) AS theirs
                 JOIN message m ON m.tenant_id = $1 AND m.conversation_id = theirs.id AND m.id >= uuid_v7_floor($3)
                 WHERE m.direction = 'mt' AND m.origin = 'system' AND m.author = ANY ($4)",
            )
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(at - Duration::seconds(bound.per_s.into()))
            .bind(AUTO_REPLIES)
            .fetch_one(&mut *tx)
            .await?;
            if had >= i64::from(bound.most) {
                tx.commit().await?;
                return Ok(Said::TooMany);
            }
        }
        let mt = Mt {
            message: notice.message,
            conversation,
            chat: notice.chat,
            origin: Origin::System,
            author: notice.kind,
            body: &notice.body,
            heard: None,
            written_at: None,
            replayed: false,
            trace: None,
        };
        if self.put_in_line(&mut tx, &mt, at).await? {
            tx.commit().await?;
        }
        Ok(Said::Stored)
    }

    /// Puts a text that was given up into its conversation's line once more, as a new one of the same author. False: the customer
    /// has opted out.
    pub(crate) async fn say_again(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        of: MessageId,
        message: MessageId,
        body: &Body,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let row = sqlx::query(
            "SELECT conversation_id, origin, author FROM message WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(of.uuid())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(DbError::NotFound("message"))?;
        let mt = Mt {
            message,
            conversation: ConversationId(row.try_get("conversation_id")?),
            chat: None,
            origin: row.try_get::<&str, _>("origin")?.parse()?,
            author: row.try_get::<Option<&str>, _>("author")?.unwrap_or_default(),
            body,
            heard: None,
            written_at: None,
            replayed: false,
            trace: None,
        };
        self.put_in_line(tx, &mt, at).await?;
        let failed: bool =
            sqlx::query_scalar("SELECT state = 'failed' FROM message WHERE tenant_id = $1 AND id = $2")
                .bind(self.tenant.uuid())
                .bind(message.uuid())
                .fetch_one(&mut **tx)
                .await?;
        Ok(!failed)
    }

    /// False when it was stored by an earlier call whose answer was lost; the transaction is to be rolled back then.
    pub(crate) async fn put_in_line(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        mt: &Mt<'_>,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let row = sqlx::query(
            "UPDATE conversation SET next_seq = next_seq + 1, last_activity_at = $3
             WHERE tenant_id = $1 AND id = $2
             RETURNING next_seq - 1 AS seq, our_address, customer_address, EXISTS (
               SELECT 1 FROM opt_out o WHERE o.tenant_id = $1 AND o.our_address = conversation.our_address
                 AND o.customer_address = conversation.customer_address) AS opted_out,
               EXISTS (SELECT 1 FROM erased_opt_out e WHERE e.tenant_id = $1) AS any_erased",
        )
        .bind(self.tenant.uuid())
        .bind(mt.conversation.uuid())
        .bind(at)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(DbError::NotFound("conversation"))?;
        let seq: i64 = row.try_get("seq")?;
        let customer: Address = row.try_get::<&str, _>("customer_address")?.parse()?;
        let ours: Address = row.try_get::<&str, _>("our_address")?.parse()?;
        let mut opted_out: bool = row.try_get("opted_out")?;
        // A number that was erased after it had opted out is known by its hash alone.
        if !opted_out && row.try_get("any_erased")? {
            let erased = self.erased_opt_outs(tx, &customer).await?;
            opted_out = erased.iter().any(|(address, _)| *address == ours);
        }
        let confirms = mt.origin == Origin::System && mt.author == STOP_REPLY;
        let refused = if !customer.can_be_answered() {
            Some((
                UNANSWERABLE,
                "the customer's address is a sender name, which cannot receive texts",
            ))
        } else if opted_out && !confirms {
            Some((OPTED_OUT, "the customer has opted out of texts from this address"))
        } else {
            None
        };
        let stored = sqlx::query(
            "INSERT INTO message (id, tenant_id, conversation_id, chat_id, seq, direction, origin, author, body, state,
                                  error_code, error_detail, trace_parent, heard, written_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'mt', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
        )
        .bind(mt.message.uuid())
        .bind(self.tenant.uuid())
        .bind(mt.conversation.uuid())
        .bind(mt.chat.map(Id::uuid))
        .bind(seq)
        .bind(mt.origin.as_str())
        .bind(storable(mt.author))
        .bind(mt.body.as_str())
        .bind(if refused.is_none() { "queued" } else { "failed" })
        .bind(refused.map(|(code, _)| code))
        .bind(refused.map(|(_, detail)| detail))
        .bind(mt.trace.map(TraceParent::as_str))
        .bind(mt.heard.map(|h| &h[..]))
        .bind(mt.written_at)
        .bind(at)
        .execute(&mut **tx)
        .await;
        match stored.map_err(DbError::from) {
            Ok(_) => {}
            Err(DbError::Conflict { missing: false, .. }) => return Ok(false),
            Err(e) => return Err(e),
        }
        if let Some((code, _)) = refused {
            let reason = match code {
                OPTED_OUT => OPTED_OUT_REASON,
                _ => "The customer's address cannot receive texts.",
            };
            self.note_failure(tx, mt.message, Fate::Failed(reason), at)
                .await?;
            return Ok(true);
        }
        // The no-op update locks the line, so that dispatch cannot drop it as empty at the same moment.
        sqlx::query(
            "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES ($1, $2, now())
             ON CONFLICT (conversation_id) DO UPDATE SET due_at = outbox_line.due_at",
        )
        .bind(mt.conversation.uuid())
        .bind(self.tenant.uuid())
        .execute(&mut **tx)
        .await?;
        sqlx::query(
            "INSERT INTO outbox (message_id, tenant_id, conversation_id, seq, created_at, replayed) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(mt.message.uuid())
        .bind(self.tenant.uuid())
        .bind(mt.conversation.uuid())
        .bind(seq)
        .bind(at)
        .bind(mt.replayed)
        .execute(&mut **tx)
        .await?;
        Ok(true)
    }
}
