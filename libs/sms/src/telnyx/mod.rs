//! Telnyx's Messaging API v2.
//!
//! Sources: <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks> (webhooks, their signature, how they are
//! repeated), <https://developers.telnyx.com/api-reference/callbacks/inbound-message>,
//! <https://developers.telnyx.com/api-reference/callbacks/delivery-update>,
//! <https://github.com/team-telnyx/telnyx-python/blob/master/src/telnyx/lib/webhook_verification.py> (what is signed, and for
//! how long a signature is good), <https://developers.telnyx.com/docs/messaging/messages/send-message> (sending),
//! <https://developers.telnyx.com/docs/messaging/messages/error-codes> (error codes).

mod errors;
mod send;
mod signature;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, failure_code, provider_id},
    json::Doc,
    shape::{Field, Shape, TIMEOUT, Word},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// No idempotency key is documented for messages.
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://api.telnyx.com";

static PUBLIC_KEY: Word = Word {
    fits: |raw| public_key(raw).is_some(),
    problem: "is not 32 bytes in base64",
    remedy: "copy the public key from Telnyx' portal, Keys & Credentials",
};

static PROFILE: Word = Word {
    fits: |raw| raw.len() == 36 && raw.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
    problem: "is not a UUID",
    remedy: "copy the messaging profile's id from Telnyx' portal",
};

pub static SHAPE: Shape = Shape {
    title: "Telnyx's Messaging API v2",
    settings: &[
        Field::word(
            "public_key",
            &PUBLIC_KEY,
            "The key that webhooks are checked with: 32 bytes in base64. It is public.",
        )
        .needed()
        .like("0f0GfTNrLhNDWBW2iTzLkKFJZvCVHG5+T5BGaOVrWm0="),
        Field::word(
            "messaging_profile_id",
            &PROFILE,
            "The messaging profile that alphanumeric senders belong to. Left out: the number's own.",
        )
        .like("0f512bda-ae1e-4597-8e11-e5f5686b97d3"),
        Field::address(
            "api_base",
            "Where Telnyx' API is: https, or http on this machine. Left out: `https://api.telnyx.com`.",
        )
        .like(API),
        TIMEOUT,
    ],
    secret: &[Field::secret("api_key", 16, "The API key; sends.").needed()],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    public_key: [u8; 32],
    messaging_profile_id: Option<String>,
    api_base: String,
    api_key: SecretString,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        let key = public_key(settings.required("public_key")?);
        Ok(Self {
            timeout: settings.timeout(),
            public_key: key
                .ok_or_else(|| settings.error("public_key", PUBLIC_KEY.problem, PUBLIC_KEY.remedy))?,
            messaging_profile_id: settings.text("messaging_profile_id").map(str::to_owned),
            api_base: settings.api_base(API)?,
            api_key: secret.required_hidden("api_key")?,
        })
    }
}

fn public_key(raw: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(raw).ok()?.try_into().ok()
}

/// Reads the webhook of a text or of a text's status.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let mismatch = inbound.check.apply(signature::check(account, inbound))?;
    let json = Doc::parse(inbound.body)?;
    let id = || provider_id("/data/payload/id", json.text("/data/payload/id")?);
    let event = match json.text("/data/event_type")? {
        "message.received" => Some(Event::Text {
            provider_id: id()?,
            from: address(
                "/data/payload/from/phone_number",
                json.text("/data/payload/from/phone_number")?,
            )?,
            to: address(
                "/data/payload/to/0/phone_number",
                json.text("/data/payload/to/0/phone_number")?,
            )?,
            body: body(
                "/data/payload/text",
                json.any("/data/payload/text").unwrap_or_default().into_owned(),
            )?,
            sent_at: json.time("/data/payload/received_at"),
            segments: json.any("/data/payload/parts").and_then(|n| n.parse().ok()),
            media: json.count("/data/payload/media"),
            part: None,
        }),
        "message.sent" | "message.finalized" => {
            let id = id()?;
            report(json.text("/data/payload/to/0/status")?).map(|report| Event::Receipt {
                provider_id: id,
                report,
                code: failure_code(json.any("/data/payload/errors/0/code")),
                at: json.time("/data/occurred_at"),
            })
        }
        _ => None,
    };
    Ok(Received {
        events: event.into_iter().collect(),
        mismatch,
        answer: Answer::OK,
    })
}

/// <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>. One that this does not know says nothing.
fn report(status: &str) -> Option<Report> {
    Some(match status {
        "queued" => Report::Queued,
        "sending" => Report::Sending,
        "sent" => Report::Sent,
        "delivered" => Report::Delivered,
        "sending_failed" => Report::Failed,
        "delivery_failed" => Report::Undeliverable,
        "expired" => Report::Expired,
        "delivery_unconfirmed" => Report::Unknown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
