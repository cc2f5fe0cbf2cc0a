//! What scripts ask and what comes of it, on a real Postgres and with an AACC that is simulated on the real wire.

#![allow(clippy::disallowed_methods)]

mod answers;
mod asking;
mod links;
mod refusals;
mod rig;
mod steps;
