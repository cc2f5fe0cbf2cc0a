//! The simulator against a customer's side written by hand: raw sockets, literal JSON.

mod agents;
mod chaos;
mod chats;
mod control;
mod customer;
mod edge;
mod faults;
mod load;
mod program;
mod protocol;
mod scripts;
mod strictness;
mod tls;
