//! Vonage's SMS API, from <https://developer.vonage.com/en/api/sms>,
//! <https://developer.vonage.com/messaging/sms/guides/inbound-sms>,
//! <https://developer.vonage.com/messaging/sms/guides/delivery-receipts>,
//! <https://developer.nexmo.com/concepts/guides/signing-messages> and <https://developer.vonage.com/en/api-errors/sms>.

use super::{
    Answers, Webhook, bare, full, hex, json_answer, new_text,
    refusal::{Draft, Refusal, secret},
    take,
};
use crate::{
    Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText,
    book::{Submission, Taken},
    edge::Line,
    sim::Shared,
};
use aws_lc_rs::hmac;
use axum::{
    extract::{ConnectInfo, State},
    response::Response,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use time::{OffsetDateTime, macros::format_description};
use url::form_urlencoded;

type Params = BTreeMap<&'static str, String>;

pub fn webhook(account: &Account, text: &SentText, now_ms: u64) -> Webhook {
    let first = text.text.split_whitespace().next().unwrap_or_default();
    let mut params = Params::from([
        ("msisdn", bare(&text.from).to_owned()),
        ("to", bare(&text.to).to_owned()),
        ("messageId", text.id.clone()),
        ("text", text.text.clone()),
        (
            "type",
            if text.text.is_ascii() { "text" } else { "unicode" }.to_owned(),
        ),
        ("keyword", first.to_uppercase()),
        ("api-key", account.name.clone()),
        ("message-timestamp", moment(text.at_ms)),
    ]);
    if let Some(concat) = text.concat {
        params.insert("concat", "true".to_owned());
        params.insert("concat-ref", concat.reference.to_string());
        params.insert("concat-total", concat.parts.to_string());
        params.insert("concat-part", concat.part.to_string());
    }
    signed(account, params, now_ms)
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt, now_ms: u64) -> Webhook {
    let status = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => "accepted",
        ReceiptStatus::Delivered => "delivered",
        ReceiptStatus::Undelivered => "rejected",
        ReceiptStatus::Failed => "failed",
        ReceiptStatus::Expired => "expired",
        ReceiptStatus::Unknown => "unknown",
    };
    let params = Params::from([
        ("msisdn", bare(&text.to).to_owned()),
        ("to", bare(&text.from).to_owned()),
        ("messageId", text.id.clone()),
        ("status", status.to_owned()),
        ("err-code", receipt.code.clone().unwrap_or("0".to_owned())),
        ("network-code", "23410".to_owned()),
        ("price", "0.03330000".to_owned()),
        ("api-key", account.name.clone()),
        ("message-timestamp", moment(receipt.at_ms)),
    ]);
    signed(account, params, now_ms)
}

fn moment(at_ms: u64) -> String {
    let plain = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&plain).ok())
        .unwrap_or_default()
}

fn signed(account: &Account, mut params: Params, now_ms: u64) -> Webhook {
    params.insert("timestamp", (now_ms / 1000).to_string());
    params.insert("nonce", format!("{now_ms:x}"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, account.secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for (name, value) in &params {
        context.update(format!("&{name}={}", value.replace(['&', '='], "_")).as_bytes());
    }
    params.insert("sig", hex(context.sign().as_ref()).to_uppercase());
    Webhook {
        headers: vec![("content-type", "application/json".to_owned())],
        body: json!(params).to_string(),
    }
}

/// `POST /sms/json`
pub async fn send(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    body: String,
) -> Response {
    let answers = Answers {
        taken,
        failed,
        too_fast,
    };
    match read(&shared, &body) {
        Ok(new) => take(&shared, &line, new, &answers).await,
        Err((status, words)) => refused(status, words),
    }
}

fn read(shared: &Shared, body: &str) -> Result<Submission, (&'static str, &'static str)> {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let book = shared.book();
    let key = field("api_key");
    if secret(&book, Kind::Vonage, &key).is_none_or(|secret| secret != field("api_secret")) {
        return Err(("4", "Bad Credentials"));
    }
    let draft = Draft {
        from: full(&field("from")),
        to: full(&field("to")),
        text: field("text"),
        callback: form.get("callback").cloned(),
    };
    draft.check(&book, &key).map_err(|refusal| match refusal {
        Refusal::To => ("3", "Invalid to param"),
        Refusal::From => ("15", "Illegal Sender Address - rejected"),
        Refusal::Text => ("2", "Missing text param"),
        Refusal::OptedOut => ("7", "Number barred"),
    })
}

fn taken(taken: &Taken) -> Response {
    let text = new_text(taken);
    let message = json!({
        "to": bare(&text.to), "message-id": text.id, "status": "0", "remaining-balance": "15.53590000",
        "message-price": "0.03330000", "network": "23410",
    });
    json_answer(200, &json!({"message-count": "1", "messages": [message]}))
}

/// What is wrong with a text is answered with 200.
fn refused(status: &str, words: &str) -> Response {
    let message = json!({"status": status, "error-text": words});
    json_answer(200, &json!({"message-count": "1", "messages": [message]}))
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    let message =
        json!({"status": code.unwrap_or("5"), "error-text": format!("Ordered by the control API, for {to}")});
    json_answer(status, &json!({"message-count": "1", "messages": [message]}))
}

fn too_fast() -> Response {
    refused("1", "Throughput Rate Exceeded - please wait [ 250 ] and retry")
}
