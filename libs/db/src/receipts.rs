//! What became of texts to phones, as their providers tell later, and what agents are told of it.

use crate::{DbError, Fence, TenantDb, TextKind, documents, storable::storable};
use aws_lc_rs::digest::{SHA256, digest};
use ccm_model::{AccountId, ChatId, ConversationId, Id, MessageId, Report, SmsSettings};
use sqlx::{Postgres, Row, Transaction};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A receipt from a provider.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub account: AccountId,
    /// The provider's id of the text.
    pub provider_id: String,
    pub report: Report,
    /// The provider's name of the failure.
    pub code: Option<String>,
}

/// What a receipt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipted {
    /// It changed the text's state. `noted`: an agent's chat has a note about it now.
    News {
        conversation: ConversationId,
        noted: bool,
    },
    /// It is for a text that no answer to a send has named yet: kept for that.
    Early,
    /// It says less than what is known.
    Old,
}

/// What agents' notes are authored by.
const NOTE: &str = "note";

/// What an agent is told of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate<'a> {
    /// It did not reach the phone, for this reason.
    Failed(&'a str),
    /// Nobody knows; in these words.
    Unknown(&'a str),
}

impl TenantDb<'_> {
    /// Takes a receipt. The same one again, and one that another overrules, changes nothing, whatever their order.
    pub async fn receipt(&self, receipt: &Receipt, at: OffsetDateTime) -> Result<Receipted, DbError> {
        let mut tx = self.begin().await?;
        // The row's lock comes first here and where a send's answer is recorded.
        let row = sqlx::query(
            "INSERT INTO provider_message AS p (account_id, provider_message_id, tenant_id, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (account_id, provider_message_id) DO UPDATE SET tenant_id = p.tenant_id
             RETURNING message_id, conversation_id, report, tenant_id",
        )
        .bind(receipt.account.uuid())
        .bind(storable(&receipt.provider_id))
        .bind(self.tenant.uuid())
        .bind(at)
        .fetch_one(&mut *tx)
        .await?;
        let before: Option<Report> = row
            .try_get::<Option<&str>, _>("report")?
            .map(str::parse)
            .transpose()?;
        let counts = before.map_or(receipt.report, |before| before.and(receipt.report));
        let found = row
            .try_get::<Option<Uuid>, _>("message_id")?
            .zip(row.try_get("conversation_id")?);
        if before == Some(counts) {
            tx.commit().await?;
            return Ok(Receipted::Old);
        }
        sqlx::query(
            "UPDATE provider_message SET report = $3, report_code = $4, reported_at = $5
             WHERE account_id = $1 AND provider_message_id = $2",
        )
        .bind(receipt.account.uuid())
        .bind(storable(&receipt.provider_id))
        .bind(counts.as_str())
        .bind(receipt.code.as_deref().map(storable))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        let Some((message, conversation)) = found else {
            tx.commit().await?;
            return Ok(Receipted::Early);
        };
        let code = receipt.code.as_deref().filter(|_| counts.is_failure());
        let noted = self.report(&mut tx, MessageId(message), counts, code, at).await?;
        tx.commit().await?;
        Ok(Receipted::News {
            conversation: ConversationId(conversation),
            noted,
        })
    }

    /// Writes what is reported of a text that its provider has taken; an agent is told of a failure. Whether one was.
    pub(crate) async fn report(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        message: MessageId,
        report: Report,
        code: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let reason = report.is_failure().then(|| match (report, code) {
            (Report::Expired, _) => "The phone was not reached in time.".to_owned(),
            (_, Some(code)) => format!("The mobile network refused it (code {code})."),
            (_, None) => "The mobile network did not deliver it.".to_owned(),
        });
        if let Some(reason) = &reason {
            self.lock_conversation_of(tx, message).await?;
            sqlx::query(
                "UPDATE message SET state = $3, error_code = $4, error_detail = $5, updated_at = $6
                 WHERE tenant_id = $1 AND id = $2",
            )
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .bind(report.state().as_str())
            .bind(code.map(storable))
            .bind(format!("receipt: {reason}"))
            .bind(at)
            .execute(&mut **tx)
            .await?;
            return self.note_failure(tx, message, Fate::Failed(reason), at).await;
        }
        sqlx::query(
            "UPDATE message SET state = $3, error_code = NULL, error_detail = NULL, updated_at = $4
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(report.state().as_str())
        .bind(at)
        .execute(&mut **tx)
        .await?;
        Ok(false)
    }

    /// Whoever will write a note locks the conversation before the message and its line, as those who put a text into the line
    /// do.
    pub(crate) async fn lock_conversation_of(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        message: MessageId,
    ) -> Result<(), DbError> {
        sqlx::query(
            "SELECT 1 FROM conversation WHERE tenant_id = $1 AND id = (
               SELECT conversation_id FROM message WHERE tenant_id = $1 AND id = $2) FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Puts a note about a failed text of an agent into the chat, if there is one, the tenant wants it, and none stands there
    /// since a moment ago. The conversation is locked. Whether it did; twice for one text it does nothing.
    pub(crate) async fn note_failure(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        message: MessageId,
        fate: Fate<'_>,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let row = sqlx::query(
            "SELECT m.conversation_id, m.origin, s.settings, t.settings ->> 'language' AS language,
                    (SELECT max(n.created_at) FROM message n WHERE n.tenant_id = $1
                       AND n.conversation_id = m.conversation_id AND n.origin = 'system'
                       AND n.direction = 'mo' AND n.author = $4 AND n.id >= uuid_v7_floor($3)) AS noted_at
             FROM message m
             JOIN chat c ON c.tenant_id = m.tenant_id AND c.conversation_id = m.conversation_id AND c.state <> 'closed'
             LEFT JOIN sms_settings s ON s.tenant_id = m.tenant_id
             LEFT JOIN chat_settings t ON t.tenant_id = m.tenant_id
             WHERE m.tenant_id = $1 AND m.id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(at - Duration::hours(2))
        .bind(NOTE)
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let settings: SmsSettings = documents::parse_or_default("SMS settings", row.try_get("settings")?)?;
        let notes = &settings.agent_notes;
        let gap = Duration::seconds(notes.min_gap_s.into());
        let noted_at: Option<OffsetDateTime> = row.try_get("noted_at")?;
        let too_soon = noted_at.is_some_and(|then| at - then < gap);
        if !notes.failures || row.try_get::<&str, _>("origin")? != "agent" || too_soon {
            return Ok(false);
        }
        let language = row.try_get::<Option<&str>, _>("language")?.unwrap_or("en");
        let Some(words) = notes
            .failed
            .in_language(language)
            .or(notes.failed.in_language("en"))
        else {
            return Ok(false);
        };
        let body = match fate {
            Fate::Failed(reason) => format!("{} {}", notes.prefix, words.replace("{reason}", reason)),
            Fate::Unknown(words) => format!("{} {words}", notes.prefix),
        };
        let conversation = ConversationId(row.try_get("conversation_id")?);
        self.put_note(tx, derived_id(message, NOTE), conversation, NOTE, &body, at)
            .await
    }

    /// Tells the agents of an open chat something, once.
    pub async fn note_to_agents(
        &self,
        fence: &Fence,
        conversation: ConversationId,
        chat: ChatId,
        body: &str,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.fenced(fence).await?;
        let id = derived_id(MessageId(chat.uuid()), NOTE);
        self.put_note(&mut tx, id, conversation, NOTE, body, at).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(crate) async fn put_note(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        id: MessageId,
        conversation: ConversationId,
        author: &str,
        body: &str,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        self.put_for_agent(tx, id, conversation, (author, TextKind::Note), body, at)
            .await
    }

    /// Puts a text of ours into the line to the agent, once: a note for those who are there, or a text that opens a chat.
    pub(crate) async fn put_for_agent(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        id: MessageId,
        conversation: ConversationId,
        (author, kind): (&str, TextKind),
        body: &str,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let written = sqlx::query(
            "WITH seq AS (
               UPDATE conversation SET next_seq = next_seq + 1 WHERE tenant_id = $1 AND id = $3
                 AND NOT EXISTS (SELECT 1 FROM message WHERE tenant_id = $1 AND id = $2)
               RETURNING next_seq - 1 AS seq
             ), note AS (
               INSERT INTO message (id, tenant_id, conversation_id, seq, direction, origin, author, body, state,
                                    created_at, updated_at)
               SELECT $2, $1, $3, seq, 'mo', 'system', $4, $5, 'accepted', $6, $6 FROM seq RETURNING id, seq
             )
             INSERT INTO inbox (message_id, tenant_id, conversation_id, seq, kind)
             SELECT id, $1, $3, seq, $7 FROM note",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(conversation.uuid())
        .bind(author)
        .bind(storable(body))
        .bind(at)
        .bind(kind.as_str())
        .execute(&mut **tx)
        .await?;
        Ok(written.rows_affected() > 0)
    }
}

/// The id of a text that follows from another (a note about it, a reply to it): always the same, so that who asks twice writes
/// one, and of the other's month.
pub fn derived_id(message: MessageId, what: &str) -> MessageId {
    let hash = digest(&SHA256, &[what.as_bytes(), message.uuid().as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&message.uuid().as_bytes()[..6]);
    bytes[6..].copy_from_slice(&hash.as_ref()[..10]);
    let made = uuid::Builder::from_bytes(bytes)
        .with_variant(uuid::Variant::RFC4122)
        .with_version(uuid::Version::SortRand);
    MessageId(made.into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_one_id_of_its_texts_month() {
        let message = MessageId(Uuid::parse_str("019331f0-7a00-7000-8000-000000000003").unwrap());
        let note = derived_id(message, NOTE);
        assert_eq!(note, derived_id(message, NOTE));
        assert_ne!(note, derived_id(message, "stop_reply"));
        assert_ne!(note, message);
        assert_eq!(note.uuid().get_version_num(), 7);
        assert_eq!(note.uuid().as_bytes()[..6], message.uuid().as_bytes()[..6]);
    }
}
