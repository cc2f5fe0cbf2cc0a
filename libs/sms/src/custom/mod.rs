//! Any other provider over HTTP, described in its account's settings instead of in code: what is sent and where, what an answer
//! means, where in a webhook its parts stand, how a webhook is signed. `docs/providers.md` is the description; this follows it.

mod config;
mod send;
mod signature;
mod template;

pub use send::send;

use crate::{
    AccountError, Answer, Event, Inbound, ReceiveError, Received,
    account::Fields,
    inbound::{bare_address, body, failure_code, provider_id},
    json,
    shape::{Field, Shape, TIMEOUT},
};
use ::http::StatusCode;
use config::{Format, Receive, Send, Signature};
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, sync::Arc, time::Duration};
use template::Secrets;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::{Url, form_urlencoded};

/// Some of these providers know a text again and some do not: nothing is built on it.
pub const RECOGNISES_RETRIES: bool = false;

pub static SHAPE: Shape = Shape {
    title: "Any other provider over HTTP, described by these settings",
    settings: &[
        Field::address("send_url", "Where texts are sent to: https, or http on this machine.")
            .needed()
            .like("https://sms.example.com/v1/messages"),
        Field::json(
            "send",
            "The request that sends a text, and what its answer means: `method`, `headers`, `json` or `form`, `id`, `taken`, `code`, \
             `message`, `retry_statuses`, `retry_codes`, `opted_out_codes` (docs/providers.md).",
        )
        .needed()
        .like(
            r#"{"headers": {"X-Api-Key": "{key}"}, "json": {"from": "{from}", "to": "{to}", "text": "{text}", "callback": "{receipts_to}"},
                "id": "/message/id", "taken": {"at": "/status", "is": ["queued"]}, "code": "/error/code", "message": "/error/text",
                "retry_codes": ["busy"], "opted_out_codes": ["stopped"]}"#,
        ),
        Field::json(
            "receive",
            "Where the parts of a webhook stand: `format`, `each`, `text`, `receipt`, `answer` (docs/providers.md).",
        )
        .needed()
        .like(
            r#"{"format": "json", "text": {"id": "/id", "from": "/from", "to": "/to", "text": "/text", "sent_at": "/at"},
                "receipt": {"id": "/id", "status": "/status", "code": "/error", "statuses": {"DELIVRD": "delivered", "UNDELIV": "undeliverable"}}}"#,
        ),
        Field::json(
            "signature",
            "How a webhook proves whose it is: `scheme` and what belongs to it (docs/providers.md).",
        )
        .needed()
        .like(r#"{"scheme": "hmac-sha256", "header": "X-Signature", "over": "{timestamp}.{body}", "timestamp_header": "X-Timestamp"}"#),
        TIMEOUT,
    ],
    secret: &[
        Field::secret("webhook_secret", 16, "Signs webhooks, or is itself what they show.").needed(),
        Field::secret(
            "previous_webhook_secret",
            16,
            "The secret before, while webhooks with it may still come.",
        ),
        Field::secret("key", 1, "Stands for `{key}` in headers and body."),
        Field::secret("user", 1, "Stands for `{user}`, and with `password` for `{basic}`."),
        Field::secret("password", 1, "Stands for `{password}`."),
    ],
};

#[derive(Clone)]
pub struct Account {
    pub timeout: Duration,
    send_url: Url,
    send: Arc<Send>,
    receive: Arc<Receive>,
    signature: Arc<Signature>,
    webhook_secret: SecretString,
    previous_webhook_secret: Option<SecretString>,
    secrets: Secrets,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address' query may hold a key, and so may a header.
        f.debug_struct("Account")
            .field("host", &self.send_url.host_str())
            .finish_non_exhaustive()
    }
}

impl Account {
    pub fn parse(settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
        let settings = Fields::settings(settings, &SHAPE)?;
        let secret = Fields::secret(secret, &SHAPE)?;
        let secrets = Secrets {
            key: secret.hidden("key"),
            user: secret.hidden("user"),
            password: secret.hidden("password"),
        };
        let send: Send = config::read(&settings, "send")?;
        send.check(&settings, &secrets)?;
        let receive: Receive = config::read(&settings, "receive")?;
        receive.check(&settings)?;
        let signature: Signature = config::read(&settings, "signature")?;
        signature.check(&settings, receive.format)?;
        Ok(Self {
            timeout: settings.timeout(),
            send_url: settings.required_address("send_url")?,
            send: Arc::new(send),
            receive: Arc::new(receive),
            signature: Arc::new(signature),
            webhook_secret: secret.required_hidden("webhook_secret")?,
            previous_webhook_secret: secret.hidden("previous_webhook_secret"),
            secrets,
        })
    }

