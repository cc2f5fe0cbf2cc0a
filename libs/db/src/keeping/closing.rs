//! What is in the way of a person's erasure, and conversations that are closed for it.

use crate::{DbError, InTheWay, TenantDb, customer_texts::answer_timer, derived_id, outbox::Because};
use ccm_model::{Address, ConversationId, Id, MessageId};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// The author of the note that ends a chat.
pub(crate) const ERASURE: &str = "erasure";
const NOTE: &str = "The customer's data is being erased: this conversation is over.";
const ERASED: Because = Because {
    code: "ccm:erased",
    detail: "the customer is being erased",
};

/// How conversations are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Their agents are told, and whoever serves them leaves their chats.
    Asked,
    /// Nobody has left the chats in time: AACC ends them when their customers are silent.
    Forced,
}

const OPEN: &str = "SELECT id FROM conversation WHERE tenant_id = $1 AND customer_address = $2 AND state = 'open' ORDER BY id";

impl TenantDb<'_> {
    /// Open conversations are in nobody's way if they are to be closed.
    pub(super) async fn in_the_way_of_erasure(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
        close: bool,
    ) -> Result<Vec<InTheWay>, DbError> {
        let mut found = Vec::new();
        let mut meets = |what, which: Vec<String>| {
            if !which.is_empty() {
                found.push(InTheWay {
                    what,
                    count: which.len() as i64,
                    which: which.into_iter().take(5).collect(),
                });
            }
        };
        let hold = self.hold_over(tx, customer).await?;
        meets("legal holds", hold.iter().map(Uuid::to_string).collect());
        if !close {
            let open = self.still_open(tx, customer).await?;
            meets("open conversations", open.iter().map(Uuid::to_string).collect());
        }
        // Settings are their administrators' to change.
        let listed: Vec<String> = sqlx::query_scalar(
            "SELECT 'lists.' || list.key FROM routing_settings s, jsonb_each(coalesce(s.settings -> 'lists', '{}')) AS list
             WHERE s.tenant_id = $1 AND list.value -> 'numbers' ? $2 ORDER BY 1",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .fetch_all(&mut **tx)
        .await?;
        meets("routing lists", listed);
        Ok(found)
    }

    pub(super) async fn still_open(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<Vec<Uuid>, DbError> {
        let open = sqlx::query_scalar(OPEN)
            .bind(self.tenant.uuid())
            .bind(customer.as_str())
            .fetch_all(&mut **tx)
            .await?;
        Ok(open)
    }

    /// Closes a customer's conversations. What waits in them, for either side, fails; what is under way goes.
    pub(super) async fn close_for_erasure(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        customer: &Address,
        how: Close,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        // In the order of their ids, as everybody locks several.
        let locked = format!("{OPEN} FOR UPDATE");
        let open: Vec<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(locked))
            .bind(self.tenant.uuid())
            .bind(customer.as_str())
            .fetch_all(&mut **tx)
            .await?;
        for id in open {
            let conversation = ConversationId(id);
            self.take_back(tx, conversation, None, ERASED, at).await?;
            self.drop_waiting(tx, conversation, how, at).await?;
            // Nobody waits for an answer any more.
            sqlx::query("DELETE FROM timer WHERE tenant_id = $1 AND id = $2")
                .bind(self.tenant.uuid())
                .bind(answer_timer(conversation))
                .execute(&mut **tx)
                .await?;
            match how {
                Close::Asked => {
                    let note = derived_id(MessageId(id), ERASURE);
                    self.put_note(tx, note, conversation, ERASURE, NOTE, at).await?;
                }
                Close::Forced => self.close_now(tx, conversation, at).await?,
            }
        }
        Ok(())
    }

    /// What waits for an agent fails; but for what is just being given to one, and the note that ends the chat, unless nobody is waited for.
    async fn drop_waiting(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        conversation: ConversationId,
        how: Close,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query(
            "WITH dropped AS (
               DELETE FROM inbox WHERE tenant_id = $1 AND conversation_id = $2
                 AND ($6 OR state <> 'sending' AND message_id <> $7)
               RETURNING message_id)
             UPDATE message SET state = 'refused', error_code = $3, error_detail = $4, updated_at = $5
             WHERE tenant_id = $1 AND id IN (SELECT message_id FROM dropped)",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(ERASED.code)
        .bind(ERASED.detail)
        .bind(at)
        .bind(how == Close::Forced)
        .bind(derived_id(MessageId(conversation.uuid()), ERASURE).uuid())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn close_now(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        conversation: ConversationId,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        for sql in [
            "UPDATE chat SET state = 'closed', closed_at = $3, close_reason = 'the customer is being erased'
             WHERE tenant_id = $1 AND conversation_id = $2 AND state <> 'closed'",
            "UPDATE conversation SET state = 'closed', closed_at = $3, waits_for = NULL, waits_since = NULL
             WHERE tenant_id = $1 AND id = $2",
        ] {
            sqlx::query(sql)
                .bind(self.tenant.uuid())
                .bind(conversation.uuid())
                .bind(at)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}
