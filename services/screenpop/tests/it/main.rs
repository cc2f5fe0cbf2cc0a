//! The agents' page and what pages of a tenant's own ask, on a real Postgres and with the carrier simulator, which is written from
//! Twilio's documentation and from nothing of ours.

mod keys;
mod look_ups;
mod pop_assets;
mod pop_browser;
mod pop_history;
mod pop_links;
mod pop_logs;
mod pop_open;
mod pop_send;
mod rig;
mod serving;
