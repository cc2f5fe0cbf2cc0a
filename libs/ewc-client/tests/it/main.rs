mod chat;
mod dial;
mod link;
mod peer;
mod queue;
mod target;
