//! A model of AACC, of the link and of the owner of a conversation, in virtual time: whatever happens in between, no text
//! is lost, order is kept, a text arrives twice only if it was in doubt, and the session never waits for nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::heard::{Fingerprint, Replay};
use ccm_ewc_proto::session::*;
use proptest::prelude::*;

use crate::bench::{S, accepted, ack, agent_joins, error, expired, leaves, not_started, profile};

#[derive(Debug, Clone)]
enum Op {
    /// The customer texts.
    Text,
    AgentJoins,
    AgentSays,
    AgentLeaves {
        end: bool,
    },
    /// The socket dies; the far side got this many of the frames under way.
    Cut {
        code: Option<u16>,
        got: usize,
    },
    /// The link carries nothing any more and does not close.
    BlackHole,
    /// AACC forgets every chat but one that waits on an open socket: there it would have to say so.
    Expire,
    /// AACC refuses the next texts.
    Refuse {
        times: u32,
        by_error: bool,
    },
    /// AACC takes the next texts and says nothing, or error 500.
    TakeSilently {
        times: u32,
        internal_error: bool,
    },
    /// AACC shuts down: every request gets 503 until it is back.
    Maintenance(bool),
    /// Dials fail.
    Unreachable {
        times: u32,
    },
    /// Frames wait on the way, or go through at once.
    Lag(bool),
    /// An acknowledgement that answers nothing.
    SurplusAck,
    Noise(String),
    Advance(Duration),
    /// The process stands still.
    Freeze(Duration),
    /// Another process takes the chat over.
    HandOver,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let code = prop_oneof![
        Just(None),
        Just(Some(1001)),
        Just(Some(1006)),
        Just(Some(1000)),
        Just(Some(1011))
    ];
    let noise = prop_oneof![
        Just("{".to_owned()),
        Just("[1]".to_owned()),
        Just(r#"{"type":"notification","body":{"method":"newCoBrowseSessionKeyMessage"}}"#.to_owned()),
        Just(r#"{"type":"error","body":{"method":"other","code":77}}"#.to_owned()),
        Just(r#"{"type":"notification","body":{"method":"isTyping","isTyping":"true"}}"#.to_owned()),
    ];
    let op = prop_oneof![
        8 => Just(Op::Text),
        4 => Just(Op::AgentJoins),
        3 => Just(Op::AgentSays),
        1 => any::<bool>().prop_map(|end| Op::AgentLeaves { end }),
        3 => (code, 0..4usize).prop_map(|(code, got)| Op::Cut { code, got }),
        1 => Just(Op::BlackHole),
        1 => Just(Op::Expire),
        2 => (1..7u32, any::<bool>()).prop_map(|(times, by_error)| Op::Refuse { times, by_error }),
        1 => (1..3u32, any::<bool>())
            .prop_map(|(times, internal_error)| Op::TakeSilently { times, internal_error }),
        1 => any::<bool>().prop_map(Op::Maintenance),
        1 => (1..9u32).prop_map(|times| Op::Unreachable { times }),
        2 => any::<bool>().prop_map(Op::Lag),
        1 => Just(Op::SurplusAck),
        1 => noise.prop_map(Op::Noise),
        6 => (0..40_000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
        1 => (0..4_000u32).prop_map(|s| Op::Freeze(s * S)),
        1 => Just(Op::HandOver),
    ];
    prop::collection::vec(op, 1..80)
}

#[derive(Default)]
struct Chat {
    agent_in: bool,
    transcript: Vec<ServerFrame>,
}

#[derive(Default)]
struct Wire {
    chat: Option<u64>,
    up: VecDeque<String>,
    down: VecDeque<String>,
    black_hole: bool,
}

/// AACC, as PROTOCOL.md says, with faults.
#[derive(Default)]
struct Aacc {
    chats: BTreeMap<u64, Chat>,
    last_guid: u64,
    /// Customer texts in the order they came in.
    taken: Vec<u64>,
    said: i64,
    refuse: (u32, bool),
    take_silently: (u32, bool),
    maintenance: bool,
    unreachable: u32,
}

impl Aacc {
    fn take(&mut self, frame: &str, wire: &mut Wire) {
        let mut answer = |frame: ServerFrame| wire.down.push_back(frame.encode());
        match ClientFrame::parse(frame).unwrap() {
            ClientFrame::RequestChat(_) if self.maintenance => {
                answer(error("requestChat", 503, "shutting down"))
            }
            ClientFrame::RequestChat(r) => match r.guid.map(|g| g.as_str().parse::<u64>().unwrap()) {
                None => {
                    self.last_guid += 1;
                    self.chats.insert(self.last_guid, Chat::default());
                    wire.chat = Some(self.last_guid);
                    answer(accepted(self.last_guid, &format!("key {}", self.last_guid)));
                }
                Some(guid) => {
                    assert_eq!(r.authentication_key, Some(AuthKey::new(format!("key {guid}"))));
                    match self.chats.get(&guid) {
                        None => answer(expired()),
                        Some(chat) => {
                            wire.chat = Some(guid);
                            answer(accepted(guid, &format!("key {guid}")));
                            chat.transcript
                                .iter()
                                .filter(|_| r.request_transcript)
                                .cloned()
                                .for_each(answer);
                        }
                    }
                }
            },
            ClientFrame::NewMessage { message } => {
                let token = message.parse().unwrap();
                let agent_in = wire
                    .chat
                    .and_then(|g| self.chats.get(&g))
                    .is_some_and(|c| c.agent_in);
                if self.maintenance {
                    answer(error("newMessage", 503, "shutting down"));
                } else if !agent_in {
                    answer(not_started());
                } else if self.refuse.0 > 0 {
                    self.refuse.0 -= 1;
                    answer(if self.refuse.1 { not_started() } else { ack(false) });
                } else {
                    self.taken.push(token);
                    if self.take_silently.0 > 0 {
                        self.take_silently.0 -= 1;
                        if self.take_silently.1 {
                            answer(error("newMessage", 500, "internal"));
                        }
                    } else {
                        answer(ack(true));
                    }
                }
            }
            ClientFrame::Ping => answer(ServerFrame::Ping),
            ClientFrame::CloseConversation => {
                if let Some(guid) = wire.chat.take() {
                    self.chats.remove(&guid);
                }
                answer(ServerFrame::CloseConversation { result: true });
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The owner of the conversation: what the connector does with a session, without a database.
struct World {
    now: Instant,
    session: Session,
    seed: u64,
    wire: Option<Wire>,
    lag: bool,
    aacc: Aacc,
    /// Texts not delivered, by number.
    line: VecDeque<u64>,
    last_text: u64,
    doubts: BTreeMap<u64, u32>,
    dead: BTreeSet<u64>,
    /// The last text that was held or in doubt.
    troubled: Option<u64>,
    identity: Option<(Guid, AuthKey)>,
    agent_present: bool,
    heard: Vec<(Fingerprint, i64)>,
    replay: Replay,
}

impl World {
    fn new() -> Self {
        let mut world = World {
            now: Instant::now(),
            session: Session::new(Config::default(), profile(), Login::New, 1),
            seed: 1,
            wire: None,
            lag: false,
            aacc: Aacc::default(),
            line: VecDeque::new(),
            last_text: 0,
            doubts: BTreeMap::new(),
            dead: BTreeSet::new(),
            troubled: None,
            identity: None,
            agent_present: false,
            heard: Vec::new(),
            replay: Replay::default(),
        };
        world.pump();
        world
    }

    /// Runs until nothing happens without time.
    fn pump(&mut self) {
        loop {
            if let Some(action) = self.session.poll_action() {
                self.act(action);
            } else if let Some(event) = self.session.poll_event() {
                self.hear(event);
            } else if self.session.ready_for_text() && !self.line.is_empty() {
                let token = self.line[0];
                self.session
                    .send_text(token, &token.to_string(), self.now)
                    .unwrap();
            } else if self.lag || !self.carry() {
                break;
            }
        }
        let idle = self.session.next_timeout();
        assert!(idle.is_some(), "waits for nothing in {:?}", self.session.phase());
    }

    /// Carries one frame; false if none is under way.
    fn carry(&mut self) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        if wire.black_hole {
            wire.up.clear();
            wire.down.clear();
            return false;
        }
        if let Some(frame) = wire.up.pop_front() {
            self.aacc.take(&frame, wire);
        } else if let Some(frame) = wire.down.pop_front() {
            self.session.on_frame(&frame, self.now);
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
            Action::Send(frame) => self.wire.as_mut().expect("a socket").up.push_back(frame),
            Action::Close { .. } => self.break_wire(usize::MAX),
            Action::Drop => self.break_wire(1),
        }
    }

    /// The socket is gone; AACC still gets the first `got` frames that were under way.
    fn break_wire(&mut self, got: usize) {
        if let Some(mut wire) = self.wire.take()
            && !wire.black_hole
        {
            for frame in std::mem::take(&mut wire.up).into_iter().take(got) {
                self.aacc.take(&frame, &mut wire);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::TextDelivered { token } => {
                assert_eq!(self.line.pop_front(), Some(token));
                assert!(self.aacc.taken.contains(&token), "{token} was never taken");
            }
            Event::TextHeld { token, .. } => {
                assert_eq!(self.line.front(), Some(&token));
                self.troubled = Some(token);
            }
            Event::TextInDoubt { token } => {
                assert_eq!(self.line.front(), Some(&token));
                self.troubled = Some(token);
                *self.doubts.entry(token).or_default() += 1;
            }
            Event::TextRefused { token, .. } => {
                assert_eq!(self.line.pop_front(), Some(token));
                self.dead.insert(token);
            }
            Event::ChatOpened { guid, key } => self.identity = Some((guid, key)),
            Event::Resumed { .. } => {}
            Event::SessionExpired => {
                self.identity = None;
                assert!(!self.agent_present);
            }
            Event::AgentPresent(present) => {
                assert_ne!(present, self.agent_present);
                self.agent_present = present;
            }
            Event::AgentText {
                name,
                text,
                timestamp_ms,
                after_resume,
                ..
            } => {
                let fingerprint = Fingerprint::of(timestamp_ms, &name, &text);
                if !(after_resume && self.replay.is_repeat(fingerprint)) {
                    self.heard.push((fingerprint, text.parse().unwrap()));
                }
            }
            Event::LinkLost { .. } => self.load_replay(),
            Event::Closed(reason) => {
                // The conversation goes on in a new chat, or, handed over, in the same.
                let login = match (reason, self.identity.clone()) {
                    (CloseReason::Detached, Some((guid, key))) => Login::Resume {
                        guid,
                        key,
                        agent_present: self.agent_present,
                    },
                    _ => {
                        self.agent_present = false;
                        self.identity = None;
                        Login::New
                    }
                };
                self.load_replay();
                while let Some(action) = self.session.poll_action() {
                    self.act(action);
                }
                self.wire = None;
                self.seed += 1;
                self.session = Session::new(Config::default(), profile(), login, self.seed);
            }
            _ => {}
        }
    }

    fn load_replay(&mut self) {
        self.replay = Replay::new(self.heard.iter().map(|(f, _)| (*f, 1)));
    }

    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.on_timeout(self.now);
            self.pump();
        }
        self.now = until;
    }

    /// The chat that the socket is logged in to.
    fn chat(&mut self) -> Option<(&mut Chat, &mut Wire)> {
        let wire = self.wire.as_mut()?;
        Some((self.aacc.chats.get_mut(&wire.chat?)?, wire))
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Text => {
                self.last_text += 1;
                self.line.push_back(self.last_text);
            }
            Op::AgentJoins => {
                if let Some((chat, wire)) = self.chat() {
                    chat.agent_in = true;
                    wire.down.push_back(agent_joins().encode());
                }
            }
            Op::AgentSays => {
                self.aacc.said += 1;
                let said = self.aacc.said;
                if let Some((chat, wire)) = self.chat().filter(|(chat, _)| chat.agent_in) {
                    let frame = ServerFrame::NewMessage(AgentMessage {
                        message: said.to_string().into(),
                        display_name: "Russell".into(),
                        timestamp_ms: Some(1_458_053_235_000 + said),
                        sender_type: None,
                    });
                    wire.down.push_back(frame.encode());
                    chat.transcript.push(frame);
                }
            }
            Op::AgentLeaves { end } => {
                if let Some((chat, wire)) = self.chat().filter(|(chat, _)| chat.agent_in) {
                    chat.agent_in = false;
                    wire.down.push_back(leaves("7000", end, &[]).encode());
                    if end && let Some(guid) = wire.chat {
                        self.aacc.chats.remove(&guid);
                    }
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
            Op::Expire => {
                let open = self.wire.as_ref().and_then(|w| w.chat);
                self.aacc
                    .chats
                    .retain(|guid, chat| open == Some(*guid) && !chat.agent_in);
            }
            Op::Refuse { times, by_error } => self.aacc.refuse = (times, by_error),
            Op::TakeSilently {
                times,
                internal_error,
            } => self.aacc.take_silently = (times, internal_error),
            Op::Maintenance(on) => self.aacc.maintenance = on,
            Op::Unreachable { times } => self.aacc.unreachable = times,
            Op::Lag(on) => self.lag = on,
            Op::SurplusAck => {
                if !self.session.text_in_flight()
                    && let Some(wire) = &self.wire
                    && !wire.black_hole
                {
                    self.session.on_frame(&ack(true).encode(), self.now);
                }
            }
            Op::Noise(frame) => self.session.on_frame(&frame, self.now),
            Op::Advance(time) => self.advance(time),
            Op::Freeze(time) => {
                self.now += time;
                self.session.on_timeout(self.now);
            }
            Op::HandOver => {
                // As the connector does it: when nothing is in flight.
                if !self.session.text_in_flight() {
                    self.session.detach();
                }
            }
        }
        self.pump();
    }

    /// All faults end, agents come in: everything must arrive.
    fn heal(&mut self) {
        self.lag = false;
        self.aacc.refuse.0 = 0;
        self.aacc.take_silently.0 = 0;
        self.aacc.maintenance = false;
        self.aacc.unreachable = 0;
        self.pump();
        // The head of the line has had its share of refusals, perhaps: one more is its last.
        let troubled = self.troubled;
        let dead = self.dead.clone();
        for _ in 0..500 {
            let agent_in = self.chat().map(|(chat, _)| chat.agent_in);
            if agent_in == Some(false) {
                self.apply(Op::AgentJoins);
            }
            if agent_in.is_some() && self.line.is_empty() {
                break;
            }
            self.advance(5 * S);
        }
        assert!(
            self.line.is_empty(),
            "stuck in {:?} with {:?}",
            self.session.phase(),
            self.line
        );
        let new: Vec<_> = self
            .dead
            .difference(&dead)
            .filter(|token| Some(**token) != troubled)
            .collect();
        assert!(new.is_empty(), "dead letters without a fault: {new:?}");
    }

    fn check(&mut self) {
        let mut first = Vec::new();
        for token in &self.aacc.taken {
            if !first.contains(token) {
                first.push(*token);
            }
        }
        assert!(first.is_sorted(), "out of order: {:?}", self.aacc.taken);
        for token in 1..=self.last_text {
            let times = self.aacc.taken.iter().filter(|t| **t == token).count() as u32;
            let doubts = self.doubts.get(&token).copied().unwrap_or_default();
            assert!(times > 0 || self.dead.contains(&token), "{token} is lost");
            assert!(
                times <= 1 + doubts,
                "{token} came {times} times after {doubts} doubts"
            );
        }

        // What agents said: never twice; all of the chat that is open now, once it has been resumed.
        self.apply(Op::Cut { code: None, got: 0 });
        self.advance(60 * S);
        let heard: BTreeSet<i64> = self.heard.iter().map(|(_, said)| *said).collect();
        assert_eq!(heard.len(), self.heard.len(), "heard twice: {:?}", self.heard);
        let (chat, _) = self.chat().expect("an open chat");
        for frame in &chat.transcript {
            let ServerFrame::NewMessage(m) = frame else {
                panic!("{frame:?}")
            };
            assert!(
                heard.contains(&m.message.parse().unwrap()),
                "words of the open chat are missing"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_stuck(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.heal();
        world.check();
    }
}
