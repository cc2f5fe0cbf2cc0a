//! The two dialects.

pub(crate) mod generic;
pub(crate) mod twilio;

use crate::{
    Account, Fault, Kind, SentText,
    book::{Submission, Taken},
    edge::Line,
    fault::Target,
    sim::Shared,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use std::{sync::Arc, time::Duration};

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

/// The provider's API.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(
            "/2010-04-01/Accounts/{sid}/Messages.json",
            post(twilio::create_message),
        )
        .route("/http/{name}/send", post(generic::send))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(shared)
}

/// What a dialect answers with.
struct Answers {
    taken: fn(&Taken) -> Response,
    /// Status, code if one was ordered, and the recipient, which Twilio repeats.
    failed: fn(u16, Option<&str>, &str) -> Response,
}

/// Takes a submission that is in order, unless something is to go wrong with it.
async fn take(shared: &Shared, line: &Line, new: Submission, answers: &Answers) -> Response {
    let fault = shared.book().faults.next(Target::Send, &new.account);
    let deliver = || (answers.taken)(&shared.take(new.clone()));
    match fault {
        Some(Fault::Answer {
            status,
            code,
            retry_after_s,
            taken,
        }) => {
            if taken {
                deliver();
            }
            let mut answer = (answers.failed)(status, code.as_deref(), &new.to);
            if let Some(seconds) = retry_after_s {
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
        Some(Fault::Hang { taken }) => {
            if taken {
                deliver();
            }
            std::future::pending().await
        }
        Some(Fault::Reset { taken }) => {
            if taken {
                deliver();
            }
            line.cut();
            ().into_response()
        }
        Some(Fault::Slow { ms }) => {
            let answer = deliver();
            tokio::time::sleep(Duration::from_millis(ms.into())).await;
            answer
        }
        Some(Fault::DuplicatePost { .. } | Fault::WrongSignature) | None => deliver(),
    }
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many SMS a text takes: 160 or 153 characters each, or 70 or 67 UTF-16 units where it is not plain. Near enough for
/// a field that nobody charges by: GSM's own accented letters count as not plain.
fn segments(text: &str) -> usize {
    let (units, one, many) = if text.is_ascii() {
        (text.len(), 160, 153)
    } else {
        (text.encode_utf16().count(), 70, 67)
    };
    if units <= one { 1 } else { units.div_ceil(many) }
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn long_texts_take_several_sms() {
        for (text, expected) in [
            (String::new(), 1),
            ("x".repeat(160), 1),
            ("x".repeat(161), 2),
            ("é".repeat(70), 1),
            ("é".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
        ] {
            assert_eq!(segments(&text), expected);
        }
    }
}
