//! Load tool and checker.

pub mod checker;
