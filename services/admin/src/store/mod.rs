//! The message store: what was texted, found again, read, kept for as long as the tenant wants, and taken away.

pub mod erasures;
pub mod exports;
pub mod holds;
pub mod retention;
pub mod search;
mod slots;
mod snippet;
pub mod statistics;
pub mod transcript;
mod work;

pub use slots::StoreSlots;
pub use work::Keeping;
