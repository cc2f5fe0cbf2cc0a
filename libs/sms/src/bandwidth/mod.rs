//! Bandwidth's Messaging API v2.
//!
//! Sources: <https://dev.bandwidth.com/docs/messaging/webhooks> (webhooks, how they are repeated),
//! <https://dev.bandwidth.com/docs/messaging> (sending), <https://dev.bandwidth.com/docs/messaging/errors> (errors; its text is at
//! <https://github.com/Bandwidth/api-docs/blob/main/site/docs/messaging/errors.mdx>).
//!
//! Bandwidth does not sign: it shows the user and password that are set for callbacks at the messaging application (RFC 7617). Found
//! in no page that we could read: the example of such a request; what is checked here is the header of that RFC.

mod errors;
mod send;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{address, body, failure_code, provider_id},
    json,
    shape::{Field, Shape, TIMEOUT, Word},
    sign,
};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// No idempotency key is documented.
pub const RECOGNISES_RETRIES: bool = false;

const API: &str = "https://messaging.bandwidth.com";

static ACCOUNT: Word = Word {
    // It is part of addresses.
    fits: |raw| (1..=20).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_digit()),
    problem: "is not a number",
    remedy: "copy the account id from Bandwidth's dashboard",
};

pub static SHAPE: Shape = Shape {
    title: "Bandwidth's Messaging API v2",
    settings: &[
        Field::word("account_id", &ACCOUNT, "The account's id, a number.")
            .needed()
            .like("9900000"),
        Field::text(
            "application_id",
            "The messaging application that the numbers belong to; its callback address is the account's webhook address.",
        )
        .needed()
        .like("93de2206-9669-4e07-948d-329f4b722ee2"),
        Field::text("callback_user", "The user that is set for callbacks at the application.")
            .needed()
            .like("ccm"),
        Field::address(
            "api_base",
            "Where Bandwidth's messaging API is: https, or http on this machine. Left out: `https://messaging.bandwidth.com`.",
        )
        .like(API),
        TIMEOUT,
    ],
    secret: &[
        Field::secret("api_user", 1, "The user (or API token) that sends.").needed(),
        Field::secret("api_password", 8, "Its password (or API secret).").needed(),
        Field::secret("callback_password", 16, "The password that is set for callbacks.").needed(),
        Field::secret(
            "previous_callback_password",
            16,
            "The password for callbacks before, while webhooks with it may still come.",
        ),
    ],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    id: String,
    application_id: String,
    callback_user: String,
    api_base: String,
    api_user: SecretString,
    api_password: SecretString,
    callback_password: SecretString,
    previous_callback_password: Option<SecretString>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        Ok(Self {
            timeout: settings.timeout(),
            id: settings.required("account_id")?.to_owned(),
            application_id: settings.required("application_id")?.to_owned(),
            callback_user: settings.required("callback_user")?.to_owned(),
            api_base: settings.api_base(API)?,
            api_user: secret.required_hidden("api_user")?,
            api_password: secret.required_hidden("api_password")?,
            callback_password: secret.required_hidden("callback_password")?,
            previous_callback_password: secret.hidden("previous_callback_password"),
        })
    }
}

/// Reads a webhook: a list of what happened.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let passwords = [&account.callback_password]
        .into_iter()
        .chain(&account.previous_callback_password);
    let checked = sign::basic(inbound, &account.callback_user, passwords);
    let mismatch = inbound.check.apply(checked)?;
    let json: Value = serde_json::from_slice(inbound.body)
        .map_err(|_| ReceiveError::malformed("body", "must be JSON in UTF-8"))?;
    let items = json
        .as_array()
        .ok_or_else(|| ReceiveError::malformed("body", "must be a list, as Bandwidth posts it"))?;
    let mut events = Vec::new();
    for item in items {
        if json::any(item, "/message/applicationId").is_some_and(|id| id != account.application_id.as_str()) {
            return Err(ReceiveError::WrongAccount {
                field: "/message/applicationId",
            });
        }
        events.extend(event(item)?);
    }
    Ok(Received {
        events,
        mismatch,
        answer: Answer::OK,
    })
}

/// A type that this does not know says nothing.
fn event(item: &Value) -> Result<Option<Event>, ReceiveError> {
    let id = || provider_id("/message/id", json::text(item, "/message/id")?);
    let report = match json::text(item, "/type")? {
        "message-received" => {
            return Ok(Some(Event::Text {
                provider_id: id()?,
                from: address("/message/from", json::text(item, "/message/from")?)?,
                // Of a group's text each of our numbers gets its own copy, and is its owner.
                to: address("/message/owner", json::text(item, "/message/owner")?)?,
                body: body(
                    "/message/text",
                    json::any(item, "/message/text").unwrap_or_default().into_owned(),
                )?,
                sent_at: json::time(item, "/message/time"),
                segments: json::any(item, "/message/segmentCount").and_then(|n| n.parse().ok()),
                media: json::count(item, "/message/media"),
                part: None,
            }));
        }
        "message-sending" => Report::Sending,
        "message-sent" => Report::Sent,
        "message-delivered" => Report::Delivered,
        "message-failed" => Report::Failed,
        _ => return Ok(None),
    };
    Ok(Some(Event::Receipt {
        provider_id: id()?,
        report,
        code: failure_code(json::any(item, "/errorCode")),
        at: json::time(item, "/time"),
    }))
}

#[cfg(test)]
mod tests;
