use ::http::{HeaderMap, StatusCode};
use ccm_model::{Address, AddressError, Body, BodyError, Report};
use std::borrow::Cow;
use time::OffsetDateTime;

/// The largest webhook body that is read, in bytes: several times what 1,600 four-byte characters need when they are
/// percent-encoded, with all of Twilio's other parameters.
pub const MAX_WEBHOOK_BYTES: usize = 128 * 1024;

/// A provider's `POST`, as it came.
pub struct Inbound<'a> {
    /// The whole address as the provider was told it (scheme, host, port, path, query): it is part of what some sign.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub check: Check,
    pub now: OffsetDateTime,
}

impl Inbound<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Refuses what was signed more than so many seconds before or after now.
    pub(crate) fn fresh(&self, signed_at: i64, limit_s: u32) -> Result<(), ReceiveError> {
        match signed_at.abs_diff(self.now.unix_timestamp()) <= u64::from(limit_s) {
            true => Ok(()),
            false => Err(ReceiveError::Stale { limit_s }),
        }
    }
}

/// What a webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A customer's text.
    Text {
        /// The provider's id of it: the same id from the same account is the same text.
        provider_id: String,
        /// The customer.
        from: Address,
        /// The number that was texted.
        to: Address,
        body: Body,
        /// When the provider says that it was sent.
        sent_at: Option<OffsetDateTime>,
        /// How many SMS it took.
        segments: Option<u16>,
        /// How many pictures and the like came with it. They are not fetched.
        media: u16,
        /// Which part of a longer text it is.
        part: Option<Part>,
    },
    /// A receipt: what became of a text of ours.
    Receipt {
        /// The provider's id of the text, as the answer to the send had it.
        provider_id: String,
        report: Report,
        /// The provider's name of the failure.
        code: Option<String>,
        /// When it happened, as the provider says.
        at: Option<OffsetDateTime>,
    },
}

/// A part of a concatenated text (3GPP TS 23.040 section 9.2.3.24.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The same in all parts; phones use the numbers again.
    pub reference: u16,
    /// 2 to 255.
    pub parts: u8,
    /// 1 to `parts`.
    pub part: u8,
}

/// What a signature that does not fit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The request is refused.
    Enforce,
    /// The request is taken and the mismatch told, while an account is being set up.
    Report,
}

impl Check {
    pub(crate) fn apply(
        self,
        checked: Result<(), ReceiveError>,
    ) -> Result<Option<ReceiveError>, ReceiveError> {
        match (self, checked) {
            (_, Ok(())) => Ok(None),
            (
                Self::Report,
                Err(mismatch @ (ReceiveError::BadSignature { .. } | ReceiveError::Stale { .. })),
            ) => Ok(Some(mismatch)),
            (_, Err(e)) => Err(e),
        }
    }
}

/// A webhook's content, and what the provider is to be answered once the events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Empty for a request that is in order and says nothing that is of interest here.
    pub events: Vec<Event>,
    /// What is wrong with its signature, where that was to be overlooked ([`Check::Report`]).
    pub mismatch: Option<ReceiveError>,
    pub answer: Answer,
}

/// An HTTP answer in the provider's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Cow<'static, str>,
}

impl Answer {
    /// For a provider that looks at the status alone.
    pub(crate) const OK: Self = Self {
        status: StatusCode::OK,
        content_type: "text/plain",
        body: Cow::Borrowed(""),
    };
}

/// Why a webhook is refused. What it prints is meant for whoever set up the webhook, and safe to log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// It was not signed with the account's secret.
    #[error("the signature does not fit: {reason}")]
    BadSignature { reason: &'static str },
    /// It was signed, but too long ago (or its clock is wrong).
    #[error(
        "the signed time is more than {limit_s} s away from this server's; send it at once, with a clock that is set"
    )]
    Stale { limit_s: u32 },
    /// It is signed and for another account.
    #[error("{field} is not the account's; give this webhook's address to the right account")]
    WrongAccount { field: &'static str },
    /// It is signed and cannot be read.
    #[error("{field} {remedy}")]
    Malformed { field: &'static str, remedy: String },
    /// Longer than [`MAX_WEBHOOK_BYTES`].
    #[error("the body is longer than {} KiB", MAX_WEBHOOK_BYTES / 1024)]
    TooLarge,
}

impl ReceiveError {
    /// The status to answer with. None of them is worth a retry.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadSignature { .. } | Self::Stale { .. } | Self::WrongAccount { .. } => {
                StatusCode::FORBIDDEN
            }
            Self::Malformed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    pub(crate) fn malformed(field: &'static str, remedy: impl Into<String>) -> Self {
        Self::Malformed {
            field,
            remedy: remedy.into(),
        }
    }
}

pub(crate) fn address(field: &'static str, raw: &str) -> Result<Address, ReceiveError> {
    Address::parse(raw).map_err(|e: AddressError| ReceiveError::malformed(field, e.to_string()))
}

/// A full number without its `+`, as several providers write it. Up to eight digits are a short code.
pub(crate) fn bare_address(field: &'static str, raw: &str) -> Result<Address, ReceiveError> {
    let full = raw.len() > 8 && raw.bytes().all(|b| b.is_ascii_digit());
    match full {
        true => address(field, &format!("+{raw}")),
        false => address(field, raw),
    }
}

/// The other way: a number as those providers take it.
pub(crate) fn bare(address: &Address) -> &str {
    address.as_str().trim_start_matches('+')
}

/// A failure's name in a receipt, if it can be kept.
pub(crate) fn failure_code(raw: Option<Cow<'_, str>>) -> Option<String> {
    raw.filter(|code| is_id(code)).map(Cow::into_owned)
}

pub(crate) fn body(field: &'static str, raw: String) -> Result<Body, ReceiveError> {
    Body::new(raw).map_err(|e: BodyError| ReceiveError::malformed(field, e.to_string()))
}

/// A provider's id of a text: it is stored, compared and logged, so it is held to 128 visible ASCII characters.
pub(crate) fn provider_id(field: &'static str, raw: &str) -> Result<String, ReceiveError> {
    if is_id(raw) {
        Ok(raw.to_owned())
    } else {
        Err(ReceiveError::malformed(
            field,
            "must be 1 to 128 visible ASCII characters without spaces",
        ))
    }
}

pub(crate) fn is_id(raw: &str) -> bool {
    (1..=128).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_graphic())
}
