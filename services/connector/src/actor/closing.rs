//! The end of a chat whose tenant is being deleted, or whose customer erased.

use super::{Actor, persist, start::Start};
use crate::policy::Why;
use ccm_db::{DbError, TextKind};
use ccm_ewc_client::Chat;
use ccm_ewc_proto::session::Phase;
use tokio::time::Instant;

const NOTE: &str = "Texting has been switched off for this contact center. This chat ends now, and the customer gets no more texts.";

impl Actor {
    pub(super) fn tenant_closes(&self) -> bool {
        let tenant = self.fence.owned.tenant;
        self.ownership.borrow().closing.contains(&tenant)
    }

    /// Nothing waits but the word that the customer is being erased.
    pub(super) fn customer_erased(&self) -> bool {
        let front = self.line.front();
        front.is_some_and(|text| text.kind == TextKind::Erased)
    }

    /// An agent who is there gets what waits, and a note after it; then the chat is left. What has no agent yet waits in the database:
    /// the deletion may be taken back.
    pub(super) async fn end_for_good(
        &mut self,
        chat: &mut Chat,
        start: &Start,
    ) -> Result<Option<Why>, DbError> {
        if self.in_flight.is_some() {
            return Ok(None);
        }
        let notes = &start.sms.agent_notes;
        if let (Some(row), Phase::Live, true) = (self.chat, chat.phase(), notes.failures) {
            if !self.told_of_end {
                let (fence, conversation, at) = (self.fence, self.conversation, self.now());
                let body = format!("{} {NOTE}", notes.prefix);
                persist!(self, |db| db.note_to_agents(&fence, conversation, row, &body, at))?;
                self.told_of_end = true;
                self.more = true;
                self.read_line().await?;
            }
            if !self.line.is_empty() {
                return Ok(None);
            }
        }
        chat.leave();
        Ok(Some(Why::TenantDeleted))
    }
}
