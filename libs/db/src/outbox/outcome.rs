//! What became of a text, and what follows from it.

use super::Claim;
use crate::{
    DbError, TenantDb,
    consent::{OPTED_OUT, OPTED_OUT_REASON},
    life::RESTORED,
    receipts::Fate,
    storable::storable,
};
use ccm_model::{AccountId, Id, IdSource, MessageId, MessageState, Origin, Report};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What the provider said.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It took the text. `provider_id` is its name for it, where that was heard.
    Sent { provider_id: Option<String> },
    /// Not now. `in_doubt`: it may have taken the text all the same.
    Retry {
        after: Duration,
        in_doubt: bool,
        code: Option<String>,
        detail: String,
    },
    /// Never.
    Failed {
        code: Option<String>,
        /// For the operator.
        detail: String,
        /// For whoever wrote the text.
        reason: String,
        /// Whether it is because the customer has refused texts from this address.
        opted_out: bool,
    },
    /// It was not sent: the customer has opted out.
    OptedOut,
    /// It was not sent in this life of the database; whether in the life before, only people can tell.
    InDoubt,
}

/// What is stored in a text's row.
struct Settled<'a> {
    state: MessageState,
    provider_id: Option<&'a str>,
    code: Option<&'a str>,
    detail: Option<&'a str>,
    /// What the agent is told, of a failure.
    reason: Option<&'a str>,
}

/// An outcome to be recorded.
struct Recording<'a> {
    claim: &'a Claim,
    message: MessageId,
    account: AccountId,
    outcome: &'a Outcome,
    ids: &'a IdSource,
    at: OffsetDateTime,
}

pub(crate) const SETTLE: &str = "
UPDATE message SET state = $3, provider_message_id = $4, error_code = $5, error_detail = $6, updated_at = $7
WHERE tenant_id = $1 AND id = $2 RETURNING origin";

