//! The dialects.

pub(crate) mod bandwidth;
pub(crate) mod custom;
pub(crate) mod generic;
pub(crate) mod infobip;
pub(crate) mod plivo;
mod refusal;
pub(crate) mod telnyx;
pub(crate) mod twilio;
pub(crate) mod vonage;

use crate::{
    Account, Fault, Kind, Receipt, ReceivedText, SentText,
    book::{Submission, Taken},
    carrier::Fate,
    edge::Line,
    sim::Shared,
};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{sleep, timeout};

/// How long a send's answer waits for an early receipt's.
const EARLY: Duration = Duration::from_secs(2);

/// A webhook's request.
pub(crate) struct Webhook {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// The signed request for a text from a phone.
pub(crate) fn webhook(account: &Account, url: &str, text: &SentText, now_ms: u64) -> Webhook {
    match account.kind {
        Kind::Twilio => twilio::webhook(account, url, text),
        Kind::Http => generic::webhook(account, text, now_ms),
        Kind::Vonage => vonage::webhook(account, text, now_ms),
        Kind::Telnyx => telnyx::webhook(account, text, now_ms),
        Kind::Bandwidth => bandwidth::webhook(account, text),
        Kind::Plivo => plivo::webhook(account, url, text),
        Kind::Infobip => infobip::webhook(account, text),
        Kind::Custom => custom::webhook(account, text, now_ms),
    }
}

/// The signed request for a delivery receipt.
pub(crate) fn receipt(
    account: &Account,
    url: &str,
    text: &ReceivedText,
    receipt: &Receipt,
    now_ms: u64,
) -> Webhook {
    match account.kind {
        Kind::Twilio => twilio::status_callback(account, url, text, receipt),
        Kind::Http => generic::receipt(account, text, receipt, now_ms),
        Kind::Vonage => vonage::receipt(account, text, receipt, now_ms),
        Kind::Telnyx => telnyx::receipt(account, text, receipt, now_ms),
        Kind::Bandwidth => bandwidth::receipt(account, text, receipt),
        Kind::Plivo => plivo::receipt(account, url, text, receipt),
        Kind::Infobip => infobip::receipt(account, text, receipt),
        Kind::Custom => custom::receipt(account, text, receipt, now_ms),
    }
}

/// The provider's API.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(
            "/2010-04-01/Accounts/{sid}/Messages.json",
            post(twilio::send::create).get(twilio::message::list),
        )
        .route(
            "/2010-04-01/Accounts/{sid}/Messages/{file}",
            get(twilio::message::fetch),
        )
        .route("/v2/PhoneNumbers/{number}", get(twilio::lookup::fetch))
        .route("/http/{name}/send", post(generic::send))
        .route("/sms/json", post(vonage::send))
        .route("/v2/messages", post(telnyx::send))
        .route("/api/v2/users/{id}/messages", post(bandwidth::send))
        .route("/v1/Account/{id}/Message/", post(plivo::send))
        .route("/sms/3/messages", post(infobip::send))
        .route("/custom/{name}/messages", post(custom::send))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(shared)
}

/// What a dialect answers with.
struct Answers {
    taken: fn(&Taken) -> Response,
    /// Status, code if one was ordered, and the recipient, which Twilio repeats.
    failed: fn(u16, Option<&str>, &str) -> Response,
    too_fast: fn() -> Response,
}

/// Takes a submission that is in order, unless something is to go wrong with it.
async fn take(shared: &Arc<Shared>, line: &Line, new: Submission, answers: &Answers) -> Response {
    let fate = shared.book().fate(&new, shared.now_ns());
    let unheard = |taken: bool| {
        if taken {
            shared.take(new.clone());
        }
    };
    let mut slow = Duration::ZERO;
    match fate {
        Fate::TooFast(wait_s) => return retry_after((answers.too_fast)(), Some(wait_s)),
        Fate::Fault(Fault::Answer {
            status,
            code,
            retry_after_s,
            taken,
        }) => {
            unheard(taken);
            let answer = (answers.failed)(status, code.as_deref(), &new.to);
            return retry_after(answer, retry_after_s);
        }
        Fate::Fault(Fault::Hang { taken }) => {
            unheard(taken);
            return std::future::pending().await;
        }
        Fate::Fault(Fault::Reset { taken }) => {
            unheard(taken);
            line.cut();
            return ().into_response();
        }
        Fate::Fault(Fault::Slow { ms }) => slow = Duration::from_millis(ms.into()),
        Fate::Fault(Fault::DuplicatePost { .. } | Fault::WrongSignature | Fault::Receipts { .. })
        | Fate::Taken => {}
    }
    let (taken, mut later) = shared.take(new);
    if let Some(early) = later.early() {
        let _ = timeout(EARLY, early).await;
    }
    sleep(slow).await;
    (answers.taken)(&taken)
}

fn retry_after(mut answer: Response, seconds: Option<u32>) -> Response {
    if let Some(seconds) = seconds {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Milliseconds since 1970, as JSON has moments.
fn rfc3339(at_ms: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
}

/// A full number without its plus.
fn bare(number: &str) -> &str {
    number.trim_start_matches('+')
}

/// With its plus again.
fn full(number: &str) -> String {
    let is_full = number.len() > 8 && number.bytes().all(|b| b.is_ascii_digit());
    format!("{}{number}", if is_full { "+" } else { "" })
}

/// Whether a request shows these credentials.
fn shows_basic(headers: &HeaderMap, user: &str, password: &str) -> bool {
    let expected = basic(user, password);
    headers
        .get(AUTHORIZATION)
        .is_some_and(|given| given.as_bytes() == expected.as_bytes())
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body.clone())).into_response()
}

fn new_text(taken: &Taken) -> &ReceivedText {
    match taken {
        Taken::New(text) | Taken::Again(text) => text,
        Taken::KeyReused => unreachable!("there are no keys in this dialect"),
    }
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
