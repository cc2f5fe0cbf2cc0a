//! Dispatch on a real Postgres, against providers that speak the documented wire.

#![allow(
    clippy::disallowed_methods,
    reason = "tests live in real time, next to Postgres' clock"
)]

mod accounts;
mod caps;
mod doubt;
mod faults;
mod order;
mod pace;
mod provider;
mod rates;
mod restored;
mod rig;
mod simulated;
mod watched;
mod words;
