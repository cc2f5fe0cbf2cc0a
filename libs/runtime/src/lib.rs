//! What every role needs to run: configuration, telemetry, health pages, a life with an orderly end.
//!
//! A role's `main` goes: install the rustls provider, [`Config::load`], [`telemetry::init`], [`Metrics::install`],
//! [`Lifecycle::new`] and [`Lifecycle::watch_signals`], tasks under [`Lifecycle::spawn`], [`Lifecycle::finish`].

pub mod config;
mod fresh;
mod health;
mod lifecycle;
mod metrics;
pub mod ops;
mod panic;
mod reload;
pub mod telemetry;
mod tenants;
pub mod trace;

pub use config::{Config, ConfigError, Sources};
pub use fresh::Fresh;
pub use health::{Health, State};
pub use lifecycle::{Ending, Lifecycle, serve, serve_to_the_end};
pub use metrics::{Metrics, MetricsError};
pub use panic::log_panics;
pub use reload::Reload;
pub use tenants::{TenantLabels, TextEvent, count_text};
