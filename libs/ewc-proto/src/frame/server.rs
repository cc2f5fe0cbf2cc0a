//! What AACC sends.

use super::PushPage;
use super::client::Intrinsics;
use super::field::{AgentId, AuthKey, Guid, Private};

/// A frame from AACC to the customer's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFrame {
    /// The answer to `requestChat`: the chat is open (or resumed) and waits for an agent.
    RequestChat(ChatAccepted),
    NewParticipant(NewParticipant),
    IsTyping(AgentTyping),
    NewMessage(AgentMessage),
    PushPage(PushPage),
    QueueStatus(QueueStatus),
    ParticipantLeave(ParticipantLeave),
    CloseConversation {
        result: bool,
    },
    /// No agent could be found (later generation).
    RouteCancel,
    /// The answer to a ping in 7.x.
    Ping,
    /// The answer to a ping in the later generation.
    Pong,
    /// Carries no message id: the n-th of a method answers the n-th request of that method on this socket.
    Acknowledgement {
        method: String,
        result: bool,
    },
    /// Hardly ever comes; never wait for it.
    NewChatAcknowledgement {
        guid: Option<Guid>,
    },
    AgentFileTransfer(AgentFileTransfer),
    Error(AaccError),
    Unknown {
        kind: String,
        method: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatAccepted {
    pub guid: Option<Guid>,
    pub authentication_key: Option<AuthKey>,
    /// The echo of what was asked; always there in 7.x.
    pub intrinsics: Option<Intrinsics>,
    pub comfort_groups: Vec<ComfortGroup>,
    pub on_hold_urls: Vec<OnHoldUrls>,
}

/// On-hold messages that the *client* plays while no agent is in: one every `delay_s`, round and round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComfortGroup {
    pub name: String,
    /// Seconds.
    pub delay_s: u32,
    /// Can be larger than the list.
    pub number_of_messages: u32,
    pub messages: Vec<ComfortMessage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComfortMessage {
    pub message: Private,
    pub sequence: u32,
}

/// On-hold links, played like comfort messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnHoldUrls {
    pub tag: String,
    pub description: String,
    /// Seconds.
    pub hold_time_s: u32,
    pub sequence: u32,
    pub urls: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewParticipant {
    pub agent_id: Option<AgentId>,
    pub display_name: Private,
    pub role: ParticipantType,
    /// Counts the customer too; judge an empty room by `participants`.
    pub number_of_participants: u32,
    /// Everybody but the customer.
    pub participants: Vec<Participant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Participant {
    pub id: Option<AgentId>,
    pub name: Private,
    pub kind: ParticipantType,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ParticipantType {
    #[default]
    Active,
    Passive,
    Supervisor,
    /// Listens in; not shown to the customer.
    SupervisorObserve,
    SupervisorBarge,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentTyping {
    pub agent_id: Option<AgentId>,
    pub display_name: Private,
    pub is_typing: bool,
}

/// A text in the chat: an agent's, the skillset's welcome message, or one of a replayed transcript.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentMessage {
    pub message: Private,
    pub display_name: Private,
    /// Milliseconds since 1970, UTC.
    pub timestamp_ms: Option<i64>,
    /// Later generation only.
    pub sender_type: Option<SenderType>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderType {
    Customer,
    LiveAgent,
    Agent,
    Bot,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueStatus {
    pub position_in_queue: Option<i64>,
    /// Seconds.
    pub estimated_wait_time_s: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParticipantLeave {
    pub agent_id: Option<AgentId>,
    /// The chat is over.
    pub end_chat_flag: bool,
    pub number_of_participants: u32,
    /// Those still in, without the customer.
    pub participants: Vec<Participant>,
    /// `transfer`, `requeue`, `escalate`, … (later generation).
    pub leave_reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentFileTransfer {
    pub agent_name: Private,
    pub name: Private,
    pub uuid: String,
    pub work_request_id: String,
}

/// An `error` frame. `method` is `"error"` or the failed request's, depending on the server: go by [`AaccError::kind`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AaccError {
    pub method: String,
    pub code: Option<i64>,
    /// Can echo what was sent, so it is kept out of `Debug`.
    pub text: Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A message before the chat was routed, or on a dead chat. Comes with code 1 too.
    NotStarted,
    /// A resume was refused; the socket stays open for a new chat.
    SessionExpired,
    /// The contact center shuts down for maintenance.
    Maintenance,
    Internal,
    /// The last message was invalid; the chat goes on.
    InvalidMessage,
    Unknown,
}

impl AaccError {
    /// Matches the text first, then the code: `Chat not started` comes with code 1, which alone means an invalid message.
    pub fn kind(&self) -> ErrorKind {
        let text = self.text.to_ascii_lowercase();
        if text.contains("chat not started") {
            return ErrorKind::NotStarted;
        }
        if text.contains("unable to reconnect") || text.contains("session key is invalid or expired") {
            return ErrorKind::SessionExpired;
        }
        match self.code {
            Some(2) => ErrorKind::SessionExpired,
            Some(503) => ErrorKind::Maintenance,
            Some(500) => ErrorKind::Internal,
            Some(1) => ErrorKind::InvalidMessage,
            _ => ErrorKind::Unknown,
        }
    }
}

impl ParticipantType {
    pub(super) fn read(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" | "active_participant" => Self::Active,
            "passive_participant" => Self::Passive,
            "supervisor" => Self::Supervisor,
            "supervisor_observe" => Self::SupervisorObserve,
            "supervisor_barge" => Self::SupervisorBarge,
            _ => Self::Other(name.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active_participant",
            Self::Passive => "passive_participant",
            Self::Supervisor => "supervisor",
            Self::SupervisorObserve => "supervisor_observe",
            Self::SupervisorBarge => "supervisor_barge",
            Self::Other(name) => name,
        }
    }
}

impl SenderType {
    pub(super) fn read(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "customer" => Self::Customer,
            "live_agent" => Self::LiveAgent,
            "agent" => Self::Agent,
            "bot" => Self::Bot,
            _ => Self::Other(name.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Customer => "customer",
            Self::LiveAgent => "live_agent",
            Self::Agent => "agent",
            Self::Bot => "bot",
            Self::Other(name) => name,
        }
    }
}
