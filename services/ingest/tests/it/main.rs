//! Ingest on a real Postgres, over real HTTP, signed as the providers document it.

#![allow(
    clippy::disallowed_methods,
    reason = "tests live in real time, next to Postgres' clock"
)]

mod accepted;
mod batches;
mod outage;
mod refused;
mod rig;
mod sign;
mod watched;
mod words;
