//! One chat.

use std::fmt::Write as _;

use ccm_ewc_proto::frame::{
    AgentId, AgentMessage, AuthKey, ChatAccepted, ComfortGroup, ComfortMessage, Guid, Intrinsics, OnHoldUrls,
    Participant, SenderType, ServerFrame,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::player::Heard;
use crate::queue::Ticket;
use crate::settings::{Settings, Skillset, Transcript};
use crate::views::{
    Agent, ChatRecord, ChatState, ChatView, EndReason, Line, LineKind, Link, Received, Role, Said, Sender,
};

/// One chat, as long as the simulator remembers it.
pub(crate) struct Chat {
    pub guid: u64,
    pub key: AuthKey,
    pub intrinsics: Intrinsics,
    pub customer: String,
    pub skillset: String,
    pub state: ChatState,
    pub end_reason: Option<EndReason>,
    pub link: Link,
    /// Counts lost links, so that a timer knows whether the loss that started it still lasts.
    pub losses: u32,
    pub room: Vec<Present>,
    /// Its place in the queue while it waits.
    pub ticket: Option<Ticket>,
    /// What the customer's side was told about an empty room.
    pub told: Told,
    /// When the customer last wrote or typed, or an agent came into an empty room.
    pub heard_at: Instant,
    /// The customer has closed it, and AACC takes its time to say so.
    pub closing: bool,
    pub welcomed: bool,
    pub customer_typing: bool,
    pub unread: u32,
    pub received: u32,
    pub said: u32,
    pub not_started: u32,
    pub resumes: u32,
    pub opened_at_ms: u64,
    pub lines: Vec<Line>,
    /// Events of the room while no socket was open.
    pub missed: Vec<String>,
    /// The automatic agent that plays this chat; dropped at the end.
    pub player: Option<mpsc::UnboundedSender<Heard>>,
}

/// What the customer's side can know of an empty room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nobody was in since the chat was opened.
    NobodyYet,
    SomebodyIn,
    /// The last one left.
    NobodyLeft(Instant),
    /// The chat was resumed, and nothing was said about the room since.
    Unknown,
}

/// Somebody in the room.
pub(crate) struct Present {
    pub agent: Agent,
    pub typing: bool,
}

impl Chat {
    pub fn new(
        guid: u64,
        key: AuthKey,
        intrinsics: Intrinsics,
        skillset: String,
        socket: u64,
        at_ms: u64,
    ) -> Self {
        Chat {
            guid,
            key,
            customer: customer_number(&intrinsics),
            intrinsics,
            skillset,
            state: ChatState::Waiting,
            end_reason: None,
            link: Link::Open(socket),
            losses: 0,
            room: Vec::new(),
            ticket: None,
            told: Told::NobodyYet,
            heard_at: Instant::now(),
            closing: false,
            welcomed: false,
            customer_typing: false,
            unread: 0,
            received: 0,
            said: 0,
            not_started: 0,
            resumes: 0,
            opened_at_ms: at_ms,
            lines: Vec::new(),
            missed: Vec::new(),
            player: None,
        }
    }

    pub fn ended(&self) -> bool {
        self.state == ChatState::Ended
    }

    /// Waiting or live, from who is in the room.
    pub fn settle(&mut self, observer_opens_chat: bool) {
        if self.ended() {
            return;
        }
        let opens = |p: &Present| match p.agent.role {
            Role::ActiveParticipant | Role::SupervisorBarge => true,
            Role::SupervisorObserve => observer_opens_chat,
            Role::PassiveParticipant | Role::Supervisor => false,
        };
        let was = self.state;
        self.state = if self.room.iter().any(opens) {
            ChatState::Live
        } else {
            ChatState::Waiting
        };
        if self.state == ChatState::Live && was != ChatState::Live {
            self.heard_at = Instant::now();
        }
        self.told = match (self.state, self.told) {
            (ChatState::Live, _) => Told::SomebodyIn,
            (_, Told::SomebodyIn | Told::Unknown) => Told::NobodyLeft(Instant::now()),
            (_, told) => told,
        };
    }

    pub fn participants(&self) -> Vec<Participant> {
        let one = |p: &Present| Participant {
            id: Some(AgentId::string(&p.agent.id)),
            name: p.agent.name.as_str().into(),
            kind: p.agent.role.into(),
        };
        self.room.iter().map(one).collect()
    }

    /// The answer to `requestChat`, the same for a new chat and for a resumed one.
    pub fn accepted(&self, skillset: &Skillset) -> ServerFrame {
        ServerFrame::RequestChat(ChatAccepted {
            guid: Some(Guid::number(self.guid)),
            authentication_key: Some(self.key.clone()),
            intrinsics: Some(self.intrinsics.clone()),
            comfort_groups: comfort_groups(skillset),
            on_hold_urls: on_hold_urls(skillset),
        })
    }

