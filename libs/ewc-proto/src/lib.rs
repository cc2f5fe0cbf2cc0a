//! The Enterprise Web Chat (EWC) customer protocol of Avaya Aura Contact Center 7.x, without sockets.
//!
//! * [`frame`]: every frame of both directions, tolerant in what it reads.

pub mod frame;
