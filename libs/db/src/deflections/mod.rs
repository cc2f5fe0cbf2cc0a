//! Callers in a voice queue who were to be offered a text chat. [`offer`] makes offers and keeps their limits, [`advance`] moves them on,
//! [`funnel`] counts them.

mod advance;
mod funnel;
mod offer;

#[cfg(test)]
pub(crate) use advance::{CLAIM, HEARD_SINCE, SEEN};
pub use advance::{DeflectionChange, DeflectionMoved, DeflectionSeen, DueDeflection, HeardText};
pub use funnel::{FunnelRow, RefusalRow};
pub use offer::{Clicked, NewDeflection, NewOffer, OfferBounds, Offered, Refusal};

#[cfg(test)]
pub(crate) use offer::{COUNTS, OF_CONTACT};

use crate::{DbError, TenantDb};
use ccm_model::{Address, ConversationId, DeflectionId, DeflectionState, Id, MessageId, MessageState};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use std::fmt;
use time::OffsetDateTime;

/// A caller who was to be offered a text chat. `Debug` shows neither number nor what the script said.
#[derive(Clone, PartialEq)]
pub struct DeflectionRow {
    pub id: DeflectionId,
    pub state: DeflectionState,
    /// Why it was refused, or ended as it did.
    pub reason: Option<String>,
    /// `None` of a refused one for which it was not known.
    pub our_address: Option<Address>,
    pub customer_address: Option<Address>,
    /// Whose agents answer the chat.
    pub skillset: String,
    /// Whom the caller waits for.
    pub voice_skillset: String,
    pub language: String,
    /// The call, as the script names it.
    pub contact: Option<String>,
    pub waited_s: i32,
    pub priority: Option<String>,
    pub name: Option<String>,
    pub context: Value,
    pub conversation: Option<ConversationId>,
    pub message: Option<MessageId>,
    /// `text` or `link`.
    pub answered_by: Option<String>,
    pub asked_at: OffsetDateTime,
    pub sent_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    pub answered_at: Option<OffsetDateTime>,
    pub chat_at: Option<OffsetDateTime>,
    /// When an agent wrote for the first time.
    pub agent_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
    pub expires_at: Option<OffsetDateTime>,
}

impl fmt::Debug for DeflectionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeflectionRow({} {})", self.id, self.state)
    }
}

/// Which deflections; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct DeflectionFilter {
    pub state: Option<DeflectionState>,
    pub skillset: Option<String>,
    pub contact: Option<String>,
    pub customer: Option<Address>,
}

macro_rules! columns {
    () => {
        "id, state, reason, our_address, customer_address, skillset, voice_skillset, language, contact_id, waited_s, priority, name, \
         context, conversation_id, message_id, answered_by, asked_at, sent_at, delivered_at, answered_at, chat_at, agent_at, \
         ended_at, expires_at"
    };
}
use columns;

pub(crate) const DEFLECTIONS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM deflection WHERE tenant_id = $1 AND id < $2 AND ($4::text IS NULL OR state = $4)
        AND ($5::text IS NULL OR skillset = $5) AND ($6::text IS NULL OR contact_id = $6)
        AND ($7::text IS NULL OR customer_address = $7)
      ORDER BY id DESC LIMIT $3"
);
const ONE: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT m.state FROM message m WHERE m.tenant_id = $1 AND m.id = message_id) AS text_state
     FROM deflection WHERE tenant_id = $1 AND id = $2"
);

fn address(row: &PgRow, column: &str) -> Result<Option<Address>, DbError> {
    let raw = row.try_get::<Option<&str>, _>(column)?;
    Ok(raw.map(str::parse).transpose()?)
}

fn deflection(row: &PgRow) -> Result<DeflectionRow, DbError> {
    Ok(DeflectionRow {
        id: DeflectionId(row.try_get("id")?),
        state: row.try_get::<&str, _>("state")?.parse()?,
        reason: row.try_get("reason")?,
        our_address: address(row, "our_address")?,
        customer_address: address(row, "customer_address")?,
        skillset: row.try_get("skillset")?,
        voice_skillset: row.try_get("voice_skillset")?,
        language: row.try_get("language")?,
        contact: row.try_get("contact_id")?,
        waited_s: row.try_get("waited_s")?,
        priority: row.try_get("priority")?,
        name: row.try_get("name")?,
        context: row.try_get("context")?,
        conversation: row
            .try_get::<Option<_>, _>("conversation_id")?
            .map(ConversationId),
        message: row.try_get::<Option<_>, _>("message_id")?.map(MessageId),
        answered_by: row.try_get("answered_by")?,
        asked_at: row.try_get("asked_at")?,
        sent_at: row.try_get("sent_at")?,
        delivered_at: row.try_get("delivered_at")?,
        answered_at: row.try_get("answered_at")?,
        chat_at: row.try_get("chat_at")?,
        agent_at: row.try_get("agent_at")?,
        ended_at: row.try_get("ended_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

impl TenantDb<'_> {
    /// From the newest on, `before` excluded, `limit` at most.
    pub async fn deflections(
        &self,
        filter: &DeflectionFilter,
        before: Option<DeflectionId>,
        limit: i64,
    ) -> Result<Vec<DeflectionRow>, DbError> {
        let asked = sqlx::query(DEFLECTIONS)
            .bind(self.tenant.uuid())
            .bind(before.map_or(uuid::Uuid::max(), Id::uuid))
            .bind(limit)
            .bind(filter.state.map(DeflectionState::as_str))
            .bind(filter.skillset.as_deref())
            .bind(filter.contact.as_deref())
            .bind(filter.customer.as_ref().map(Address::as_str));
        self.rows(asked, deflection).await
    }

    pub async fn deflection(&self, id: DeflectionId) -> Result<DeflectionRow, DbError> {
        Ok(self.deflection_and_text(id).await?.0)
    }

    /// A deflection and where its offer's text is; `None`: nothing was offered, or the text has been deleted.
    pub async fn deflection_and_text(
        &self,
        id: DeflectionId,
    ) -> Result<(DeflectionRow, Option<MessageState>), DbError> {
        self.one(ONE, id.uuid(), "deflection", |row| {
            let text: Option<&str> = row.try_get("text_state")?;
            Ok((deflection(row)?, text.map(str::parse).transpose()?))
        })
        .await
    }
}