impl TenantDb<'_> {
    /// Records what the provider of `account` said. Returns whether the claim still holds and the line has more.
    ///
    /// A `Sent` that comes after the claim was lost is recorded all the same if the text is still on its way: a text that
    /// the provider took is not sent once more because its answer was slow. Other late answers change nothing.
    ///
    /// Can be called again when it is not known whether a call was committed.
    pub async fn finish_send(
        &self,
        claim: &Claim,
        message: MessageId,
        account: AccountId,
        outcome: &Outcome,
        ids: &IdSource,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let recording = Recording {
            claim,
            message,
            account,
            outcome,
            ids,
            at,
        };
        if let Outcome::Retry { after, in_doubt, .. } = outcome {
            return self.record_retry(&recording, *after, *in_doubt).await;
        }
        let fails = matches!(
            outcome,
            Outcome::Failed { .. } | Outcome::OptedOut | Outcome::InDoubt
        );
        match self.record_end(&recording, fails).await? {
            Some(more) => Ok(more),
            // The provider took it, and its receipt of a failure was faster than its answer.
            None => Ok(self.record_end(&recording, true).await?.unwrap_or(false)),
        }
    }

    async fn record_retry(
        &self,
        recording: &Recording<'_>,
        after: Duration,
        in_doubt: bool,
    ) -> Result<bool, DbError> {
        let Recording { claim, message, .. } = *recording;
        let mut tx = self.begin().await?;
        // Else whoever has the claim now asks the provider again, and hears for himself.
        if !self.lock_line(&mut tx, claim).await? {
            return Ok(false);
        }
        let waits = sqlx::query("UPDATE outbox SET state = $3 WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .bind(if in_doubt { "sending" } else { "queued" })
            .execute(&mut *tx)
            .await?
            .rows_affected();
        // Else a late answer to an earlier attempt has settled it.
        if waits > 0 {
            let settled = settled(recording.outcome, None);
            self.settle(&mut tx, message, &settled, recording.at).await?;
        }
        self.put_back(&mut tx, claim, after).await?;
        tx.commit().await?;
        Ok(false)
    }

    /// `None`: an agent is to be told of a failure, and this was to be said beforehand (`fails`).
    ///
    /// Locks come in this order: conversation (an agent's note gets its place in it; who puts a text in line holds it
    /// already when he comes to the line), line, provider's id (receipts begin there), text.
    async fn record_end(&self, recording: &Recording<'_>, fails: bool) -> Result<Option<bool>, DbError> {
        let Recording {
            claim,
            message,
            outcome,
            at,
            ..
        } = *recording;
        let mut tx = self.begin_hot().await?;
        if fails {
            sqlx::query("SELECT 1 FROM conversation WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE")
                .bind(self.tenant.uuid())
                .bind(claim.conversation.uuid())
                .execute(&mut *tx)
                .await?;
        }
        let holds = self.lock_line(&mut tx, claim).await?;
        // Whoever has the claim now asks the provider again, and hears for himself.
        if !holds && !matches!(outcome, Outcome::Sent { .. }) {
            return Ok(Some(false));
        }
        let removed = sqlx::query("DELETE FROM outbox WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        // Else it is settled already.
        if removed > 0 {
            let report = self.learn_id(&mut tx, recording).await?;
            let settled = settled(outcome, report.as_ref());
            if settled.reason.is_some() && !fails {
                return Ok(None);
            }
            let origin = self.settle(&mut tx, message, &settled, at).await?;
            if let Outcome::Failed { .. } | Outcome::InDoubt = outcome {
                let (code, detail) = (
                    settled.code.unwrap_or("ccm:refused"),
                    settled.detail.unwrap_or_default(),
                );
                self.bury(&mut tx, message, Some(recording.account), code, detail, at)
                    .await?;
            }
            if let Outcome::Failed { opted_out: true, .. } = outcome {
                self.opted_out_at_carrier(&mut tx, recording, settled.code)
                    .await?;
            }
            if let Some(reason) = settled.reason
                && origin == Some(Origin::Agent)
            {
                let fate = match outcome {
                    Outcome::InDoubt => Fate::Unknown(reason),
                    _ => Fate::Failed(reason),
                };
                self.note_failure(&mut tx, message, fate, at).await?;
            }
        }
        let more = holds && !self.drop_if_empty(&mut tx, claim.conversation).await?;
        tx.commit().await?;
        Ok(Some(more))
    }

    /// Writes down which text the provider means by its id, and returns what receipts have said of it so far.
    async fn learn_id(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        recording: &Recording<'_>,
    ) -> Result<Option<(Report, Option<String>)>, DbError> {
        let Outcome::Sent {
            provider_id: Some(provider_id),
        } = recording.outcome
        else {
            return Ok(None);
        };
        let provider_id = storable(provider_id);
        // What the table does not take is no reason to send the text again.
        if !(1..=200).contains(&provider_id.chars().count()) {
            return Ok(None);
        }
        let row = sqlx::query(
            "INSERT INTO provider_message (account_id, provider_message_id, tenant_id, message_id, conversation_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (account_id, provider_message_id) DO UPDATE
               SET message_id = coalesce(provider_message.message_id, excluded.message_id),
                   conversation_id = coalesce(provider_message.conversation_id, excluded.conversation_id)
             RETURNING message_id, report, report_code",
        )
        .bind(recording.account.uuid())
        .bind(provider_id)
        .bind(self.tenant.uuid())
        .bind(recording.message.uuid())
        .bind(recording.claim.conversation.uuid())
        .bind(recording.at)
        .fetch_one(&mut **tx)
        .await?;
        // A provider that gives one id to two texts says nothing of the second one.
        if row.try_get::<Option<Uuid>, _>("message_id")? != Some(recording.message.uuid()) {
            return Ok(None);
        }
        match row.try_get::<Option<&str>, _>("report")? {
            Some(report) => Ok(Some((report.parse()?, row.try_get("report_code")?))),
            None => Ok(None),
        }
    }

    /// Returns who wrote the text, if it is there.
    async fn settle(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        message: MessageId,
        settled: &Settled<'_>,
        at: OffsetDateTime,
    ) -> Result<Option<Origin>, DbError> {
        let origin: Option<String> = sqlx::query_scalar(SETTLE)
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .bind(settled.state.as_str())
            .bind(settled.provider_id.map(storable))
            .bind(settled.code.map(storable))
            .bind(settled.detail.map(storable))
            .bind(at)
            .fetch_optional(&mut **tx)
            .await?;
        Ok(origin.map(|origin| origin.parse()).transpose()?)
    }

    /// The customer told the carrier, and not us.
    async fn opted_out_at_carrier(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        recording: &Recording<'_>,
        code: Option<&str>,
    ) -> Result<(), DbError> {
        sqlx::query(
            "WITH new AS (
               INSERT INTO opt_out (tenant_id, our_address, customer_address, source, since)
               SELECT tenant_id, our_address, customer_address, 'carrier', $3 FROM conversation
               WHERE tenant_id = $1 AND id = $2
               ON CONFLICT (tenant_id, our_address, customer_address) DO NOTHING
               RETURNING our_address, customer_address)
             INSERT INTO consent_event (id, tenant_id, our_address, customer_address, kind, source, message_id, evidence, at)
             SELECT $4, $1, our_address, customer_address, 'opt_out', 'carrier', $5, $6, $3 FROM new",
        )
        .bind(self.tenant.uuid())
        .bind(recording.claim.conversation.uuid())
        .bind(recording.at)
        .bind(recording.ids.next::<Uuid>())
        .bind(recording.message.uuid())
        .bind(code.map(|code| storable(code).chars().take(500).collect::<String>()))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// What is stored. `report`: what receipts said before the provider's answer was recorded.
fn settled<'a>(outcome: &'a Outcome, report: Option<&'a (Report, Option<String>)>) -> Settled<'a> {
    let failed = |code, detail, reason| Settled {
        state: MessageState::Failed,
        provider_id: None,
        code,
        detail: Some(detail),
        reason: Some(reason),
    };
    match outcome {
        Outcome::Failed {
            code, detail, reason, ..
        } => failed(code.as_deref(), detail, reason),
        Outcome::OptedOut => failed(
            Some(OPTED_OUT),
            "the customer has opted out of texts from this number; only the customer can opt in again",
            OPTED_OUT_REASON,
        ),
        Outcome::InDoubt => Settled {
            state: MessageState::Unknown,
            ..failed(
                Some(RESTORED),
                "the database was restored, and whether it had been sent before cannot be asked; replay sends it, discard says that it was sent",
                "The platform was restored from a backup. It is not known whether the customer has this text.",
            )
        },
        Outcome::Sent { provider_id } => {
            let fails = report.is_some_and(|(report, _)| report.is_failure());
            Settled {
                state: report.map_or(MessageState::Sent, |(report, _)| report.state()),
                provider_id: provider_id.as_deref(),
                code: report.and_then(|(_, code)| code.as_deref()),
                detail: fails
                    .then_some("the provider took the text, and its receipt says that it did not arrive"),
                reason: fails.then_some("The mobile network did not deliver the text."),
            }
        }
        Outcome::Retry { code, detail, .. } => Settled {
            state: MessageState::Queued,
            provider_id: None,
            code: code.as_deref(),
            detail: Some(detail),
            reason: None,
        },
    }
}
