//! The Enterprise Web Chat (EWC) customer protocol of Avaya Aura Contact Center 7.x, without sockets.
//!
//! * [`frame`]: every frame of both directions, tolerant in what it reads.
//! * [`text`]: entities and angle brackets, labels in front of texts, notices that AACC itself writes.
//! * [`session`]: the state machine of one customer's chat. Time goes in as an argument, actions and events come out.
//! * [`heard`]: what agents said already, for the replay after a resume.
//! * [`onhold`]: which comfort message or on-hold link a waiting customer gets, and when.
//! * [`queue`]: when a place in the queue is worth telling.

pub mod frame;
pub mod heard;
pub mod onhold;
pub mod queue;
pub mod session;
pub mod text;
