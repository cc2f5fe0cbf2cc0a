//! Where a text goes that no chat is open for: by the tenant's rules, to agents now or later, or to nobody.

use super::{Actor, persist};
use crate::{customer, waits::Reason};
use ccm_db::{ActorContext, DbError, Notice, derived_id};
use ccm_model::{Body, MessageId, SmsSettings};
use ccm_routing::{Action, Facts, Held, Then};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// What is to be done about the head of the line.
pub(super) enum Routed {
    /// Agents get it: those that the context names.
    ToAgents,
    /// It is dealt with; the next text is the head.
    Done,
    /// Kept until then; `None`: until the settings change.
    Kept(Option<OffsetDateTime>),
    /// The actor was stopped meanwhile.
    Stopped,
}

impl Actor {
    pub(super) async fn route(
        &mut self,
        context: &mut ActorContext,
        sms: &SmsSettings,
    ) -> Result<Routed, DbError> {
        let deps = self.deps.clone();
        let tenant = self.fence.owned.tenant;
        let router = persist!(self, |_db| deps.tenants.router(&deps.db, tenant))?;
        let Some(head) = self.line.front().cloned() else {
            return Ok(Routed::Done);
        };
        // Whoever sent the customer here knows better than the number who is to answer; the tenant's rules and hours know best.
        let meant = customer::about(context, "skillset");
        if !meant.is_empty() {
            self.point_at(context, &meant).await?;
        }
        let (message, language) = (head.message, customer::language(context));
        let facts = facts(context, head.body.as_str(), &language, self.now());
        let decision = router.decide(&facts);
        // What is kept already is looked at again and again.
        if facts.held.is_none() || !matches!(decision.action, Action::HoldUntil { .. }) {
            metrics::counter!("ccm_connector_routed_total", "to" => name(&decision.action)).increment(1);
        }
        tracing::debug!(conversation.id = %self.conversation, rule = decision.rule.as_deref(), why = %decision.why, "a text was routed");
        let Some(action) = self.ask(&head, &router, &facts, decision, sms).await? else {
            return Ok(Routed::Stopped);
        };
        match action {
            Action::Default | Action::Webhook { .. } => self.offer_to(context, None).await,
            Action::Skillset { name } => self.offer_to(context, Some(&name)).await,
            Action::Reply { reply, then } => {
                self.reply(message, "rule_reply", &reply, sms).await?;
                match then {
                    Then::Done => {
                        let (fence, at) = (self.fence, self.now());
                        persist!(self, |db| db.text_delivered(&fence, message, at))?;
                        self.line.pop_front();
                        self.settled = true;
                        Ok(Routed::Done)
                    }
                    Then::Offer { skillset } => self.offer_to(context, skillset.as_deref()).await,
                }
            }
            Action::HoldUntil {
                at,
                calendar,
                reply,
                skillset,
            } => {
                if let Some(reply) = reply {
                    self.reply(message, "after_hours", &reply, sms).await?;
                }
                let held = json!({"calendar": calendar, "skillset": skillset});
                self.set_held(context, Some(held)).await?;
                self.waiting.set(Some(Reason::Opening));
                Ok(Routed::Kept(at))
            }
        }
    }

    async fn offer_to(
        &mut self,
        context: &mut ActorContext,
        skillset: Option<&str>,
    ) -> Result<Routed, DbError> {
        self.set_held(context, None).await?;
        if let Some(name) = skillset {
            self.point_at(context, name).await?;
        }
        Ok(Routed::ToAgents)
    }

    /// Makes the context that of another skillset of the tenant's. One that is gone is passed over: the number's own agents
    /// answer.
    pub(super) async fn point_at(
        &mut self,
        context: &mut ActorContext,
        skillset: &str,
    ) -> Result<(), DbError> {
        if skillset == context.skillset {
            return Ok(());
        }
        match persist!(self, |db| db.link_of_skillset(skillset))? {
            Some(link) => {
                context.link = link;
                context.skillset = skillset.to_owned();
                self.routed_to = Some(skillset.to_owned());
            }
            None => {
                metrics::counter!("ccm_connector_routed_nowhere_total").increment(1);
                tracing::warn!(conversation.id = %self.conversation, skillset, "a rule, or whoever sent the customer here, names a skillset that is gone; the number's own skillset gets the text");
            }
        }
        Ok(())
    }

    /// Answers a text without anybody having written the answer; once, however often it is asked for.
    pub(super) async fn reply(
        &mut self,
        to: MessageId,
        kind: &'static str,
        words: &str,
        sms: &SmsSettings,
    ) -> Result<(), DbError> {
        let Ok(body) = Body::new(words) else { return Ok(()) };
        let notice = Notice {
            message: derived_id(to, kind),
            kind,
            body,
            chat: self.chat,
            told: None,
            bound: Some(sms.auto_replies.clone()),
        };
        self.put_notice(&notice).await
    }

    async fn set_held(&mut self, context: &mut ActorContext, held: Option<Value>) -> Result<(), DbError> {
        if context.held == held {
            return Ok(());
        }
        let (fence, conversation, at) = (self.fence, self.conversation, self.now());
        persist!(self, |db| db.set_held(&fence, conversation, held.as_ref(), at))?;
        context.held = held;
        Ok(())
    }
}

fn facts<'a>(context: &'a ActorContext, text: &'a str, language: &'a str, now: OffsetDateTime) -> Facts<'a> {
    Facts {
        to: &context.our_address,
        from: &context.customer_address,
        text,
        language,
        tenant_language: &context.settings.language,
        own_skillset: &context.skillset,
        now,
        held: context.held.as_ref().and_then(read_held),
    }
}

fn read_held(held: &Value) -> Option<Held<'_>> {
    Some(Held {
        calendar: held.get("calendar")?.as_str()?,
        skillset: held.get("skillset").and_then(Value::as_str),
    })
}

/// A metric's label.
fn name(action: &Action) -> &'static str {
    match action {
        Action::Default => "default",
        Action::Skillset { .. } => "skillset",
        Action::Reply { .. } => "reply",
        Action::HoldUntil { .. } => "hold",
        Action::Webhook { .. } => "webhook",
    }
}

/// When a wait for the wall's clock ends, by ours.
pub(super) fn instant_of(at: OffsetDateTime, now: OffsetDateTime) -> Instant {
    Instant::now() + Duration::try_from(at - now).unwrap_or_default()
}
