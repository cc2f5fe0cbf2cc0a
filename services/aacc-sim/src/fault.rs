//! What can be made to go wrong.

use serde::{Deserialize, Serialize};

/// Faults that stay until they are taken back or used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    pub new_connections: NewConnections,
    /// Each acknowledgement of a text waits so long.
    pub ack_delay_ms: u64,
    /// The next n texts reach the agent, but are never acknowledged.
    pub withhold_acks: u32,
    /// The next n texts do not reach the agent and are answered with `result: false`.
    pub refuse_texts: u32,
    /// Every `requestChat` gets error 503, queue metrics get HTTP 503. Chats that are open go on.
    pub maintenance: bool,
    /// Pings get no answer.
    pub ignore_pings: bool,
    /// Every resume is refused, as where *chat session to survive a webpage refresh* is not ticked.
    pub refuse_resumes: bool,
}

/// What happens to a TCP connection to the EWC port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewConnections {
    #[default]
    Accept,
    /// Reset at once.
    Refuse,
    /// Accepted by the kernel, never answered; reset when the fault is taken back.
    Hang,
    /// Closed right after the TLS handshake (with plain ws: at once).
    CloseAfterTls,
}

/// Changes to [`Faults`]: what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultsChange {
    pub new_connections: Option<NewConnections>,
    pub ack_delay_ms: Option<u64>,
    pub withhold_acks: Option<u32>,
    pub refuse_texts: Option<u32>,
    pub maintenance: Option<bool>,
    pub ignore_pings: Option<bool>,
    pub refuse_resumes: Option<bool>,
}

impl FaultsChange {
    pub(crate) fn apply(self, to: &mut Faults) {
        fn set<T>(slot: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *slot = value;
            }
        }
        set(&mut to.new_connections, self.new_connections);
        set(&mut to.ack_delay_ms, self.ack_delay_ms);
        set(&mut to.withhold_acks, self.withhold_acks);
        set(&mut to.refuse_texts, self.refuse_texts);
        set(&mut to.maintenance, self.maintenance);
        set(&mut to.ignore_pings, self.ignore_pings);
        set(&mut to.refuse_resumes, self.refuse_resumes);
    }
}

/// How a socket is broken. The chat behind it survives for [`crate::Settings::survive_for`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// A WebSocket close with code 1001.
    Close,
    /// A TCP reset. Ends a black hole too.
    Reset,
    /// Nothing is read or written any more; TCP stays open, and AACC takes the socket for open.
    BlackHole,
}

/// Which chats an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    All,
    Chat(u64),
}

impl From<u64> for Target {
    fn from(guid: u64) -> Self {
        Target::Chat(guid)
    }
}

impl From<Option<u64>> for Target {
    fn from(guid: Option<u64>) -> Self {
        guid.map_or(Target::All, Target::Chat)
    }
}
