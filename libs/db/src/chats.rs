use crate::{Batch, DbError, LinkRow, OwnedTenant, TenantDb, seal::Place, settings, storable::storable};
use ccm_model::{Address, Body, ChatId, ConversationId, Id, LinkId, MessageId, PodId, TenantId, TraceParent};
use sqlx::{Postgres, Row, Transaction};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A connector's right to write for a tenant. Every write checks it against the lease under a share lock: a takeover
/// waits for the write, and a write after a takeover is refused with [`DbError::Fenced`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    pub pod: PodId,
    pub owned: OwnedTenant,
}

/// Who is in a chat's room, as stored for the next owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomState {
    Waiting,
    Live,
}

impl RoomState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
        }
    }
}

/// An open chat, with what resuming it takes. Deliberately without `Debug`.
pub struct ChatResume {
    pub id: ChatId,
    /// As AACC wrote it in JSON.
    pub guid: String,
    pub key: Zeroizing<String>,
    pub room: RoomState,
}

/// What a chat's actor works with.
pub struct ActorContext {
    pub conversation: ConversationId,
    pub our_address: Address,
    pub customer_address: Address,
    pub skillset: String,
    pub link: LinkRow,
    pub chat: Option<ChatResume>,
}

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
    pub trace: Option<TraceParent>,
}

fn key_place(chat: ChatId) -> Place<'static> {
    Place {
        table: "chat",
        column: "key_sealed",
        row: chat.uuid(),
    }
}

/// A conversation that needs an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToServe {
    pub tenant: TenantId,
    pub conversation: ConversationId,
    /// The newest text that waits for the agent, 0 when a chat is open and nothing waits.
    pub newest_seq: i64,
}

/// Joined with the tenants: `= ANY ($1)` beside the policy's own `= ANY` makes the plan for all values read the tables.
pub(crate) const TO_SERVE: &str = "
SELECT tenant_id, conversation_id, max(seq) AS newest FROM (
  SELECT i.tenant_id, i.conversation_id, i.seq FROM unnest($1::uuid[]) AS mine (id) JOIN inbox i ON i.tenant_id = mine.id
  UNION ALL
  SELECT c.tenant_id, c.conversation_id, 0
  FROM unnest($1::uuid[]) AS mine (id) JOIN chat c ON c.tenant_id = mine.id AND c.state <> 'closed'
) AS work GROUP BY tenant_id, conversation_id";

pub(crate) const HEARD: &str = "
SELECT heard, count(*) AS times FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND chat_id = $3 AND heard IS NOT NULL GROUP BY heard";

impl Batch<'_> {
    /// Conversations of these tenants that need an actor: a text waits for the agent, or a chat is open.
    pub async fn conversations_to_serve(&self, tenants: &[TenantId]) -> Result<Vec<ToServe>, DbError> {
        let ids: Vec<_> = tenants.iter().map(|t| t.uuid()).collect();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let rows = sqlx::query(TO_SERVE).bind(ids).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        rows.iter()
            .map(|r| {
                Ok(ToServe {
                    tenant: TenantId(r.try_get("tenant_id")?),
                    conversation: ConversationId(r.try_get("conversation_id")?),
                    newest_seq: r.try_get("newest")?,
                })
            })
            .collect()
    }
}

