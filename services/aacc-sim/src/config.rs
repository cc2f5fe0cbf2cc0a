//! How a simulator is set up, and how its AACC is configured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::Faults;
use crate::script::AutoAgent;

/// The skillset of a chat that names none.
pub const DEFAULT_SKILLSET: &str = "WC_Default_Skillset";

/// Wall-clock time in nanoseconds since 1970, UTC. Nanoseconds, because the latency figures are taken from it.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that [`crate::Sim::start`] needs. `Config::default()` is a wss simulator on free loopback ports with a
/// private CA of its own, the machine's clock, no automatic agents, and AACC's default settings.
#[derive(Clone)]
pub struct Config {
    /// Where EWC is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control API is served. Loopback only: it asks for no password.
    pub control: SocketAddr,
    pub tls: Tls,
    pub settings: Settings,
    /// Automatic agents; the first rule that fits a new chat plays it.
    pub agents: Vec<AutoAgent>,
    /// Where recorded times come from.
    pub now_ns: WallClock,
    /// Seed of the authentication keys.
    pub seed: u64,
    /// The first chat's guid. `None`: taken from the clock, so that a restarted simulator gives no guid twice.
    pub first_guid: Option<u64>,
}

/// What the EWC port speaks.
#[derive(Clone, Debug, Default)]
pub enum Tls {
    /// wss with a private CA and a server certificate made at start, in memory.
    #[default]
    PrivateCa,
    /// wss with `ca.pem`, `server.pem` and `server.key` of this folder; they are made where missing, so that a
    /// restarted simulator keeps its identity.
    Dir(PathBuf),
    /// wss with these PEM texts. `ca_pem` is only handed out by the handle.
    Pem {
        cert_pem: String,
        key_pem: String,
        ca_pem: String,
    },
    /// ws.
    Plain,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::default(),
            settings: Settings::default(),
            agents: Vec::new(),
            now_ns: machine_clock(),
            seed: machine_entropy(),
            first_guid: None,
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the simulator's one default clock; callers can pass their own"
)]
fn machine_clock() -> WallClock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| d.as_nanos() as u64)
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "the simulator's one default seed; callers can pass their own"
)]
fn machine_entropy() -> u64 {
    rand::random()
}

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
    /// What an error's `method` says: servers differ.
    pub error_method: ErrorMethod,
    /// Cut a socket on which the customer's side sent nothing for so long, as a reverse proxy does.
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
            error_method: ErrorMethod::Request,
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
    /// Every text as a `newMessage`; only its `displayName` tells the customer's own.
    Plain,
    /// The same with `senderType`, as the later generation does.
    WithSenderType,
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
