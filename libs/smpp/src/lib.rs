//! SMPP 3.4, and 5.0 where a peer offers it: sessions, texts and receipts. It knows nothing of tenants, accounts and stores, so
//! that our side and the simulator's share it.
//!
//! | module | is |
//! | --- | --- |
//! | [`session`] | one session without its socket: binds, window, pace, time-outs |
//! | [`message`] | texts and receipts in PDUs |
//! | [`coding`] | which octets a text is |
//! | [`status`] | what each error means for a text |
//! | [`link`] | a session on its socket |
//! | [`send`] | a text of several parts over a link |
//! | [`keep`] | a bind that is there again when it was lost |
//! | [`dial`] | the socket: TCP, or TLS that is always verified |
//!
//! The codec is rusmpp. Its `Debug` shows texts, numbers and passwords: no PDU is ever printed here.

pub mod coding;
pub mod dial;
pub mod keep;
pub mod link;
pub mod message;
mod pace;
pub mod send;
pub mod session;
pub mod status;
mod wire;

pub use rusmpp::{CommandId, CommandStatus, Pdu};
pub use wire::BadLength;
