//! What a session says: actions for the socket driver, events for whoever owns the conversation.

use std::fmt;
use std::time::Instant;

use crate::frame::{
    AaccError, AgentId, AuthKey, ComfortGroup, FrameError, Guid, OnHoldUrls, ParticipantType, Private,
    QueueStatus,
};

/// What the driver must do, in order.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Dial; answer with `on_connected` or `on_connect_failed`.
    Connect,
    /// Send this text frame.
    Send(String),
    /// Send what was asked for so far, then close the socket with this code. Nothing more is expected of this socket; a
    /// `Connect` may follow at once.
    Close { code: u16 },
    /// Drop the socket, or stop dialling, without ceremony.
    Drop,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Connect => f.write_str("Connect"),
            Action::Send(frame) => write!(f, "Send(<{} bytes>)", frame.len()),
            Action::Close { code } => write!(f, "Close({code})"),
            Action::Drop => f.write_str("Drop"),
        }
    }
}

/// What happened in the chat. `Debug` shows no text, name or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new chat is open: store guid and key before anything else. Comes again when a chat was given up for a new one.
    ChatOpened {
        guid: Guid,
        key: AuthKey,
    },
    /// The chat goes on over a new socket; `rekeyed` is its new key if AACC changed it.
    Resumed {
        rekeyed: Option<AuthKey>,
    },
    /// AACC no longer knows the chat, or it was given up after refusals: a new one is opened without asking.
    SessionExpired,
    /// The room opened for texts, or closed. Comes before the `Joined`/`Left` that caused it.
    AgentPresent(bool),
    /// Somebody came in (`AgentPresent` tells whether that opens the room). Comes a second time, with `shown`, when a
    /// supervisor who observed barges in.
    Joined {
        agent: Option<AgentId>,
        display_name: Private,
        role: ParticipantType,
        /// The customer may know of them; false for an observing supervisor.
        shown: bool,
    },
    Left {
        agent: Option<AgentId>,
        /// Empty if AACC never said it.
        display_name: Private,
        /// The customer may have known of them.
        shown: bool,
        reason: Option<LeaveReason>,
        /// How many are still in who open the room.
        remaining: usize,
        /// The chat is over: `Closed` follows.
        end: bool,
    },
    /// `send_text` will be taken now.
    ReadyForText,
    /// AACC has the text.
    TextDelivered {
        token: u64,
    },
    /// AACC refused the text: it goes back to the head of the line and is sent again at the next `ReadyForText`.
    /// `refusals` is 0 when it only found out that no agent is in.
    TextHeld {
        token: u64,
        refusals: u32,
    },
    /// The socket died with the text in flight, or its acknowledgement stayed away: AACC may have it. It goes back to the
    /// head of the line; sent again it must be marked.
    TextInDoubt {
        token: u64,
    },
    /// A dead letter: leave it out, go on with the next.
    TextRefused {
        token: u64,
        reason: Refusal,
    },
    /// Words from the chat, as they came: `text::from_agent` makes them readable, `heard::Fingerprint` is taken before.
    AgentText {
        name: Private,
        text: Private,
        /// Milliseconds since 1970, UTC.
        timestamp_ms: Option<i64>,
        sender: Sender,
        moment: Moment,
        /// It came over a resumed socket, so it can be a repeat.
        after_resume: bool,
    },
    AgentTyping {
        name: Private,
        typing: bool,
    },
    PagePush {
        name: Private,
        url: Private,
        message: Option<Private>,
        timestamp_ms: Option<i64>,
        after_resume: bool,
    },
    /// An agent offers a file (later generation); nothing is known of how to fetch it.
    FileTransfer {
        /// The agent's.
        name: Private,
        file: Private,
        uuid: String,
    },
    QueueStatus(QueueStatus),
    /// What this skillset plays to a waiting customer. AACC does not play it.
    OnHold {
        comfort_groups: Vec<ComfortGroup>,
        urls: Vec<OnHoldUrls>,
    },
    /// AACC found no agent; the chat stays open.
    RouteCancelled,
    /// AACC shuts down for maintenance: tries go on at a slow pace. Once per shutdown.
    Maintenance,
    /// The socket is gone; the session comes back by itself.
    LinkLost {
        why: Loss,
    },
    /// A dial failed; the session tries again by itself. Counts from 1 since the last stable link.
    ConnectFailed {
        attempt: u32,
    },
    /// An error that names nothing we did: to be recorded.
    FarSideError(AaccError),
    /// A frame of a type or method that we do not know: to be counted.
    UnknownMethod {
        kind: String,
        method: String,
    },
    /// A frame that is no JSON object: to be counted.
    Unreadable(FrameError),
    /// The end. No further event or action follows.
    Closed(CloseReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    Agent,
    /// The customer's own words in a replayed transcript: never text them back.
    Customer,
    /// The frame does not say; in a replay it may be either side.
    Unknown,
}

