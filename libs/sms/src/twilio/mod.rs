//! Twilio's Programmable Messaging.
//!
//! Sources: <https://www.twilio.com/docs/messaging/guides/webhook-request> (the webhook's parameters),
//! <https://www.twilio.com/docs/usage/security#validating-requests> (its signature),
//! <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status> (receipts),
//! <https://www.twilio.com/docs/messaging/api/message-resource> (sending, looking up),
//! <https://www.twilio.com/docs/api/errors> (error codes).

mod errors;
mod look_up;
mod look_up_number;
mod send;
mod signature;

pub use look_up::look_up;
pub use look_up_number::look_up_number;
pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, is_id, provider_id},
    shape::{Field, Shape, TIMEOUT, Word},
};
use ::http::StatusCode;
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};
use url::form_urlencoded;

/// Twilio's message resource has no idempotency key: "sending an SMS … not idempotent"
/// (<https://www.twilio.com/docs/api/errors/20500>).
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://api.twilio.com";

const SID: &str =
    "copy it from Twilio's console; accounts begin with AC, keys with SK, messaging services with MG";

// Twilio's ids are part of addresses: nothing but letters and digits, else one account could address another's.
static ACCOUNT: Word = Word {
    fits: |raw| is_sid(raw, "AC"),
    problem: "is not AC and 32 letters or digits",
    remedy: SID,
};
static SERVICE: Word = Word {
    fits: |raw| is_sid(raw, "MG"),
    problem: "is not MG and 32 letters or digits",
    remedy: SID,
};
static KEY: Word = Word {
    fits: |raw| is_sid(raw, "SK"),
    problem: "is not SK and 32 letters or digits",
    remedy: SID,
};

pub static SHAPE: Shape = Shape {
    title: "Twilio's Programmable Messaging",
    settings: &[
        Field::word("account_sid", &ACCOUNT, "The account's SID: `AC` and 32 letters or digits.")
            .needed()
            .like("AC0123456789abcdef0123456789abcdef"),
        Field::address(
            "api_base",
            "Where Twilio's REST API is: https, or http on this machine. Left out: `https://api.twilio.com`.",
        )
        .like(API),
        Field::word(
            "messaging_service_sid",
            &SERVICE,
            "Texts leave through this messaging service: `MG` and 32 letters or digits. Left out: from the number itself.",
        )
        .like("MG0123456789abcdef0123456789abcdef"),
        TIMEOUT,
    ],
    secret: &[
        Field::secret(
            "auth_token",
            16,
            "Signs Twilio's webhooks, and authorises sending where there is no API key.",
        )
        .needed(),
        Field::secret(
            "previous_auth_token",
            16,
            "The token before, while webhooks signed with it may still come.",
        ),
        Field::word(
            "api_key_sid",
            &KEY,
            "Sends in place of the account: a key's SID, `SK` and 32 letters or digits; needs `api_key_secret`.",
        )
        .like("SK0123456789abcdef0123456789abcdef"),
        Field::secret("api_key_secret", 1, "Of the key that `api_key_sid` names."),
    ],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub sid: String,
    pub timeout: Duration,
    /// Without a slash at its end.
    api_base: String,
    messaging_service_sid: Option<String>,
    auth_token: SecretString,
    /// Twilio signs with the primary token alone; while a secondary one is promoted, webhooks signed with either arrive.
    previous_auth_token: Option<SecretString>,
    api_key: Option<(String, SecretString)>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        let api_key = match (secret.text("api_key_sid"), secret.hidden("api_key_secret")) {
            (Some(sid), Some(secret)) => Some((sid.to_owned(), secret)),
            (None, None) => None,
            (sid, _) => {
                let missing = sid.map_or("api_key_sid", |_| "api_key_secret");
                return Err(secret.error(missing, "is missing", "give both parts of the key, or none"));
            }
        };
        Ok(Self {
            sid: settings.required("account_sid")?.to_owned(),
            timeout: settings.timeout(),
            api_base: settings.api_base(API)?,
            messaging_service_sid: settings.text("messaging_service_sid").map(str::to_owned),
            auth_token: secret.required_hidden("auth_token")?,
            previous_auth_token: secret.hidden("previous_auth_token"),
            api_key,
        })
    }

    fn tokens(&self) -> impl Iterator<Item = &SecretString> {
        [&self.auth_token].into_iter().chain(&self.previous_auth_token)
    }
}

fn is_sid(raw: &str, prefix: &str) -> bool {
    raw.len() == 34 && raw.starts_with(prefix) && raw.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Reads the webhook of an incoming text or of a text's status: a `POST` of `application/x-www-form-urlencoded` with an `X-Twilio-Signature`.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let form: Vec<(String, String)> = form_urlencoded::parse(inbound.body).into_owned().collect();
    let mismatch = inbound
        .check
        .apply(signature::check(account.tokens(), inbound, &form))?;
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let required = |name: &'static str| {
        field(name)
            .ok_or_else(|| ReceiveError::malformed(name, "is missing; post Twilio's messaging parameters"))
    };
    if required("AccountSid")? != account.sid {
        return Err(ReceiveError::WrongAccount { field: "AccountSid" });
    }
    let (id_field, id) = match field("MessageSid") {
        Some(id) => ("MessageSid", id),
        None => ("SmsSid", required("SmsSid")?),
    };
    let provider_id = provider_id(id_field, id)?;
    let status = field("MessageStatus").or(field("SmsStatus"));
    let event = match status {
        None | Some("received" | "receiving") => Some(Event::Text {
            provider_id,
            from: address("From", required("From")?)?,
            to: address("To", required("To")?)?,
            body: body("Body", field("Body").unwrap_or_default().to_owned())?,
            sent_at: None,
            segments: field("NumSegments").and_then(|n| n.parse().ok()),
            media: field("NumMedia").and_then(|n| n.parse().ok()).unwrap_or(0),
            part: None,
        }),
        Some(status) => report(status).map(|report| Event::Receipt {
            provider_id,
            report,
            code: field("ErrorCode").filter(|code| is_id(code)).map(str::to_owned),
            at: None,
        }),
    };
    Ok(Received {
        events: event.into_iter().collect(),
        mismatch,
        answer: EMPTY_TWIML,
    })
}

/// <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values>. One that this does not know says
/// nothing.
fn report(status: &str) -> Option<Report> {
    Some(match status {
        "accepted" | "scheduled" | "queued" => Report::Queued,
        "sending" => Report::Sending,
        "sent" => Report::Sent,
        // "read" is WhatsApp's and RCS's.
        "delivered" | "read" | "partially_delivered" => Report::Delivered,
        "undelivered" => Report::Undeliverable,
        "failed" | "canceled" => Report::Failed,
        _ => return None,
    })
}

/// "No reply": <https://www.twilio.com/docs/messaging/twiml>.
const EMPTY_TWIML: Answer = Answer {
    status: StatusCode::OK,
    content_type: "text/xml",
    body: Cow::Borrowed(r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#),
};

#[cfg(test)]
mod tests;
