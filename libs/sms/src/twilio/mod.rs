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
};
use ::http::StatusCode;
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// Twilio's message resource has no idempotency key: "sending an SMS … not idempotent"
/// (<https://www.twilio.com/docs/api/errors/20500>).
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://api.twilio.com";

/// Settings `account_sid`, `api_base`, `messaging_service_sid`, `timeout_ms`; secrets `auth_token`,
/// `previous_auth_token`, `api_key_sid` with `api_key_secret`.
#[derive(Debug, Clone)]
pub struct Account {
    pub sid: String,
    pub timeout: Duration,
    api_base: Url,
    messaging_service_sid: Option<String>,
    auth_token: SecretString,
    /// Twilio signs with the primary token alone; while a secondary one is promoted, webhooks signed with either arrive.
    previous_auth_token: Option<SecretString>,
    api_key: Option<(String, SecretString)>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(
            settings,
            &["account_sid", "api_base", "messaging_service_sid", "timeout_ms"],
        )?;
        let secret = Fields::secret(
            secret,
            &[
                "auth_token",
                "previous_auth_token",
                "api_key_sid",
                "api_key_secret",
            ],
        )?;
        let sid = settings.required("account_sid")?;
        if !is_sid(sid, "AC") {
            return Err(settings.error(
                "account_sid",
                "must be AC and 32 letters and digits, as Twilio's console shows it",
            ));
        }
        let service = settings.text("messaging_service_sid")?;
        if service.is_some_and(|sid| !is_sid(sid, "MG")) {
            return Err(settings.error("messaging_service_sid", "must be MG and 32 letters and digits"));
        }
        let api_base = settings.address("api_base")?;
        if api_base
            .as_ref()
            .is_some_and(|url| url.query().is_some() || url.cannot_be_a_base())
        {
            return Err(settings.error("api_base", "must be an address without ? in it"));
        }
        let api_key = match (secret.text("api_key_sid")?, secret.hidden("api_key_secret", 1)?) {
            (Some(sid), Some(secret)) => Some((sid.to_owned(), secret)),
            (None, None) => None,
            _ => return Err(secret.error("api_key_sid", "and api_key_secret belong together")),
        };
        Ok(Self {
            sid: sid.to_owned(),
            timeout: settings.timeout()?,
            api_base: api_base.unwrap_or_else(|| Url::parse(API).expect("a constant")),
            messaging_service_sid: service.map(str::to_owned),
            auth_token: secret
                .hidden("auth_token", 1)?
                .ok_or_else(|| secret.error("auth_token", "is missing"))?,
            previous_auth_token: secret.hidden("previous_auth_token", 1)?,
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
    body: r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#,
};

#[cfg(test)]
mod tests;
