//! Infobip's SMS API v3.
//!
//! Sources: <https://infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages> (the webhook of texts),
//! <https://infobip.com/docs/api/channels/sms/sms-messaging/logs-and-status-reports/receive-outbound-sms-message-report> (receipts),
//! <https://www.infobip.com/docs/developer-resources/quickstart> (sending),
//! <https://www.infobip.com/docs/developer-resources/errors-and-responses/response-codes> (groups of statuses),
//! <https://github.com/nyaruka/courier/blob/main/handlers/infobip/handler.go> (where receipts are asked for, what a send answers).
//!
//! Infobip signs nothing that we have found described. A subscription has authentication settings
//! (<https://www.infobip.com/docs/cpaas-x/subscriptions-management/create-manage-subscriptions>); what is taken here is user and
//! password (RFC 7617). Receipts go where the subscription says, since an address that a text names would come without them.

mod errors;
mod send;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{bare_address, body, failure_code, provider_id},
    json,
    shape::{Field, Shape, TIMEOUT},
    sign,
};
use ccm_model::Report;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A text has our id there, and whether the same id is one text is not documented.
pub const RECOGNISES_RETRIES: bool = false;

pub static SHAPE: Shape = Shape {
    title: "Infobip's SMS API v3",
    settings: &[
        Field::address(
            "api_base",
            "The account's base URL, as Infobip's web interface shows it: https, or http on this machine.",
        )
        .needed()
        .like("https://xyz123.api.infobip.com"),
        Field::text("webhook_user", "The user that is set for webhooks.")
            .needed()
            .like("ccm"),
        TIMEOUT,
    ],
    secret: &[
        Field::secret("api_key", 16, "The API key; sends.").needed(),
        Field::secret("webhook_password", 16, "The password that is set for webhooks.").needed(),
        Field::secret(
            "previous_webhook_password",
            16,
            "The password for webhooks before, while webhooks with it may still come.",
        ),
    ],
};

#[derive(Debug, Clone)]
pub struct Account {
    pub timeout: Duration,
    api_base: String,
    webhook_user: String,
    api_key: SecretString,
    webhook_password: SecretString,
    previous_webhook_password: Option<SecretString>,
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        let base = settings.required("api_base")?;
        Ok(Self {
            timeout: settings.timeout(),
            api_base: settings.api_base(base)?,
            webhook_user: settings.required("webhook_user")?.to_owned(),
            api_key: secret.required_hidden("api_key")?,
            webhook_password: secret.required_hidden("webhook_password")?,
            previous_webhook_password: secret.hidden("previous_webhook_password"),
        })
    }
}

/// Reads a webhook: several texts, or several receipts.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let passwords = [&account.webhook_password]
        .into_iter()
        .chain(&account.previous_webhook_password);
    let checked = sign::basic(inbound, &account.webhook_user, passwords);
    let mismatch = inbound.check.apply(checked)?;
    let json = json::Doc::parse(inbound.body)?;
    let results = json
        .0
        .pointer("/results")
        .and_then(Value::as_array)
        .ok_or_else(|| ReceiveError::malformed("/results", "must be a list, as Infobip posts it"))?;
    let mut events = Vec::new();
    for item in results {
        events.extend(event(item)?);
    }
    Ok(Received {
        events,
        mismatch,
        answer: Answer::OK,
    })
}

fn event(item: &Value) -> Result<Option<Event>, ReceiveError> {
    let id = provider_id("/messageId", json::text(item, "/messageId")?)?;
    if item.get("status").is_some() {
        return Ok(
            report(json::text(item, "/status/groupName")?).map(|report| Event::Receipt {
                provider_id: id,
                report,
                // 0 is NO_ERROR.
                code: failure_code(json::any(item, "/error/id")).filter(|code| code != "0"),
                at: moment(item, "/doneAt"),
            }),
        );
    }
    Ok(Some(Event::Text {
        provider_id: id,
        from: bare_address("/from", json::text(item, "/from")?)?,
        to: bare_address("/to", json::text(item, "/to")?)?,
        body: body("/text", json::text(item, "/text")?.to_owned())?,
        sent_at: moment(item, "/receivedAt"),
        segments: json::any(item, "/smsCount").and_then(|n| n.parse().ok()),
        media: 0,
        part: None,
    }))
}

/// `2016-10-06T09:28:39.220+0000`: RFC 3339 but for the colon in its zone.
fn moment(item: &Value, pointer: &str) -> Option<OffsetDateTime> {
    let raw = item.pointer(pointer)?.as_str()?;
    let at = raw.len().checked_sub(2)?;
    let (head, minutes) = raw.split_at_checked(at)?;
    OffsetDateTime::parse(&format!("{head}:{minutes}"), &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(raw, &Rfc3339))
        .ok()
}

/// The groups of <https://www.infobip.com/docs/developer-resources/errors-and-responses/response-codes>. One that this does not
/// know says nothing.
fn report(group: &str) -> Option<Report> {
    Some(match group {
        "PENDING" => Report::Sent,
        "DELIVERED" => Report::Delivered,
        "UNDELIVERABLE" => Report::Undeliverable,
        "EXPIRED" => Report::Expired,
        "REJECTED" => Report::Failed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
