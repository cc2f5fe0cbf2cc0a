//! Acme's SMS API: the provider of `docs/adding-a-provider.md`, which nobody has.
//!
//! Sources: <https://sms.acme.example/docs/webhooks> (texts and receipts, their signature),
//! <https://sms.acme.example/docs/send> (sending), <https://sms.acme.example/docs/errors> (error codes).

mod errors;
mod send;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, failure_code, provider_id},
    json::Doc,
    shape::{Field, Shape, TIMEOUT},
    sign::{Signer, unhex},
};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// Acme takes an `Idempotency-Key`.
pub const RECOGNISES_RETRIES: bool = true;

const API: &str = "https://sms.acme.example";

pub static SHAPE: Shape = Shape {
    title: "Acme's SMS API",
    settings: &[
        Field::text("project", "The project that the numbers belong to.")
            .needed()
            .like("p-17"),
        Field::address("api_base", "Left out: `https://sms.acme.example`.").like(API),
        TIMEOUT,
    ],
    secret: &[Field::secret("key", 16, "Sends, and signs Acme's webhooks.").needed()],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    project: String,
    api_base: String,
    key: SecretString,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        Ok(Self {
            timeout: settings.timeout(),
            project: settings.required("project")?.to_owned(),
            api_base: settings.api_base(API)?,
            key: secret.required_hidden("key")?,
        })
    }
}

/// How long a signature is good, in seconds.
const WINDOW_S: u32 = 300;

fn check(account: &Account, inbound: &Inbound<'_>) -> Result<(), ReceiveError> {
    let refuse = |reason| ReceiveError::BadSignature { reason };
    let at = inbound
        .header("acme-time")
        .ok_or(refuse("Acme-Time is missing"))?;
    let tag = inbound
        .header("acme-signature")
        .and_then(unhex)
        .ok_or(refuse("Acme-Signature is missing or not hexadecimal"))?;
    let signed = [at.as_bytes(), b"\n", inbound.body];
    if !Signer::sha256(&account.key).fits(&signed, &tag) {
        return Err(refuse("check the account's key"));
    }
    let at = at.parse().map_err(|_| refuse("Acme-Time is not in seconds"))?;
    inbound.fresh(at, WINDOW_S)
}

pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let mismatch = inbound.check.apply(check(account, inbound))?;
    let json = Doc::parse(inbound.body)?;
    let id = provider_id("/id", json.text("/id")?)?;
    let event = match json.any("/state") {
        None => Some(Event::Text {
            provider_id: id,
            from: address("/from", json.text("/from")?)?,
            to: address("/to", json.text("/to")?)?,
            body: body("/text", json.text("/text")?.to_owned())?,
            sent_at: json.time("/at"),
            segments: None,
            media: 0,
            part: None,
        }),
        Some(state) => report(&state).map(|report| Event::Receipt {
            provider_id: id,
            report,
            code: failure_code(json.any("/reason")),
            at: json.time("/at"),
        }),
    };
    Ok(Received {
        events: event.into_iter().collect(),
        mismatch,
        answer: Answer::OK,
    })
}

/// <https://sms.acme.example/docs/webhooks#states>. One that this does not know says nothing.
fn report(state: &str) -> Option<Report> {
    Some(match state {
        "handed-over" => Report::Sent,
        "arrived" => Report::Delivered,
        "lost" => Report::Undeliverable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
