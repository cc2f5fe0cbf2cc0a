//! What an SMS makes of a text. Pure: no IO, no time, no randomness.
pub mod gsm;
pub mod udh;
