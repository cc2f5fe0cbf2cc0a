// replaced by the receive side

use crate::{DbError, TenantDb};
use ccm_model::MessageId;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

impl TenantDb<'_> {
    /// Tells the agent in the chat that a text did not reach the phone.
    pub(crate) async fn note_failure(
        &self,
        _tx: &mut Transaction<'_, Postgres>,
        _message: MessageId,
        _reason: &str,
        _at: OffsetDateTime,
    ) -> Result<(), DbError> {
        Ok(())
    }
}
