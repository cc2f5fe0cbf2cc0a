//! Plivo's Messaging API, from <https://www.plivo.com/docs/messaging/api/message/send-a-message>,
//! <https://www.plivo.com/docs/messaging/concepts/signature-validation> and
//! <https://github.com/plivo/plivo-python/blob/master/plivo/utils/signature_v3.py>.

use super::{
    Answers, Webhook, bare, full, json_answer, new_text,
    refusal::{Draft, Refusal, secret},
    shows_basic, take,
};
use crate::{
    Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText,
    book::{Submission, Taken},
    edge::Line,
    segments::segments,
    sim::Shared,
};
use aws_lc_rs::hmac;
use axum::{
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use url::form_urlencoded;

type Form = BTreeMap<&'static str, String>;

pub fn webhook(account: &Account, url: &str, text: &SentText) -> Webhook {
    let form = Form::from([
        ("From", bare(&text.from).to_owned()),
        ("To", bare(&text.to).to_owned()),
        ("Text", text.text.clone()),
        ("Type", "sms".to_owned()),
        ("Units", segments(&text.text).to_string()),
        ("TotalRate", "0".to_owned()),
        ("TotalAmount", "0".to_owned()),
        ("MessageUUID", text.id.clone()),
    ]);
    signed(account, url, &form, text.seq)
}

pub fn receipt(account: &Account, url: &str, text: &ReceivedText, receipt: &Receipt) -> Webhook {
    let status = match receipt.status {
        ReceiptStatus::Queued | ReceiptStatus::Sending | ReceiptStatus::Sent => "sent",
        ReceiptStatus::Delivered => "delivered",
        ReceiptStatus::Failed => "failed",
        ReceiptStatus::Undelivered | ReceiptStatus::Expired | ReceiptStatus::Unknown => "undelivered",
    };
    let form = Form::from([
        ("From", bare(&text.from).to_owned()),
        ("To", bare(&text.to).to_owned()),
        ("Status", status.to_owned()),
        ("ErrorCode", receipt.code.clone().unwrap_or_default()),
        ("PartInfo", "1 of 1".to_owned()),
        ("MessageUUID", text.id.clone()),
        ("ParentMessageUUID", text.id.clone()),
    ]);
    signed(account, url, &form, text.seq)
}

fn signed(account: &Account, url: &str, form: &Form, seq: u64) -> Webhook {
    let nonce = format!("{:020}", seq.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Webhook {
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("x-plivo-signature-v3", sign(&account.secret, url, form, &nonce)),
            ("x-plivo-signature-v3-nonce", nonce),
        ],
        body: form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish(),
    }
}

/// The address, a question mark, its parameters and a point if it has some, the form, a point, the nonce.
fn sign(token: &str, url: &str, form: &Form, nonce: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let sorted: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    let query: Vec<String> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let fields: String = form
        .iter()
        .map(|(name, value)| format!("{name}{value}"))
        .collect();
    let point = if query.is_empty() { "" } else { "." };
    let text = format!("{base}?{}{point}{fields}.{nonce}", query.join("&"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// `POST /v1/Account/{id}/Message/`
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
        Err((status, words)) => error(status, words),
    }
}

fn read(
    shared: &Shared,
    id: &str,
    headers: &HeaderMap,
    body: &str,
) -> Result<Submission, (u16, &'static str)> {
    let book = shared.book();
    if !secret(&book, Kind::Plivo, id).is_some_and(|token| shows_basic(headers, id, token)) {
        return Err((401, "authentication failed"));
    }
    let json: Value = serde_json::from_str(body).map_err(|_| (400, "the body is not JSON"))?;
    let text = |name: &str| {
        json.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let draft = Draft {
        from: full(&text("src")),
        to: full(&text("dst")),
        text: text("text"),
        callback: json.get("url").and_then(Value::as_str).map(str::to_owned),
    };
    draft.check(&book, id).map_err(|refusal| match refusal {
        Refusal::To => (400, "dst is not a valid number"),
        Refusal::From => (400, "src is not a number of this account"),
        Refusal::Text => (400, "text is missing"),
        // Told in a receipt, in truth.
        Refusal::OptedOut => (400, "dst has opted out"),
    })
}

fn taken(taken: &Taken) -> Response {
    let id = &new_text(taken).id;
    json_answer(
        202,
        &json!({"message": "message(s) queued", "message_uuid": [id], "api_id": id}),
    )
}

fn error(status: u16, words: &str) -> Response {
    json_answer(status, &json!({"api_id": "0", "error": words}))
}

fn failed(status: u16, _: Option<&str>, to: &str) -> Response {
    error(status, &format!("ordered by the control API, for {to}"))
}

fn too_fast() -> Response {
    error(429, "rate limit exceeded")
}
