//! All chats and sockets, behind one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ccm_ewc_proto::frame::{QueueStatus, ServerFrame};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

use crate::chaos::ChaosLog;
use crate::chat::Chat;
use crate::fault::{Break, Faults, Target};
use crate::links::{Socket, SocketState};
use crate::passing::Passing;
use crate::player::{Heard, Rule};
use crate::queue::Queues;
use crate::settings::Settings;
use crate::stats::Counts;
use crate::strict::{Finding, Severity};
use crate::views::{ChatState, EndReason, Event, Line, LineKind, Link, Sender, Violation};

/// A list longer than this says nothing new, and a bench must not fill the memory with it.
const MOST_VIOLATIONS: usize = 10_000;

/// What an operation leaves to be done outside the lock.
pub(crate) enum Effect {
    /// End the chat if this loss of its link still lasts after the survival time.
    Survive { guid: u64, loss: u32, within: Duration },
    /// End the chat that its customer has closed.
    Close {
        guid: u64,
        socket: u64,
        within: Duration,
    },
    /// Let an automatic agent play the chat.
    Play {
        guid: u64,
        rule: Arc<Rule>,
        heard: mpsc::UnboundedReceiver<Heard>,
    },
}

/// The state of the simulated AACC.
pub(crate) struct Book {
    pub settings: Arc<Settings>,
    /// Those of the start.
    first_settings: Arc<Settings>,
    pub faults: Faults,
    /// Faults that end by themselves.
    pub passing: Passing,
    pub counts: Counts,
    pub chaos: ChaosLog,
    pub violations: Vec<Violation>,
    pub effects: Vec<Effect>,
    /// Wall-clock time of the operation under way.
    pub now_ms: u64,
    pub(crate) chats: BTreeMap<u64, Chat>,
    pub(crate) sockets: HashMap<u64, Socket>,
    queues: Queues,
    open_by_customer: HashMap<String, u32>,
    open_by_skillset: HashMap<String, u32>,
    rules: Vec<Arc<Rule>>,
    rng: StdRng,
    next_guid: u64,
    pub next_socket: u64,
    pub frames_put: u32,
    events: broadcast::Sender<Event>,
}

impl Book {
    pub fn new(
        settings: Arc<Settings>,
        rules: Vec<Arc<Rule>>,
        seed: u64,
        first_guid: u64,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Book {
            faults: settings.faults,
            first_settings: settings.clone(),
            settings,
            passing: Passing::default(),
            counts: Counts::default(),
            chaos: ChaosLog::default(),
            violations: Vec::new(),
            effects: Vec::new(),
            now_ms: 0,
            chats: BTreeMap::new(),
            sockets: HashMap::new(),
            queues: Queues::default(),
            open_by_customer: HashMap::new(),
            open_by_skillset: HashMap::new(),
            rules,
            rng: StdRng::seed_from_u64(seed),
            next_guid: first_guid,
            next_socket: 1,
            frames_put: 0,
            events,
        }
    }