impl TenantDb<'_> {
    /// A transaction that only the owner of the tenant's lease gets.
    pub(crate) async fn fenced(&self, fence: &Fence) -> Result<Transaction<'static, Postgres>, DbError> {
        let mut tx = self.begin().await?;
        let held = sqlx::query(
            "SELECT 1 FROM lease WHERE tenant_id = $1 AND shard = 0 AND pod_id = $2 AND epoch = $3 FOR SHARE",
        )
        .bind(self.tenant.uuid())
        .bind(fence.pod.uuid())
        .bind(fence.owned.epoch)
        .fetch_optional(&mut *tx)
        .await?;
        if held.is_none() || fence.owned.tenant != self.tenant {
            return Err(DbError::Fenced);
        }
        Ok(tx)
    }

    /// Everything that an actor starts from. `NotFound` when the tenant has no such conversation.
    pub async fn actor_context(&self, conversation: ConversationId) -> Result<ActorContext, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT l.id, l.name, l.scheme, l.host, l.port, l.path, l.ca_pem, l.swap_angle_brackets, l.connects_per_second,
                    l.created_at, c.our_address, c.customer_address, s.name AS skillset
             FROM conversation c
             JOIN number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
             JOIN skillset s ON s.tenant_id = n.tenant_id AND s.id = n.skillset_id
             JOIN ewc_link l ON l.tenant_id = s.tenant_id AND l.id = s.link_id
             WHERE c.tenant_id = $1 AND c.id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("conversation"))?;
        let open = sqlx::query(
            "SELECT id, guid, key_sealed, state FROM chat
             WHERE tenant_id = $1 AND conversation_id = $2 AND state <> 'closed'",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let chat = match open {
            None => None,
            Some(r) => {
                let id = ChatId(r.try_get("id")?);
                let key = self
                    .unseal(&mut tx, key_place(id), r.try_get("key_sealed")?)
                    .await?;
                let key = String::from_utf8(key.to_vec()).map_err(|_| DbError::Corrupt("chat key".into()))?;
                let room = match r.try_get("state")? {
                    "live" => RoomState::Live,
                    _ => RoomState::Waiting,
                };
                Some(ChatResume {
                    id,
                    guid: r.try_get("guid")?,
                    key: Zeroizing::new(key),
                    room,
                })
            }
        };
        tx.commit().await?;
        Ok(ActorContext {
            conversation,
            our_address: row.try_get::<&str, _>("our_address")?.parse()?,
            customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
            skillset: row.try_get("skillset")?,
            link: settings::link(&row)?,
            chat,
        })
    }

    /// AACC gave a new chat for the conversation. A chat that was open before is over: its session had expired.
    ///
    /// Can be called again with the same chat id when it is not known whether a call was committed.
    #[allow(clippy::too_many_arguments, reason = "one row's columns")]
    pub async fn chat_opened(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        link: LinkId,
        chat: ChatId,
        guid: &str,
        key: &str,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let sealed = self.seal(&mut tx, key_place(chat), key.as_bytes()).await?;
        sqlx::query(
            "UPDATE chat SET state = 'closed', closed_at = $3, close_reason = 'session expired'
             WHERE tenant_id = $1 AND conversation_id = $2 AND state <> 'closed' AND id <> $4",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(at)
        .bind(chat.uuid())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO chat (id, tenant_id, conversation_id, link_id, state, guid, key_sealed, epoch, opened_at)
             VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
        )
        .bind(chat.uuid())
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(link.uuid())
        .bind(guid)
        .bind(sealed)
        .bind(fence.owned.epoch)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// AACC changed the chat's key when it was resumed.
    pub async fn chat_rekeyed(&self, fence: &Fence, chat: ChatId, key: &str) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let sealed = self.seal(&mut tx, key_place(chat), key.as_bytes()).await?;
        sqlx::query("UPDATE chat SET key_sealed = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(chat.uuid())
            .bind(sealed)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The room filled or emptied: what the next owner assumes after a resume.
    pub async fn set_room(&self, fence: &Fence, chat: ChatId, room: RoomState) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query(
            "UPDATE chat SET state = $3, epoch = $4 WHERE tenant_id = $1 AND id = $2 AND state <> 'closed'",
        )
        .bind(self.tenant.uuid())
        .bind(chat.uuid())
        .bind(room.as_str())
        .bind(fence.owned.epoch)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How often each fingerprint was heard in a chat: what a replayed transcript is held against.
    pub async fn heard(
        &self,
        conversation: ConversationId,
        chat: ChatId,
    ) -> Result<Vec<([u8; 32], u32)>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(HEARD)
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(chat.uuid())
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|r| {
                let print: &[u8] = r.try_get("heard")?;
                let print = print
                    .try_into()
                    .map_err(|_| DbError::Corrupt("fingerprint".into()))?;
                Ok((
                    print,
                    u32::try_from(r.try_get::<i64, _>("times")?).unwrap_or(u32::MAX),
                ))
            })
            .collect()
    }

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
        let row = sqlx::query(
            "UPDATE conversation SET next_seq = next_seq + 1, last_activity_at = $3
             WHERE tenant_id = $1 AND id = $2 RETURNING next_seq - 1 AS seq, customer_address",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(at)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("conversation"))?;
        let seq: i64 = row.try_get("seq")?;
        let customer: Address = row.try_get::<&str, _>("customer_address")?.parse()?;
        let answerable = customer.can_be_answered();
        let stored = sqlx::query(
            "INSERT INTO message (id, tenant_id, conversation_id, chat_id, seq, direction, origin, author, body, state,
                                  error_code, error_detail, trace_parent, heard, written_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'mt', 'agent', $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)",
        )
        .bind(text.message.uuid())
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(chat.uuid())
        .bind(seq)
        .bind(storable(&text.author))
        .bind(text.body.as_str())
        .bind(if answerable { "queued" } else { "failed" })
        .bind((!answerable).then_some("ccm:unanswerable"))
        .bind((!answerable).then_some("the customer's address is a sender name, which cannot receive texts"))
        .bind(text.trace.as_ref().map(TraceParent::as_str))
        .bind(text.heard.as_ref().map(|h| &h[..]))
        .bind(text.written_at)
        .bind(at)
        .execute(&mut *tx)
        .await;
        match stored.map_err(DbError::from) {
            Ok(_) => {}
            // Committed by an earlier call whose answer was lost; this transaction rolls back.
            Err(DbError::Conflict { missing: false, .. }) => return Ok(()),
            Err(e) => return Err(e),
        }
        if answerable {
            // The no-op update locks the line, so that dispatch cannot drop it as empty at the same moment.
            sqlx::query(
                "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES ($1, $2, now())
                 ON CONFLICT (conversation_id) DO UPDATE SET due_at = outbox_line.due_at",
            )
            .bind(conversation.uuid())
            .bind(self.tenant.uuid())
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "INSERT INTO outbox (message_id, tenant_id, conversation_id, seq, created_at)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(text.message.uuid())
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(seq)
            .bind(at)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A chat ended. When nothing waits for the agent, the conversation ends with it: the customer's next text opens a new
    /// one. Returns whether the conversation is closed now.
    pub async fn chat_ended(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        chat: Option<ChatId>,
        reason: &str,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let mut tx = self.fenced(fence).await?;
        // The lock first, in a statement of its own: the next statement then sees what an ingest that held it has stored.
        sqlx::query("SELECT 1 FROM conversation WHERE tenant_id = $1 AND id = $2 FOR UPDATE")
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE chat SET state = 'closed', closed_at = $3, close_reason = $4
             WHERE tenant_id = $1 AND id = $2 AND state <> 'closed'",
        )
        .bind(self.tenant.uuid())
        .bind(chat.map(Id::uuid))
        .bind(at)
        .bind(storable(reason))
        .execute(&mut *tx)
        .await?;
        let closed = sqlx::query(
            "UPDATE conversation c SET state = 'closed', closed_at = $3
             WHERE c.tenant_id = $1 AND c.id = $2 AND c.state = 'open'
               AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = $1 AND i.conversation_id = $2)",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(closed > 0)
    }
}
