//! All chats and sockets, behind one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ccm_ewc_proto::frame::ServerFrame;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{broadcast, mpsc};

use crate::chat::Chat;
use crate::fault::{Break, Faults, Target};
use crate::player::{Heard, Rule};
use crate::settings::Settings;
use crate::socket::{Mark, Out};
use crate::strict::{Finding, Severity};
use crate::views::{ChatState, EndReason, Event, Line, LineKind, Link, Sender, Violation};

/// A list longer than this says nothing new, and a bench must not fill the memory with it.
const MOST_VIOLATIONS: usize = 10_000;

/// What an operation leaves to be done outside the lock.
pub(crate) enum Effect {
    /// End the chat if this loss of its link still lasts after the survival time.
    Survive { guid: u64, loss: u32, within: Duration },
    /// Let an automatic agent play the chat.
    Play {
        guid: u64,
        rule: Arc<Rule>,
        heard: mpsc::UnboundedReceiver<Heard>,
    },
}

/// What a socket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    /// Open, without a chat: new, or its resume was refused.
    NoChat,
    /// It carries (or carried, until the chat ended) this chat.
    Chat(u64),
    /// Being closed: what still comes is not looked at.
    Closing,
}

pub(crate) struct Socket {
    pub state: SocketState,
    pub out: mpsc::UnboundedSender<Out>,
    /// Delayed acknowledgements that are not written yet.
    pub acks_due: u32,
    /// In a black hole: nothing that is put reaches the wire.
    pub silent: bool,
}

