//! How the simulated AACC is configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::edge::Edge;
use crate::fault::Faults;

/// The skillset of a chat that names none.
pub const DEFAULT_SKILLSET: &str = "WC_Default_Skillset";

/// AACC's own configuration, and what is known to differ between AACCs. In a script file: the table `aacc`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Skillsets that differ from [`Settings::any_skillset`].
    pub skillsets: Vec<Skillset>,
    /// How every skillset behaves that is not listed (its name is ignored).
    pub any_skillset: Skillset,
    /// CCMM's *concurrent chats limit per customer*; `None` for no limit.
    pub chats_per_customer: Option<u32>,
    /// The answer to a `requestChat` above a limit. What AACC says then is not documented [D].
    pub limit_error: ErrorAnswer,
    /// How long a chat survives without a socket (CCMM: *chat session to survive a webpage refresh*).
    #[serde(rename = "survive_for_ms", with = "millis")]
    pub survive_for: Duration,
    /// What a resume with `requestTranscript: true` gets.
    pub transcript: Transcript,
    /// Send the `newParticipant` and `participantLeave` that happened while no socket was open after the resume.
    /// Whether AACC does is not documented; without it nobody could ever learn of them [D].
    pub missed_room_events: bool,
    /// The close code of a socket whose chat was resumed on another one [D].
    pub superseded_close_code: u16,
    /// Whether an observing supervisor alone opens the chat for the customer's texts [D].
    pub observer_opens_chat: bool,
    /// A resume changes the authentication key; the old one is refused from then on [D].
    pub rekey_on_resume: bool,
    /// What an error's `method` says: servers differ.
    pub error_method: ErrorMethod,
    /// How frames are written: servers differ.
    pub dialect: Dialect,
    /// Whether `routeCancel` ends the chat; else it goes on waiting [D].
    pub route_cancel_ends_chat: bool,
    /// How the room is told that a supervisor barges in or goes back [D].
    pub role_change: RoleChange,
    /// What comes first when an agent hands a chat to another one [D].
    pub transfer_order: TransferOrder,
    /// Those behind are told their new place, unasked, when somebody leaves the queue [D].
    pub push_queue_status: bool,
    /// CCMM's *force idle customer check timeout*: a chat with an agent in ends when its customer neither wrote nor typed
    /// for so long. Zero for never.
    #[serde(rename = "force_idle_after_ms", with = "millis")]
    pub force_idle_after: Duration,
    /// How the idle check ends a chat [D].
    pub idle_end: IdleEnd,
    /// From the customer's `closeConversation` to its answer. Meanwhile agents can still speak [D].
    #[serde(rename = "close_delay_ms", with = "millis")]
    pub close_delay: Duration,
    /// WebSocket pings to the customer's side; one that is not answered before the next is a violation [D].
    #[serde(rename = "ws_ping_every_ms", with = "opt_millis")]
    pub ws_ping_every: Option<Duration>,
    /// Queue metrics leave out skillsets that are neither listed nor [`Settings::any_skillset`] [D].
    pub known_skillsets_only: bool,
    /// The reverse proxy between AACC and its clients.
    pub edge: Edge,
    /// Cut a socket on which the customer's side sent nothing for so long, as a reverse proxy does (read timeout).
    #[serde(rename = "cut_idle_after_ms", with = "opt_millis")]
    pub cut_idle_after: Option<Duration>,
    /// Keep every text. Without, chats cost little and are forgotten when they end: no transcript (nothing to
    /// replay), no record for the checker; counters and statistics stay.
    pub record: bool,
    /// The faults to start with.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            skillsets: Vec::new(),
            any_skillset: Skillset::default(),
            chats_per_customer: Some(3),
            limit_error: ErrorAnswer {
                code: 500,
                text: "Maximum number of concurrent chats reached".into(),
            },
            survive_for: Duration::from_secs(60),
            transcript: Transcript::Plain,
            missed_room_events: true,
            superseded_close_code: 1000,
            observer_opens_chat: false,
            rekey_on_resume: false,
            error_method: ErrorMethod::Request,
            dialect: Dialect::default(),
            route_cancel_ends_chat: true,
            role_change: RoleChange::NewParticipant,
            transfer_order: TransferOrder::LeaveFirst,
            push_queue_status: false,
            force_idle_after: Duration::from_secs(180),
            idle_end: IdleEnd::ParticipantLeave,
            close_delay: Duration::ZERO,
            ws_ping_every: None,
            known_skillsets_only: false,
            edge: Edge::default(),
            cut_idle_after: None,
            record: true,
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// The settings of a skillset, listed or not.
    pub fn skillset(&self, name: &str) -> &Skillset {
        self.skillsets
            .iter()
            .find(|s| s.name == name)
            .unwrap_or(&self.any_skillset)
    }

    /// Whether the skillset is set up by its own name.
    pub fn knows(&self, name: &str) -> bool {
        self.any_skillset.name == name || self.skillsets.iter().any(|s| s.name == name)
    }

    /// The settings of a skillset to be changed; one that is not listed is listed from now on.
    pub fn skillset_mut(&mut self, name: &str) -> &mut Skillset {
        let at = self.skillsets.iter().position(|s| s.name == name);
        let at = at.unwrap_or_else(|| {
            self.skillsets.push(Skillset {
                name: name.to_owned(),
                ..self.any_skillset.clone()
            });
            self.skillsets.len() - 1
        });
        &mut self.skillsets[at]
    }

    /// The settings with the fields of `change` in place of theirs. In the tables (`edge`, `any_skillset` …) what is left
    /// out stays as well; lists are replaced as a whole.
    pub fn changed(&self, change: &Value) -> Result<Settings, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        merge(&mut all, change, 2);
        serde_json::from_value(all)
    }
}

