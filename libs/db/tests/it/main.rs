//! The db room on a real Postgres, as the login roles of production.

#![allow(
    clippy::disallowed_methods,
    reason = "tests live in real time, next to Postgres' clock"
)]

mod accept;
mod access;
mod audit;
mod closing;
mod customer_texts;
mod deflections;
mod deletion;
mod doctor_reports;
mod erasure;
mod errors;
mod keeping;
mod leases;
mod link_certificates;
mod links;
mod lives;
mod looks;
mod migration_rules;
mod migrations;
mod number_lookups;
mod outage;
mod outbox;
mod outbox_races;
mod outbox_rules;
mod outbox_turns;
mod platform;
mod pops;
mod rig;
mod sealing;
mod search;
mod statistics;
mod steps;
mod texts;
mod usage;
mod walls;
mod webhooks;
