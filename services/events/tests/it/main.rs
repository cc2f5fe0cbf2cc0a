//! Webhooks out, on a real Postgres, with receivers that fail, hang, redirect and lie.

mod calls;
mod nouns;
mod receiver;
mod reference;
mod rig;
mod workers;
