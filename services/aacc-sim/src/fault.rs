//! What can be made to go wrong.

use serde::{Deserialize, Serialize};

/// Defines [`Faults`] and [`FaultsChange`] from one list of fields.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// Faults that stay until they are taken back or used up.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Faults {
            $($(#[$doc])* pub $name: $kind,)*
        }

        /// Changes to [`Faults`]: what is left out stays as it is.
        #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct FaultsChange {
            $(pub $name: Option<$kind>,)*
        }

        impl FaultsChange {
            pub(crate) fn apply(self, to: &mut Faults) {
                $(if let Some(value) = self.$name {
                    to.$name = value;
                })*
            }
        }
    };
}

faults! {
    /// What happens to TCP connections.
    new_connections: NewConnections,
    /// Each acknowledgement of a text waits so long.
    ack_delay_ms: u64,
    /// The next n texts reach the agent, but are never acknowledged.
    withhold_acks: u32,
    /// The next n texts reach the agent and are acknowledged twice.
    surplus_acks: u32,
    /// The next n texts reach the agent, then the socket is closed (1001) without an acknowledgement.
    close_before_ack: u32,
    /// The next n texts reach the agent and are acknowledged, then the socket is closed (1001).
    close_after_ack: u32,
    /// The next n texts do not reach the agent and are answered with `result: false`.
    refuse_texts: u32,
    /// The next n texts do not reach the agent and are answered with error 500.
    internal_error_texts: u32,
    /// The next n texts do not reach the agent and are answered with an error that no client knows.
    unknown_error_texts: u32,
    /// Every `requestChat` gets error 503, queue metrics get HTTP 503. Chats that are open go on.
    maintenance: bool,
    /// During maintenance texts in open chats get error 503 too.
    maintenance_texts: bool,
    /// Pings get no answer.
    ignore_pings: bool,
    /// Every resume is refused, as where *chat session to survive a webpage refresh* is not ticked.
    refuse_resumes: bool,
    /// The next n notifications are sent twice.
    duplicate_notifications: u32,
    /// Before every n-th frame goes a notification of a method that no client knows; 0 for none.
    unknown_method_every: u32,
    /// Texts go out in WebSocket fragments of so many bytes; 0 for whole frames.
    fragment_bytes: u32,
    /// What goes out drips: so many bytes, then a pause; 0 for no dripping.
    drip_bytes: u32,
    /// The pause between drops.
    drip_pause_ms: u32,
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

/// What goes wrong with one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFault {
    Refuse,
    InternalError,
    UnknownError,
    WithholdAck,
    SurplusAck,
    CloseBeforeAck,
    CloseAfterAck,
}

/// How a frame leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of a WebSocket fragment; 0 for a whole frame.
    pub fragment: u32,
    /// Bytes between pauses; 0 for no pauses.
    pub drip_bytes: u32,
    pub drip_pause_ms: u32,
}

impl Faults {
    /// What goes wrong with the next text; uses the fault up.
    pub(crate) fn next_text(&mut self) -> Option<TextFault> {
        let counters = [
            (&mut self.refuse_texts, TextFault::Refuse),
            (&mut self.internal_error_texts, TextFault::InternalError),
            (&mut self.unknown_error_texts, TextFault::UnknownError),
            (&mut self.withhold_acks, TextFault::WithholdAck),
            (&mut self.surplus_acks, TextFault::SurplusAck),
            (&mut self.close_before_ack, TextFault::CloseBeforeAck),
            (&mut self.close_after_ack, TextFault::CloseAfterAck),
        ];
        let due = counters.into_iter().find(|(count, _)| **count > 0);
        due.map(|(count, fault)| {
            *count -= 1;
            fault
        })
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            fragment: self.fragment_bytes,
            drip_bytes: self.drip_bytes,
            drip_pause_ms: self.drip_pause_ms,
        }
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
    /// What the customer's side sends arrives and works; nothing comes back, and AACC takes the socket for open.
    HalfOpen,
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
