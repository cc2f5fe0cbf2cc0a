//! The socket side of EWC: dials AACC for a tenant and drives the state machine of `ccm-ewc-proto` over the socket.
//!
//! * [`Target`] says where a tenant's AACC is and what it is trusted by; [`Dialer`] is that, ready to dial, stage by stage
//!   for who wants to look ([`Dialer::resolve`], [`Dialer::connect`], [`Dialer::secure`], [`Dialer::upgrade`]).
//! * [`Link`] is what all chats of a tenant share: endpoints, [`ConnectRate`], circuit breaker, fail-over.
//! * [`Chat`] is one customer's chat: feed it texts, take its events.
//! * [`currentqueue`] asks how busy a skillset is.

mod answer;
mod certificate;
mod chat;
mod dial;
mod error;
mod guard;
mod link;
mod proxy;
mod queue;
mod rate;
mod target;
mod tickets;
mod tls;

pub use answer::HttpAnswer;
pub use certificate::{Ending, NotACertificate, PeerCertificate};
pub use chat::Chat;
pub use dial::{Connection, Dialer, Received, Secured, Socket, Stream};
pub use error::{DialError, ProxyProblem, Stage, TlsProblem};
pub use guard::Guard;
pub use link::{Counts, Link, LinkConfig, LinkHealth, LinkState, LinkStatus, Wait, Which};
pub use queue::{QueueError, QueueMetrics, currentqueue};
pub use rate::ConnectRate;
pub use target::{ClientIdentity, Credentials, Proxy, Scheme, Target};
pub use tls::TlsEvidence;
