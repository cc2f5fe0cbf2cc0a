//! Telnyx's Messaging API v2, from <https://developers.telnyx.com/docs/messaging/messages/send-message>,
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks> and
//! <https://developers.telnyx.com/docs/messaging/messages/error-codes>.

use super::{
    Answers, Webhook, json_answer, new_text,
    refusal::{Draft, Refusal},
    rfc3339, take,
};
use crate::{
    Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText,
    book::{Submission, Taken},
    edge::Line,
    segments::segments,
    sim::Shared,
};
use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, header::AUTHORIZATION},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::sync::Arc;

/// An account's keys are made from its secret, so that a test needs to know nothing else.
fn keys(secret: &str) -> Ed25519KeyPair {
    let seed = digest::digest(&digest::SHA256, secret.as_bytes());
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("32 bytes are a seed")
}

/// In base64, as Telnyx' portal shows it.
pub fn public_key(secret: &str) -> String {
    BASE64_STANDARD.encode(keys(secret).public_key().as_ref())
}

pub fn webhook(account: &Account, text: &SentText, now_ms: u64) -> Webhook {
    let payload = json!({
        "record_type": "message", "direction": "inbound", "id": text.id, "type": "SMS",
        "from": {"phone_number": text.from, "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
        "to": [{"phone_number": text.to, "status": "webhook_delivered", "carrier": "TELNYX LLC", "line_type": "VoIP"}],
        "cc": [], "text": text.text, "media": [], "parts": segments(&text.text), "received_at": rfc3339(text.at_ms), "errors": [],
    });
    signed(account, "message.received", &payload, text.at_ms, now_ms)
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt, now_ms: u64) -> Webhook {
    let (event, status) = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => ("message.sent", "sent"),
        ReceiptStatus::Delivered => ("message.finalized", "delivered"),
        ReceiptStatus::Undelivered => ("message.finalized", "delivery_failed"),
        ReceiptStatus::Failed => ("message.finalized", "sending_failed"),
        ReceiptStatus::Expired => ("message.finalized", "expired"),
        ReceiptStatus::Unknown => ("message.finalized", "delivery_unconfirmed"),
    };
    let errors: Vec<Value> = receipt
        .code
        .iter()
        .map(|code| json!({"code": code, "title": "ordered"}))
        .collect();
    let payload = json!({
        "record_type": "message", "direction": "outbound", "id": text.id, "type": "SMS",
        "from": {"phone_number": text.from}, "to": [{"phone_number": text.to, "status": status}],
        "text": text.text, "errors": errors,
    });
    signed(account, event, &payload, receipt.at_ms, now_ms)
}

fn signed(account: &Account, event: &str, payload: &Value, at_ms: u64, now_ms: u64) -> Webhook {
    let id = payload["id"].as_str().unwrap_or_default();
    let body = json!({
        "data": {
            "record_type": "event", "id": id, "event_type": event, "occurred_at": rfc3339(at_ms), "payload": payload,
        },
        "meta": {"attempt": 1},
    })
    .to_string();
    let timestamp = (now_ms / 1000).to_string();
    let signature = keys(&account.secret).sign(format!("{timestamp}|{body}").as_bytes());
    Webhook {
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("telnyx-timestamp", timestamp),
            (
                "telnyx-signature-ed25519",
                BASE64_STANDARD.encode(signature.as_ref()),
            ),
        ],
        body,
    }
}

/// `POST /v2/messages`: the key says whose text it is.
pub async fn send(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let answers = Answers {
        taken,
        failed,
        too_fast,
    };
    match read(&shared, &headers, &body) {
        Ok(new) => take(&shared, &line, new, &answers).await,
        Err((status, code, title)) => error(status, code, title),
    }
}

type Refused = (u16, &'static str, &'static str);

fn read(shared: &Shared, headers: &HeaderMap, body: &str) -> Result<Submission, Refused> {
    let book = shared.book();
    let json: Value = serde_json::from_str(body).map_err(|_| (400, "10015", "Bad Request"))?;
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let knows = |account: &&Account| {
        account.kind == Kind::Telnyx && given == Some(format!("Bearer {}", account.secret).as_bytes())
    };
    // Tests may give several accounts one key: then it is the sender's.
    let owner = json
        .get("from")
        .and_then(Value::as_str)
        .and_then(|from| book.numbers.get(from));
    let account = owner
        .and_then(|name| book.accounts.get(name))
        .filter(knows)
        .or_else(|| book.accounts.values().find(knows))
        .ok_or((401, "10009", "Authentication failed"))?;
    let text = |name: &str| {
        json.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let draft = Draft {
        from: text("from"),
        to: text("to"),
        text: text("text"),
        callback: json.get("webhook_url").and_then(Value::as_str).map(str::to_owned),
    };
    draft
        .check(&book, &account.name)
        .map_err(|refusal| match refusal {
            Refusal::To => (400, "40310", "Invalid 'to' address"),
            Refusal::From => (400, "40305", "Invalid 'from' address"),
            Refusal::Text => (400, "40316", "No content provided"),
            Refusal::OptedOut => (400, "40300", "Blocked due to STOP message"),
        })
}

fn taken(taken: &Taken) -> Response {
    let text = new_text(taken);
    let message = json!({
        "record_type": "message", "direction": "outbound", "id": text.id, "type": "SMS",
        "from": {"phone_number": text.from}, "to": [{"phone_number": text.to, "status": "queued"}], "text": text.text,
        "errors": [],
    });
    json_answer(200, &json!({"data": message}))
}

fn error(status: u16, code: &str, title: &str) -> Response {
    json_answer(
        status,
        &json!({"errors": [{"code": code, "title": title, "detail": title}]}),
    )
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    let usual = match status {
        401 => "10009",
        429 => "10011",
        500.. => "10007",
        _ => "40310",
    };
    error(
        status,
        code.unwrap_or(usual),
        &format!("Ordered by the control API, for {to}"),
    )
}

fn too_fast() -> Response {
    error(429, "10011", "Too many requests")
}
