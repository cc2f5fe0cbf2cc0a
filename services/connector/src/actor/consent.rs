//! What is not between customer and agent: keywords of consent, which CCM answers itself, and our notes to agents.

use super::{Actor, persist};
use crate::policy::Why;
use ccm_bus::Wake;
use ccm_db::{DbError, Notice, PendingText, Said, TextKind};
use ccm_model::{SmsSettings, settings::Words};
use tokio::time::Instant;

impl Actor {
    /// Answers keywords as they are read, whatever stands before them in the line: who refuses texts waits for no agent.
    pub(super) async fn answer_keywords(
        &mut self,
        settings: &SmsSettings,
        languages: [&str; 2],
    ) -> Result<(), DbError> {
        let said: Vec<_> = self
            .line
            .iter()
            .filter(|text| text.seq > self.answered)
            .map(|text| (text.seq, text.kind, text.message))
            .collect();
        for (seq, kind, message) in said {
            self.answered = seq;
            let consent = &settings.consent;
            let (reply, words) = match kind {
                TextKind::Stop => ("stop_reply", &consent.stop_reply),
                TextKind::Start => ("start_reply", &consent.start_reply),
                TextKind::Help => ("help_reply", &consent.help_reply),
                TextKind::Text | TextKind::Note | TextKind::End | TextKind::Erased => continue,
            };
            metrics::counter!("ccm_connector_consent_keywords_total", "reply" => reply).increment(1);
            if let Some(words) = in_language(words.as_ref(), languages) {
                self.reply(message, reply, words, settings).await?;
            }
        }
        Ok(())
    }

    /// Whether a keyword has been read that nobody has answered yet.
    pub(super) fn keyword_unanswered(&self) -> bool {
        let is_keyword = |kind| matches!(kind, TextKind::Stop | TextKind::Start | TextKind::Help);
        self.line
            .iter()
            .any(|text| text.seq > self.answered && is_keyword(text.kind))
    }

    /// Takes from the head of the line what needs no agent, where no chat is open for it.
    pub(super) async fn settle_without_chat(&mut self) -> Result<(), DbError> {
        while let Some(text) = self.line.pop_front_if(|text| text.kind != TextKind::Text) {
            self.settled = true;
            let (fence, message, at) = (self.fence, text.message, self.now());
            match text.kind {
                TextKind::Note => persist!(self, |db| db.note_expired(&fence, message, at))?,
                _ => persist!(self, |db| db.text_delivered(&fence, message, at))?,
            }
            self.read_line().await?;
        }
        Ok(())
    }

    /// All that was said needed no agent: the conversation is over.
    pub(super) async fn end_without_chat(&mut self) -> Result<(), DbError> {
        let (fence, conversation, at) = (self.fence, self.conversation, self.now());
        persist!(self, |db| db.chat_ended(
            &fence,
            conversation,
            None,
            "no agent was needed",
            None,
            at
        ))?;
        Ok(())
    }

    /// The chat's last text is read and nobody is in the chat who could be told: it is not needed any more.
    pub(super) async fn over_before_anybody_came(&mut self, present: bool) -> Result<Option<Why>, DbError> {
        if present || self.in_flight.is_some() {
            return Ok(None);
        }
        let last = |text: &mut PendingText| Why::after(text.kind).is_some();
        let Some(text) = self.line.pop_front_if(last) else {
            return Ok(None);
        };
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_delivered(&fence, text.message, at))?;
        Ok(Why::after(text.kind))
    }

    pub(super) async fn put_notice(&mut self, notice: &Notice) -> Result<(), DbError> {
        let (fence, conversation, at) = (self.fence, self.conversation, self.now());
        match persist!(self, |db| db.say(&fence, conversation, notice, at))? {
            Said::Stored => {
                metrics::counter!("ccm_connector_notices_total", "notice" => notice.kind).increment(1);
                self.deps.bus.publish(Wake::Outbound {
                    tenant: fence.owned.tenant,
                    conversation,
                });
            }
            Said::TooMany => {
                metrics::counter!("ccm_connector_auto_replies_withheld_total").increment(1);
                tracing::warn!(conversation.id = %conversation, reply = notice.kind, "no automatic reply: the customer has had as many as the tenant allows; two robots may be answering each other");
            }
            Said::Repeated => {}
        }
        Ok(())
    }
}

/// What an agent reads for a text: a refusal is explained.
pub(super) fn for_agent<'a>(
    text: &'a PendingText,
    settings: &SmsSettings,
    language: &str,
) -> std::borrow::Cow<'a, str> {
    let body = text.body.as_str();
    let notes = &settings.agent_notes;
    match (text.kind, in_language(Some(&notes.opted_out), [language, "en"])) {
        (TextKind::Stop, Some(words)) => format!("{body}\n{} {words}", notes.prefix).into(),
        (TextKind::End | TextKind::Erased, _) => format!("{} {body}", notes.prefix).into(),
        _ => body.into(),
    }
}

fn in_language<'a>(words: Option<&'a Words>, languages: [&str; 2]) -> Option<&'a str> {
    languages.iter().find_map(|l| words?.in_language(l))
}
