//! What a chat makes CCM do besides carrying texts: the tenant's notices, comfort messages, the queue's news, idle and old
//! chats. Pure: time is an argument, deeds come out.
//!
//! What has been said is kept with the chat ([`Told`]), so that a pod that takes over does not say it again.

use ccm_db::TextKind;
use ccm_ewc_proto::{
    frame::{ComfortGroup, OnHoldUrls, QueueStatus},
    onhold::{self, OnHold},
    queue::{self, QueueTeller, Tell},
    session::{CloseReason, LeaveReason, Moment},
    text,
};
use ccm_model::{
    chat_settings::{ChatSettings, ComfortMode, LabelPolicy, SystemMeaning},
    fill,
    settings::Words,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Between the last agent's leaving and any notice of it: AACC 7.x does not say that it is a transfer, and the next agent comes
/// at once.
const LEFT_GRACE: Duration = Duration::from_secs(5);
/// How exactly AACC's check of idle customers keeps its time, as far as we see it.
const FORCE_IDLE_EARLY: Duration = Duration::from_secs(2);
const FORCE_IDLE_LATE: Duration = Duration::from_secs(15);
/// An agent who has just spoken ends the chat by hand.
const JUST_SPOKEN: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Text the customer. `kind` is what is compared so that nothing is said twice in a row.
    Say {
        kind: &'static str,
        text: String,
    },
    AskQueueStatus,
    /// End the chat for the customer, as soon as no text is in flight. Said once.
    Leave(Why),
}

/// Why we end a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    CustomerIdle,
    TooOld,
    Keyword,
    OptedOut,
    /// The number has gone to another tenant.
    NumberMoved,
    /// The texts that the chat was for are gone: held too long.
    NothingWaits,
    TenantDeleted,
    /// The customer is being erased.
    CustomerErased,
}

impl Why {
    /// Why the chat is left when the agent has read a text of this kind, or needs not any more.
    pub fn after(kind: TextKind) -> Option<Self> {
        match kind {
            TextKind::Stop => Some(Self::OptedOut),
            TextKind::End => Some(Self::NumberMoved),
            TextKind::Erased => Some(Self::CustomerErased),
            TextKind::Text | TextKind::Start | TextKind::Help | TextKind::Note => None,
        }
    }

    /// As stored with the chat.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CustomerIdle => "the customer was silent for the tenant's limit",
            Self::TooOld => "older than the tenant's limit",
            Self::Keyword => "ended by the customer's keyword",
            Self::OptedOut => "the customer has opted out",
            Self::NumberMoved => "the number has gone to another contact center",
            Self::NothingWaits => "no text waited for it any more",
            Self::TenantDeleted => "the tenant is being deleted",
            Self::CustomerErased => "the customer is being erased",
        }
    }
}

/// How a chat ended, as the customer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// AACC's check of idle customers: nothing is said, the next text goes on.
    ForceIdle,
    /// AACC has lost it: nothing is said, the next text goes on.
    Forgotten,
    Over,
}

/// What becomes of words out of the chat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phone {
    Text(String),
    /// They were AACC's own, or are not for the phone.
    Swallowed,
}

/// What a customer has been told in a chat, as stored with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// Comfort messages and links played.
    pub comfort: u32,
    /// The place in the queue and the wait in minutes that were told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<(Option<u32>, Option<u32>)>,
    /// The notice `waiting`, in this wait.
    pub waiting: bool,
}

/// When things were said last, where the chat is older than its actor.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History {
    pub age: Duration,
    pub customer_silent: Option<Duration>,
    pub agent_silent: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Nobody takes texts.
    Empty {
        since: Instant,
    },
    Served,
}

/// One chat's policy.
pub(crate) struct Policy {
    settings: Arc<ChatSettings>,
    language: String,
    told: Told,
    room: Room,
    onhold: OnHold,
    /// `None` where the tenant wants no such texts.
    queue: Option<QueueTeller>,
    opened_at: Instant,
    customer_at: Instant,
    agent_at: Option<Instant>,
    /// A text of the customer that no agent has answered, since then; told of once.
    owed_since: Option<Instant>,
    /// When the notice that all agents left is due.
    left_at: Option<Instant>,
    /// The order to leave has been given.
    leaving: bool,
    deeds: VecDeque<Deed>,
}

