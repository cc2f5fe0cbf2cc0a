//! A provider of no name, as there are many: JSON with ways of its own, a key in a header, webhooks signed over their time and body. What
//! CCM has to be told about it stands in [`settings`].

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
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// How CCM's account describes this provider.
pub fn settings(send_url: &str) -> Value {
    json!({
        "send_url": send_url,
        "send": {
            "headers": {"X-Api-Key": "{key}"},
            "json": {
                "sender": "{from_digits}", "recipients": ["{to_digits}"], "content": {"text": "{text}"},
                "callback": "{receipts_to}",
            },
            "id": "/messages/0/reference",
            "taken": {"at": "/result", "is": ["ok"]},
            "code": "/error/code",
            "message": "/error/text",
            "retry_codes": ["busy"],
            "opted_out_codes": ["stopped"],
        },
        "receive": {
            "each": "/events",
            "text": {
                "id": "/reference", "from": "/sender", "to": "/recipient", "text": "/content/text", "sent_at": "/at",
            },
            "receipt": {
                "id": "/reference", "status": "/state", "code": "/reason", "at": "/at",
                "statuses": {
                    "SENT": "sent", "DELIVRD": "delivered", "UNDELIV": "undeliverable", "REJECTD": "failed",
                    "EXPIRED": "expired", "UNKNOWN": "unknown",
                },
            },
        },
        "signature": {
            "scheme": "hmac-sha256", "header": "X-Signature", "prefix": "sha256=", "over": "{timestamp}.{body}",
            "timestamp_header": "X-Timestamp",
        },
    })
}

pub fn webhook(account: &Account, text: &SentText, now_ms: u64) -> Webhook {
    let event = json!({
        "reference": text.id, "sender": bare(&text.from), "recipient": bare(&text.to), "content": {"text": text.text},
        "at": text.at_ms,
    });
    signed(account, &event, now_ms)
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt, now_ms: u64) -> Webhook {
    let state = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => "SENT",
        ReceiptStatus::Delivered => "DELIVRD",
        ReceiptStatus::Undelivered => "UNDELIV",
        ReceiptStatus::Failed => "REJECTD",
        ReceiptStatus::Expired => "EXPIRED",
        ReceiptStatus::Unknown => "UNKNOWN",
    };
    let event = json!({"reference": text.id, "state": state, "reason": receipt.code, "at": receipt.at_ms});
    signed(account, &event, now_ms)
}

fn signed(account: &Account, event: &Value, now_ms: u64) -> Webhook {
    let body = json!({"events": [event]}).to_string();
    let timestamp = (now_ms / 1000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, account.secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    Webhook {
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-timestamp", timestamp),
            ("x-signature", format!("sha256={}", hex(tag.as_ref()))),
        ],
        body,
    }
}

/// `POST /custom/{name}/messages`
pub async fn send(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let answers = Answers {
        taken,
        failed,
        too_fast,
    };
    match read(&shared, &name, &headers, &body) {
        Ok(new) => take(&shared, &line, new, &answers).await,
        Err((status, code)) => error(status, code, "refused"),
    }
}

fn read(
    shared: &Shared,
    name: &str,
    headers: &HeaderMap,
    body: &str,
) -> Result<Submission, (u16, &'static str)> {
    let book = shared.book();
    let given = headers.get("x-api-key").and_then(|key| key.to_str().ok());
    if given.is_none() || secret(&book, Kind::Custom, name) != given {
        return Err((401, "key"));
    }
    let json: Value = serde_json::from_str(body).map_err(|_| (400, "json"))?;
    let text = |pointer: &str| {
        json.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let draft = Draft {
        from: full(&text("/sender")),
        to: full(&text("/recipients/0")),
        text: text("/content/text"),
        callback: json.get("callback").and_then(Value::as_str).map(str::to_owned),
    };
    draft.check(&book, name).map_err(|refusal| match refusal {
        Refusal::To => (422, "recipient"),
        Refusal::From => (422, "sender"),
        Refusal::Text => (422, "content"),
        Refusal::OptedOut => (422, "stopped"),
    })
}

fn taken(taken: &Taken) -> Response {
    let id = &new_text(taken).id;
    json_answer(200, &json!({"result": "ok", "messages": [{"reference": id}]}))
}

fn error(status: u16, code: &str, words: &str) -> Response {
    json_answer(
        status,
        &json!({"result": "error", "error": {"code": code, "text": words}}),
    )
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    error(
        status,
        code.unwrap_or("ordered"),
        &format!("ordered by the control API, for {to}"),
    )
}

fn too_fast() -> Response {
    error(429, "busy", "slower")
}
