//! The lines of outgoing texts: claimed in turns ([`claim`]), sent one text after the other at the rates of number, account
//! and tenant ([`head`], [`rates`]), and what became of each text ([`outcome`], [`doubt`], after a restore [`before`]); or taken back
//! ([`back`]).

mod back;
mod before;
mod claim;
mod doubt;
mod head;
mod outcome;
mod rates;

pub(crate) use back::Because;
#[cfg(test)]
pub(crate) use claim::CLAIM_LINES;
pub use claim::Claim;
pub use doubt::{Doubt, Question};
pub use head::{AsSent, Head, Knows, Sender, Sending};
#[cfg(test)]
pub(crate) use head::{BEGIN_TEXT, HEAD};
pub use outcome::Outcome;
#[cfg(test)]
pub(crate) use outcome::SETTLE;
#[cfg(test)]
pub(crate) use rates::{RESERVE, RESERVE_ALL};