    fn webhook_secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.webhook_secret]
            .into_iter()
            .chain(&self.previous_webhook_secret)
    }
}

/// Reads the webhook of texts or of receipts.
pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
    let mismatch = inbound.check.apply(signature::check(account, inbound))?;
    let config = &account.receive;
    let events = match config.format {
        Format::Json => {
            let json: Value = serde_json::from_slice(inbound.body)
                .map_err(|_| ReceiveError::malformed("body", "must be JSON in UTF-8"))?;
            let items: Vec<Value> = match &config.each {
                None => vec![json],
                Some(pointer) => match json.pointer(pointer) {
                    Some(Value::Array(items)) => items.clone(),
                    _ => return Err(ReceiveError::malformed("receive.each", "does not lead to a list")),
                },
            };
            let read = |item: &Value| event(config, |at| json::any(item, at));
            items.iter().map(read).collect::<Result<Vec<_>, _>>()?
        }
        Format::Form => form(config, inbound.body)?,
        Format::Query => form(
            config,
            inbound
                .url
                .split_once('?')
                .map_or("", |(_, query)| query)
                .as_bytes(),
        )?,
    };
    Ok(Received {
        events: events.into_iter().flatten().collect(),
        mismatch,
        answer: Answer {
            status: StatusCode::from_u16(config.answer.status).unwrap_or(StatusCode::OK),
            content_type: "text/plain",
            body: Cow::Owned(config.answer.body.clone()),
        },
    })
}

fn form(config: &Receive, raw: &[u8]) -> Result<Vec<Option<Event>>, ReceiveError> {
    let form: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(raw).collect();
    let get = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| Cow::Borrowed(value.as_ref()))
    };
    event(config, get).map(|event| vec![event])
}

/// What is said at the places that the settings name: a receipt where there is a status, else a text. A status that the
/// settings do not know says nothing.
fn event<'a>(
    config: &Receive,
    get: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Result<Option<Event>, ReceiveError> {
    let needed = |field: &'static str, at: &str| {
        get(at).ok_or_else(|| {
            ReceiveError::malformed(
                field,
                "leads to nothing in this request; correct the account's settings",
            )
        })
    };
    if let Some(receipt) = &config.receipt
        && let Some(status) = get(&receipt.status)
    {
        let id = provider_id("receive.receipt.id", &needed("receive.receipt.id", &receipt.id)?)?;
        return Ok(receipt
            .statuses
            .get(status.as_ref())
            .map(|report| Event::Receipt {
                provider_id: id,
                report: *report,
                code: failure_code(receipt.code.as_ref().and_then(|at| get(at))),
                at: receipt
                    .at
                    .as_ref()
                    .and_then(|at| get(at))
                    .and_then(|raw| moment(&raw)),
            }));
    }
    let text = &config.text;
    Ok(Some(Event::Text {
        provider_id: provider_id("receive.text.id", &needed("receive.text.id", &text.id)?)?,
        from: bare_address("receive.text.from", &needed("receive.text.from", &text.from)?)?,
        to: bare_address("receive.text.to", &needed("receive.text.to", &text.to)?)?,
        body: body(
            "receive.text.text",
            needed("receive.text.text", &text.text)?.into_owned(),
        )?,
        sent_at: text
            .sent_at
            .as_ref()
            .and_then(|at| get(at))
            .and_then(|raw| moment(&raw)),
        segments: None,
        media: 0,
        part: None,
    }))
}

/// RFC 3339, or seconds or milliseconds since 1970.
fn moment(raw: &str) -> Option<OffsetDateTime> {
    match raw.parse::<i64>() {
        Ok(ms) if ms > 100_000_000_000 => {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
        }
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(raw, &Rfc3339).ok(),
    }
}

#[cfg(test)]
mod tests;
