//! Sending a message.

use super::{Refusal, account, error, message, refused};
use crate::{
    book::{Submission, Taken},
    edge::Line,
    sim::Shared,
    wire::{Answers, take},
};
use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{collections::BTreeMap, sync::Arc};
use url::form_urlencoded;

/// The longest text, in characters.
const LONGEST: usize = 1600;

/// `POST /2010-04-01/Accounts/{sid}/Messages.json`
pub async fn create(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    match read(&shared, &sid, &headers, &body) {
        Ok(new) => {
            let answers = Answers {
                taken: created,
                failed,
                too_fast,
            };
            take(&shared, &line, new, &answers).await
        }
        Err(refusal) => refused(refusal),
    }
}

fn read(shared: &Shared, sid: &str, headers: &HeaderMap, body: &str) -> Result<Submission, Refusal> {
    let refuse = |status, code, message: &str| Err((status, code, message.to_owned()));
    let book = shared.book();
    account(&book, sid, headers)?;
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let form: BTreeMap<_, _> = if is_form {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    } else {
        BTreeMap::new()
    };
    let field = |name: &str| {
        form.get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let Some(to) = field("To") else {
        return refuse(400, 21604, "A 'To' phone number is required.");
    };
    if !is_number(to) {
        return if to.bytes().all(|b| b.is_ascii_digit()) && to.len() <= 8 {
            Err((400, 21265, format!("Short Code {to} cannot be the destination")))
        } else {
            Err((
                400,
                21211,
                format!("The 'To' number {to} is not a valid phone number."),
            ))
        };
    }
    let Some(from) = field("From") else {
        return refuse(
            400,
            21603,
            "A 'From' or 'MessagingServiceSid' parameter is required to send a message",
        );
    };
    let Some(text) = field("Body") else {
        return refuse(400, 21602, "Message body is required.");
    };
    if text.chars().count() > LONGEST {
        return refuse(
            400,
            21617,
            "The concatenated message body exceeds the 1600 character limit.",
        );
    }
    if from == to {
        return Err((
            400,
            21266,
            format!("'To' and 'From' number cannot be the same: {to}"),
        ));
    }
    match book.numbers.get(from) {
        Some(owner) if owner == sid => {}
        Some(_) => {
            return Err((
                400,
                21660,
                format!("Mismatch between the 'From' number {from} and the account {sid}"),
            ));
        }
        None => return Err((400, 21659, format!("'From' {from} is not a Twilio phone number"))),
    }
    let callback = field("StatusCallback");
    if callback.is_some_and(|url| !is_web_address(url)) {
        return refuse(400, 21609, "The 'StatusCallback' URL is not valid.");
    }
    if book.opted_out(from, to) {
        return refuse(400, 21610, "Attempt to send to unsubscribed recipient");
    }
    Ok(Submission {
        account: sid.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        text: text.to_owned(),
        idempotency_key: None,
        attempt: None,
        status_callback: callback.map(Into::into),
        messaging_service_sid: field("MessagingServiceSid").map(Into::into),
    })
}

/// `+` and 7 to 15 digits, the first not zero.
fn is_number(raw: &str) -> bool {
    raw.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

fn is_web_address(raw: &str) -> bool {
    url::Url::parse(raw).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}

fn created(taken: &Taken) -> Response {
    let (Taken::New(text) | Taken::Again(text)) = taken else {
        unreachable!("there are no keys in this dialect")
    };
    (StatusCode::CREATED, Json(message::outbound(text))).into_response()
}

/// Nothing that is answered so was processed (<https://www.twilio.com/docs/api/errors/20429>).
fn too_fast() -> Response {
    error(429, 20429, "Too Many Requests")
}

fn failed(status: u16, code: Option<&str>, to: &str) -> Response {
    let usual = match status {
        401 => 20003,
        404 => 20404,
        429 => 20429,
        503 => 20503,
        500.. => 20500,
        _ => 21211,
    };
    let code = code.and_then(|code| code.parse().ok()).unwrap_or(usual);
    error(
        status,
        code,
        &format!("Ordered by the control API. The 'To' number {to} is repeated here, as Twilio does."),
    )
}
