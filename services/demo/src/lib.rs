//! The whole product with both simulators on one machine: what the demo shows and what the end-to-end tests break.

pub mod folder;
pub mod page;
pub mod progress;
pub mod script;
pub mod transcript;
pub mod world;

pub use ccm_bench::checker::Report;
pub use world::{Tenant, World, WorldBuilder};
