//! The checker. The load tool is this crate's program.

pub mod checker;
