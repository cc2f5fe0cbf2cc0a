//! Connector pods on a real Postgres against simulated AACCs.

#![allow(clippy::disallowed_methods)]

mod agents;
mod faults;
mod ownership;
mod rig;
mod settings;
