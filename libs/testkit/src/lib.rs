//! Real parts for tests, the demo and the bench: private Postgres and Redis servers, databases, certificates, a TCP
//! fault proxy, marked texts and numbers, and the whole product as separate processes.
//!
//! Never shipped: a dev-dependency of the rooms, a regular one of `ccm-demo` and `ccm-bench` only (`deny.toml` holds
//! that). Nothing here touches what already runs on the machine: every server has its own folder and port, listens on
//! 127.0.0.1 and ends with the process that started it, even if that one is killed.

#[cfg(feature = "browser")]
pub mod browser;
pub mod canary;
pub mod certs;
pub mod db;
pub mod folder;
mod http;
#[cfg(feature = "issuer")]
pub mod issuer;
pub mod pg;
pub mod ports;
mod process;
pub mod provision;
pub mod proxy;
mod psql;
pub mod redis;
mod service;
pub mod stack;
mod user;

pub use db::TestDb;
pub use folder::TempFolder;
pub use pg::{PgOptions, PgServer, StopMode};
pub use provision::Urls;
pub use proxy::Proxy;
pub use redis::{RedisServer, redis_url};
pub use service::Service;
pub use stack::Stack;
