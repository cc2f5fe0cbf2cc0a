//! Plivo's Messaging API.
//!
//! Sources: <https://www.plivo.com/docs/messaging/api/message/send-a-message> and
//! <https://www.plivo.com/docs/messaging/concepts/signature-validation> (the two pages that say what is sent and how it is signed),
//! <https://github.com/plivo/plivo-python/blob/master/plivo/utils/signature_v3.py> (what exactly version 3 signs),
//! <https://github.com/nyaruka/courier/blob/main/handlers/plivo/handler.go> (examples of a text's webhook and of a receipt),
//! <https://plivo.com/docs/messaging/troubleshooting/error-codes> (codes in receipts).
//!
//! Plivo's signature holds a nonce and no time, so a captured request stays good: what it says is recognised by its id. What the API
//! answers when it refuses a text has words and no codes, so there is no table of codes: the HTTP status is judged.

mod send;
mod signature;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{bare_address, body, failure_code, provider_id},
    shape::{Field, Shape, TIMEOUT, Word},
};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};
use url::form_urlencoded;

/// No idempotency key is documented.
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://api.plivo.com";

static AUTH_ID: Word = Word {
    // It is part of addresses.
    fits: |raw| (10..=30).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_alphanumeric()),
    problem: "is not 10 to 30 letters and digits",
    remedy: "copy the Auth ID from Plivo's console; it begins with MA or SA",
};

pub static SHAPE: Shape = Shape {
    title: "Plivo's Messaging API",
    settings: &[
        Field::word("auth_id", &AUTH_ID, "The account's Auth ID.")
            .needed()
            .like("MAXXXXXXXXXXXXXXXXXX"),
        Field::address(
            "api_base",
            "Where Plivo's API is: https, or http on this machine. Left out: `https://api.plivo.com`.",
        )
        .like(API),
        TIMEOUT,
    ],
    secret: &[
        Field::secret("auth_token", 16, "Sends, and signs Plivo's webhooks.").needed(),
        Field::secret(
            "previous_auth_token",
            16,
            "The token before, while webhooks signed with it may still come.",
        ),
    ],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    auth_id: String,
    api_base: String,
    auth_token: SecretString,
    previous_auth_token: Option<SecretString>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        Ok(Self {
            timeout: settings.timeout(),
            auth_id: settings.required("auth_id")?.to_owned(),
            api_base: settings.api_base(API)?,
            auth_token: secret.required_hidden("auth_token")?,
            previous_auth_token: secret.hidden("previous_auth_token"),
        })
    }

    fn tokens(&self) -> impl Iterator<Item = &SecretString> {
        [&self.auth_token].into_iter().chain(&self.previous_auth_token)
    }
}

/// Reads the webhook of a text or of a receipt: a form.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let form: Vec<(String, String)> = form_urlencoded::parse(inbound.body).into_owned().collect();
    let mismatch = inbound
        .check
        .apply(signature::check(account.tokens(), inbound, &form))?;
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let required = |name: &'static str| {
        field(name).ok_or_else(|| ReceiveError::malformed(name, "is missing; post Plivo's parameters"))
    };
    let event = match field("Status") {
        Some(status) => {
            // Of a long text each part has a receipt; the first part's id is the text's.
            let name = if field("ParentMessageUUID").is_some() {
                "ParentMessageUUID"
            } else {
                "MessageUUID"
            };
            let id = provider_id(name, required(name)?)?;
            report(status).map(|report| Event::Receipt {
                provider_id: id,
                report,
                code: failure_code(field("ErrorCode").map(Cow::Borrowed)),
                at: None,
            })
        }
        None => Some(Event::Text {
            provider_id: provider_id("MessageUUID", required("MessageUUID")?)?,
            from: bare_address("From", required("From")?)?,
            to: bare_address("To", required("To")?)?,
            body: body("Text", field("Text").unwrap_or_default().to_owned())?,
            sent_at: None,
            segments: field("Units").and_then(|n| n.parse().ok()),
            media: form
                .iter()
                .filter(|(key, _)| is_media(key))
                .count()
                .try_into()
                .unwrap_or(u16::MAX),
            part: None,
        }),
    };
    Ok(Received {
        events: event.into_iter().collect(),
        mismatch,
        answer: Answer::OK,
    })
}

/// `Media0`, `Media1` and so on.
fn is_media(name: &str) -> bool {
    name.strip_prefix("Media")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// One that this does not know says nothing.
fn report(status: &str) -> Option<Report> {
    Some(match status {
        "queued" => Report::Queued,
        "sent" => Report::Sent,
        "delivered" => Report::Delivered,
        "undelivered" => Report::Undeliverable,
        "failed" | "rejected" => Report::Failed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
