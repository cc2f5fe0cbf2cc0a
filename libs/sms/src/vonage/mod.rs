//! Vonage's SMS API, and the webhooks of its Messages API for SMS.
//!
//! Sources: <https://developer.vonage.com/messaging/sms/guides/inbound-sms> (the webhook of a text),
//! <https://developer.vonage.com/messaging/sms/guides/delivery-receipts> (receipts),
//! <https://developer.nexmo.com/concepts/guides/signing-messages> (`sig`; its exact writing is that of Vonage's own library,
//! <https://github.com/Vonage/vonage-ruby-sdk/blob/7.x/lib/vonage/signature.rb>, whose test is one of ours),
//! <https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks> (webhooks with a JWT),
//! <https://developer.vonage.com/en/messages/concepts/messages-status-callbacks> (statuses of the Messages API),
//! <https://developer.vonage.com/en/api/sms> (sending), <https://developer.vonage.com/en/api-errors/sms> (error codes).
//!
//! Not documented: whether a webhook that is repeated is signed anew. Vonage repeats for 24 hours, so that is how long a signature
//! is good for here; a text that comes twice is recognised by its id.

mod errors;
mod send;
mod signature;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, Part, ReceiveError, Received,
    account::Fields,
    inbound::{bare_address, body, failure_code, provider_id},
    shape::{Field, Shape, TIMEOUT, Word},
};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description,
};
use url::form_urlencoded;

/// There is no idempotency key.
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://rest.nexmo.com";

static KEY: Word = Word {
    fits: |raw| (1..=32).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_alphanumeric()),
    problem: "is not up to 32 letters or digits",
    remedy: "copy the API key from Vonage's dashboard",
};

pub static SHAPE: Shape = Shape {
    title: "Vonage's SMS API",
    settings: &[
        Field::word("api_key", &KEY, "The account's API key.")
            .needed()
            .like("abcd1234"),
        Field::one_of(
            "signature",
            &["sig", "jwt"],
            "How webhooks are signed: `sig` in the request (SMS API), or a JWT in its `Authorization` (Messages API). Left out: `sig`.",
        ),
        Field::one_of(
            "signature_method",
            &["sha256", "sha512", "sha1"],
            "How `sig` is made, as the dashboard has it. Left out: `sha256`. The dashboard's MD5 methods are not taken.",
        ),
        Field::address(
            "api_base",
            "Where Vonage's SMS API is: https, or http on this machine. Left out: `https://rest.nexmo.com`.",
        )
        .like(API),
        TIMEOUT,
    ],
    secret: &[
        Field::secret("api_secret", 8, "Of the API key; sends.").needed(),
        Field::secret("signature_secret", 8, "Signs Vonage's webhooks.").needed(),
        Field::secret(
            "previous_signature_secret",
            8,
            "The signature secret before, while webhooks signed with it may still come.",
        ),
    ],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    api_key: String,
    api_base: String,
    scheme: signature::Scheme,
    api_secret: SecretString,
    signature_secret: SecretString,
    previous_signature_secret: Option<SecretString>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        Ok(Self {
            timeout: settings.timeout(),
            api_key: settings.required("api_key")?.to_owned(),
            api_base: settings.api_base(API)?,
            scheme: signature::Scheme::of(settings.text("signature"), settings.text("signature_method")),
            api_secret: secret.required_hidden("api_secret")?,
            signature_secret: secret.required_hidden("signature_secret")?,
            previous_signature_secret: secret.hidden("previous_signature_secret"),
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.signature_secret]
            .into_iter()
            .chain(&self.previous_signature_secret)
    }
}

/// A webhook's parameters: Vonage posts them as JSON or as a form, as its dashboard is set.
type Params = BTreeMap<String, String>;