impl Policy {
    /// For a chat whose room is empty or not, and of which `told` and `history` are known.
    pub fn new(
        settings: Arc<ChatSettings>,
        language: String,
        told: Told,
        history: History,
        served: bool,
        now: Instant,
    ) -> Self {
        let ago = |d: Duration| now.checked_sub(d).unwrap_or(now);
        let opened_at = ago(history.age);
        let customer_at = history.customer_silent.map_or(opened_at, ago);
        let agent_at = history.agent_silent.map(ago);
        let room = match served {
            true => Room::Served,
            false => Room::Empty {
                since: agent_at.unwrap_or(opened_at),
            },
        };
        let std = now.into_std();
        Self {
            onhold: OnHold::resume(told.comfort, !served, &[], &[], onhold_policy(&settings), std),
            queue: queue_teller(&settings, &told, served, now),
            language,
            told,
            room,
            opened_at,
            customer_at,
            agent_at,
            owed_since: agent_at
                .is_none_or(|agent| agent < customer_at)
                .then_some(customer_at)
                .filter(|_| served && history.customer_silent.is_some()),
            left_at: None,
            leaving: false,
            deeds: VecDeque::new(),
            settings,
        }
    }

    pub fn settings(&self) -> &Arc<ChatSettings> {
        &self.settings
    }

    /// What has been told by now, to be stored.
    pub fn told(&self) -> Told {
        self.told.clone()
    }

    /// AACC gave a new chat: the wait begins.
    pub fn opened(&mut self, now: Instant) {
        self.told = Told::default();
        self.opened_at = now;
        self.customer_at = now;
        self.agent_at = None;
        self.owed_since = None;
        self.left_at = None;
        self.leaving = false;
        self.room = Room::Empty { since: now };
        self.queue = queue_teller(&self.settings, &self.told, false, now);
        self.onhold = OnHold::new(&[], &[], onhold_policy(&self.settings));
        self.onhold.start(now.into_std());
    }

    /// The chat is open, or open again after a broken link.
    pub fn logged_in(&mut self, now: Instant) {
        if let Some(queue) = &mut self.queue {
            queue.logged_in(now.into_std());
        }
    }

    /// What AACC would have us play.
    pub fn on_hold(&mut self, groups: &[ComfortGroup], urls: &[OnHoldUrls], now: Instant) {
        self.onhold.reload(groups, urls, now.into_std());
    }

    /// The room opened for texts, or closed.
    pub fn room(&mut self, served: bool, now: Instant) {
        if served {
            self.room = Room::Served;
            self.left_at = None;
            self.told.waiting = false;
            self.onhold.stop();
            if let Some(queue) = &mut self.queue {
                queue.agent_joined();
            }
            // AACC's clock of idle customers begins with the agent.
            self.customer_at = self.customer_at.max(now);
        } else {
            // The chat's end comes right behind, or the next agent.
            self.room = Room::Empty {
                since: now + LEFT_GRACE,
            };
            self.owed_since = None;
            self.told.waiting = false;
            self.onhold.start(now.into_std());
        }
    }

    /// Somebody left; the room has been told of before.
    pub fn left(&mut self, reason: Option<&LeaveReason>, remaining: usize, end: bool, now: Instant) {
        let goes_on = matches!(
            reason,
            Some(
                LeaveReason::Transfer
                    | LeaveReason::Requeue
                    | LeaveReason::Escalate
                    | LeaveReason::TransferToUser
            )
        );
        if remaining == 0 && !end && !goes_on {
            self.left_at.get_or_insert(now + LEFT_GRACE);
        }
    }

    /// AACC has no agent for this customer.
    pub fn no_agents(&mut self) {
        self.notice("no_agents", |n| n.no_agents.as_ref(), |_| None);
    }

    pub fn maintenance(&mut self) {
        self.notice("maintenance", |n| n.maintenance.as_ref(), |_| None);
    }

    pub fn not_delivered(&mut self) {
        self.notice("not_delivered", |n| n.not_delivered.as_ref(), |_| None);
    }

