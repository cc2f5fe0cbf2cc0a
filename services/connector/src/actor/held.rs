//! The line of texts that no agent has yet, and what the customer is told meanwhile.

use super::{Actor, persist};
use crate::{
    policy::{Deed, Policy},
    waits::Reason,
};
use ccm_db::{DbError, Notice, TextKind};
use ccm_model::{Body, MessageId};
use ccm_runtime::{TextEvent, count_text};
use std::time::Duration;
use tokio::time::Instant;

/// Texts read from the database at once.
const LINE_LENGTH: i64 = 20;

/// What ends a chat is not held too long.
fn expires(kind: TextKind) -> bool {
    !matches!(kind, TextKind::End | TextKind::Erased)
}

impl Actor {
    /// Reads on where the line is short and there may be more: a keyword behind texts that wait for an agent is to be answered
    /// at once.
    pub(super) async fn read_line(&mut self) -> Result<(), DbError> {
        if self.line.len() >= LINE_LENGTH as usize || !std::mem::take(&mut self.more) {
            return Ok(());
        }
        let (conversation, after) = (self.conversation, self.read_to);
        let texts = persist!(self, |db| db.pending_texts(conversation, after, LINE_LENGTH))?;
        if let Some(last) = texts.last() {
            self.read_to = last.seq;
        }
        self.more = texts.len() as i64 == LINE_LENGTH;
        self.line.extend(texts);
        // What waited before has been dropped where it is stored.
        if let Some(at) = self.line.iter().position(|t| t.kind == TextKind::Erased) {
            self.line.drain(..at);
        }
        Ok(())
    }

    /// Makes dead letters of what is held longer, or in greater number, than the tenant wants.
    pub(super) async fn expire_held(&mut self, policy: &mut Policy) -> Result<(), DbError> {
        let hold = policy.settings().hold.clone();
        if self.in_flight.is_some() {
            return Ok(());
        }
        let longest = time::Duration::seconds(hold.longest_s.into());
        while let Some(text) = self
            .line
            .pop_front_if(|t| expires(t.kind) && t.created_at + longest <= self.deps.ids.clock().now())
        {
            let detail = format!("no agent could be reached within {} s", hold.longest_s);
            self.give_up(text.message, "ccm:held_too_long", &detail).await?;
            policy.not_delivered();
            self.read_line().await?;
        }
        if std::mem::take(&mut self.nudged) && self.waiting.reason().is_some() {
            let (conversation, most) = (self.conversation, i64::from(hold.most_texts));
            for message in persist!(self, |db| db.texts_beyond(conversation, most, LINE_LENGTH))? {
                let detail = format!("{} texts of this conversation wait already", hold.most_texts);
                self.give_up(message, "ccm:too_many_held", &detail).await?;
                self.line.retain(|t| t.message != message);
                policy.not_delivered();
            }
        }
        Ok(())
    }

    async fn give_up(&mut self, message: MessageId, code: &str, detail: &str) -> Result<(), DbError> {
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_refused(&fence, message, code, detail, at))?;
        metrics::counter!("ccm_connector_texts_refused_total", "why" => "held").increment(1);
        count_text(fence.owned.tenant, TextEvent::Refused, None);
        tracing::error!(message.id = %message, error.code = code, why = detail, "a text became a dead letter");
        Ok(())
    }

    /// The head of the line is the tenant's word for ending the chat: it has done its work.
    pub(super) async fn keyword_heard(&mut self) -> Result<(), DbError> {
        let Some(text) = self.line.pop_front() else {
            return Ok(());
        };
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_delivered(&fence, text.message, at))?;
        metrics::counter!("ccm_connector_keywords_total").increment(1);
        Ok(())
    }

    /// When there is something to do for the line without anybody saying so.
    pub(super) fn next_look(&self, policy: &Policy) -> Option<Instant> {
        let longest = time::Duration::seconds(policy.settings().hold.longest_s.into());
        let front = self.line.front().filter(|t| expires(t.kind));
        let expires = front.filter(|_| self.in_flight.is_none()).map(|t| {
            let left = t.created_at + longest - self.deps.ids.clock().now();
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        expires.into_iter().chain(self.waiting.due()).min()
    }

    pub(super) async fn write_down_waits(&mut self) -> Result<(), DbError> {
        if self.waiting.due().is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let (fence, conversation, at) = (self.fence, self.conversation, self.now());
        let reason = self.waiting.reason().map(Reason::as_str);
        persist!(self, |db| db.set_waits(&fence, conversation, reason, at))?;
        self.waiting.written();
        Ok(())
    }

    /// Says everything that the policy wants said now; a chat that does not exist yet can do nothing else.
    pub(super) async fn speak(&mut self, policy: &mut Policy) -> Result<(), DbError> {
        while let Some(deed) = policy.poll(Instant::now()) {
            match deed {
                Deed::Say { kind, text } => self.say(policy, kind, &text).await?,
                Deed::AskQueueStatus => {}
                Deed::Leave(_) => break,
            }
        }
        Ok(())
    }

    /// Texts the customer in the tenant's name, unless the last text said the same.
    pub(super) async fn say(
        &mut self,
        policy: &Policy,
        kind: &'static str,
        text: &str,
    ) -> Result<(), DbError> {
        let Ok(body) = Body::new(text) else { return Ok(()) };
        let notice = Notice {
            message: self.deps.ids.next(),
            kind,
            body,
            chat: self.chat,
            told: serde_json::to_value(policy.told()).ok(),
            bound: None,
        };
        self.put_notice(&notice).await
    }

    /// A planned absence is told of once, to those whose texts wait for its end.
    pub(super) fn tell_of_maintenance(&mut self, policy: &mut Policy, reason: Option<Reason>) {
        match reason {
            Some(Reason::Maintenance) if !std::mem::replace(&mut self.told_of_maintenance, true) => {
                policy.maintenance();
            }
            Some(Reason::Maintenance) => {}
            _ => self.told_of_maintenance = false,
        }
    }
}
