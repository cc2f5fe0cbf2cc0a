//! The conversation with its sessions, links and AACC, and the driver between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

use super::Seen;
use super::aacc::Aacc;
use super::ops::{Habits, Op, Transcript};
use super::owner::Owner;
use super::wire::Wire;
use crate::bench::{S, ack, profile};

pub struct World {
    now: Instant,
    config: Arc<Config>,
    session: Session,
    wire: Option<Wire>,
    /// The session of a process that lost the chat and does not know it yet. Nobody gives it texts or takes its events.
    old: Option<Session>,
    old_wire: Option<Wire>,
    seed: u64,
    lag: bool,
    aacc: Aacc,
    owner: Owner,
    /// Words of agents that came over the session's socket.
    carried: BTreeSet<i64>,
    pub seen: Seen,
}

impl World {
    pub fn new(habits: Habits) -> Self {
        let config = Arc::new(Config {
            // Pings are most of the frames, and the least of the matter.
            ping_every: 15 * S,
            pong_timeout: 20 * S,
            observer_opens_chat: habits.observer_opens,
            barge_in_opens_chat: habits.barge_in_opens,
            ..Config::default()
        });
        let mut world = World {
            now: Instant::now(),
            session: Session::new(config.clone(), profile(), Login::New, 1),
            config,
            wire: None,
            old: None,
            old_wire: None,
            seed: 1,
            lag: false,
            aacc: Aacc::new(habits),
            owner: Owner::default(),
            carried: BTreeSet::new(),
            seen: Seen::new(),
        };
        world.pump();
        world
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Runs until nothing happens without time.
    fn pump(&mut self) {
        for step in 0.. {
            assert!(step < 10_000, "never rests in {:?}", self.session.phase());
            self.session
                .nothing_waits(self.owner.line.is_empty() && self.owner.in_flight.is_none());
            if let Some(action) = self.session.poll_action() {
                self.act(action);
            } else if let Some(event) = self.session.poll_event() {
                self.hear(event);
            } else if self.session.ready_for_text() && !self.owner.line.is_empty() {
                self.send_text();
            } else if self.lag || !self.carry() {
                break;
            }
        }
        let idle = self.session.next_timeout();
        assert!(idle.is_some(), "waits for nothing in {:?}", self.session.phase());
    }

    fn send_text(&mut self) {
        let token = self.owner.line[0];
        assert_eq!(self.owner.in_flight.replace(token), None, "two in flight");
        if self.wire.as_ref().expect("a socket").tainted {
            self.owner.tainted.insert(token);
        }
        self.session
            .send_text(token, &format!("c{token}"), self.now)
            .unwrap();
    }

    /// Carries one frame; false if none is under way.
    fn carry(&mut self) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        if wire.black_hole {
            wire.up.clear();
            wire.down.clear();
            return false;
        }
        // An answer to the wrong text does harm while the right one is under way.
        let down_first = wire.tainted && !wire.down.is_empty();
        if !down_first && let Some(frame) = wire.up.pop_front() {
            self.aacc.take(&frame, wire, self.old_wire.as_mut());
        } else if let Some(down) = wire.down.pop_front() {
            wire.unanswered -= u32::from(down.is_answer);
            if let Some(said) = down.said {
                self.carried.insert(said);
                if self.session.phase() == Phase::Leaving {
                    self.saw("late words while leaving");
                }
            }
            self.session.on_frame(&down.frame, self.now);
        } else if let Some(code) = wire.closed {
            self.wire = None;
            self.session.on_disconnected(code, self.now);
        } else {
            return false;
        }
        true
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect => {
                assert!(self.wire.is_none(), "a second socket");
                if self.aacc.unreachable > 0 {
                    self.aacc.unreachable -= 1;
                    self.session.on_connect_failed(self.now);
                } else {
                    self.wire = Some(Wire::default());
                    self.session.on_connected(self.now);
                }
            }
            Action::Send(frame) => {
                self.check_key(&frame);
                self.wire.as_mut().expect("a socket").up.push_back(frame);
            }
            Action::Close { .. } => self.break_wire(usize::MAX),
            Action::Drop => self.break_wire(1),
        }
    }

    /// A resume uses the key that the owner was told last.
    fn check_key(&self, frame: &str) {
        if frame.contains("\"requestChat\"") && !frame.contains("\"guid\":null") {
            let (_, key) = self.owner.identity.as_ref().expect("a chat");
            let key = format!("\"{}\"", key.expose());
            assert!(frame.contains(&key), "not with {key}");
        }
    }

    /// The socket is gone; AACC still gets the first `got` frames that were under way.
    fn break_wire(&mut self, got: usize) {
        end_wire(self.wire.take(), got, &mut self.aacc, self.old_wire.as_mut());
    }

    fn hear(&mut self, event: Event) {
        let Event::Closed(reason) = event else {
            return self.owner.hear(event, &self.aacc.taken, &mut self.seen);
        };
        while let Some(action) = self.session.poll_action() {
            self.act(action);
        }
        assert!(self.wire.is_none(), "{reason} with an open socket");
        if reason == CloseReason::Forgotten {
            self.saw("a forgotten chat in which nothing waits");
        }
        // The conversation goes on in a new chat, or, handed over, in the same.
        if reason != CloseReason::Detached {
            self.owner.forget_chat();
        }
        self.session = self.next_session();
    }

    fn next_session(&mut self) -> Session {
        self.seed += 1;
        let login = self.owner.login();
        Session::new(self.config.clone(), profile(), login, self.seed)
    }

    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut before = (self.now, 0);
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.on_timeout(self.now);
            self.pump();
            before = match before {
                (now, times) if now == self.now => (now, times + 1),
                _ => (self.now, 0),
            };
            assert!(before.1 < 100, "spins in {:?}", self.session.phase());
        }
        self.now = until;
    }

    /// The chat that the owner knows, as AACC sees it, and the socket that AACC has it on.
    fn in_chat<T>(&mut self, f: impl FnOnce(&mut Aacc, u64, Option<&mut Wire>) -> T) -> Option<T> {
        let guid = self.owner.guid()?;
        let wires = [&mut self.wire, &mut self.old_wire];
        let wire = wires.into_iter().flatten().find(|w| w.chat == Some(guid));
        Some(f(&mut self.aacc, guid, wire))
    }

    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Text => {
                self.owner.last_text += 1;
                self.owner.line.push_back(self.owner.last_text);
            }
            Op::Joins(who, kind) => {
                self.in_chat(|aacc, guid, wire| aacc.joins(guid, who, kind, wire));
            }
            Op::Says => {
                self.in_chat(|aacc, guid, wire| {
                    if aacc.is_open(guid) {
                        aacc.agent_says(guid, wire)
                    }
                });
            }
            Op::Leaves { who, end, reason } => {
                self.in_chat(|aacc, guid, wire| aacc.leaves(guid, who, end, reason, wire));
            }
            Op::Transfer(who) => {
                let reason = Some("transfer");
                if self.in_chat(|aacc, guid, wire| aacc.leaves(guid, who, false, reason, wire)) == Some(true)
                {
                    self.apply(Op::Joins((who + 1) % 3, ParticipantType::Active));
                }
            }
            Op::Cut { code, got } => {
                if self.wire.is_some() {
                    self.break_wire(got);
                    self.session.on_disconnected(code, self.now);
                }
            }
            Op::BlackHole => {
                if let Some(wire) = &mut self.wire {
                    wire.black_hole = true;
                }
            }
            Op::Expire => self.expire(),
            Op::Refuse { times, how } => self.aacc.refuse = (times, how),
            Op::TakeSilently {
                times,
                internal_error,
            } => self.aacc.take_silently = (times, internal_error),
            Op::AnswerTwice => self.aacc.answer_twice = true,
            Op::Maintenance(on) => self.aacc.maintenance = on,
            Op::Unreachable { times } => self.aacc.unreachable = times,
            Op::Lag(on) => self.lag = on,
            Op::SurplusAck => {
                if !self.session.text_in_flight() && self.wire.as_ref().is_some_and(|w| !w.black_hole) {
                    self.session.on_frame(&ack(true).encode(), self.now);
                }
            }
            Op::Noise(frame) => self.session.on_frame(frame, self.now),
            Op::Typing => self.session.customer_typing(self.now),
            Op::AskQueue => self.session.ask_queue_status(),
            Op::PushPage => {
                let _refused_while_nobody_is_in = self.session.push_page("https://e.example", "newTab");
            }
            Op::Advance(time) => self.advance(time),
            Op::Freeze(time) => {
                if time >= 3600 * S {
                    self.saw("a clock that jumped hours");
                }
                self.now += time;
                self.session.on_timeout(self.now);
            }
            Op::Spin => {
                for _ in 0..5 {
                    self.session.on_timeout(self.now);
                    self.pump();
                }
            }
            Op::HandOver { in_flight_too } => self.hand_over(in_flight_too),
            Op::TakeOver => self.take_over(),
            Op::OldSessionActs(time) => self.old_session_acts(time),
            Op::OldSessionEnds => self.old_session_ends(),
            Op::CustomerLeaves { late_words } => {
                self.aacc.late_words = late_words;
                self.session.leave(self.now);
            }
        }
        self.pump();
    }

    fn expire(&mut self) {
        let waiting: Vec<u64> = [&self.wire, &self.old_wire]
            .into_iter()
            .filter_map(|w| w.as_ref()?.chat)
            .filter(|guid| !self.aacc.is_open(*guid))
            .collect();
        self.aacc.chats.retain(|guid, _| waiting.contains(guid));
    }

    fn hand_over(&mut self, in_flight_too: bool) {
        match self.session.text_in_flight() {
            true if !in_flight_too => return,
            true => self.saw("a hand-over with a text in flight"),
            false => self.saw("a hand-over at rest"),
        }
        self.session.detach();
    }

    /// The lease ran out: the next process goes by what is stored.
    fn take_over(&mut self) {
        self.old_session_ends();
        if let Some(token) = self.owner.in_flight {
            self.owner.doubt(token, &mut self.seen);
        }
        let next = self.next_session();
        self.old = Some(std::mem::replace(&mut self.session, next));
        self.old_wire = self.wire.take();
        self.saw("a take-over from a live session");
    }

    fn old_session_acts(&mut self, time: Duration) {
        let until = self.now + time;
        self.old_session_pump();
        while let Some(old) = &mut self.old
            && let Some(at) = old.next_timeout().filter(|at| *at <= until)
        {
            self.now = self.now.max(at);
            old.on_timeout(self.now);
            self.old_session_pump();
        }
    }

    fn old_session_pump(&mut self) {
        for step in 0.. {
            let Some(old) = &mut self.old else { return };
            assert!(step < 10_000, "the old one never rests in {:?}", old.phase());
            while old.poll_event().is_some() {}
            if let Some(action) = old.poll_action() {
                match action {
                    Action::Connect => {
                        self.old_wire = Some(Wire::default());
                        old.on_connected(self.now);
                    }
                    Action::Send(frame) => self.old_wire.as_mut().expect("a socket").up.push_back(frame),
                    Action::Close { .. } => end_wire(
                        self.old_wire.take(),
                        usize::MAX,
                        &mut self.aacc,
                        self.wire.as_mut(),
                    ),
                    Action::Drop => end_wire(self.old_wire.take(), 1, &mut self.aacc, self.wire.as_mut()),
                }
                continue;
            }
            if matches!(old.phase(), Phase::Closed(_)) {
                self.old = None;
                return;
            }
            let Some(wire) = self.old_wire.as_mut().filter(|w| !w.black_hole) else {
                return;
            };
            if let Some(frame) = wire.up.pop_front() {
                let had = self.wire.as_ref().and_then(|w| w.chat);
                self.aacc.take(&frame, wire, self.wire.as_mut());
                if had.is_some() && self.wire.as_ref().is_some_and(|w| w.chat.is_none()) {
                    self.saw("a chat stolen back by the old session");
                }
            } else if let Some(down) = wire.down.pop_front() {
                wire.unanswered -= u32::from(down.is_answer);
                old.on_frame(&down.frame, self.now);
            } else if let Some(code) = wire.closed {
                self.old_wire = None;
                old.on_disconnected(code, self.now);
            } else {
                return;
            }
        }
    }

    /// The old process finds its lease gone and lets go.
    fn old_session_ends(&mut self) {
        if let Some(old) = &mut self.old {
            old.detach();
            self.old_session_pump();
        }
        self.old = None;
        end_wire(
            self.old_wire.take(),
            usize::MAX,
            &mut self.aacc,
            self.wire.as_mut(),
        );
    }

    /// All faults end, agents come in: everything must arrive.
    pub fn heal(&mut self) {
        self.lag = false;
        self.aacc.refuse.0 = 0;
        self.aacc.take_silently.0 = 0;
        self.aacc.answer_twice = false;
        self.aacc.late_words = 0;
        self.aacc.maintenance = false;
        self.aacc.unreachable = 0;
        self.old_session_ends();
        self.pump();
        // The head of the line has had its share of refusals, perhaps: one more is its last.
        let troubled = self.owner.troubled;
        let dead = self.owner.dead.clone();
        for _ in 0..500 {
            let guid = self.wire.as_ref().and_then(|w| w.chat);
            let logged_in =
                guid.filter(|guid| self.owner.guid() == Some(*guid) && self.aacc.chats.contains_key(guid));
            if logged_in.is_some_and(|guid| !self.aacc.is_open(guid)) {
                self.apply(Op::Joins(0, ParticipantType::Active));
            }
            if logged_in.is_some() && self.owner.line.is_empty() {
                break;
            }
            self.advance(5 * S);
        }
        assert!(
            self.owner.line.is_empty(),
            "stuck in {:?} with {:?}",
            self.session.phase(),
            self.owner.line
        );
        let dead = self.owner.dead.difference(&dead);
        let new: Vec<_> = dead.filter(|token| Some(**token) != troubled).collect();
        assert!(new.is_empty(), "dead letters without a fault: {new:?}");
    }

    pub fn check(&mut self) {
        self.check_texts();
        self.check_words();
    }

    fn check_texts(&mut self) {
        let (taken, owner) = (&self.aacc.taken, &self.owner);
        let mut first = BTreeSet::new();
        let firsts: Vec<u64> = taken.iter().copied().filter(|t| first.insert(*t)).collect();
        // A dead letter, or one believed delivered, can still be under way on the socket of an old session.
        let sure = |t: &u64| !owner.tainted.contains(t) && !owner.dead.contains(t);
        assert!(
            firsts.iter().filter(|t| sure(t)).is_sorted(),
            "out of order: {taken:?}"
        );
        for token in (1..=owner.last_text).filter(|t| !owner.tainted.contains(t)) {
            let times = taken.iter().filter(|t| **t == token).count() as u32;
            let doubts = owner.doubts.get(&token).copied().unwrap_or_default();
            assert!(times > 0 || owner.dead.contains(&token), "{token} is lost");
            assert!(
                times <= 1 + doubts,
                "{token} came {times} times after {doubts} doubts"
            );
        }
        if firsts.len() < taken.len() {
            self.saw("a text taken twice");
        }
    }

    /// What agents said: never twice; all that came over the socket; all of the chat that is open now, once it has been
    /// resumed.
    fn check_words(&mut self) {
        self.apply(Op::Cut { code: None, got: 0 });
        self.advance(60 * S);
        let heard = self.owner.heard();
        let missing: Vec<_> = self.carried.difference(&heard).collect();
        assert!(missing.is_empty(), "came and were not told: {missing:?}");
        let guid = self.wire.as_ref().and_then(|w| w.chat).expect("an open chat");
        if self.aacc.habits.transcript != Transcript::Tail {
            let missing: Vec<_> = self
                .aacc
                .agents_words(guid)
                .filter(|w| !heard.contains(w))
                .collect();
            assert!(
                missing.is_empty(),
                "words of the open chat are missing: {missing:?}"
            );
        }
    }
}

/// A socket is gone; AACC still gets the first `got` frames that were under way.
fn end_wire(wire: Option<Wire>, got: usize, aacc: &mut Aacc, mut other: Option<&mut Wire>) {
    let Some(mut wire) = wire.filter(|w| !w.black_hole) else {
        return;
    };
    for frame in std::mem::take(&mut wire.up).into_iter().take(got) {
        aacc.take(&frame, &mut wire, other.as_deref_mut());
    }
}
