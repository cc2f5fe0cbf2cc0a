//! A phone and an SMS provider on the real wire, for development and tests: never shipped.
//!
//! The provider speaks Twilio's dialect and CCM's generic JSON, both ways: it takes messages as documented and posts
//! signed webhooks, again and again with the same id until they are accepted, as real providers do. It can be made to fail
//! in every way that a provider fails, and keeps a record for a checker. [`Sim::start`] runs it inside a test; the program
//! `carrier-sim` runs it alone, played by hand over HTTP (see the README). [`Smsc`] is a message centre that speaks SMPP.
//!
//! It is written against the providers' documentation and shares no code with `ccm-sms`, so that each keeps the other
//! honest. SMPP's sessions it shares with `ccm-smpp`: those are kept honest by other people's peers (`deploy/dev/check-smpp`).

mod agenda;
mod book;
mod carrier;
mod config;
mod control;
mod edge;
mod error;
mod fault;
mod lanes;
mod limits;
mod manners;
mod ops;
mod parts;
mod post;
mod receipts;
mod segments;
mod sim;
mod smsc;
mod stats;
mod views;
mod wire;

pub use carrier::{AccountOptions, LineType, PhoneLine};
pub use config::{Account, Config, Kind, Retry, Setup, WallClock};
pub use error::{OpError, SimError, WaitError};
pub use fault::{Fault, FaultOrder, OrderedReceipt};
pub use limits::Rate;
pub use manners::{
    Dropped, Errors, Failures, LoseAnswer, Manners, PostManners, ReceiptManners, SendManners, Slow, Throttle,
};
pub use parts::NewParts;
pub use sim::Sim;
pub use smsc::{Answering, Receipts, Smsc, SmscConfig, SmscManners, SmscText};
pub use stats::{StatsView, Traffic};
pub use views::{
    Concat, Event, PhoneText, Receipt, ReceiptStatus, ReceivedText, Record, SentState, SentText,
};
