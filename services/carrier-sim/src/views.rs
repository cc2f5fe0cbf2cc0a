//! What the simulator shows. Times are milliseconds since 1970, UTC.

use serde::{Deserialize, Serialize};

/// Where a text from a phone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentState {
    /// It waits for its turn, or for the next try.
    Waiting,
    /// The webhook answered 2xx.
    Accepted,
    /// The webhook did not accept it in time.
    GivenUp,
}

/// A text that a phone sent (MO).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentText {
    /// The simulator's own count of texts, both ways.
    pub seq: u64,
    /// The provider's id, the same in every post.
    pub id: String,
    pub account: String,
    /// The phone.
    pub from: String,
    pub to: String,
    pub text: String,
    pub at_ms: u64,
    pub state: SentState,
    /// When the webhook first answered 2xx.
    pub accepted_at_ms: Option<u64>,
    /// How often it was posted, copies on purpose included.
    pub posts: u32,
    /// What the last post that was not accepted ended with.
    pub last_failure: Option<String>,
}

/// A text that a phone received (MT).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedText {
    pub seq: u64,
    /// The provider's id.
    pub id: String,
    pub account: String,
    pub from: String,
    /// The phone.
    pub to: String,
    pub text: String,
    pub at_ms: u64,
    /// Generic accounts only.
    pub idempotency_key: Option<String>,
    /// Generic accounts only: the `attempt` of the submission that was delivered.
    pub attempt: Option<u32>,
    /// How often it was submitted again with the same key. Twilio has no key: there a second submission is a second text.
    pub duplicates: u32,
}

/// One line of what a phone shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "direction", rename_all = "lowercase")]
pub enum PhoneText {
    Sent(SentText),
    Received(ReceivedText),
}

impl PhoneText {
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Sent(text) => text.seq,
            Self::Received(text) => text.seq,
        }
    }
}

/// Everything since the start or the last reset, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub sent: Vec<SentText>,
    pub received: Vec<ReceivedText>,
}

/// Something happened. The text is as it is after that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "text", rename_all = "snake_case")]
pub enum Event {
    /// A phone sent a text, or its state changed.
    Sent(SentText),
    /// A phone received a text, or it was submitted again.
    Received(ReceivedText),
}

impl Event {
    /// The phone that it happened on.
    pub fn phone(&self) -> &str {
        match self {
            Self::Sent(text) => &text.from,
            Self::Received(text) => &text.to,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Received(_) => "received",
        }
    }
}

// A failed assertion prints these into a log: without numbers and bodies.
impl std::fmt::Debug for SentText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentText")
            .field("seq", &self.seq)
            .field("id", &self.id)
            .field("account", &self.account)
            .field("chars", &self.text.chars().count())
            .field("state", &self.state)
            .field("posts", &self.posts)
            .field("last_failure", &self.last_failure)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReceivedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedText")
            .field("seq", &self.seq)
            .field("id", &self.id)
            .field("account", &self.account)
            .field("chars", &self.text.chars().count())
            .field("attempt", &self.attempt)
            .field("duplicates", &self.duplicates)
            .finish_non_exhaustive()
    }
}
