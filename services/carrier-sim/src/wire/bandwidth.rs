//! Bandwidth's Messaging API v2, from <https://dev.bandwidth.com/docs/messaging>,
//! <https://dev.bandwidth.com/docs/messaging/webhooks> and <https://dev.bandwidth.com/docs/messaging/errors>.

use super::{
    Answers, Webhook, basic, json_answer, new_text,
    refusal::{Draft, Refusal, secret},
    rfc3339, shows_basic, take,
};
use crate::{
    Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText,
    book::{Submission, Taken},
    edge::Line,
    segments::segments,
    sim::Shared,
};
use axum::{
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Of every account.
pub const APPLICATION: &str = "93de2206-9669-4e07-948d-329f4b722ee2";
/// Both ways.
pub const USER: &str = "ccm";

pub fn webhook(account: &Account, text: &SentText) -> Webhook {
    let at = rfc3339(text.at_ms);
    posted(
        account,
        &json!({
            "type": "message-received", "time": at, "description": "Incoming message received", "to": text.to,
            "message": {
                "id": text.id, "time": at, "to": [text.to], "from": text.from, "text": text.text, "owner": text.to,
                "applicationId": APPLICATION, "direction": "in", "segmentCount": segments(&text.text),
            },
        }),
    )
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt) -> Webhook {
    let kind = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => "message-sending",
        ReceiptStatus::Delivered => "message-delivered",
        _ => "message-failed",
    };
    let mut event = json!({
        "type": kind, "time": rfc3339(receipt.at_ms), "description": "ordered", "to": text.to,
        "message": {
            "id": text.id, "to": [text.to], "from": text.from, "owner": text.from, "text": "", "applicationId": APPLICATION,
            "direction": "out", "segmentCount": 1,
        },
    });
    if let Some(code) = receipt.code.as_ref().and_then(|code| code.parse::<u32>().ok()) {
        event["errorCode"] = json!(code);
    }
    posted(account, &event)
}

fn posted(account: &Account, event: &Value) -> Webhook {
    Webhook {
        headers: vec![
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("authorization", basic(USER, &account.secret)),
        ],
        body: json!([event]).to_string(),
    }
}

/// `POST /api/v2/users/{id}/messages`
pub async fn send(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let answers = Answers {
        taken,
        failed,
        too_fast,
    };
    match read(&shared, &id, &headers, &body) {
        Ok(new) => take(&shared, &line, new, &answers).await,
        Err((status, kind, words)) => error(status, kind, words),
    }
}

type Refused = (u16, &'static str, &'static str);

fn read(shared: &Shared, id: &str, headers: &HeaderMap, body: &str) -> Result<Submission, Refused> {
    let book = shared.book();
    if !secret(&book, Kind::Bandwidth, id).is_some_and(|secret| shows_basic(headers, USER, secret)) {
        return Err((401, "unauthorized", "Authentication Failed"));
    }
    let invalid = |words| (400, "request-validation", words);
    let json: Value =
        serde_json::from_str(body).map_err(|_| invalid("Your request could not be accepted"))?;
    let text = |pointer: &str| {
        json.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if text("/applicationId") != APPLICATION {
        return Err(invalid("'applicationId' is not one of the account's"));
    }
    let draft = Draft {
        from: text("/from"),
        to: text("/to/0"),
        text: text("/text"),
        callback: None,
    };
    draft.check(&book, id).map_err(|refusal| match refusal {
        Refusal::To => invalid("'to' must be valid numbers"),
        Refusal::From => invalid("'from' is not a number of this account"),
        Refusal::Text => invalid("'text' must not be empty"),
        // Told in a receipt, in truth.
        Refusal::OptedOut => invalid("the user has opted out"),
    })
}

fn taken(taken: &Taken) -> Response {
    let text = new_text(taken);
    json_answer(
        202,
        &json!({
            "id": text.id, "time": rfc3339(text.at_ms), "to": [text.to], "from": text.from, "text": text.text,
            "owner": text.from, "applicationId": APPLICATION, "direction": "out", "segmentCount": segments(&text.text),
        }),
    )
}

fn error(status: u16, kind: &str, words: &str) -> Response {
    json_answer(status, &json!({"type": kind, "description": words}))
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    let usual = match status {
        401 => "unauthorized",
        403 => "forbidden",
        429 => "max-message-queue-size-exceeded",
        500.. => "internal-server-error",
        _ => "request-validation",
    };
    error(
        status,
        code.unwrap_or(usual),
        &format!("Ordered by the control API, for {to}"),
    )
}

fn too_fast() -> Response {
    error(
        429,
        "max-message-queue-size-exceeded",
        "The SMS queue for your account is full",
    )
}
