//! Connector pods on a real Postgres against simulated AACCs.
//!
//! Two threads each: dropping a test's database blocks one, and Postgres waits up to a minute for a connection that was just
//! being opened from it.

#![allow(clippy::disallowed_methods)]

mod agents;
mod certificates;
mod chats;
mod consent;
mod customer_texts;
mod deflections;
mod deletion;
mod faults;
mod links;
mod moves;
mod ownership;
mod retention;
mod rig;
mod routing;
mod settings;
mod webhooks;
