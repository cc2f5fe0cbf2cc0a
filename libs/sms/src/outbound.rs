use ccm_model::{Address, Body, MessageId};
use std::time::Duration;
use time::OffsetDateTime;

/// A text for a provider.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// Ours; the idempotency key where a provider has one.
    pub message_id: MessageId,
    /// The tenant's number.
    pub from: &'a Address,
    /// The customer.
    pub to: &'a Address,
    pub body: &'a Body,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Where the provider is to post receipts, for one that is told so with each text.
    pub receipts_to: Option<&'a str>,
    pub now: OffsetDateTime,
}

/// The provider has the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The provider's id of it; `None` where it said that it took the text and its id was lost on the way.
    pub provider_id: Option<String>,
}

/// What to do about a text that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Send it again: the fault passes, or an operator can mend it. `after` is the least time to wait, where one is known.
    Retryable { after: Option<Duration> },
    /// It will never be taken as it is.
    Terminal,
}

/// Why a text was not sent. `Display` is the operator's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operator}")]
pub struct SendError {
    pub class: Class,
    /// The provider's name of the failure, as its documentation has it.
    pub provider_code: Option<String>,
    /// What happened and what to do about it, for the operator. Safe to log: no text, no number, no secret.
    pub operator: String,
    /// The same for whoever wrote the text.
    pub user: &'static str,
    /// Whether the provider may have the text all the same. Retrying then makes a re-send, unless the provider
    /// [recognises](crate::recognises_retries) it.
    pub in_doubt: bool,
    /// Whether it is because the customer has refused texts from this number, as the provider knows.
    pub opted_out: bool,
}

/// What a provider has of a text that it may have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// Its messages of the same words between the same addresses, the oldest first.
    pub found: Vec<Found>,
    /// Whether all of its messages were seen.
    pub whole: bool,
}

/// A message that a provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub provider_id: String,
    /// When it took it.
    pub created_at: OffsetDateTime,
}

/// How long an account that is at fault (credentials, balance) is left alone: its texts wait until an operator has mended
/// it.
pub(crate) const ACCOUNT_REST: Duration = Duration::from_secs(60);

/// What the writer reads. Kept apart from the operator's words: an agent can do nothing about a token.
pub(crate) mod user {
    pub const LATER: &str = "The text is not sent yet; it is tried again.";
    pub const NO: &str = "The text could not be sent.";
    pub const NUMBER: &str = "The text could not be sent: this number cannot receive texts.";
    pub const OPTED_OUT: &str =
        "The text could not be sent: this customer has opted out of texts from this number.";
    pub const TOO_LONG: &str = "The text could not be sent: it is too long. Send it in parts.";
    pub const EMPTY: &str = "The text could not be sent: it is empty.";
    pub const BLOCKED: &str = "The text could not be sent: the mobile network does not let it through.";
}