    /// Every text so far as AACC replays it, with the line's index. `&lt;` and `&gt;` stay: that is how AACC keeps them.
    pub fn transcript(&self, how: Transcript) -> Vec<(usize, ServerFrame)> {
        let with_sender_type = how == Transcript::WithSenderType;
        let texts = self.lines.iter().enumerate();
        let texts =
            texts.filter(|(_, l)| matches!(l.kind, LineKind::Text | LineKind::Welcome | LineKind::Notice));
        let texts = texts.filter(|(_, l)| how != Transcript::AgentsOnly || l.from != Sender::Customer);
        texts
            .map(|(index, l)| {
                let sender = match l.from {
                    Sender::Customer => SenderType::Customer,
                    Sender::Agent | Sender::System => SenderType::Agent,
                };
                let frame = ServerFrame::NewMessage(AgentMessage {
                    message: l.displayed.as_str().into(),
                    display_name: l.name.as_str().into(),
                    timestamp_ms: Some(l.at_ms as i64),
                    sender_type: with_sender_type.then_some(sender),
                });
                (index, frame)
            })
            .collect()
    }

    pub fn view(&self, with_transcript: bool) -> ChatView {
        let fields = self.intrinsics.custom_fields.iter();
        let typing = self.room.iter().filter(|p| p.typing);
        ChatView {
            guid: self.guid,
            customer: self.customer.clone(),
            customer_name: self.intrinsics.name.to_string(),
            phone_number: self.intrinsics.phone_number.to_string(),
            skillset: self.skillset.clone(),
            custom_fields: fields.map(|f| (f.title.clone(), f.value.to_string())).collect(),
            state: self.state,
            end_reason: self.end_reason,
            link: self.link,
            agents: self.room.iter().map(|p| p.agent.clone()).collect(),
            agents_typing: typing.map(|p| p.agent.id.clone()).collect(),
            customer_typing: self.customer_typing,
            unread: self.unread,
            received: self.received,
            said: self.said,
            not_started: self.not_started,
            resumes: self.resumes,
            opened_at_ms: self.opened_at_ms,
            transcript: if with_transcript {
                self.lines.clone()
            } else {
                Vec::new()
            },
        }
    }

    pub fn record(&self) -> ChatRecord {
        let received = self
            .lines
            .iter()
            .filter(|l| l.from == Sender::Customer && l.kind == LineKind::Text);
        let said = self.lines.iter().filter(|l| {
            l.from != Sender::Customer
                && matches!(l.kind, LineKind::Text | LineKind::Welcome | LineKind::Page)
        });
        ChatRecord {
            guid: self.guid,
            customer: self.customer.clone(),
            ours: custom_field(&self.intrinsics, "to")
                .unwrap_or_default()
                .to_owned(),
            skillset: self.skillset.clone(),
            state: self.state,
            received: received
                .map(|l| Received {
                    text: l.text.clone(),
                    displayed: l.displayed.clone(),
                    at_ms: l.at_ms,
                    socket: l.socket.unwrap_or_default(),
                })
                .collect(),
            said: said
                .map(|l| Said {
                    text: l.text.clone(),
                    at_ms: l.at_ms,
                    kind: l.kind,
                    agent_id: l.agent_id.clone(),
                    delivered_to_socket: l.delivered_to_socket,
                    replayed: l.replayed,
                })
                .collect(),
        }
    }

    /// Keeps a line if lines are kept, and says where.
    pub fn keep(&mut self, settings: &Settings, line: &Line) -> Option<usize> {
        settings.record.then(|| {
            self.lines.push(line.clone());
            self.lines.len() - 1
        })
    }
}

/// A custom field that is not empty.
fn custom_field<'a>(intrinsics: &'a Intrinsics, title: &str) -> Option<&'a str> {
    let field = intrinsics
        .custom_fields
        .iter()
        .find(|f| f.title.eq_ignore_ascii_case(title));
    field.map(|f| &*f.value).filter(|v| !v.is_empty())
}

/// The customer's number: the custom field `from`, or the number that the intrinsics are made of.
fn customer_number(intrinsics: &Intrinsics) -> String {
    if let Some(from) = custom_field(intrinsics, "from") {
        return from.to_owned();
    }
    let mut number = intrinsics.country.clone();
    let _ = write!(number, "{}{}", &*intrinsics.area, &*intrinsics.phone_number);
    number
}

fn comfort_groups(skillset: &Skillset) -> Vec<ComfortGroup> {
    let groups = skillset.comfort_groups.iter();
    groups
        .map(|g| ComfortGroup {
            name: g.name.clone(),
            delay_s: g.delay_s,
            number_of_messages: g.messages.len() as u32,
            messages: (1u32..)
                .zip(&g.messages)
                .map(|(sequence, m)| ComfortMessage {
                    message: m.as_str().into(),
                    sequence,
                })
                .collect(),
        })
        .collect()
}

fn on_hold_urls(skillset: &Skillset) -> Vec<OnHoldUrls> {
    let urls = (1u32..).zip(&skillset.on_hold_urls);
    urls.map(|(sequence, u)| OnHoldUrls {
        tag: u.tag.clone(),
        description: u.description.clone(),
        hold_time_s: u.hold_time_s,
        sequence,
        urls: u.urls.clone(),
    })
    .collect()
}
