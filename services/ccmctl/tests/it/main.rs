//! The command line against the real admin API on a real Postgres.

mod commands;
mod rig;
