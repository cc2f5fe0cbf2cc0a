//! The testkit's own tests, on real servers.

mod certs;
mod child;
mod db;
mod pg;
mod proxy;
mod redis;
mod stack;
