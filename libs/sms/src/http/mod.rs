//! CCM's own dialect: signed JSON over HTTP, for providers and gateways that adapt to us. `docs/providers.md` is its
//! description; this follows it.

mod send;
mod signature;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, Part, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, provider_id},
    shape::{Field, Shape, TIMEOUT},
};
use ::http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

/// Every request carries `Idempotency-Key`.
pub const RECOGNISES_RETRIES: bool = true;

pub static SHAPE: Shape = Shape {
    title: "CCM's generic JSON over HTTP",
    settings: &[
        Field::address(
            "send_url",
            "Where texts are posted to: https, or http on this machine.",
        )
        .needed()
        .like("https://sms.example.com/send"),
        TIMEOUT,
    ],
    secret: &[
        Field::secret(
            "signing_secret",
            16,
            "Signs both directions (HMAC-SHA256 over timestamp and body).",
        )
        .needed(),
        Field::secret(
            "previous_signing_secret",
            16,
            "The secret before, while webhooks signed with it may still come.",
        ),
        Field::secret(
            "bearer_token",
            1,
            "Goes out as `Authorization: Bearer …` besides the signature.",
        ),
    ],
};

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
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        Ok(Self {
            timeout: settings.timeout(),
            send_url: settings.required_address("send_url")?,
            signing_secret: secret.required_hidden("signing_secret")?,
            previous_signing_secret: secret.hidden("previous_signing_secret"),
            bearer_token: secret.hidden("bearer_token"),
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.signing_secret]
            .into_iter()
            .chain(&self.previous_signing_secret)
    }
}

/// Reads the webhook of an incoming text or of a receipt.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let mismatch = inbound
        .check
        .apply(signature::check(account.secrets(), inbound))?;
    let json: Map<String, Value> = serde_json::from_slice(inbound.body)
        .map_err(|_| ReceiveError::malformed("body", "must be a JSON object in UTF-8"))?;
    let text = |name: &'static str| match json.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(ReceiveError::malformed(name, "must be a string")),
        None => Err(ReceiveError::malformed(name, "is missing")),
    };
    let time = |name: &'static str| match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|raw| OffsetDateTime::parse(raw, &Rfc3339).ok())
            .map(Some)
            .ok_or_else(|| ReceiveError::malformed(name, "must be a time like 2026-11-23T08:00:00Z")),
    };
    let provider_id = provider_id("id", text("id")?)?;
    let event = match json.get("type").map(|kind| kind.as_str()) {
        None | Some(Some("text")) => Event::Text {
            provider_id,
            from: address("from", text("from")?)?,
            to: address("to", text("to")?)?,
            body: body("text", text("text")?.to_owned())?,
            sent_at: time("sent_at")?,
            segments: None,
            media: 0,
            part: part(&json)?,
        },
        Some(Some("receipt")) => Event::Receipt {
            provider_id,
            report: text("status")?.parse().map_err(|_| {
                ReceiveError::malformed(
                    "status",
                    "must be queued, sending, sent, delivered, failed, undeliverable, expired or unknown",
                )
            })?,
            code: match json.get("code") {
                None | Some(Value::Null) => None,
                Some(_) => Some(code(text("code")?)?),
            },
            at: time("at")?,
        },
        Some(_) => return Err(ReceiveError::malformed("type", "must be text or receipt")),
    };
    let answer = Answer {
        status: StatusCode::ACCEPTED,
        content_type: "application/json",
        body: r#"{"status":"accepted"}"#.into(),
    };
    Ok(Received {
        events: vec![event],
        mismatch,
        answer,
    })
}

/// A failure's name, held to what an id is held to: it is stored and shown.
fn code(raw: &str) -> Result<String, ReceiveError> {
    provider_id("code", raw)
}

fn part(json: &Map<String, Value>) -> Result<Option<Part>, ReceiveError> {
    let concat = match json.get("concat") {
        None | Some(Value::Null) => return Ok(None),
        Some(concat) => concat,
    };
    let number = |name: &str| concat.get(name).and_then(Value::as_u64);
    let read = || {
        let part = Part {
            reference: number("reference")?.try_into().ok()?,
            parts: number("parts")?.try_into().ok()?,
            part: number("part")?.try_into().ok()?,
        };
        (part.parts >= 2 && (1..=part.parts).contains(&part.part)).then_some(part)
    };
    read().map(Some).ok_or_else(|| {
        ReceiveError::malformed(
            "concat",
            "must have reference (0 to 65535), parts (2 to 255) and part (1 to parts)",
        )
    })
}

#[cfg(test)]
mod tests;