/// The state of the simulated AACC.
pub(crate) struct Book {
    pub settings: Arc<Settings>,
    /// Those of the start.
    first_settings: Arc<Settings>,
    pub faults: Faults,
    pub violations: Vec<Violation>,
    pub effects: Vec<Effect>,
    /// Wall-clock time of the operation under way.
    pub now_ms: u64,
    pub(crate) chats: BTreeMap<u64, Chat>,
    pub(crate) sockets: HashMap<u64, Socket>,
    waiting: HashMap<String, BTreeSet<u64>>,
    open_by_customer: HashMap<String, u32>,
    open_by_skillset: HashMap<String, u32>,
    rules: Vec<Arc<Rule>>,
    rng: StdRng,
    next_guid: u64,
    next_socket: u64,
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
            violations: Vec::new(),
            effects: Vec::new(),
            now_ms: 0,
            chats: BTreeMap::new(),
            sockets: HashMap::new(),
            waiting: HashMap::new(),
            open_by_customer: HashMap::new(),
            open_by_skillset: HashMap::new(),
            rules,
            rng: StdRng::seed_from_u64(seed),
            next_guid: first_guid,
            next_socket: 1,
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
        self.violation(
            socket,
            Finding {
                rule,
                detail: detail.into(),
                severity: Severity::Malformed,
            },
        );
    }

    pub fn add_socket(&mut self, out: mpsc::UnboundedSender<Out>) -> u64 {
        let no = self.next_socket;
        self.next_socket += 1;
        self.sockets.insert(
            no,
            Socket {
                state: SocketState::NoChat,
                out,
                acks_due: 0,
                silent: false,
            },
        );
        no
    }

    /// Whether a socket is in a black hole.
    pub fn is_silent(&self, no: u64) -> bool {
        self.sockets.get(&no).is_some_and(|s| s.silent)
    }

    /// The socket is gone, whoever ended it.
    pub fn remove_socket(&mut self, no: u64) {
        let Some(socket) = self.sockets.remove(&no) else {
            return;
        };
        if let SocketState::Chat(guid) = socket.state {
            self.lose_link(guid, no);
        }
    }

    fn lose_link(&mut self, guid: u64, no: u64) {
        let Some(chat) = self.chats.get_mut(&guid).filter(|c| c.link == Link::Open(no)) else {
            return;
        };
        chat.link = Link::Lost;
        chat.losses += 1;
        chat.customer_typing = false;
        if chat.ended() {
            return;
        }
        let (loss, within) = (chat.losses, self.settings.survive_for);
        self.emit(|| Event::LinkLost { guid });
        match within.is_zero() {
            true => self.end(guid, EndReason::Expired),
            false => self.effects.push(Effect::Survive { guid, loss, within }),
        }
    }

    pub fn put(&self, socket: u64, frame: &ServerFrame) {
        self.put_text(socket, frame.encode(), None);
    }

    pub fn put_text(&self, socket: u64, text: String, mark: Option<Mark>) {
        if let Some(s) = self.sockets.get(&socket) {
            let _ = s.out.send(Out::Frame {
                text: text.into(),
                mark,
            });
        }
    }

    /// Sends an event of the room; what no open socket carries is kept for the resume.
    pub fn put_room_event(&mut self, guid: u64, frame: &ServerFrame) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        let carried = match chat.link {
            Link::Open(no) => self.sockets.get(&no).filter(|s| !s.silent).map(|_| no),
            Link::Lost => None,
        };
        match carried {
            Some(no) => self.put(no, frame),
            None if self.settings.missed_room_events => chat.missed.push(frame.encode()),
            None => {}
        }
    }

    /// A fresh guid and key.
    pub fn fresh_session(&mut self) -> (u64, String) {
        let guid = self.next_guid;
        self.next_guid += 1;
        let mut random = [0u8; 16];
        self.rng.fill_bytes(&mut random);
        (
            guid,
            uuid::Builder::from_random_bytes(random).into_uuid().to_string(),
        )
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
        self.waiting
            .entry(chat.skillset.clone())
            .or_default()
            .insert(guid);
        if let Some(rule) = self.rules.iter().find(|r| r.fits(&chat)) {
            let (player, heard) = mpsc::unbounded_channel();
            chat.player = Some(player);
            self.effects.push(Effect::Play {
                guid,
                rule: rule.clone(),
                heard,
            });
        }
        self.emit(|| Event::ChatOpened {
            guid,
            customer: chat.customer.clone(),
            customer_name: chat.intrinsics.name.to_string(),
            skillset: chat.skillset.clone(),
        });
        self.chats.insert(guid, chat);
    }

    /// Recomputes waiting or live after the room changed.
    pub fn settle(&mut self, guid: u64) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.settle(self.settings.observer_opens_chat);
        let queue = self.waiting.entry(chat.skillset.clone()).or_default();
        if chat.state == ChatState::Waiting {
            queue.insert(guid);
        } else {
            queue.remove(&guid);
        }
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
        if let Some(queue) = self.waiting.get_mut(&chat.skillset) {
            queue.remove(&guid);
        }
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

    /// Expires sessions: their keys are refused from now on, their sockets stay open. Returns how many.
    pub fn expire(&mut self, target: Target) -> usize {
        let guids = self.open_chats(target);
        for guid in &guids {
            self.end(*guid, EndReason::Expired);
        }
        guids.len()
    }

    /// Breaks the sockets of chats (of all: also those without a chat). Returns how many.
    pub fn break_sockets(&mut self, target: Target, how: Break) -> usize {
        let hit: Vec<u64> = match target {
            Target::All => {
                let open = self
                    .sockets
                    .iter()
                    .filter(|(_, s)| s.state != SocketState::Closing);
                open.map(|(no, _)| *no).collect()
            }
            Target::Chat(guid) => {
                let of_chat = self
                    .sockets
                    .iter()
                    .filter(|(_, s)| s.state == SocketState::Chat(guid));
                of_chat.map(|(no, _)| *no).collect()
            }
        };
        for no in &hit {
            let out = match how {
                Break::Close => Out::Close(1001),
                Break::Reset => Out::Reset,
                Break::BlackHole => Out::BlackHole,
            };
            self.cut(*no, out);
        }
        hit.len()
    }

    /// Tells a socket to end (or to fall silent) and takes it off its chat, which does not notice a black hole.
    pub fn cut(&mut self, no: u64, out: Out) {
        let Some(socket) = self.sockets.get_mut(&no) else {
            return;
        };
        let falls_silent = matches!(out, Out::BlackHole);
        let _ = socket.out.send(out);
        if falls_silent {
            socket.silent = true;
            return;
        }
        if let SocketState::Chat(guid) = std::mem::replace(&mut socket.state, SocketState::Closing) {
            self.lose_link(guid, no);
        }
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

    /// Place in the queue, from 1; 0 for a chat that waits no more.
    pub fn place_in_queue(&self, guid: u64) -> u32 {
        let skillset = self
            .chats
            .get(&guid)
            .map(|c| c.skillset.as_str())
            .unwrap_or_default();
        let queue = self.waiting.get(skillset);
        queue
            .filter(|q| q.contains(&guid))
            .map_or(0, |q| q.range(..=guid).count() as u32)
    }

    /// How many chats of a skillset wait.
    pub fn queue_length(&self, skillset: &str) -> usize {
        self.waiting.get(skillset).map_or(0, BTreeSet::len)
    }

    /// The names of all skillsets that were set up or used.
    pub fn skillset_names(&self) -> BTreeSet<String> {
        let listed = self.settings.skillsets.iter().map(|s| s.name.clone());
        let any = std::iter::once(self.settings.any_skillset.name.clone());
        listed.chain(any).chain(self.waiting.keys().cloned()).collect()
    }

    /// Chats that have not ended.
    pub fn open_count(&self) -> usize {
        self.open_by_skillset.values().sum::<u32>() as usize
    }

    /// A frame was written.
    pub fn written(&mut self, mark: Mark) {
        let line = self
            .chats
            .get_mut(&mark.guid)
            .and_then(|c| c.lines.get_mut(mark.line));
        match line {
            Some(line) if mark.replay => line.replayed += 1,
            Some(line) => line.delivered_to_socket = true,
            None => {}
        }
    }

    /// A delayed acknowledgement is about to be written.
    pub fn ack_written(&mut self, socket: u64) {
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.acks_due = s.acks_due.saturating_sub(1);
        }
    }

    /// Ends every chat, closes every socket, and forgets everything but the settings of the start. Guids go on counting.
    pub fn reset(&mut self) {
        self.break_sockets(Target::All, Break::Close);
        self.chats.clear();
        self.waiting.clear();
        self.open_by_customer.clear();
        self.open_by_skillset.clear();
        self.violations.clear();
        self.settings = self.first_settings.clone();
        self.faults = self.settings.faults;
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

fn release(counts: &mut HashMap<String, u32>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}
