//! What is to be examined.

use std::time::Duration;

use ccm_ewc_client::Target;

/// What to examine and how far to go.
#[derive(Debug, Clone)]
pub struct Plan {
    pub primary: Target,
    /// The other address of an AACC pair, examined in the same way.
    pub secondary: Option<Target>,
    /// The skillsets that our numbers are mapped to. Empty: AACC is asked for all that it has.
    pub skillsets: Vec<String>,
    /// Off by default: agents see it.
    pub chat: Option<SyntheticChat>,
    /// A certificate that ends within so many days is warned of. Default 30.
    pub warn_days: u32,
    /// Hold a silent socket for so long, to find the read timeout of the reverse proxy. Off by default, because it takes
    /// that long.
    pub idle_watch: Option<Duration>,
    /// How often the connector pings its sockets. Default 5 s.
    pub ping_every: Duration,
    /// How long AACC may take to answer a ping, on a fresh socket and in a chat. Default 5 s.
    pub ping_timeout: Duration,
    /// An examination that takes longer is cut short. Default: none is.
    pub time_limit: Option<Duration>,
    /// The largest frame that CCM sends, in bytes. Default 16 KiB: a text of 4,096 characters outside of ASCII.
    pub largest_frame: usize,
}

impl Plan {
    pub fn new(primary: Target) -> Self {
        Plan {
            primary,
            secondary: None,
            skillsets: Vec::new(),
            chat: None,
            warn_days: 30,
            idle_watch: None,
            ping_every: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            time_limit: None,
            largest_frame: 16 * 1024,
        }
    }
}

/// A chat that says that it is a test, cuts its own socket, comes back and leaves. It is never left behind if it can be
/// closed at all.
#[derive(Debug, Clone)]
pub struct SyntheticChat {
    /// `WC_Default_Skillset`
    pub skillset: String,
    /// How long to wait for an agent. Zero: the resume is proven without one.
    pub wait: Duration,
    /// From a request for a chat to its answer. Default 15 s.
    pub answer_timeout: Duration,
}

impl SyntheticChat {
    pub fn new(skillset: impl Into<String>) -> Self {
        SyntheticChat {
            skillset: skillset.into(),
            wait: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(15),
        }
    }
}
