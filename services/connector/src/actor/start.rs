//! Before a chat: whom, over which link, and whether there is room for one more.

use super::{
    Actor, RULES_LOOK, SETTINGS_LOOK, persist,
    route::{Routed, instant_of},
};
use crate::{
    admission::Full,
    customer::{self, Known},
    links::Reach,
    policy::{History, Policy, Told},
    translate,
    waits::Reason,
};
use ccm_db::{ActorContext, DbError, LastWords};
use ccm_ewc_client::Chat;
use ccm_ewc_proto::session::{Profile, Session};
use ccm_model::{ChatSettings, SmsSettings};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};

/// What a chat is served with.
pub(super) struct Start {
    pub reach: Arc<Reach>,
    pub settings: Arc<ChatSettings>,
    pub sms: Arc<SmsSettings>,
    pub policy: Policy,
    pub skillset: String,
    /// What agents see as the customer's name: in a transcript, the customer's own words carry it.
    pub name: String,
    pub chat: Option<Chat>,
}

pub(super) enum Begun {
    Start(Box<Start>),
    /// The settings may have changed: look once more.
    Again,
    /// Nothing waits, and no chat is open.
    Nothing,
    Stopped,
}

impl Actor {
    pub(super) async fn begin(&mut self) -> Result<Begun, DbError> {
        let conversation = self.conversation;
        let mut context = persist!(self, |db| db.actor_context(conversation))?;
        self.waiting.is_written(context.waits_for.as_deref());
        self.more = true;
        self.read_line().await?;
        let deps = self.deps.clone();
        let tenant = self.fence.owned.tenant;
        let sms = deps
            .tenants
            .sms_settings(tenant, std::mem::take(&mut context.sms));
        let language = customer::language(&context);
        let own = context.settings.language.clone();
        self.answer_keywords(&sms, [&language, &own]).await?;
        if context.chat.is_none() {
            self.settle_without_chat().await?;
        }
        if context.chat.is_none() && (self.line.is_empty() || self.tenant_closes()) {
            self.waiting.set(None);
            self.write_down_waits().await?;
            return Ok(Begun::Nothing);
        }
        let settings = deps
            .tenants
            .settings(tenant, std::mem::take(&mut context.settings));
        context.settings = (*settings).clone();
        let mut policy = self.policy(&context, settings.clone()).await?;
        self.routed_to = None;
        match context.chat.as_ref().map(|chat| chat.skillset.clone()) {
            // A chat stays with the agents that it was opened for.
            Some(Some(skillset)) => self.point_at(&mut context, &skillset).await?,
            Some(None) => {}
            None => match self.route(&mut context, &sms).await? {
                Routed::ToAgents => {}
                Routed::Done => return Ok(Begun::Again),
                Routed::Kept(at) => return self.keep(&mut policy, at).await,
                Routed::Stopped => return Ok(Begun::Stopped),
            },
        }
        let link = context.link.clone();
        let Some(reach) = persist!(self, |_db| deps.tenants.reach(&deps.db, tenant, link.clone()))? else {
            self.waiting.set(Some(Reason::Settings));
            return self.wait(&mut policy, std::future::pending()).await;
        };
        self.chat = context.chat.as_ref().map(|c| c.id);
        if let Some(begun) = self.enter(&context, &mut policy).await? {
            return Ok(begun);
        }
        let (previous, written) = match context.chat {
            None => (
                persist!(self, |db| db.previous_chat(conversation))?,
                persist!(self, |db| db.written_before(conversation))?,
            ),
            Some(_) => (None, Vec::new()),
        };
        let known = Known {
            first_text: self.line.front().map(|t| t.body.as_str()),
            previous: previous.as_ref(),
            now: self.now(),
            context: &context,
        };
        let profile = Profile {
            device_type: translate::DEVICE_TYPE.into(),
            intrinsics: known.intrinsics(),
        };
        self.note = known
            .first_note(&written, &sms.agent_notes)
            .filter(|_| context.chat.is_none());
        self.replay = context.chat.is_none().then(Default::default);
        self.logged_in = None;
        let name = profile.intrinsics.name.to_string();
        let session = Session::new(
            deps.tenants.session(&settings),
            profile,
            translate::login(&context),
            deps.ids.next_u64(),
        );
        Ok(Begun::Start(Box::new(Start {
            chat: Some(reach.chat(session)),
            reach,
            settings,
            sms,
            policy,
            skillset: context.skillset,
            name,
        })))
    }

