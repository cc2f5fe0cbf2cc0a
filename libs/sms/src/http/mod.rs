//! CCM's own dialect: signed JSON over HTTP, for providers and gateways that adapt to us. `docs/providers.md` is its
//! description; this follows it.

mod send;
mod signature;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, provider_id},
};
use ::http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

/// Every request carries `Idempotency-Key`.
pub const RECOGNISES_RETRIES: bool = true;

/// The shortest signing secret, in characters.
const SHORTEST_SECRET: usize = 16;

/// Settings `send_url`, `timeout_ms`; secrets `signing_secret`, `previous_signing_secret`, `bearer_token`.
#[derive(Clone)]
pub struct Account {
    pub timeout: Duration,
    send_url: Url,
    signing_secret: SecretString,
    previous_signing_secret: Option<SecretString>,
    bearer_token: Option<SecretString>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address' query may hold a key.
        f.debug_struct("Account")
            .field("host", &self.send_url.host_str())
            .finish_non_exhaustive()
    }
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &["send_url", "timeout_ms"])?;
        let secret = Fields::secret(
            secret,
            &["signing_secret", "previous_signing_secret", "bearer_token"],
        )?;
        Ok(Self {
            timeout: settings.timeout()?,
            send_url: settings
                .address("send_url")?
                .ok_or_else(|| settings.error("send_url", "is missing"))?,
            signing_secret: secret
                .hidden("signing_secret", SHORTEST_SECRET)?
                .ok_or_else(|| secret.error("signing_secret", "is missing"))?,
            previous_signing_secret: secret.hidden("previous_signing_secret", SHORTEST_SECRET)?,
            bearer_token: secret.hidden("bearer_token", 1)?,
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.signing_secret]
            .into_iter()
            .chain(&self.previous_signing_secret)
    }
}

/// Reads the webhook of an incoming text.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    signature::check(account.secrets(), inbound)?;
    let json: Map<String, Value> = serde_json::from_slice(inbound.body)
        .map_err(|_| ReceiveError::malformed("body", "must be a JSON object in UTF-8"))?;
    let text = |name: &'static str| match json.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(ReceiveError::malformed(name, "must be a string")),
        None => Err(ReceiveError::malformed(name, "is missing")),
    };
    let sent_at = match json.get("sent_at") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_str()
                .and_then(|raw| OffsetDateTime::parse(raw, &Rfc3339).ok())
                .ok_or_else(|| {
                    ReceiveError::malformed("sent_at", "must be a time like 2026-11-23T08:00:00Z")
                })?,
        ),
    };
    let event = Event::Text {
        provider_id: provider_id("id", text("id")?)?,
        from: address("from", text("from")?)?,
        to: address("to", text("to")?)?,
        body: body("text", text("text")?.to_owned())?,
        sent_at,
        segments: None,
        media: 0,
    };
    let answer = Answer {
        status: StatusCode::ACCEPTED,
        content_type: "application/json",
        body: r#"{"status":"accepted"}"#,
    };
    Ok(Received {
        events: vec![event],
        answer,
    })
}

#[cfg(test)]
mod tests;
