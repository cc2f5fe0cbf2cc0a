//! Infobip's SMS API v3, from <https://www.infobip.com/docs/developer-resources/quickstart>,
//! <https://infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages> and
//! <https://infobip.com/docs/api/channels/sms/sms-messaging/logs-and-status-reports/receive-outbound-sms-message-report>.

use super::{
    Answers, Webhook, bare, basic, full, json_answer, new_text,
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
use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, header::AUTHORIZATION},
    response::Response,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// That webhooks show.
pub const USER: &str = "ccm";

/// Infobip writes its zone without a colon.
fn moment(at_ms: u64) -> String {
    rfc3339(at_ms).unwrap_or_default().replace('Z', "+0000")
}

pub fn webhook(account: &Account, text: &SentText) -> Webhook {
    posted(
        account,
        &json!({
            "messageId": text.id, "from": bare(&text.from), "to": bare(&text.to), "text": text.text, "cleanText": text.text,
            "keyword": "", "receivedAt": moment(text.at_ms), "smsCount": segments(&text.text),
            "price": {"pricePerMessage": 0, "currency": "EUR"},
        }),
    )
}

pub fn receipt(account: &Account, text: &ReceivedText, receipt: &Receipt) -> Webhook {
    let (id, group) = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => (1, "PENDING"),
        ReceiptStatus::Undelivered | ReceiptStatus::Unknown => (2, "UNDELIVERABLE"),
        ReceiptStatus::Delivered => (3, "DELIVERED"),
        ReceiptStatus::Expired => (4, "EXPIRED"),
        ReceiptStatus::Failed => (5, "REJECTED"),
    };
    let error: u32 = receipt
        .code
        .as_ref()
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    posted(
        account,
        &json!({
            "bulkId": "b", "messageId": text.id, "to": bare(&text.to), "sentAt": moment(receipt.at_ms),
            "doneAt": moment(receipt.at_ms), "smsCount": 1, "status": {"groupId": id, "groupName": group},
            "error": {"id": error, "permanent": false},
        }),
    )
}

fn posted(account: &Account, result: &Value) -> Webhook {
    Webhook {
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("authorization", basic(USER, &account.secret)),
        ],
        body: json!({"results": [result], "messageCount": 1, "pendingMessageCount": 0}).to_string(),
    }
}

/// `POST /sms/3/messages`: the key says whose text it is.
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
        Err((200, name)) => answer("0", 5, "REJECTED", name),
        Err((status, words)) => json_answer(status, &json!({"description": words})),
    }
}

/// What is wrong with a text is answered with 200.
fn read(shared: &Shared, headers: &HeaderMap, body: &str) -> Result<Submission, (u16, &'static str)> {
    let book = shared.book();
    let json: Value = serde_json::from_str(body).map_err(|_| (400, "the body is not JSON"))?;
    let text = |pointer: &str| {
        json.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let from = full(&text("/messages/0/sender"));
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let knows = |account: &&Account| {
        account.kind == Kind::Infobip && given == Some(format!("App {}", account.secret).as_bytes())
    };
    // Tests may give several accounts one key: then it is the sender's.
    let owner = book.numbers.get(&from).and_then(|name| book.accounts.get(name));
    let account = owner
        .filter(knows)
        .or_else(|| book.accounts.values().find(knows))
        .ok_or((401, "Invalid login details"))?;
    let draft = Draft {
        from,
        to: full(&text("/messages/0/destinations/0/to")),
        text: text("/messages/0/content/text"),
        callback: None,
    };
    draft
        .check(&book, &account.name)
        .map_err(|refusal| match refusal {
            Refusal::To => (200, "REJECTED_DESTINATION"),
            Refusal::From => (200, "REJECTED_SENDER"),
            Refusal::Text => (400, "messages[0].content.text is missing"),
            Refusal::OptedOut => (200, "REJECTED_DESTINATION"),
        })
}

fn answer(id: &str, group: u32, name: &str, status: &str) -> Response {
    let message = json!({"messageId": id, "status": {"groupId": group, "groupName": name, "name": status}});
    json_answer(200, &json!({"bulkId": "b", "messages": [message]}))
}

fn taken(taken: &Taken) -> Response {
    answer(&new_text(taken).id, 1, "PENDING", "PENDING_ACCEPTED")
}

fn failed(status: u16, _: Option<&str>, to: &str) -> Response {
    json_answer(
        status,
        &json!({"description": format!("ordered by the control API, for {to}")}),
    )
}

fn too_fast() -> Response {
    json_answer(429, &json!({"description": "too many requests"}))
}