/// When in the chat words came: what can be told of whether an agent wrote them. `text::split_label` and
/// `text::system_notice` tell more. Of no meaning in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nobody is known to be in who takes texts: AACC's own words, most likely.
    NobodyIn,
    /// The first words since somebody came into the empty room: the skillset's welcome message, if it has one.
    FirstWords,
    Later,
}

/// Why somebody left, in the words of the later generation; 7.x gives no reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LeaveReason {
    Transfer,
    Requeue,
    Escalate,
    TransferToUser,
    Other(String),
}

impl LeaveReason {
    /// Case and the kind of separator do not matter.
    pub fn read(reason: &str) -> Self {
        let plain: String = reason
            .chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect();
        match plain.as_str() {
            "transfer" => Self::Transfer,
            "requeue" => Self::Requeue,
            "escalate" => Self::Escalate,
            "transfertouser" => Self::TransferToUser,
            _ => Self::Other(reason.to_owned()),
        }
    }
}

/// Why a text is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// AACC's last error to it.
    Error(AaccError),
    /// Acknowledged with `result: false`.
    NotAccepted,
    /// It was in flight again and again when the link broke, or was never acknowledged. The agent may have seen it.
    NeverAcknowledged,
}

impl fmt::Display for Refusal {
    /// For an operator. AACC's own words are left out, they can repeat the text; they are in [`Refusal::Error`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Error(AaccError { code: Some(code), .. }) => {
                write!(f, "AACC answered with error {code} each time")
            }
            Refusal::Error(_) => f.write_str("AACC answered with an error without a code each time"),
            Refusal::NotAccepted => f.write_str("AACC acknowledged it with result false each time"),
            Refusal::NeverAcknowledged => {
                f.write_str("it was never acknowledged, or the link broke while it was sent, each time")
            }
        }
    }
}

/// Why a socket was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// It was closed with this code, or broke without one.
    Disconnected {
        code: Option<u16>,
    },
    /// Pings stayed unanswered.
    Silent,
    LoginTimeout,
    /// `requestChat` was answered with an error.
    LoginRefused {
        code: Option<i64>,
    },
    AckTimeout,
    /// Error 500.
    InternalError,
    /// Error 503.
    Maintenance,
    /// A text was refused so often that a new socket or a new chat is tried.
    TextRefusals,
}

/// Where a session stands. Printable, for status pages and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Dialling; `attempt` counts from 0 since the last stable link.
    Connecting {
        attempt: u32,
    },
    LoggingIn {
        resume: bool,
    },
    /// The chat is open, no agent is in: texts are held.
    Waiting,
    /// An agent is in.
    Live,
    Recovering {
        attempt: u32,
        retry_at: Instant,
    },
    Leaving,
    Closed(CloseReason),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Connecting { attempt: 0 } => f.write_str("connecting"),
            Phase::Connecting { attempt } => write!(f, "connecting (retry {attempt})"),
            Phase::LoggingIn { resume: false } => f.write_str("logging in"),
            Phase::LoggingIn { resume: true } => f.write_str("resuming"),
            Phase::Waiting => f.write_str("waiting for an agent"),
            Phase::Live => f.write_str("live"),
            Phase::Recovering { attempt, .. } => write!(f, "recovering (retry {attempt})"),
            Phase::Leaving => f.write_str("leaving"),
            Phase::Closed(reason) => write!(f, "closed: {reason}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// `participantLeave` with `endChatFlag`.
    AgentsEnded,
    /// We left.
    ClosedByCustomer,
    /// Handed over: another session resumes this chat.
    Detached,
    /// AACC closed the conversation, or the socket with code 1000.
    FarSideEnded,
    /// AACC knows the chat no more, and nothing waited that another one would be opened for.
    Forgotten,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::AgentsEnded => "ended by the agent",
            CloseReason::ClosedByCustomer => "left by the customer",
            CloseReason::Detached => "handed over",
            CloseReason::FarSideEnded => "ended by AACC",
            CloseReason::Forgotten => "forgotten by AACC",
        })
    }
}

/// `send_text` came at a time when [`super::Session::ready_for_text`] is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chat takes no text now: wait for ReadyForText")]
pub struct NotReady;