    pub fn file_offered(&mut self, agent: &str, file: &str) {
        let word = |w: &str| match w {
            "agent" => Some(agent.to_owned()),
            "file" => Some(file.to_owned()),
            _ => None,
        };
        self.notice("file", |n| n.file.as_ref(), word);
    }

    /// The chat is over, and nothing waits that would open the next one.
    pub fn ended(&mut self, end: End) {
        if end == End::Over {
            self.notice("chat_ended", |n| n.chat_ended.as_ref(), |_| None);
        }
    }

    pub fn queue_status(&mut self, status: &QueueStatus, now: Instant) {
        let Some(tell) = self
            .queue
            .as_mut()
            .and_then(|q| q.on_status(status, now.into_std()))
        else {
            return;
        };
        self.told.queue = Some((tell.position, tell.wait_minutes));
        let number = |n: Option<u32>| Some(n.map(|n| n.to_string()).unwrap_or_default());
        let word = |w: &str| match w {
            "position" => number(tell.position),
            "wait_minutes" => number(tell.wait_minutes),
            _ => None,
        };
        self.notice("queue", |n| n.queue.as_ref(), word);
    }

    /// AACC took a text of the customer.
    pub fn customer_spoke(&mut self, now: Instant) {
        self.customer_at = now;
        if self.settings.life.agent_idle_s.is_some() {
            self.owed_since.get_or_insert(now);
        }
    }

    /// What an agent, or AACC in the agents' place, wrote: as it goes to the phone.
    pub fn words(&mut self, name: &str, said: &str, moment: Moment, now: Instant) -> Phone {
        let settings = self.settings.clone();
        let labels: Vec<&str> = settings.agent_label.labels.iter().map(String::as_str).collect();
        let known: Vec<(&str, SystemMeaning)> = settings
            .system_texts
            .iter()
            .map(|t| (t.text.as_str(), t.means))
            .collect();
        if let Some(means) = text::system_notice(said, &labels, &known) {
            match means {
                SystemMeaning::NoAgents => self.no_agents(),
                SystemMeaning::AgentsLeft if self.room != Room::Served => {
                    self.left_at.get_or_insert(now + LEFT_GRACE);
                }
                SystemMeaning::AgentsLeft | SystemMeaning::Drop => {}
            }
            return Phone::Swallowed;
        }
        let (label, rest) = text::split_label(said, &labels);
        let nobodys = text::is_label(name, &labels) || label.is_some();
        if moment == Moment::FirstWords && nobodys && !settings.welcome {
            return Phone::Swallowed;
        }
        self.agent_at = Some(now);
        self.owed_since = None;
        let rest = if rest.is_empty() { said } else { rest };
        Phone::Text(match settings.agent_label.policy {
            LabelPolicy::Keep => said.to_owned(),
            LabelPolicy::Template if !text::is_label(name, &labels) => {
                fill(&settings.agent_label.template, |w| match w {
                    "agent" => Some(name.to_owned()),
                    "text" => Some(rest.to_owned()),
                    _ => None,
                })
            }
            LabelPolicy::Strip | LabelPolicy::Template => rest.to_owned(),
        })
    }

    /// The customer's language.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Whether a text of the customer is the tenant's word for ending the chat.
    pub fn is_keyword(&self, body: &str) -> bool {
        let keyword = self.settings.life.closing_keyword.as_deref();
        keyword.is_some_and(|k| {
            let fold = |s: &str| s.trim().chars().flat_map(char::to_lowercase).collect::<String>();
            fold(k) == fold(body)
        })
    }

    /// What an end that AACC brought about was.
    pub fn judge_end(&self, reason: CloseReason, now: Instant) -> End {
        if reason == CloseReason::Forgotten {
            return End::Forgotten;
        }
        let by_aacc = matches!(reason, CloseReason::AgentsEnded | CloseReason::FarSideEnded);
        let limit = Duration::from_secs(self.settings.life.force_idle_s.into());
        if !by_aacc || limit.is_zero() {
            return End::Over;
        }
        let silent = now.saturating_duration_since(self.customer_at);
        let agent_silent = self.agent_at.is_none_or(|at| at + JUST_SPOKEN <= now);
        let in_time = silent + FORCE_IDLE_EARLY >= limit && silent <= limit + FORCE_IDLE_LATE.max(limit / 10);
        if in_time && agent_silent {
            End::ForceIdle
        } else {
            End::Over
        }
    }

