mod chat;
mod dial;
mod peer;
mod queue;
mod target;
