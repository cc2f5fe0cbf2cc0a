//! What can be seen from outside: chats as an agent's desktop shows them, the record for a checker, events.
//!
//! These carry texts and phone numbers: they are for tests and pages, never for a log.

use ccm_ewc_proto::frame::ParticipantType;
use serde::{Deserialize, Serialize};

use crate::strict::Severity;

/// Where a chat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatState {
    /// No agent who opens it for texts is in: not routed yet, or the last one left.
    Waiting,
    Live,
    Ended,
}

/// Why a chat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The customer's side sent `closeConversation`.
    Customer,
    /// An agent left with `endChatFlag: true`.
    Agent,
    /// No socket came back in time, or the session was expired on purpose.
    Expired,
    /// `routeCancel` was sent.
    NoAgent,
    /// The customer neither wrote nor typed for too long while an agent was in.
    Idle,
}

/// The socket behind a chat, as AACC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Open on the socket of this number (counted from 1 over the simulator's life).
    Open(u64),
    Lost,
}

/// What somebody in the room may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    ActiveParticipant,
    PassiveParticipant,
    Supervisor,
    SupervisorObserve,
    SupervisorBarge,
}

impl From<Role> for ParticipantType {
    fn from(role: Role) -> Self {
        match role {
            Role::ActiveParticipant => ParticipantType::Active,
            Role::PassiveParticipant => ParticipantType::Passive,
            Role::Supervisor => ParticipantType::Supervisor,
            Role::SupervisorObserve => ParticipantType::SupervisorObserve,
            Role::SupervisorBarge => ParticipantType::SupervisorBarge,
        }
    }
}

/// Somebody on AACC's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub role: Role,
}

impl Agent {
    /// An agent who takes part actively.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Agent {
            id: id.into(),
            name: name.into(),
            role: Role::ActiveParticipant,
        }
    }

    /// The same in another role.
    pub fn with_role(self, role: Role) -> Self {
        Agent { role, ..self }
    }
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    Customer,
    Agent,
    /// AACC itself: the welcome message, and what happened.
    System,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    Text,
    Welcome,
    /// A text of AACC itself about the chat. No part of the record for checkers: whether it reaches the phone is the
    /// tenant's affair.
    Notice,
    Page,
    /// A file that an agent offers.
    File,
    Joined,
    Left,
    Ended,
}

/// One line of a chat as the agent's window shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    pub kind: LineKind,
    pub from: Sender,
    pub agent_id: Option<String>,
    pub name: String,
    /// As it went over the wire.
    pub text: String,
    /// As the agent's window shows it.
    pub displayed: String,
    /// The number of the socket that it came from; none for AACC's side.
    pub socket: Option<u64>,
    /// AACC's side only: it was written to an open socket when it was said.
    pub delivered_to_socket: bool,
    /// How often it was written to a socket again in a transcript.
    pub replayed: u32,
}

/// A chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatView {
    pub guid: u64,
    /// The custom field `from`; without it country, area and phone number.
    pub customer: String,
    pub customer_name: String,
    pub phone_number: String,
    pub skillset: String,
    /// Titles and values, as the customer's side sent them.
    pub custom_fields: Vec<(String, String)>,
    pub state: ChatState,
    pub end_reason: Option<EndReason>,
    pub link: Link,
    pub agents: Vec<Agent>,
    /// Ids of the agents who are typing.
    pub agents_typing: Vec<String>,
    /// The customer has typed since the last text.
    pub customer_typing: bool,
    /// Customer's texts since an agent last said something or read the chat.
    pub unread: u32,
    pub received: u32,
    pub said: u32,
    /// Texts answered with *Chat not started*.
    pub not_started: u32,
    pub resumes: u32,
    pub opened_at_ms: u64,
    /// Left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Line>,
}

/// Everything that a checker needs of AACC's side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// In the order in which the chats were opened.
    pub chats: Vec<ChatRecord>,
}

/// What went both ways in one chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRecord {
    pub guid: u64,
    pub customer: String,
    /// The custom field `to`: the number that the customer texted.
    pub ours: String,
    pub skillset: String,
    pub state: ChatState,
    /// What reached the agent's side, in order.
    pub received: Vec<Received>,
    /// What the agent's side said, in order.
    pub said: Vec<Said>,
}

/// A customer's text that reached the agent's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    pub text: String,
    pub displayed: String,
    pub at_ms: u64,
    pub socket: u64,
}

/// Something that the agent's side said: a text, the welcome message or a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// As it went over the wire, entities and all.
    pub text: String,
    pub at_ms: u64,
    pub kind: LineKind,
    pub agent_id: Option<String>,
    /// It was written to an open socket when it was said. What was not can only have been had from a transcript.
    pub delivered_to_socket: bool,
    pub replayed: u32,
}

/// Something that the customer's side did against the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub at_ms: u64,
    pub socket: Option<u64>,
    pub guid: Option<u64>,
    pub rule: String,
    /// Fields and types, never their content.
    pub detail: String,
    pub severity: Severity,
}

/// What happens, as it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    ChatOpened {
        guid: u64,
        customer: String,
        customer_name: String,
        skillset: String,
    },
    Resumed {
        guid: u64,
        socket: u64,
    },
    LinkLost {
        guid: u64,
    },
    /// A text, the welcome message or a link, from either side.
    Text {
        guid: u64,
        line: Line,
    },
    CustomerTyping {
        guid: u64,
        typing: bool,
    },
    AgentTyping {
        guid: u64,
        agent_id: String,
        typing: bool,
    },
    Joined {
        guid: u64,
        agent: Agent,
    },
    Left {
        guid: u64,
        agent_id: String,
        end_chat: bool,
    },
    /// Somebody in the room has another role now.
    RoleChanged {
        guid: u64,
        agent: Agent,
    },
    /// The chat waits for another skillset.
    Requeued {
        guid: u64,
        skillset: String,
    },
    Closed {
        guid: u64,
        reason: EndReason,
    },
    /// Everything was forgotten.
    Reset,
}

impl Event {
    /// The event's name in the stream.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Event::ChatOpened { .. } => "chat_opened",
            Event::Resumed { .. } => "resumed",
            Event::LinkLost { .. } => "link_lost",
            Event::Text { .. } => "text",
            Event::CustomerTyping { .. } => "customer_typing",
            Event::AgentTyping { .. } => "agent_typing",
            Event::Joined { .. } => "joined",
            Event::Left { .. } => "left",
            Event::RoleChanged { .. } => "role_changed",
            Event::Requeued { .. } => "requeued",
            Event::Closed { .. } => "closed",
            Event::Reset => "reset",
        }
    }
}
