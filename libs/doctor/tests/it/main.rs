//! The doctor against aacc-sim, well and broken, on the real wire.

mod broken_dialling;
mod broken_ewc;
mod broken_tls;
mod chats;
mod healthy;
mod rig;
