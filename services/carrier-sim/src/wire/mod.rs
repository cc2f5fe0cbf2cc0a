//! The two dialects.

pub(crate) mod generic;
pub(crate) mod twilio;

use crate::{
    Account, Fault, Kind, Receipt, ReceivedText, SentText,
    book::{Submission, Taken},
    carrier::Fate,
    edge::Line,
    sim::Shared,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use std::{sync::Arc, time::Duration};
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

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
