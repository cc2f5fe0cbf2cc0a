#![allow(clippy::disallowed_methods)]

mod bench;
mod frames;
mod fuzz;
mod model;
mod session_chat;
mod session_link;
mod session_texts;
