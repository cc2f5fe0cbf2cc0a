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
    /// How many of the posts were copies on purpose.
    #[serde(default)]
    pub copies: u32,
    /// The ids that copies were posted with, where it was not `id`.
    #[serde(default)]
    pub new_ids: Vec<String>,
    /// How many of the posts were signed wrongly.
    #[serde(default)]
    pub wrong_signatures: u32,
    /// Where it is one part of a long text.
    #[serde(default)]
    pub concat: Option<Concat>,
    /// What the last post that was not accepted ended with.
    pub last_failure: Option<String>,
}

/// Which part of which text this is. Parts are numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concat {
    pub reference: u16,
    pub parts: u8,
    pub part: u8,
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
    /// Where the provider has it, whether a receipt says so or not.
    #[serde(default)]
    pub status: ReceiptStatus,
    /// Why it failed.
    #[serde(default)]
    pub error_code: Option<String>,
    /// When its status became `sent`.
    #[serde(default)]
    pub sent_at_ms: Option<u64>,
    /// In the order in which they were due.
    #[serde(default)]
    pub receipts: Vec<Receipt>,
    /// Twilio only: where its status is posted.
    #[serde(default)]
    pub status_callback: Option<String>,
    /// Twilio only.
    #[serde(default)]
    pub messaging_service_sid: Option<String>,
}

/// How far a text got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStatus {
    #[default]
    Queued,
    Sending,
    Sent,
    Delivered,
    /// The generic dialect says `undeliverable`.
    #[serde(alias = "undeliverable")]
    Undelivered,
    Failed,
    /// Twilio says `undelivered`.
    Expired,
    /// Twilio says `undelivered`.
    Unknown,
}

impl ReceiptStatus {
    /// Nothing follows.
    pub fn is_final(self) -> bool {
        self > Self::Sent
    }
}

/// A delivery receipt, posted or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub status: ReceiptStatus,
    pub code: Option<String>,
    pub at_ms: u64,
    /// How often it was posted; 0: it was lost on purpose.
    pub posts: u32,
    /// What the last post ended with.
    pub answer: Option<String>,
    pub accepted: bool,
    /// It was posted again on purpose.
    #[serde(default)]
    pub copy: bool,
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
    /// There are more: what `since` is for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
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
            .field("copies", &self.copies)
            .field("concat", &self.concat)
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
            .field("status", &self.status)
            .field("receipts", &self.receipts)
            .finish_non_exhaustive()
    }
}
