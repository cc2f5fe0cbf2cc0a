//! The frames of EWC: one JSON object a WebSocket text frame, in an envelope
//! `{"apiVersion": "1.0", "type": TYPE, "body": {"method": METHOD, …}}`.
//!
//! What is written is what Avaya's reference client and server write. What is read is read with tolerance: unknown
//! fields are ignored, numbers come as strings and the other way round, `apiVersion` is never looked at, method and type
//! names are compared without case, missing fields take their default. Only something that is no JSON object is an error.
//!
//! `Debug` of every frame is safe to log: texts, names, phone numbers, links and keys show as their length.

mod client;
mod field;
mod server;
mod server_codec;
mod value;

pub use client::{ClientFrame, CustomField, Intrinsics, RenewChat, RequestChat};
pub use field::{AgentId, AuthKey, Guid, Private};
pub use server::{
    AaccError, AgentFileTransfer, AgentMessage, AgentTyping, ChatAccepted, ComfortGroup, ComfortMessage,
    ErrorKind, NewParticipant, OnHoldUrls, Participant, ParticipantLeave, ParticipantType, QueueStatus,
    SenderType, ServerFrame,
};

/// Why a text frame could not be read. Never carries the frame's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("JSON, but not an object")]
    NotAnObject,
}

/// A pushed link (`newPushPageMessage`), in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushPage {
    /// Who pushed it; empty from a customer.
    pub display_name: Private,
    pub url: Private,
    /// `"newTab"` in the reference client.
    pub destination: String,
    /// Milliseconds since 1970, UTC; a customer's frame has none.
    pub timestamp_ms: Option<i64>,
    /// A text that comes along with the link, sometimes.
    pub message: Option<Private>,
}
