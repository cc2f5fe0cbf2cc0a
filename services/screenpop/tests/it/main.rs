//! What agents' pages ask, on a real Postgres and with the carrier simulator, which is written from Twilio's documentation and from
//! nothing of ours.

mod keys;
mod look_ups;
mod rig;
mod serving;