/// Reads the webhook of a text or of a receipt, of the SMS API or of the Messages API.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let params = params(inbound.body)?;
    let mismatch = inbound.check.apply(signature::check(account, inbound, &params))?;
    let field = |name: &str| params.get(name).map(String::as_str);
    let required = |name: &'static str| {
        field(name).ok_or_else(|| ReceiveError::malformed(name, "is missing; post Vonage's parameters"))
    };
    if field("api-key").is_some_and(|key| key != account.api_key) {
        return Err(ReceiveError::WrongAccount { field: "api-key" });
    }
    let (id_field, from_field) = match field("message_uuid") {
        Some(_) => ("message_uuid", "from"),
        None => ("messageId", "msisdn"),
    };
    let provider_id = provider_id(id_field, required(id_field)?)?;
    let event = match field("status") {
        Some(status) => report(status).map(|report| Event::Receipt {
            provider_id,
            report,
            code: failure(&params),
            at: field("message-timestamp").or(field("timestamp")).and_then(moment),
        }),
        None => Some(Event::Text {
            provider_id,
            from: bare_address(from_field, required(from_field)?)?,
            to: bare_address("to", required("to")?)?,
            body: body("text", required("text")?.to_owned())?,
            sent_at: field("message-timestamp").or(field("timestamp")).and_then(moment),
            segments: field("num_messages").and_then(|n| n.parse().ok()),
            media: 0,
            part: part(&params)?,
        }),
    };
    Ok(Received {
        events: event.into_iter().collect(),
        mismatch,
        answer: Answer::OK,
    })
}

/// The parameters by name, numbers as texts.
fn params(raw: &[u8]) -> Result<Params, ReceiveError> {
    if raw.trim_ascii_start().first() != Some(&b'{') {
        return Ok(form_urlencoded::parse(raw).into_owned().collect());
    }
    let json: Value = serde_json::from_slice(raw)
        .map_err(|_| ReceiveError::malformed("body", "must be a form, or JSON in UTF-8"))?;
    let mut params = Params::new();
    let mut put = |name: &str, value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return,
        };
        params.entry(name.to_owned()).or_insert(text);
    };
    let members = json.as_object().into_iter().flatten();
    for (name, value) in members {
        put(name, value);
    }
    // What the Messages API has in objects.
    for (name, pointer) in [
        ("num_messages", "/sms/num_messages"),
        ("error-code", "/error/title"),
    ] {
        if let Some(value) = json.pointer(pointer) {
            put(name, value);
        }
    }
    Ok(params)
}

/// `2018-10-25 12:10:29` in UTC (SMS API), or RFC 3339 (Messages API).
fn moment(raw: &str) -> Option<OffsetDateTime> {
    let plain = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    match PrimitiveDateTime::parse(raw, plain) {
        Ok(at) => Some(at.assume_utc()),
        Err(_) => OffsetDateTime::parse(raw, &Rfc3339).ok(),
    }
}

/// <https://developer.vonage.com/messaging/sms/guides/delivery-receipts>, and those of the Messages API. One that this does not
/// know says nothing.
fn report(status: &str) -> Option<Report> {
    Some(match status {
        "accepted" | "buffered" | "submitted" => Report::Sent,
        "delivered" | "read" => Report::Delivered,
        "expired" => Report::Expired,
        "failed" => Report::Failed,
        "rejected" | "undeliverable" => Report::Undeliverable,
        "unknown" => Report::Unknown,
        _ => return None,
    })
}

/// 0 is Vonage's word for "delivered".
fn failure(params: &Params) -> Option<String> {
    let code = params.get("err-code").or(params.get("error-code"))?;
    failure_code(Some(Cow::Borrowed(code))).filter(|code| code != "0")
}

fn part(params: &Params) -> Result<Option<Part>, ReceiveError> {
    if params.get("concat").map(String::as_str) != Some("true") {
        return Ok(None);
    }
    let number = |name: &str| params.get(name).and_then(|n| n.parse::<u16>().ok());
    let read = || {
        let part = Part {
            reference: number("concat-ref")?,
            parts: number("concat-total")?.try_into().ok()?,
            part: number("concat-part")?.try_into().ok()?,
        };
        (part.parts >= 2 && (1..=part.parts).contains(&part.part)).then_some(part)
    };
    read().map(Some).ok_or_else(|| {
        ReceiveError::malformed(
            "concat",
            "must come with concat-ref, concat-total and concat-part",
        )
    })
}

#[cfg(test)]
mod tests;
