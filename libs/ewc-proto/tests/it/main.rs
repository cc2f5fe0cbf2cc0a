#![allow(clippy::disallowed_methods)]

mod bench;
mod frames;
mod model;
mod session;
