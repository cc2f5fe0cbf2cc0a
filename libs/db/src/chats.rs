use crate::{
    Batch, DbError, LinkRow, OwnedTenant, TenantDb, customer_texts, documents,
    links::{self, link_columns},
    seal::Place,
    storable::storable,
};
use ccm_model::{Address, ChatId, ChatSettings, ConversationId, Id, LinkId, PodId, SmsSettings, TenantId};
use serde_json::Value;
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
    pub skillset: Option<String>,
    pub opened_at: OffsetDateTime,
    /// What the connector wrote with [`TenantDb::set_told`] or a notice.
    pub told: Value,
}

/// Who spoke last in a chat, as far as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords {
    /// When AACC acknowledged the customer's last text.
    pub customer_at: Option<OffsetDateTime>,
    pub agent_at: Option<OffsetDateTime>,
    pub agent: Option<String>,
}

/// How the two addresses' chat before this one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousChat {
    pub ended_at: OffsetDateTime,
    pub agent: Option<String>,
}

/// An open chat, or one that AACC may still count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedChat {
    pub conversation: ConversationId,
    pub customer: Address,
    pub skillset: String,
    /// `None`: it is open.
    pub counts_until: Option<OffsetDateTime>,
}

/// A chat that AACC gave.
pub struct NewChat<'a> {
    pub id: ChatId,
    pub link: LinkId,
    /// As AACC wrote it in JSON.
    pub guid: &'a str,
    pub key: &'a str,
    pub skillset: &'a str,
    /// Until when AACC may count the chat before this one, whose session is lost; `None` where there is none.
    pub lost_counts_until: Option<OffsetDateTime>,
}

/// What a chat's actor works with.
pub struct ActorContext {
    pub conversation: ConversationId,
    pub our_address: Address,
    pub customer_address: Address,
    pub skillset: String,
    /// What a deflection or a screen pop knows: `name`, `email`, `language` and `context` of the customer; `skillset`, whose agents
    /// get the chat if no rule says another; `said`, what they are to read first.
    pub about: Value,
    /// What it is said to wait for, see [`TenantDb::set_waits`].
    pub waits_for: Option<String>,
    /// What [`TenantDb::set_held`] wrote.
    pub held: Option<Value>,
    pub link: LinkRow,
    pub settings: ChatSettings,
    pub sms: SmsSettings,
    pub chat: Option<ChatResume>,
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
  FROM unnest($2::uuid[]) AS swept (id) JOIN chat c ON c.tenant_id = swept.id AND c.state <> 'closed'
) AS work GROUP BY tenant_id, conversation_id";

pub(crate) const HEARD: &str = "
SELECT heard, count(*) AS times FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND chat_id = $3 AND heard IS NOT NULL GROUP BY heard";

pub(crate) const LAST_WORDS: &str = "
SELECT DISTINCT ON (direction) direction, author,
       CASE WHEN direction = 'mo' THEN updated_at ELSE created_at END AS at
FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND chat_id = $3
  AND (direction = 'mo' AND state = 'delivered' OR direction = 'mt' AND origin = 'agent')
ORDER BY direction, seq DESC";

// The addresses come from the conversation itself, so that nobody can ask for somebody else's chats.
pub(crate) const PREVIOUS_CHAT: &str = "
SELECT h.closed_at, (
  SELECT m.author FROM message m
  WHERE m.tenant_id = $1 AND m.conversation_id = h.conversation_id AND m.direction = 'mt' AND m.origin = 'agent'
  ORDER BY m.seq DESC LIMIT 1) AS agent
FROM (
  SELECT e.id FROM conversation c
  JOIN conversation e ON e.tenant_id = c.tenant_id AND e.customer_address = c.customer_address
                     AND e.our_address = c.our_address AND e.id <= c.id
  WHERE c.tenant_id = $1 AND c.id = $2 ORDER BY e.id DESC LIMIT 2
) AS earlier
JOIN chat h ON h.tenant_id = $1 AND h.conversation_id = earlier.id AND h.state = 'closed'
ORDER BY h.id DESC LIMIT 1";

