//! What an SMS makes of a text. Pure: no IO, no time, no randomness.
mod clusters;
pub mod gsm;
pub mod keyword;
pub mod parts;
pub mod segments;
pub mod transliterate;
pub mod ucs2;
pub mod udh;
