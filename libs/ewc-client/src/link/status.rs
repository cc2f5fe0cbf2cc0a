//! What a link shows of itself.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::certificate::PeerCertificate;

/// One of a link's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    Primary,
    Secondary,
}

impl Which {
    pub(super) const BOTH: [Which; 2] = [Which::Primary, Which::Secondary];

    pub(super) fn other(self) -> Self {
        match self {
            Which::Primary => Which::Secondary,
            Which::Secondary => Which::Primary,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Primary => "primary",
            Which::Secondary => "secondary",
        })
    }
}

/// How a link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// No chat has tried yet, or too few to tell.
    Unknown,
    /// Chats get in.
    Up,
    /// Nobody dials: no endpoint lets chats in.
    Down {
        since: Instant,
        /// The last failure.
        why: String,
        /// What an operator should look at.
        remedy: &'static str,
    },
    /// Down, and being tried.
    HalfOpen { since: Instant },
    /// Held by [`Link::hold`](crate::Link::hold).
    Held,
}

impl LinkState {
    /// `Down` and `HalfOpen`, which take turns until the link is up.
    pub fn is_down(&self) -> bool {
        matches!(self, LinkState::Down { .. } | LinkState::HalfOpen { .. })
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkState::Unknown => f.write_str("unknown"),
            LinkState::Up => f.write_str("up"),
            LinkState::Down { why, .. } => write!(f, "down: {why}"),
            LinkState::HalfOpen { .. } => f.write_str("half open"),
            LinkState::Held => f.write_str("held"),
        }
    }
}

/// What changes seldom, and is worth an event when it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkHealth {
    pub state: LinkState,
    /// Where new dials go.
    pub active: Which,
    /// Of the last handshake with the active endpoint.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// Since the link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Dials begun, those of probes too.
    pub dials: u64,
    /// Chats that did not get in.
    pub failures: u64,
    pub failovers: u64,
    pub failbacks: u64,
}

/// A link at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    pub health: LinkHealth,
    /// Open sockets of chats, whichever endpoint they are at.
    pub sockets: usize,
    /// Chats that want to dial and may not yet.
    pub waiting: usize,
    pub counts: Counts,
}

impl fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}), {} sockets, {} waiting",
            self.health.state, self.health.active, self.sockets, self.waiting
        )
    }
}

/// What a chat waits for before it may dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Its turn, at the link's connect rate.
    ConnectRate,
    /// The link is down, and one chat is tried at a time.
    Breaker,
    /// The link is held.
    Held,
}