// Each conversation by its id: a join would read all that the tenant ever had.
pub(crate) const COUNTED_CHATS: &str = "
SELECT h.conversation_id, c.customer_address, h.skillset, h.counts_until FROM (
  SELECT conversation_id, skillset, NULL AS counts_until FROM chat WHERE tenant_id = $1 AND state <> 'closed'
  UNION ALL
  SELECT conversation_id, skillset, counts_until FROM chat
  WHERE tenant_id = $1 AND counts_until > $2 AND state = 'closed'
) AS h, LATERAL (
  SELECT customer_address FROM conversation WHERE tenant_id = $1 AND id = h.conversation_id LIMIT 1) AS c";

impl Batch<'_> {
    /// Conversations that need an actor: of `tenants` those with a text that waits for the agent, of `swept` (some of them)
    /// also those whose chat is open. Open chats are many, and their actors run once they were found.
    pub async fn conversations_to_serve(
        &self,
        tenants: &[TenantId],
        swept: &[TenantId],
    ) -> Result<Vec<ToServe>, DbError> {
        let uuids = |ids: &[TenantId]| ids.iter().map(|t| t.uuid()).collect::<Vec<_>>();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let rows = sqlx::query(TO_SERVE)
            .bind(uuids(tenants))
            .bind(uuids(swept))
            .fetch_all(&mut *tx)
            .await?;
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
        let row = sqlx::query(concat!(
            "SELECT ",
            link_columns!("l."),
            ", c.our_address, c.customer_address, c.about, c.waits_for, c.held, s.name AS skillset, t.settings, x.settings AS sms
             FROM conversation c
             JOIN number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
             JOIN skillset s ON s.tenant_id = n.tenant_id AND s.id = n.skillset_id
             JOIN ewc_link l ON l.tenant_id = s.tenant_id AND l.id = s.link_id
             LEFT JOIN chat_settings t ON t.tenant_id = c.tenant_id
             LEFT JOIN sms_settings x ON x.tenant_id = c.tenant_id
             WHERE c.tenant_id = $1 AND c.id = $2"
        ))
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("conversation"))?;
        let open = sqlx::query(
            "SELECT id, guid, key_sealed, state, skillset, opened_at, told FROM chat
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
                    skillset: r.try_get("skillset")?,
                    opened_at: r.try_get("opened_at")?,
                    told: r.try_get("told")?,
                })
            }
        };
        tx.commit().await?;
        Ok(ActorContext {
            conversation,
            our_address: row.try_get::<&str, _>("our_address")?.parse()?,
            customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
            skillset: row.try_get("skillset")?,
            about: row.try_get("about")?,
            waits_for: row.try_get("waits_for")?,
            held: row.try_get("held")?,
            link: links::link(&row)?,
            settings: documents::parse_or_default("chat settings", row.try_get("settings")?)?,
            sms: documents::parse_or_default("SMS settings", row.try_get("sms")?)?,
            chat,
        })
    }

    /// Remembers for what the conversation's texts are kept after hours; `None`: for nothing any more.
    pub async fn set_held(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        held: Option<&Value>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query(
            "UPDATE conversation SET held = $3, excused_until = CASE WHEN $3::jsonb IS NULL THEN $4 ELSE excused_until END
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(held)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// AACC gave a new chat for the conversation. A chat that was open before is over: its session had expired.
    ///
    /// Can be called again with the same chat id when it is not known whether a call was committed.
    pub async fn chat_opened(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        chat: &NewChat<'_>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let sealed = self
            .seal(&mut tx, key_place(chat.id), chat.key.as_bytes())
            .await?;
        sqlx::query(
            "UPDATE chat SET state = 'closed', closed_at = $3, close_reason = 'session expired', counts_until = $5
             WHERE tenant_id = $1 AND conversation_id = $2 AND state <> 'closed' AND id <> $4",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(at)
        .bind(chat.id.uuid())
        .bind(chat.lost_counts_until)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO chat (id, tenant_id, conversation_id, link_id, state, guid, key_sealed, epoch, opened_at, skillset)
             VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
        )
        .bind(chat.id.uuid())
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(chat.link.uuid())
        .bind(chat.guid)
        .bind(sealed)
        .bind(fence.owned.epoch)
        .bind(at)
        .bind(chat.skillset)
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

    /// What the customer has been told while waiting, for the next owner.
    pub async fn set_told(&self, fence: &Fence, chat: ChatId, told: &Value) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query("UPDATE chat SET told = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(chat.uuid())
            .bind(told)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What a conversation's texts wait for, for people to see; `None`: nothing waits.
    pub async fn set_waits(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        waits_for: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        sqlx::query(
            "UPDATE conversation SET waits_for = $3, waits_since = $4,
               excused_until = CASE WHEN waits_for IN ('opening', 'maintenance') THEN $5 ELSE excused_until END
             WHERE tenant_id = $1 AND id = $2 AND waits_for IS DISTINCT FROM $3",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(waits_for)
        .bind(waits_for.map(|_| at))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Who spoke last in a chat, and when.
    pub async fn last_words(&self, conversation: ConversationId, chat: ChatId) -> Result<LastWords, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(LAST_WORDS)
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .bind(chat.uuid())
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let mut last = LastWords::default();
        for row in rows {
            match row.try_get("direction")? {
                "mo" => last.customer_at = Some(row.try_get("at")?),
                _ => {
                    last.agent_at = Some(row.try_get("at")?);
                    last.agent = row.try_get("author")?;
                }
            }
        }
        Ok(last)
    }

    /// How the chat between these two addresses before this conversation's present one ended.
    pub async fn previous_chat(&self, conversation: ConversationId) -> Result<Option<PreviousChat>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(PREVIOUS_CHAT)
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        row.map(|r| {
            Ok(PreviousChat {
                ended_at: r.try_get("closed_at")?,
                agent: r.try_get("agent")?,
            })
        })
        .transpose()
    }

    /// Chats of the tenant that AACC counts: open ones, and those that it may not have given up at `now`.
    pub async fn counted_chats(&self, now: OffsetDateTime) -> Result<Vec<CountedChat>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(COUNTED_CHATS)
            .bind(self.tenant.uuid())
            .bind(now)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|r| {
                Ok(CountedChat {
                    conversation: ConversationId(r.try_get("conversation_id")?),
                    customer: r.try_get::<&str, _>("customer_address")?.parse()?,
                    skillset: r.try_get::<Option<String>, _>("skillset")?.unwrap_or_default(),
                    counts_until: r.try_get("counts_until")?,
                })
            })
            .collect()
    }

    /// A chat ended. When nothing waits for the agent, the conversation ends with it: the customer's next text opens a new
    /// one. Where there was no chat (`None`), it stays open while an answer is waited for: who asks HELP has not answered an offer.
    /// Returns whether the conversation is closed now.
    ///
    /// `counts_until`: until when AACC may count the chat, where it could not be told that the customer left.
    pub async fn chat_ended(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        chat: Option<ChatId>,
        reason: &str,
        counts_until: Option<OffsetDateTime>,
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
            "UPDATE chat SET state = 'closed', closed_at = $3, close_reason = $4, counts_until = $5
             WHERE tenant_id = $1 AND id = $2 AND state <> 'closed'",
        )
        .bind(self.tenant.uuid())
        .bind(chat.map(Id::uuid))
        .bind(at)
        .bind(storable(reason))
        .bind(counts_until)
        .execute(&mut *tx)
        .await?;
        let closed = sqlx::query(
            "UPDATE conversation c SET state = 'closed', closed_at = $3, waits_for = NULL, waits_since = NULL
             WHERE c.tenant_id = $1 AND c.id = $2 AND c.state = 'open'
               AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = $1 AND i.conversation_id = $2)
               AND ($4 OR NOT EXISTS (SELECT 1 FROM timer t WHERE t.tenant_id = $1 AND t.id = $5 AND t.due_at > $3))",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(at)
        .bind(chat.is_some())
        .bind(customer_texts::answer_timer(conversation))
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(closed > 0)
    }
}
