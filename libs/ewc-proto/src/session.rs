//! One customer's chat as a state machine: no sockets, no clock, no tasks.
//!
//! A driver feeds what happens on the socket and the time, then does each [`Action`]; the owner of the conversation
//! feeds texts and takes each [`Event`]. The session holds no text: the owner keeps the line and gives the next one when
//! [`Session::ready_for_text`] says so; `token` is the owner's name for it.
//!
//! ```text
//! Connecting → LoggingIn → Waiting ⇄ Live → Leaving → Closed
//!      ↑           │          └──┬──┘
//!      └─ Recovering ←───────────┘   (any loss but code 1000; for ever, nobody resets anything)
//! ```

mod config;
mod event;
mod frames;
mod line;
mod link;
mod room;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::frame::{AuthKey, ClientFrame, Guid, PushPage};

pub use config::{Config, Login, Profile};
pub use event::{Action, CloseReason, Event, LeaveReason, Loss, Moment, NotReady, Phase, Refusal, Sender};
pub use room::RoomSummary;

use line::{Jitter, Line};
use room::Room;

/// Going away: what we close a socket with that another session takes over.
const CLOSE_GOING_AWAY: u16 = 1001;
/// The end of the chat.
const CLOSE_NORMAL: u16 = 1000;

/// The state machine of one chat.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    profile: Profile,
    identity: Option<Identity>,
    state: State,
    room: Room,
    line: Line,
    jitter: Jitter,
    /// Failed connects and unstable links in a row.
    failures: u32,
    /// Resumes in a row that were answered oddly or not at all.
    failed_resumes: u32,
    /// AACC said that it shuts down, and no login succeeded since.
    maintenance: bool,
    /// No text waits for the chat: see [`Session::nothing_waits`].
    idle: bool,
    /// No `isTyping` before.
    typing_again: Option<Instant>,
    /// What `ready_for_text` was when `ReadyForText` was last considered.
    was_ready: bool,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

/// What a resume needs.
#[derive(Debug)]
struct Identity {
    guid: Guid,
    key: AuthKey,
}

#[derive(Debug)]
enum State {
    Connecting {
        attempt: u32,
    },
    LoggingIn {
        resume: bool,
        deadline: Instant,
    },
    Open {
        since: Instant,
        resumed: bool,
        pulse: Pulse,
    },
    Recovering {
        attempt: u32,
        retry_at: Instant,
    },
    Leaving {
        resumed: bool,
        deadline: Instant,
    },
    Closed(CloseReason),
}

/// The pings of a logged-in socket.
#[derive(Debug)]
struct Pulse {
    ping_at: Instant,
    /// When the first ping was sent that nothing was heard after.
    unanswered_since: Option<Instant>,
}

impl Session {
    /// `seed` sets the random part of the backoff: give each session its own.
    pub fn new(config: impl Into<Arc<Config>>, profile: Profile, login: Login, seed: u64) -> Self {
        let config = config.into();
        let (identity, agent_present) = match login {
            Login::New => (None, false),
            Login::Resume {
                guid,
                key,
                agent_present,
            } => (Some(Identity { guid, key }), agent_present),
        };
        Session {
            room: Room::new(agent_present),
            config,
            profile,
            identity,
            state: State::Connecting { attempt: 0 },
            line: Line::default(),
            jitter: Jitter::new(seed),
            failures: 0,
            failed_resumes: 0,
            maintenance: false,
            idle: false,
            typing_again: None,
            was_ready: false,
            actions: VecDeque::from([Action::Connect]),
            events: VecDeque::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        match self.state {
            State::Connecting { attempt } => Phase::Connecting { attempt },
            State::LoggingIn { resume, .. } => Phase::LoggingIn { resume },
            State::Open { .. } if self.room.is_open() => Phase::Live,
            State::Open { .. } => Phase::Waiting,
            State::Recovering { attempt, retry_at } => Phase::Recovering { attempt, retry_at },
            State::Leaving { .. } => Phase::Leaving,
            State::Closed(reason) => Phase::Closed(reason),
        }
    }

    /// The chat's identity, once it is open.
    pub fn guid(&self) -> Option<&Guid> {
        self.identity.as_ref().map(|i| &i.guid)
    }

    /// Who is in, by role.
    pub fn room(&self) -> RoomSummary {
        self.room.summary()
    }

    /// An agent is in (or may be, see [`Config::probe_after_resume`]), no text is in flight, and no refusal is being
    /// waited out.
    pub fn ready_for_text(&self) -> bool {
        let room = self.room.is_open() || self.room.is_unsure();
        matches!(self.state, State::Open { .. }) && room && self.line.is_free()
    }

    /// A text has been sent and not answered: a hand-over now would leave it in doubt.
    pub fn text_in_flight(&self) -> bool {
        self.line.in_flight()
    }

    /// Sends the text at the head of the line. Its fate comes as `TextDelivered`, `TextHeld`, `TextInDoubt` or
    /// `TextRefused`, one of them always, with `token`. After `TextHeld` and `TextInDoubt` the same text comes first again,
    /// under the same token.
    pub fn send_text(&mut self, token: u64, text: &str, now: Instant) -> Result<(), NotReady> {
        if !self.ready_for_text() {
            return Err(NotReady);
        }
        self.send(ClientFrame::NewMessage { message: text.into() });
        self.line.send(token, self.config.ack_timeout.map(|t| now + t));
        self.typing_again = None;
        self.settle();
        Ok(())
    }

    /// Whether the owner has no text for the chat, waiting or in flight. Should AACC have forgotten the chat meanwhile, none is
    /// opened in its place (no agent is called to an empty one): the session ends as [`CloseReason::Forgotten`].
    pub fn nothing_waits(&mut self, idle: bool) {
        self.idle = idle;
    }

    /// The customer types: told to the agents once, and again only after [`Config::typing_every`] or a text.
    pub fn customer_typing(&mut self, now: Instant) {
        let due = self.typing_again.is_none_or(|again| again <= now);
        if due && self.phase() == Phase::Live {
            self.typing_again = Some(now + self.config.typing_every);
            self.send(ClientFrame::IsTyping { is_typing: true });
        }
    }

    /// Asks for the place in the queue; answered by [`Event::QueueStatus`]. Without effect unless the chat is open.
    pub fn ask_queue_status(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.send(ClientFrame::QueueStatus);
        }
    }