    pub fn emit(&self, event: impl FnOnce() -> Event) {
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(event());
        }
    }

    pub fn violation(&mut self, socket: Option<u64>, finding: Finding) {
        if self.violations.len() >= MOST_VIOLATIONS {
            return;
        }
        let guid = socket
            .and_then(|s| self.sockets.get(&s))
            .and_then(|s| match s.state {
                SocketState::Chat(guid) => Some(guid),
                SocketState::NoChat | SocketState::Closing => None,
            });
        self.violations.push(Violation {
            at_ms: self.now_ms,
            socket,
            guid,
            rule: finding.rule.into(),
            detail: finding.detail,
            severity: finding.severity,
        });
    }

    pub fn malformed(&mut self, socket: Option<u64>, rule: &'static str, detail: &str) {
        self.find(socket, rule, detail, Severity::Malformed);
    }

    pub fn tolerated(&mut self, socket: Option<u64>, rule: &'static str, detail: &str) {
        self.find(socket, rule, detail, Severity::Tolerated);
    }

    fn find(&mut self, socket: Option<u64>, rule: &'static str, detail: &str, severity: Severity) {
        let detail = detail.into();
        self.violation(
            socket,
            Finding {
                rule,
                detail,
                severity,
            },
        );
    }

    /// A fresh guid and key.
    pub fn fresh_session(&mut self) -> (u64, String) {
        let guid = self.next_guid;
        self.next_guid += 1;
        (guid, self.fresh_key())
    }

    pub fn fresh_key(&mut self) -> String {
        let mut random = [0u8; 16];
        self.rng.fill_bytes(&mut random);
        uuid::Builder::from_random_bytes(random).into_uuid().to_string()
    }

    /// Whether one more chat stays within CCMM's limits.
    pub fn within_limits(&self, customer: &str, skillset: &str) -> bool {
        let below = |open: Option<&u32>, most: Option<u32>| match most {
            Some(most) => open.copied().unwrap_or_default() < most,
            None => true,
        };
        let per_customer = if customer.is_empty() {
            None
        } else {
            self.settings.chats_per_customer
        };
        below(self.open_by_customer.get(customer), per_customer)
            && below(
                self.open_by_skillset.get(skillset),
                self.settings.skillset(skillset).max_chats,
            )
    }

    /// Enters a new chat and gives it to the first automatic agent whose rule fits.
    pub fn enter(&mut self, mut chat: Chat) {
        let guid = chat.guid;
        *self.open_by_customer.entry(chat.customer.clone()).or_default() += 1;
        *self.open_by_skillset.entry(chat.skillset.clone()).or_default() += 1;
        chat.ticket = Some(self.queues.enter(&chat.skillset, guid));
        self.emit(|| Event::ChatOpened {
            guid,
            customer: chat.customer.clone(),
            customer_name: chat.intrinsics.name.to_string(),
            skillset: chat.skillset.clone(),
        });
        self.chats.insert(guid, chat);
        self.assign(guid);
    }

    /// Gives a chat to the first automatic agent whose rule fits, and takes it from the one who had it.
    pub fn assign(&mut self, guid: u64) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.player = None;
        if let Some(rule) = self.rules.iter().find(|r| r.fits(chat)) {
            let (player, heard) = mpsc::unbounded_channel();
            chat.player = Some(player);
            self.effects.push(Effect::Play {
                guid,
                rule: rule.clone(),
                heard,
            });
        }
    }

    /// Moves a chat to another skillset, at the end of its queue.
    pub fn move_to(&mut self, guid: u64, skillset: String) {
        self.leave_queue(guid);
        if let Some(chat) = self.chats.get_mut(&guid) {
            release(&mut self.open_by_skillset, &chat.skillset);
            *self.open_by_skillset.entry(skillset.clone()).or_default() += 1;
            chat.skillset = skillset;
        }
        self.settle(guid);
    }

    /// Recomputes waiting or live after the room changed.
    pub fn settle(&mut self, guid: u64) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.settle(self.settings.observer_opens_chat);
        match (chat.state, chat.ticket) {
            (ChatState::Waiting, None) => chat.ticket = Some(self.queues.enter(&chat.skillset, guid)),
            (ChatState::Live, Some(_)) => self.leave_queue(guid),
            _ => {}
        }
    }

    fn leave_queue(&mut self, guid: u64) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        let Some(ticket) = chat.ticket.take() else { return };
        let behind = self.queues.leave(&chat.skillset, ticket);
        if !self.settings.push_queue_status {
            return;
        }
        let behind: Vec<u64> = behind.collect();
        for guid in behind {
            if let Some(Link::Open(socket)) = self.chats.get(&guid).map(|c| c.link) {
                let status = self.queue_status(guid);
                self.put(socket, &status);
            }
        }
    }

    /// A chat's place in its queue, and the wait that goes with it.
    pub fn queue_status(&self, guid: u64) -> ServerFrame {
        let chat = self.chats.get(&guid);
        let place = chat.and_then(|c| Some(self.queues.place(&c.skillset, c.ticket?)));
        let skillset = chat.map(|c| c.skillset.as_str()).unwrap_or_default();
        let place = i64::from(place.unwrap_or_default());
        let wait = i64::from(self.settings.skillset(skillset).wait_per_place_s);
        ServerFrame::QueueStatus(QueueStatus {
            position_in_queue: Some(place),
            estimated_wait_time_s: Some(place * wait),
        })
    }

    /// Ends a chat. Frames that tell the customer's side come from whoever ends it.
    pub fn end(&mut self, guid: u64, reason: EndReason) {
        let Some(chat) = self.chats.get_mut(&guid).filter(|c| !c.ended()) else {
            return;
        };
        chat.state = ChatState::Ended;
        chat.end_reason = Some(reason);
        chat.room.clear();
        chat.customer_typing = false;
        chat.player = None;
        let line = system_line(self.now_ms, LineKind::Ended);
        chat.keep(&self.settings, &line);
        release(&mut self.open_by_customer, &chat.customer);
        release(&mut self.open_by_skillset, &chat.skillset);
        self.leave_queue(guid);
        if !self.settings.record {
            self.chats.remove(&guid);
        }
        self.emit(|| Event::Closed { guid, reason });
    }

    /// Ends the chat if it has had no socket since the loss number `loss`.
    pub fn end_if_still_lost(&mut self, guid: u64, loss: u32) {
        if self
            .chats
            .get(&guid)
            .is_some_and(|c| c.link == Link::Lost && c.losses == loss)
        {
            self.end(guid, EndReason::Expired);
        }
    }

    /// Chats with an agent in whose customers neither wrote nor typed since `longest` ago.
    pub fn idle_chats(&self, now: Instant) -> Vec<u64> {
        let longest = self.settings.force_idle_after;
        let idle = |c: &&Chat| c.state == ChatState::Live && now.duration_since(c.heard_at) >= longest;
        self.chats.values().filter(idle).map(|c| c.guid).collect()
    }

    /// Expires sessions: their keys are refused from now on, their sockets stay open. Returns how many.
    pub fn expire(&mut self, target: Target) -> usize {
        let guids = self.open_chats(target);
        for guid in &guids {
            self.end(*guid, EndReason::Expired);
        }
        guids.len()
    }

    /// The chats of a target that have not ended.
    pub fn open_chats(&self, target: Target) -> Vec<u64> {
        match target {
            Target::All => self
                .chats
                .values()
                .filter(|c| !c.ended())
                .map(|c| c.guid)
                .collect(),
            Target::Chat(guid) => self
                .chats
                .get(&guid)
                .filter(|c| !c.ended())
                .map(|c| c.guid)
                .into_iter()
                .collect(),
        }
    }

    /// How many chats of a skillset wait.
    pub fn queue_length(&self, skillset: &str) -> usize {
        self.queues.len(skillset)
    }

    /// The names of all skillsets that were set up or used.
    pub fn skillset_names(&self) -> BTreeSet<String> {
        let listed = self.settings.skillsets.iter().map(|s| s.name.clone());
        let any = std::iter::once(self.settings.any_skillset.name.clone());
        listed.chain(any).chain(self.queues.names().cloned()).collect()
    }

    /// Chats that have not ended.
    pub fn open_count(&self) -> usize {
        self.open_by_skillset.values().sum::<u32>() as usize
    }

    /// Ends every chat, closes every socket, and forgets everything but the settings of the start. Guids go on counting.
    pub fn reset(&mut self) {
        self.break_sockets(Target::All, Break::Close);
        self.chats.clear();
        self.queues.clear();
        self.open_by_customer.clear();
        self.open_by_skillset.clear();
        self.violations.clear();
        self.settings = self.first_settings.clone();
        self.faults = self.settings.faults;
        self.stop_chaos();
        self.chaos.chaos = None;
        for rule in &self.rules {
            rule.forget();
        }
        self.emit(|| Event::Reset);
    }
}

/// A line that tells what happened.
pub(crate) fn system_line(at_ms: u64, kind: LineKind) -> Line {
    Line {
        at_ms,
        kind,
        from: Sender::System,
        agent_id: None,
        name: String::new(),
        text: String::new(),
        displayed: String::new(),
        socket: None,
        delivered_to_socket: false,
        replayed: 0,
    }
}

/// Uses up one of the next n.
pub(crate) fn take(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

fn release(counts: &mut HashMap<String, u32>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}
