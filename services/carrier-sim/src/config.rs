//! How a simulator is set up.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use crate::SimError;

/// Wall-clock time in nanoseconds since 1970, UTC. Nanoseconds, because the latency figures are taken from it.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that [`crate::Sim::start`] needs. `Config::default()` serves on free loopback ports, with no account yet.
#[derive(Clone)]
pub struct Config {
    /// Where the provider's API is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control API is served. Loopback only: it asks for no password.
    pub control: SocketAddr,
    pub setup: Setup,
    pub retry: Retry,
    /// How often a delivery receipt is posted that is not accepted, with the same pauses.
    pub receipt_posts: u32,
    /// How many texts, and how many receipts, are posted at the same time; the others wait.
    pub posts_at_once: usize,
    /// Where recorded and signed times come from.
    pub now_ns: WallClock,
    /// Seed of the messages' ids.
    pub seed: u64,
}

/// Accounts, and which of them a number belongs to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// The sending numbers (also short codes and alphanumeric senders), each with its account's name.
    #[serde(default)]
    pub numbers: BTreeMap<String, String>,
}

impl Setup {
    /// Reads a JSON file.
    pub fn load(path: &Path) -> Result<Self, SimError> {
        let file = |detail: String| SimError::File {
            path: path.to_owned(),
            detail,
        };
        let text = std::fs::read_to_string(path).map_err(|e| file(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| file(e.to_string()))
    }
}

/// The dialect of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Twilio's Programmable Messaging.
    Twilio,
    /// CCM's generic JSON over HTTP.
    Http,
    /// Vonage's SMS API.
    Vonage,
    /// Telnyx's Messaging API v2.
    Telnyx,
    /// Bandwidth's Messaging API v2.
    Bandwidth,
    /// Plivo's Messaging API.
    Plivo,
    /// Infobip's SMS API v3.
    Infobip,
    /// A provider of no name, with an HTTP API of its own (`wire/custom.rs`).
    Custom,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Twilio,
        Self::Http,
        Self::Vonage,
        Self::Telnyx,
        Self::Bandwidth,
        Self::Plivo,
        Self::Infobip,
        Self::Custom,
    ];

    /// As it is written in JSON, and as CCM calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Http => "http",
            Self::Vonage => "vonage",
            Self::Telnyx => "telnyx",
            Self::Bandwidth => "bandwidth",
            Self::Plivo => "plivo",
            Self::Infobip => "infobip",
            Self::Custom => "custom",
        }
    }

    /// Whether it passes the parts of a long text on as they come.
    pub(crate) fn posts_parts(self) -> bool {
        matches!(self, Self::Http | Self::Vonage)
    }

    /// Whether each text says where its receipts go; else they go to the account's webhook.
    pub(crate) fn is_told_where_receipts_go(self) -> bool {
        !matches!(self, Self::Http | Self::Bandwidth | Self::Infobip)
    }
}

/// An account of a CCM tenant with this provider.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub kind: Kind,
    /// Twilio: the account SID. Vonage: the API key. Bandwidth: the account id. Plivo: the Auth ID. Others: any name.
    pub name: String,
    /// What both sides know: Twilio's and Plivo's auth token, the generic signing secret, and so on; [`crate::Sim::ccm_account`]
    /// says how CCM's account is made from it.
    pub secret: String,
    /// Where texts from phones are posted. Without one they wait, as with a webhook that is down.
    #[serde(default)]
    pub webhook_url: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}

/// When a webhook that was not accepted is posted again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The pauses; the last one repeats.
    pub pauses: Vec<Duration>,
    /// Once this time has passed since the first post, the text is given up.
    pub give_up_after: Duration,
    /// How long one post may take. Twilio waits 15 s
    /// (<https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>).
    pub timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            pauses: [200, 500, 1000, 2000, 5000].map(Duration::from_millis).to_vec(),
            give_up_after: Duration::from_secs(60),
            timeout: Duration::from_secs(15),
        }
    }
}

impl Retry {
    /// After so many posts.
    pub(crate) fn pause(&self, posts: u32) -> Duration {
        let at = (posts as usize).saturating_sub(1);
        self.pauses
            .get(at)
            .or(self.pauses.last())
            .copied()
            .unwrap_or_default()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            setup: Setup::default(),
            retry: Retry::default(),
            receipt_posts: 5,
            posts_at_once: 128,
            now_ns: machine_clock(),
            seed: machine_entropy(),
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