    /// The next deed that is due.
    pub fn poll(&mut self, now: Instant) -> Option<Deed> {
        self.look(now);
        self.deeds.pop_front()
    }

    /// When to poll again.
    pub fn next_timeout(&self) -> Option<Instant> {
        if !self.deeds.is_empty() {
            return Some(self.opened_at);
        }
        let std = |at: Option<std::time::Instant>| at.map(Instant::from_std);
        [
            self.left_at,
            self.waiting_due(),
            self.agent_idle_due(),
            self.leave_due().map(|(at, _)| at),
            std(self.onhold.next_timeout()),
            std(self.queue.as_ref().and_then(QueueTeller::ask_at)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn look(&mut self, now: Instant) {
        if self.left_at.take_if(|at| *at <= now).is_some() {
            self.notice("agents_left", |n| n.agents_left.as_ref(), |_| None);
        }
        if self.waiting_due().is_some_and(|at| at <= now) {
            self.told.waiting = true;
            self.notice("waiting", |n| n.waiting.as_ref(), |_| None);
        }
        if self.agent_idle_due().is_some_and(|at| at <= now) {
            self.owed_since = None;
            self.notice("waiting", |n| n.waiting.as_ref(), |_| None);
        }
        while let Some(play) = self.onhold.poll(now.into_std()) {
            self.told.comfort = self.onhold.played();
            self.deeds.push_back(Deed::Say {
                kind: "comfort",
                text: text::from_agent(&play.text).into_owned(),
            });
        }
        if self.queue.as_mut().is_some_and(|q| q.ask(now.into_std())) {
            self.deeds.push_back(Deed::AskQueueStatus);
        }
        if let Some((at, why)) = self.leave_due()
            && at <= now
        {
            self.leaving = true;
            self.deeds.push_back(Deed::Leave(why));
        }
    }

    fn waiting_due(&self) -> Option<Instant> {
        let Room::Empty { since } = self.room else {
            return None;
        };
        let worth = !self.told.waiting && self.settings.notices.waiting.is_some();
        worth.then(|| since + Duration::from_secs(self.settings.waiting_after_s.into()))
    }

    fn agent_idle_due(&self) -> Option<Instant> {
        let limit = self.settings.life.agent_idle_s?;
        (self.room == Room::Served).then_some(())?;
        Some(self.owed_since? + Duration::from_secs(limit.into()))
    }

    fn leave_due(&self) -> Option<(Instant, Why)> {
        if self.leaving {
            return None;
        }
        let life = &self.settings.life;
        let after = |from: Instant, s: u32| from + Duration::from_secs(s.into());
        let old = life.max_age_s.map(|s| (after(self.opened_at, s), Why::TooOld));
        let idle = life.customer_idle_s.filter(|_| self.room == Room::Served);
        let idle = idle.map(|s| (after(self.customer_at, s), Why::CustomerIdle));
        old.into_iter().chain(idle).min_by_key(|(at, _)| *at)
    }

    fn notice(
        &mut self,
        kind: &'static str,
        words: impl Fn(&ccm_model::chat_settings::Notices) -> Option<&Words>,
        word: impl Fn(&str) -> Option<String>,
    ) {
        let Some(words) = words(&self.settings.notices) else {
            return;
        };
        let language = [self.language.as_str(), self.settings.language.as_str()];
        let Some(template) = language.iter().find_map(|l| words.in_language(l)) else {
            // The tenant has words, but in no language of this customer or its own.
            metrics::counter!("ccm_connector_notices_without_words_total", "notice" => kind).increment(1);
            return;
        };
        let text = fill(template, word);
        self.deeds.push_back(Deed::Say { kind, text });
    }
}

fn onhold_policy(settings: &ChatSettings) -> onhold::Policy {
    let comfort = &settings.comfort;
    onhold::Policy {
        mode: match comfort.mode {
            ComfortMode::Off => onhold::Mode::Off,
            ComfortMode::First => onhold::Mode::First,
            ComfortMode::All => onhold::Mode::All,
        },
        max: comfort.most,
        min_gap: Duration::from_secs(comfort.min_gap_s.into()),
        urls: comfort.links,
    }
}

fn queue_teller(settings: &ChatSettings, told: &Told, served: bool, now: Instant) -> Option<QueueTeller> {
    if !settings.queue.enabled || settings.notices.queue.is_none() {
        return None;
    }
    let policy = queue::Policy {
        min_gap: Duration::from_secs(settings.queue.min_gap_s.into()),
        ask_every: Duration::from_secs(settings.queue.ask_every_s.into()),
        ..queue::Policy::default()
    };
    let told = told.queue.map(|(position, wait_minutes)| Tell {
        position,
        wait_minutes,
    });
    let mut teller = QueueTeller::resume(told, policy, now.into_std());
    if served {
        teller.agent_joined();
    }
    Some(teller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::chat_settings::Notices;

    const S: Duration = Duration::from_secs(1);

    fn words(text: &str) -> Option<Words> {
        Some(Words([("en".to_owned(), text.to_owned())].into()))
    }

    fn settings(change: impl FnOnce(&mut ChatSettings)) -> Arc<ChatSettings> {
        let mut settings = ChatSettings {
            notices: Notices {
                no_agents: words("nobody is here"),
                agents_left: words("all left"),
                chat_ended: words("bye"),
                maintenance: words("closed for maintenance"),
                waiting: words("please wait"),
                queue: words("place {position}, {wait_minutes} min"),
                file: words("{agent} offers {file}"),
                not_delivered: words("not delivered"),
            },
            ..ChatSettings::default()
        };
        change(&mut settings);
        settings.check().unwrap();
        Arc::new(settings)
    }

    fn policy(settings: &Arc<ChatSettings>, now: Instant) -> Policy {
        let mut policy = Policy::new(
            settings.clone(),
            "en".into(),
            Told::default(),
            History::default(),
            false,
            now,
        );
        policy.opened(now);
        policy.logged_in(now);
        policy
    }

    fn said(policy: &mut Policy, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| policy.poll(now))
            .map(|deed| match deed {
                Deed::Say { kind, text } => format!("{kind}: {text}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn now() -> Instant {
        Instant::now()
    }

    fn leave(policy: &mut Policy, reason: Option<LeaveReason>, now: Instant) {
        policy.room(false, now);
        policy.left(reason.as_ref(), 0, false, now);
    }

    #[test]
    fn who_waits_is_told_once_and_again_after_the_agents_left() {
        let settings = settings(|_| ());
        let start = now();
        let mut policy = policy(&settings, start);
        assert!(said(&mut policy, start + 29 * S).is_empty());
        assert_eq!(policy.next_timeout(), Some(start + 30 * S));
        assert_eq!(said(&mut policy, start + 30 * S), ["waiting: please wait"]);
        assert!(said(&mut policy, start + 500 * S).is_empty());
        policy.room(true, start + 500 * S);
        leave(&mut policy, None, start + 600 * S);
        assert!(
            said(&mut policy, start + 604 * S).is_empty(),
            "the next agent may come at once"
        );
        assert_eq!(said(&mut policy, start + 605 * S), ["agents_left: all left"]);
        assert_eq!(said(&mut policy, start + 635 * S), ["waiting: please wait"]);
    }

    #[test]
    fn a_transfer_is_not_told_with_a_reason_or_without() {
        let settings = settings(|_| ());
        let start = now();
        let mut policy = policy(&settings, start);
        policy.room(true, start);
        leave(&mut policy, Some(LeaveReason::Transfer), start + S);
        assert!(said(&mut policy, start + 20 * S).is_empty());
        policy.room(true, start + 21 * S);
        leave(&mut policy, None, start + 22 * S);
        policy.room(true, start + 24 * S);
        assert!(said(&mut policy, start + 100 * S).is_empty());
        policy.left(None, 1, false, start + 101 * S);
        assert!(
            said(&mut policy, start + 200 * S).is_empty(),
            "one of a conference left"
        );
    }

    #[test]
    fn aaccs_own_words_become_the_tenants_or_nothing() {
        let settings = settings(|s| s.welcome = false);
        let start = now();
        let mut policy = policy(&settings, start);
        let mut hear = |name: &str, text: &str, moment| policy.words(name, text, moment, start);
        assert_eq!(
            hear("Agent", "[Agent] No agents", Moment::NobodyIn),
            Phone::Swallowed
        );
        assert_eq!(
            hear(
                "Agent",
                "[Agent] All Agents have left the conversation.",
                Moment::NobodyIn
            ),
            Phone::Swallowed
        );
        assert_eq!(
            hear("Agent", "[Agent] Welcome", Moment::FirstWords),
            Phone::Swallowed
        );
        assert_eq!(
            hear("Russell", "[Agent] Hello", Moment::Later),
            Phone::Text("Hello".into())
        );
        assert_eq!(
            hear("Russell", "No agents are free on Sunday", Moment::Later),
            Phone::Text("No agents are free on Sunday".into()),
            "only a whole text is a notice"
        );
        assert_eq!(said(&mut policy, start), ["no_agents: nobody is here"]);
        assert_eq!(said(&mut policy, start + 5 * S), ["agents_left: all left"]);
    }

    #[test]
    fn labels_are_kept_stripped_or_put_in_the_tenants_form() {
        let start = now();
        for (label, from_agent, from_nobody) in [
            (LabelPolicy::Keep, "[Agent] Hi", "[Agent] Welcome"),
            (LabelPolicy::Strip, "Hi", "Welcome"),
            (LabelPolicy::Template, "Russell says: Hi", "Welcome"),
        ] {
            let settings = settings(|s| {
                s.agent_label.policy = label;
                s.agent_label.template = "{agent} says: {text}".into();
            });
            let mut policy = policy(&settings, start);
            let mut hear = |name: &str, text: &str| policy.words(name, text, Moment::Later, start);
            assert_eq!(hear("Russell", "[Agent] Hi"), Phone::Text(from_agent.into()));
            assert_eq!(hear("Agent", "[Agent] Welcome"), Phone::Text(from_nobody.into()));
        }
    }

    #[test]
    fn a_tenant_that_wrote_nothing_says_nothing() {
        let settings = Arc::new(ChatSettings::default());
        let start = now();
        let mut policy = policy(&settings, start);
        policy.no_agents();
        policy.maintenance();
        policy.not_delivered();
        policy.file_offered("Russell", "a.pdf");
        policy.ended(End::Over);
        leave(&mut policy, None, start);
        assert!(said(&mut policy, start + 10_000 * S).is_empty());
    }

    #[test]
    fn words_are_never_in_a_language_that_nobody_chose() {
        let settings = settings(|s| {
            s.language = "de".into();
            s.notices.no_agents = Some(Words([("fr".to_owned(), "personne".to_owned())].into()));
        });
        let start = now();
        let of = |language: &str| {
            let mut policy = Policy::new(
                settings.clone(),
                language.into(),
                Told::default(),
                History::default(),
                true,
                start,
            );
            policy.no_agents();
            said(&mut policy, start)
        };
        assert!(of("en").is_empty());
        assert_eq!(of("fr-CA"), ["no_agents: personne"]);
    }

    #[test]
    fn the_force_idle_check_is_recognised_and_ends_silently() {
        let settings = settings(|_| ());
        let start = now();
        let mut policy = policy(&settings, start);
        policy.room(true, start);
        policy.customer_spoke(start + 10 * S);
        policy.words("Russell", "Hello", Moment::Later, start + 20 * S);
        let end = |policy: &Policy, after: u32, reason| policy.judge_end(reason, start + 10 * S + after * S);
        assert_eq!(end(&policy, 180, CloseReason::AgentsEnded), End::ForceIdle);
        assert_eq!(end(&policy, 179, CloseReason::FarSideEnded), End::ForceIdle);
        assert_eq!(end(&policy, 170, CloseReason::AgentsEnded), End::Over);
        assert_eq!(end(&policy, 300, CloseReason::AgentsEnded), End::Over);
        assert_eq!(end(&policy, 180, CloseReason::ClosedByCustomer), End::Over);
        policy.words("Russell", "Bye then", Moment::Later, start + 188 * S);
        assert_eq!(
            end(&policy, 180, CloseReason::AgentsEnded),
            End::Over,
            "an agent has just said good-bye"
        );
        policy.ended(End::ForceIdle);
        assert!(said(&mut policy, start + 190 * S).is_empty());
        policy.ended(End::Over);
        assert_eq!(said(&mut policy, start + 190 * S), ["chat_ended: bye"]);
    }

    #[test]
    fn idle_and_old_chats_are_left_once() {
        let settings = settings(|s| {
            s.life.customer_idle_s = Some(600);
            s.life.max_age_s = Some(3600);
            s.life.agent_idle_s = Some(60);
        });
        let start = now();
        let mut policy = policy(&settings, start);
        said(&mut policy, start + 700 * S);
        policy.room(true, start + 700 * S);
        policy.customer_spoke(start + 710 * S);
        assert_eq!(
            said(&mut policy, start + 770 * S),
            ["waiting: please wait"],
            "no answer for a minute"
        );
        assert!(said(&mut policy, start + 1309 * S).is_empty());
        assert_eq!(said(&mut policy, start + 1310 * S), ["Leave(CustomerIdle)"]);
        assert!(said(&mut policy, start + 5000 * S).is_empty());
        policy.opened(start + 6000 * S);
        said(&mut policy, start + 6030 * S);
        assert_eq!(said(&mut policy, start + 9600 * S), ["Leave(TooOld)"]);
    }

    #[test]
    fn a_keyword_is_a_whole_text() {
        let settings = settings(|s| s.life.closing_keyword = Some("Bye".into()));
        let policy = policy(&settings, now());
        assert!(policy.is_keyword(" BYE\n"));
        assert!(!policy.is_keyword("bye bye"));
    }

    #[test]
    fn comfort_and_queue_go_on_where_another_pod_stopped() {
        let settings = settings(|s| {
            s.comfort.mode = ComfortMode::All;
            s.comfort.min_gap_s = 60;
            s.queue.enabled = true;
        });
        let group = ComfortGroup {
            name: "Default".into(),
            delay_s: 45,
            number_of_messages: 2,
            messages: ["a &lt; b", "second"]
                .iter()
                .enumerate()
                .map(|(n, m)| ccm_ewc_proto::frame::ComfortMessage {
                    message: (*m).into(),
                    sequence: n as u32 + 1,
                })
                .collect(),
        };
        let start = now();
        let mut policy = policy(&settings, start);
        policy.on_hold(std::slice::from_ref(&group), &[], start);
        let first = said(&mut policy, start + 45 * S);
        assert!(first.contains(&"comfort: a < b".to_owned()), "{first:?}");
        assert!(first.contains(&"AskQueueStatus".to_owned()), "{first:?}");
        let status = QueueStatus {
            position_in_queue: Some(3),
            estimated_wait_time_s: Some(61),
        };
        policy.queue_status(&status, start + 46 * S);
        assert_eq!(
            said(&mut policy, start + 46 * S),
            ["waiting: please wait", "queue: place 3, 2 min"][1..]
        );
        let told: Told = serde_json::from_value(serde_json::to_value(policy.told()).unwrap()).unwrap();
        assert_eq!(
            (told.comfort, told.queue, told.waiting),
            (1, Some((Some(3), Some(2))), true)
        );
        let history = History {
            age: 60 * S,
            ..History::default()
        };
        let later = start + 60 * S;
        let mut other = Policy::new(settings.clone(), "en".into(), told, history, false, later);
        other.logged_in(later);
        other.on_hold(&[group], &[], later);
        other.queue_status(&status, later + 300 * S);
        let next = said(&mut other, later + 100 * S);
        assert_eq!(
            next.iter().filter(|s| s.starts_with("comfort")).count(),
            1,
            "{next:?}"
        );
        assert!(next.contains(&"comfort: second".to_owned()), "{next:?}");
        assert!(
            !next
                .iter()
                .any(|s| s.starts_with("queue") || s.starts_with("waiting")),
            "{next:?}"
        );
    }
}
