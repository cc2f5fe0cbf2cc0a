//! Who read texts: told in the audit, and only then are they answered.

use crate::{DbError, TenantDb};
use aws_lc_rs::digest;
use ccm_model::{Actor, ConversationId, Id, WebhookId};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Of one actor at one thing, further looks within this time are not told: pages refresh themselves.
pub const LOOK: Duration = Duration::from_secs(600);

/// What somebody is about to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A conversation's texts, page by page.
    Messages(ConversationId),
    /// The same as a document.
    Transcript(ConversationId),
    /// What a search found, whatever was looked for.
    Search,
    /// The list of dead letters, with providers' words.
    DeadLetters,
    DeadLetter(Uuid),
    /// What a webhook's receiver answered.
    WebhookDeliveries(WebhookId),
}

impl Look {
    /// As the audit names it; a metric's label too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages(_) => "messages",
            Self::Transcript(_) => "transcript",
            Self::Search => "search",
            Self::DeadLetters => "dead_letters",
            Self::DeadLetter(_) => "dead_letter",
            Self::WebhookDeliveries(_) => "webhook_deliveries",
        }
    }

    /// At which thing; `None`: at a list of all of the tenant's.
    fn of(self) -> Option<Uuid> {
        match self {
            Self::Messages(id) | Self::Transcript(id) => Some(id.uuid()),
            Self::DeadLetter(id) => Some(id),
            Self::WebhookDeliveries(id) => Some(id.uuid()),
            Self::Search | Self::DeadLetters => None,
        }
    }
}

/// The same for each request of one and the same, wherever it comes from.
fn identity(by: &Actor) -> [u8; 32] {
    let known = match by.user.or(by.key) {
        Some(id) => id.to_string(),
        None => by.sub.clone(),
    };
    let said = format!("{}:{known}", by.via);
    let mut identity = [0; 32];
    identity.copy_from_slice(digest::digest(&digest::SHA256, said.as_bytes()).as_ref());
    identity
}

impl TenantDb<'_> {
    /// Writes into the audit that somebody sees this, unless it stands there since less than [`LOOK`]. To be called before texts are
    /// answered: without it they must not be. Returns whether an entry was written.
    pub async fn looked(&self, at: Look, by: &Actor, now: OffsetDateTime) -> Result<bool, DbError> {
        let mut tx = self.by(by).begin().await?;
        let told = sqlx::query(
            "INSERT INTO text_look AS l (tenant_id, actor, what, id, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, actor, what, id) DO UPDATE SET at = excluded.at
             WHERE l.at <= excluded.at - make_interval(secs => $6)",
        )
        .bind(self.tenant.uuid())
        .bind(identity(by))
        .bind(at.as_str())
        .bind(at.of().unwrap_or(self.tenant.uuid()))
        .bind(now)
        .bind(LOOK.as_secs_f64())
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(told > 0)
    }
}
