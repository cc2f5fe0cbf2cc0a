//! A text that is not to be sent any more.

use crate::{DbError, TenantDb};
use ccm_model::{ConversationId, Id, MessageId};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

/// Why a text is taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Because {
    /// As in a text's `error_code`.
    pub code: &'static str,
    pub detail: &'static str,
}

impl TenantDb<'_> {
    /// Takes texts of a conversation out of its line: `message`, or all. What a dispatcher has under way, or a provider may have, stays.
    /// Returns how many have failed now.
    ///
    /// The conversation's lock must be held, as whoever puts a text in line holds it when he comes to the line.
    pub(crate) async fn take_back(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        conversation: ConversationId,
        message: Option<MessageId>,
        because: Because,
        at: OffsetDateTime,
    ) -> Result<u64, DbError> {
        // A dispatcher marks its text as being sent under this lock: what is seen as queued after it does not leave.
        sqlx::query("SELECT 1 FROM outbox_line WHERE tenant_id = $1 AND conversation_id = $2 FOR UPDATE")
            .bind(self.tenant.uuid())
            .bind(conversation.uuid())
            .execute(&mut **tx)
            .await?;
        let taken = sqlx::query(
            "WITH taken AS (
               DELETE FROM outbox WHERE tenant_id = $1 AND conversation_id = $2 AND state = 'queued'
                 AND ($3::uuid IS NULL OR message_id = $3)
               RETURNING message_id)
             UPDATE message SET state = 'failed', error_code = $4, error_detail = $5, updated_at = $6
             WHERE tenant_id = $1 AND id IN (SELECT message_id FROM taken)",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(message.map(Id::uuid))
        .bind(because.code)
        .bind(because.detail)
        .bind(at)
        .execute(&mut **tx)
        .await?
        .rows_affected();
        if taken > 0 {
            self.drop_if_empty(tx, conversation).await?;
        }
        Ok(taken)
    }
}
