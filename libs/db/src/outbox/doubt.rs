//! A text that a provider may have already.

use super::Claim;
use crate::{DbError, TenantDb};
use ccm_model::{AccountId, Id, MessageId};
use time::OffsetDateTime;

/// Whether an earlier attempt may have reached a provider, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// None may have.
    No,
    /// One may have, and the provider recognises the text.
    Recognised,
    /// One may have, and the provider is to be asked before the text is sent again ([`TenantDb::mark_resend`]).
    Ask(Question),
    /// One may have, and nobody can tell: this is a re-send, and marked as one.
    Resend,
    /// One may have, before the database was restored, and only people can tell: it is not sent.
    Unknown,
}

/// What a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The earliest moment at which it may have had the text.
    pub since: OffsetDateTime,
    /// Another account whose provider may have it.
    pub also: Option<AccountId>,
    /// Where it does not say, only people can tell.
    pub or_nobody_knows: bool,
}

impl Doubt {
    /// How many requests to a provider it takes to send the text.
    pub(super) fn requests(&self) -> u32 {
        match self {
            Self::Ask(Question { also: Some(_), .. }) => 3,
            Self::Ask(_) => 2,
            Self::No | Self::Recognised | Self::Resend | Self::Unknown => 1,
        }
    }
}

impl TenantDb<'_> {
    /// Of the ids that a provider gives to texts, those that are known to mean others than this one.
    pub async fn ids_of_others(
        &self,
        account: AccountId,
        message: MessageId,
        provider_ids: &[String],
    ) -> Result<Vec<String>, DbError> {
        let mut tx = self.begin().await?;
        let others = sqlx::query_scalar(
            "SELECT provider_message_id FROM provider_message
             WHERE tenant_id = $1 AND account_id = $2 AND provider_message_id = ANY ($3) AND message_id <> $4",
        )
        .bind(self.tenant.uuid())
        .bind(account.uuid())
        .bind(provider_ids)
        .bind(message.uuid())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(others)
    }

    /// Marks a text as sent again although the provider may have it. To be called just before that; returns whether it may
    /// be done: the claim still holds.
    pub async fn mark_resend(
        &self,
        claim: &Claim,
        message: MessageId,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        if !self.lock_line(&mut tx, claim).await? {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE message SET resends = resends + 1, updated_at = $3 WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}
