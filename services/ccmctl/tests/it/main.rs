//! The command line against the real admin API on a real Postgres.

mod commands;
mod document;
mod document_checks;
mod generated;
mod http_file;
mod profiles;
mod rig;
mod wire;