fn merge(into: &mut Value, change: &Value, levels: u32) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) if levels > 0 => {
            for (name, value) in change {
                merge(into.entry(name).or_insert(Value::Null), value, levels - 1);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

/// One skillset as CCMM holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Skillset {
    pub name: String,
    /// Said when the first agent joins, behind the agent label.
    pub welcome: Option<String>,
    /// CCMM's agent label, in front of the welcome message.
    pub agent_label: String,
    /// Said when the last agent leaves, behind the agent label: `All Agents have left the conversation` in today's
    /// product. After the leaving where the chat goes on, before it where it ends [D].
    pub all_left: Option<String>,
    /// Said at once to who asks for a chat while no agent is available: `No agents` in today's product [D].
    pub no_agents: Option<String>,
    pub comfort_groups: Vec<ComfortGroup>,
    pub on_hold_urls: Vec<OnHoldUrl>,
    /// CCMM's *max concurrent chats per skillset*; `None` for no limit.
    pub max_chats: Option<u32>,
    /// `availableAgentsInQueue` of the queue metrics.
    pub available_agents: u32,
    /// The estimated wait of `queueStatus`, for each place in the queue, in seconds.
    pub wait_per_place_s: u32,
}

impl Default for Skillset {
    fn default() -> Self {
        Skillset {
            name: DEFAULT_SKILLSET.into(),
            welcome: None,
            agent_label: "[Agent]".into(),
            all_left: None,
            no_agents: None,
            comfort_groups: Vec::new(),
            on_hold_urls: Vec::new(),
            max_chats: Some(50),
            available_agents: 1,
            wait_per_place_s: 62,
        }
    }
}

/// Messages that the customer's side plays while no agent is in, one each `delay_s`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComfortGroup {
    pub name: String,
    pub delay_s: u32,
    pub messages: Vec<String>,
}

/// A link that the customer's side plays while no agent is in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnHoldUrl {
    pub tag: String,
    pub description: String,
    pub hold_time_s: u32,
    pub urls: Vec<String>,
}

/// An `error` frame's code and text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorAnswer {
    pub code: i64,
    pub text: String,
}

/// What a resume gets of what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transcript {
    Never,
    /// What AACC's side said, as a `newMessage` each; the customer's own texts are left out.
    AgentsOnly,
    /// Every text as a `newMessage`; only its `displayName` tells the customer's own.
    Plain,
    /// The same with `senderType`, as the later generation does.
    WithSenderType,
}

/// How the room is told of another role of somebody who is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleChange {
    /// A `newParticipant` of somebody who is in already.
    NewParticipant,
    /// A `participantLeave`, then a `newParticipant`.
    LeaveAndJoin,
}

/// What comes first in a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferOrder {
    LeaveFirst,
    JoinFirst,
}

/// How AACC ends the chat of an idle customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleEnd {
    /// `participantLeave` with `endChatFlag: true`.
    ParticipantLeave,
    /// `closeConversation`, then a close with code 1000.
    CloseConversation,
}

/// What stands in an error's `method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorMethod {
    /// The failed request's method.
    Request,
    /// The word `error`.
    Error,
}

mod millis {
    use super::*;

    pub fn serialize<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(d.as_millis() as u64)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}

mod opt_millis {
    use super::*;

    pub fn serialize<S: serde::Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        d.map(|d| d.as_millis() as u64).serialize(s)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_millis))
    }
}
