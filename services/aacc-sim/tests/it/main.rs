//! The simulator against a customer's side written by hand: raw sockets, literal JSON.

mod agents;
mod chats;
mod control;
mod customer;
mod edge;
mod faults;
mod program;
mod scripts;
mod strictness;
mod tls;
