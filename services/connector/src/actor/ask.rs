//! A tenant's program is asked where a text goes.

use super::{Actor, persist};
use crate::webhooks::{AskFailed, Question};
use ccm_db::{DbError, PendingText};
use ccm_model::SmsSettings;
use ccm_routing::{Action, Decision, Facts, Router, Then};
use std::time::Duration;
use tokio::time::Instant;

impl Actor {
    /// What is to be done: by the decision, or, where that is to ask the tenant's program, by what it says, else by the rule's
    /// fallback. `None`: the actor was stopped.
    pub(super) async fn ask(
        &mut self,
        head: &PendingText,
        router: &Router,
        facts: &Facts<'_>,
        decision: Decision,
        sms: &SmsSettings,
    ) -> Result<Option<Action>, DbError> {
        let (url, timeout_ms, fallback) = match decision.action {
            Action::Webhook {
                url,
                timeout_ms,
                fallback,
            } => (url, timeout_ms, *fallback),
            action => return Ok(Some(action)),
        };
        match &self.answer {
            Some((asked, action)) if *asked == head.message => return Ok(Some(action.clone())),
            _ => {}
        }
        let secrets = persist!(self, |db| db.webhook_secrets())?;
        let question = Question {
            message_id: head.message,
            conversation_id: self.conversation,
            to: facts.to,
            from: facts.from,
            text: facts.text,
            language: facts.language,
            received_at: head.created_at,
            rule: decision.rule.as_deref(),
            skillset: facts.own_skillset,
        };
        let (deps, tenant) = (self.deps.clone(), self.fence.owned.tenant);
        let to = (url.as_str(), Duration::from_millis(timeout_ms.into()));
        let asked = deps.webhooks.ask(tenant, to, question, &secrets, facts.now);
        tokio::pin!(asked);
        let said = loop {
            tokio::select! {
                said = &mut asked => break said,
                // Who refuses texts meanwhile does not wait for a program.
                () = self.nudge.notified() => {
                    self.more = true;
                    self.nudged = true;
                    self.read_line().await?;
                    self.answer_keywords(sms, [facts.language, facts.tenant_language]).await?;
                }
                () = self.stop.cancelled() => return Ok(None),
            }
        };
        let action = match said {
            Ok(None) => Ok(router.unruled(facts)),
            Ok(Some(said)) => router.act_on(&said, facts).map_err(AskFailed::from),
            Err(failed) => Err(failed),
        };
        let action = match action {
            Ok(action) if self.is_known(&action).await? => Ok(action),
            Ok(_) => Err(AskFailed::NoSuchSkillset),
            Err(failed) => Err(failed),
        };
        let outcome = action.as_ref().map_or_else(AskFailed::as_str, |_| "answered");
        metrics::counter!("ccm_connector_webhooks_total", "outcome" => outcome).increment(1);
        let action = action.unwrap_or_else(|failed| {
            tracing::warn!(tenant.id = %tenant, conversation.id = %self.conversation, rule = decision.rule.as_deref(), why = %failed, "a routing webhook failed; its rule's fallback decides");
            fallback
        });
        // What is kept is decided anew at the opening.
        if !matches!(action, Action::HoldUntil { .. }) {
            self.answer = Some((head.message, action.clone()));
        }
        Ok(Some(action))
    }

    /// Whether the tenant has the skillset that an action names.
    async fn is_known(&self, action: &Action) -> Result<bool, DbError> {
        let name = match action {
            Action::Skillset { name } => name,
            Action::Reply {
                then: Then::Offer { skillset: Some(name) },
                ..
            }
            | Action::HoldUntil {
                skillset: Some(name), ..
            } => name,
            _ => return Ok(true),
        };
        Ok(persist!(self, |db| db.link_of_skillset(name))?.is_some())
    }
}
