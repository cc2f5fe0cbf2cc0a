//! AACC's side of EWC on the real wire, for development and tests: never shipped.
//!
//! It behaves as the protocol's page says (and marks with `[D]` what is not documented), shows its chats as an agent's
//! desktop would, can be made to fail in every way that a link fails, keeps a list of what the customer's side did
//! against the protocol, and a record for a checker. [`Sim::start`] runs it inside a test; the program `aacc-sim` runs
//! it alone, played by hand over HTTP (see the README) or by a [`Script`].

mod book;
mod chaos;
mod chat;
mod config;
mod control;
mod customer;
mod desk;
mod dialect;
mod edge;
mod error;
mod fault;
mod links;
mod manners;
mod passing;
mod player;
mod queue;
mod room;
mod script;
mod settings;
mod shared;
mod sim;
mod socket;
mod stats;
mod steps;
mod stream;
mod strict;
mod texts;
mod tls;
mod views;

pub use chaos::{Chaos, ChaosKind, ChaosView, Injected};
pub use config::{Config, Tls, WallClock};
pub use desk::{OfferedFile, Page};
pub use dialect::{ApiVersion, Dialect};
pub use edge::{BodyLimit, Edge, HttpAnswer, Others, OverLimit, UpgradeAnswer, WhiteList};
pub use error::{OpError, SimError, WaitError};
pub use fault::{Break, Faults, FaultsChange, NewConnections, Target};
pub use script::{AutoAgent, Script};
pub use settings::{
    ComfortGroup, DEFAULT_SKILLSET, ErrorAnswer, ErrorMethod, IdleEnd, OnHoldUrl, RoleChange, Settings,
    Skillset, Transcript, TransferOrder,
};
pub use sim::Sim;
pub use stats::StatsView;
pub use steps::Step;
pub use strict::Severity;
pub use tls::{ClientCertificate, ClientIdentity, ServerCertificate, TlsSetup, TlsVersions};
pub use views::{
    Agent, ChatRecord, ChatState, ChatView, EndReason, Event, Line, LineKind, Link, Received, Record, Role,
    Said, Sender, Violation,
};