    /// The customer pushes a link to the agents; the reference client's `destination` is `"newTab"`. Nothing tells whether
    /// they opened it. Refused unless a text would be taken: an error to it could pass for the answer to a text in flight.
    pub fn push_page(&mut self, url: &str, destination: &str) -> Result<(), NotReady> {
        if self.phase() != Phase::Live || !self.line.is_free() {
            return Err(NotReady);
        }
        self.send(ClientFrame::PushPage(PushPage {
            url: url.into(),
            destination: destination.to_owned(),
            ..PushPage::default()
        }));
        Ok(())
    }

    /// The customer leaves: AACC is told, then the socket closes. With no socket at hand the session just ends, as AACC
    /// ends a chat whose customer does not come back.
    pub fn leave(&mut self, now: Instant) {
        let resumed = match self.state {
            State::LoggingIn { resume, .. } => resume,
            State::Open { resumed, .. } => resumed,
            State::Leaving { .. } => return,
            _ => return self.close(CloseReason::ClosedByCustomer, CLOSE_NORMAL),
        };
        self.send(ClientFrame::CloseConversation);
        self.state = State::Leaving {
            resumed,
            deadline: now + self.config.leave_timeout,
        };
        self.settle();
    }

    /// Hands the chat over: closes the socket without telling AACC that the customer leaves, so that another session
    /// resumes with guid and key. A text in flight ends in doubt; see [`Session::text_in_flight`].
    pub fn detach(&mut self) {
        match self.state {
            State::Leaving { .. } => self.close(CloseReason::ClosedByCustomer, CLOSE_NORMAL),
            _ => self.close(CloseReason::Detached, CLOSE_GOING_AWAY),
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing for the owner to know. Take all of them before feeding more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Session::on_timeout`]. `None` only while dialling (the driver reports the outcome) and when closed.
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Connecting { .. } => None,
            State::LoggingIn { deadline, .. } => Some(*deadline),
            // Nothing else is waited for: an overdue acknowledgement is not asked about any more.
            State::Leaving { deadline, .. } => return Some(*deadline),
            State::Open { pulse, .. } => {
                let silent = pulse.unanswered_since.map(|t| t + self.config.pong_timeout);
                silent.into_iter().chain([pulse.ping_at]).min()
            }
            State::Recovering { retry_at, .. } => Some(*retry_at),
            State::Closed(_) => return None,
        };
        own.into_iter().chain(self.line.next_timeout()).min()
    }

    fn has_socket(&self) -> bool {
        matches!(
            self.state,
            State::LoggingIn { .. } | State::Open { .. } | State::Leaving { .. }
        )
    }

    /// What comes over this socket can be a repeat.
    fn socket_resumed(&self) -> bool {
        match self.state {
            State::LoggingIn { resume, .. } => resume,
            State::Open { resumed, .. } | State::Leaving { resumed, .. } => resumed,
            _ => false,
        }
    }

    fn send(&mut self, frame: ClientFrame) {
        self.actions.push_back(Action::Send(frame.encode()));
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Runs at the end of each input: tells the owner when the session has become ready for a text.
    fn settle(&mut self) {
        let ready = self.ready_for_text();
        if ready && !self.was_ready {
            self.tell(Event::ReadyForText);
        }
        self.was_ready = ready;
    }

    /// Ends the session, whatever it was doing.
    fn close(&mut self, reason: CloseReason, code: u16) {
        match self.state {
            State::Closed(_) => return,
            State::Connecting { .. } => {
                self.actions.clear();
                self.actions.push_back(Action::Drop);
            }
            State::Recovering { .. } => {}
            State::LoggingIn { .. } | State::Open { .. } | State::Leaving { .. } => {
                self.actions.push_back(Action::Close { code });
            }
        }
        self.end(reason);
    }

    /// Ends the session; the socket is gone or taken care of.
    fn end(&mut self, reason: CloseReason) {
        self.doubt();
        self.state = State::Closed(reason);
        self.settle();
        self.tell(Event::Closed(reason));
    }
}
