//! CCM's generic JSON, as `docs/providers.md` describes it.

use super::{Answers, Webhook, hex, rfc3339, take};
use crate::{
    Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText,
    book::{Submission, Taken},
    edge::Line,
    sim::Shared,
};
use aws_lc_rs::hmac;
use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How far a signed time may be from now, in seconds.
const WINDOW_S: u64 = 300;

pub fn webhook(account: &Account, text: &SentText, now_ms: u64) -> Webhook {
    let mut body = json!({
        "id": text.id, "from": text.from, "to": text.to, "text": text.text, "sent_at": rfc3339(text.at_ms),
    });
    if let Some(concat) = text.concat {
        body["concat"] = json!(concat);
    }
    signed(account, &body, now_ms)
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt, now_ms: u64) -> Webhook {
    let status = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => "sent",
        ReceiptStatus::Delivered => "delivered",
        ReceiptStatus::Undelivered => "undeliverable",
        ReceiptStatus::Failed => "failed",
        ReceiptStatus::Expired => "expired",
        ReceiptStatus::Unknown => "unknown",
    };
    let mut body =
        json!({ "type": "receipt", "id": text.id, "status": status, "at": rfc3339(receipt.at_ms) });
    if let Some(code) = &receipt.code {
        body["code"] = json!(code);
    }
    signed(account, &body, now_ms)
}

fn signed(account: &Account, body: &Value, now_ms: u64) -> Webhook {
    let body = body.to_string();
    let timestamp = (now_ms / 1000).to_string();
    let signature = format!("v1={}", sign(&account.secret, &timestamp, body.as_bytes()));
    Webhook {
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-ccm-timestamp", timestamp),
            ("x-ccm-signature", signature),
        ],
        body,
    }
}

fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let signed = [timestamp.as_bytes(), b".", body].concat();
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed).as_ref())
}

/// `POST /http/{name}/send`
pub async fn send(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match read(&shared, &name, &headers, &body) {
        Ok(new) => {
            let answers = Answers {
                taken,
                failed,
                too_fast,
            };
            take(&shared, &line, new, &answers).await
        }
        Err((status, code, message)) => error(status, code, &message),
    }
}

#[derive(Deserialize)]
struct Text {
    id: String,
    from: String,
    to: String,
    text: String,
    attempt: u32,
}

type Refusal = (u16, &'static str, String);

fn read(shared: &Shared, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<Submission, Refusal> {
    let refuse = |status, code, message: &str| Err((status, code, message.to_owned()));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let book = shared.book();
    let Some(account) = book
        .accounts
        .get(name)
        .filter(|account| account.kind == Kind::Http)
    else {
        return refuse(404, "no_such_account", "there is no such account");
    };
    let timestamp = header("x-ccm-timestamp").unwrap_or_default();
    let expected = format!("v1={}", sign(&account.secret, timestamp, body));
    let given = header("x-ccm-signature").unwrap_or_default();
    if !given.split(',').any(|signature| signature.trim() == expected) {
        return refuse(
            401,
            "bad_signature",
            "the signature does not fit timestamp, body and secret",
        );
    }
    let age = timestamp
        .parse::<u64>()
        .map(|at| at.abs_diff(shared.now_ms() / 1000));
    if age.is_err() || age.is_ok_and(|age| age > WINDOW_S) {
        return refuse(401, "stale", "the signed time is more than 300 s away");
    }
    let text: Text = serde_json::from_slice(body).map_err(|e| (400, "malformed", e.to_string()))?;
    match header("idempotency-key") {
        Some(key) if key == text.id && !key.is_empty() => {}
        _ => return refuse(400, "bad_key", "Idempotency-Key must be the text's id"),
    }
    if text.attempt == 0 {
        return refuse(400, "malformed", "attempts are counted from 1");
    }
    if text.text.is_empty() {
        return refuse(400, "empty_text", "there is no text");
    }
    if !text.to.starts_with('+') {
        return Err((400, "invalid_to", format!("{} is not a phone's number", text.to)));
    }
    if book.numbers.get(&text.from).is_none_or(|owner| owner != name) {
        return Err((
            400,
            "invalid_from",
            format!("{} is not a number of this account", text.from),
        ));
    }
    if book.opted_out(&text.from, &text.to) {
        return refuse(400, "opted_out", "the phone wants nothing from this number");
    }
    Ok(Submission {
        account: name.to_owned(),
        from: text.from,
        to: text.to,
        text: text.text,
        idempotency_key: Some(text.id),
        attempt: Some(text.attempt),
        status_callback: None,
        messaging_service_sid: None,
    })
}

fn taken(taken: &Taken) -> Response {
    match taken {
        Taken::New(text) => (StatusCode::ACCEPTED, Json(json!({ "id": text.id }))).into_response(),
        Taken::Again(text) => {
            let body =
                json!({ "id": text.id, "code": "already_taken", "message": "this key was taken before" });
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
        Taken::KeyReused => error(422, "key_reused", "this key was taken with another text"),
    }
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    error(
        status,
        code.unwrap_or("ordered"),
        &format!("ordered by the control API, for {to}"),
    )
}

fn too_fast() -> Response {
    error(429, "rate_limited", "the number sends faster than it may")
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "code": code, "message": message });
    (
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Json(body),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_documented_example() {
        let body = r#"{"id":"mo-1","from":"+15550100","to":"72345","text":"Grüße 😀","sent_at":"2026-11-23T07:59:58Z"}"#;
        assert_eq!(
            sign("a-documented-secret", "1795420800", body.as_bytes()),
            "288a8a80519bd0dd75620d57e969cd18cdc65926b69cf5f05ce10628d6626f69"
        );
    }
}
