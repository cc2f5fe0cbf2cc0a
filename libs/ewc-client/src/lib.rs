//! The socket side of EWC: dials AACC for a tenant and drives the state machine of `ccm-ewc-proto` over the socket.
//!
//! * [`Target`] says where a tenant's AACC is and what it is trusted by; [`Dialer`] is that, ready to dial.
//! * [`Chat`] is one customer's chat: feed it texts, take its events.
//! * [`ConnectRate`] keeps a thousand chats from coming back in one instant.
//! * [`currentqueue`] asks how busy a skillset is.

mod chat;
mod dial;
mod error;
mod queue;
mod rate;
mod target;

pub use chat::Chat;
pub use dial::Dialer;
pub use error::{DialError, Stage, TlsProblem};
pub use queue::{QueueError, QueueMetrics, currentqueue};
pub use rate::ConnectRate;
pub use target::{Scheme, Target};