    /// Waits for an opening, or for other rules.
    async fn keep(&mut self, policy: &mut Policy, at: Option<OffsetDateTime>) -> Result<Begun, DbError> {
        let look = Instant::now() + RULES_LOOK;
        let until = at.map_or(look, |at| instant_of(at, self.now()).min(look));
        let opens = async move {
            sleep_until(until).await;
            true
        };
        self.wait(policy, opens).await
    }

    async fn policy(&self, context: &ActorContext, settings: Arc<ChatSettings>) -> Result<Policy, DbError> {
        let now = Instant::now();
        let language = customer::language(context);
        let Some(chat) = &context.chat else {
            return Ok(Policy::new(
                settings,
                language,
                Told::default(),
                History::default(),
                false,
                now,
            ));
        };
        let (conversation, id) = (self.conversation, chat.id);
        let last: LastWords = persist!(self, |db| db.last_words(conversation, id))?;
        let clock = self.now();
        let ago = |at: OffsetDateTime| Duration::try_from(clock - at).unwrap_or_default();
        let history = History {
            age: ago(chat.opened_at),
            customer_silent: last.customer_at.map(ago),
            agent_silent: last.agent_at.map(ago),
        };
        let told = serde_json::from_value(chat.told.clone()).unwrap_or_default();
        let served = chat.room == ccm_db::RoomState::Live;
        Ok(Policy::new(settings, language, told, history, served, now))
    }

    /// Takes a place among the tenant's chats, or waits for one. `Some`: it came to something else.
    async fn enter(&mut self, context: &ActorContext, policy: &mut Policy) -> Result<Option<Begun>, DbError> {
        let (deps, owned) = (self.deps.clone(), self.fence.owned);
        let now = self.now();
        let admission = persist!(self, |_db| deps.tenants.admission(&deps.db, owned, now))?;
        if let Some(chat) = &context.chat {
            self.place = None;
            let skillset = chat.skillset.as_deref().unwrap_or(&context.skillset);
            self.place = Some(admission.enter_open(self.conversation, &context.customer_address, skillset));
            return Ok(None);
        }
        if self.place.is_some() {
            return Ok(None);
        }
        let (place, wait) = admission.ask(
            self.conversation,
            &context.customer_address,
            &context.skillset,
            &context.settings.limits,
            now,
        );
        if let Some((full, word)) = wait {
            self.waiting.set(Some(match full {
                Full::Customer => Reason::CustomerLimit,
                Full::Skillset => Reason::SkillsetLimit,
            }));
            // Its end is not heard only when the count began anew, with another owner.
            let granted = async move { word.await.is_ok() };
            match self.wait(policy, granted).await? {
                Begun::Again => {}
                other => return Ok(Some(other)),
            }
        }
        self.place = Some(place);
        Ok(None)
    }

    /// Waits for `until`, or for new settings every few seconds where that never comes; what is held too long becomes a dead
    /// letter meanwhile.
    async fn wait(
        &mut self,
        policy: &mut Policy,
        until: impl Future<Output = bool>,
    ) -> Result<Begun, DbError> {
        tokio::pin!(until);
        let look_at = Instant::now() + SETTINGS_LOOK;
        let never = self.waiting.reason() == Some(Reason::Settings);
        loop {
            self.speak(policy).await?;
            self.expire_held(policy).await?;
            self.write_down_waits().await?;
            self.read_line().await?;
            if self.keyword_unanswered() || self.tenant_closes() || self.customer_erased() {
                return Ok(Begun::Again);
            }
            if self.line.is_empty() && self.chat.is_none() {
                self.waiting.set(None);
                self.write_down_waits().await?;
                return Ok(Begun::Nothing);
            }
            let due = self
                .next_look(policy)
                .into_iter()
                .chain(never.then_some(look_at))
                .min();
            tokio::select! {
                granted = &mut until => match granted {
                    true => return Ok(Begun::Again),
                    false => return Ok(Begun::Stopped),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if never && look_at <= Instant::now() {
                        return Ok(Begun::Again);
                    }
                }
                () = self.nudge.notified() => {
                    self.more = true;
                    self.nudged = true;
                }
                () = self.stop.cancelled() => return Ok(Begun::Stopped),
            }
        }
    }
}
