//! Twilio's dialect, from <https://www.twilio.com/docs/messaging/api/message-resource>,
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>,
//! <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status> and
//! <https://www.twilio.com/docs/usage/security#validating-requests>.

pub(crate) mod lookup;
pub(crate) mod message;
pub(crate) mod send;

use super::Webhook;
use crate::{Account, Kind, Receipt, ReceiptStatus, ReceivedText, SentText, book::Book, segments::segments};
use aws_lc_rs::hmac;
use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use std::collections::BTreeMap;
use url::form_urlencoded;

const API_VERSION: &str = "2010-04-01";

/// Status, Twilio's code, message.
type Refusal = (u16, u32, String);

pub fn webhook(account: &Account, url: &str, text: &SentText) -> Webhook {
    // Twilio sends every field, those about places often empty.
    let fields = BTreeMap::from([
        ("ToCountry", "US"),
        ("ToState", ""),
        ("ToCity", ""),
        ("ToZip", ""),
        ("FromCountry", "US"),
        ("FromState", "CA"),
        ("FromCity", "SAN FRANCISCO"),
        ("FromZip", "94108"),
        ("SmsMessageSid", &text.id),
        ("SmsSid", &text.id),
        ("MessageSid", &text.id),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
        ("AccountSid", &account.name),
        ("ApiVersion", API_VERSION),
        ("From", &text.from),
        ("To", &text.to),
        ("Body", &text.text),
    ]);
    let segments = segments(&text.text).to_string();
    let mut form: BTreeMap<&str, &str> = fields;
    form.insert("NumSegments", &segments);
    let token = format!("{}-{}", text.seq, text.id);
    signed(account, url, &form, token)
}

/// The properties that
/// <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status> documents.
pub fn status_callback(account: &Account, url: &str, text: &ReceivedText, receipt: &Receipt) -> Webhook {
    let status = status_name(receipt.status);
    let mut form = BTreeMap::from([
        ("MessageSid", text.id.as_str()),
        ("SmsSid", &text.id),
        ("MessageStatus", status),
        ("SmsStatus", status),
        ("AccountSid", &account.name),
        ("ApiVersion", API_VERSION),
        ("From", &text.from),
        ("To", &text.to),
    ]);
    if let Some(code) = &receipt.code {
        form.insert("ErrorCode", code);
    }
    if let Some(service) = &text.messaging_service_sid {
        form.insert("MessagingServiceSid", service);
    }
    let token = format!("{}-{status}", text.id);
    signed(account, url, &form, token)
}

fn status_name(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Queued => "queued",
        ReceiptStatus::Sending => "sending",
        ReceiptStatus::Sent => "sent",
        ReceiptStatus::Delivered => "delivered",
        ReceiptStatus::Failed => "failed",
        ReceiptStatus::Undelivered | ReceiptStatus::Expired | ReceiptStatus::Unknown => "undelivered",
    }
}

fn signed(account: &Account, url: &str, form: &BTreeMap<&str, &str>, token: String) -> Webhook {
    Webhook {
        headers: vec![
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8".to_owned(),
            ),
            ("user-agent", "TwilioProxy/1.1".to_owned()),
            ("i-twilio-idempotency-token", token),
            ("x-twilio-signature", signature(&account.secret, url, form)),
        ],
        body: form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish(),
    }
}

/// The address and then each field's name and value, in the order of the names.
fn signature(token: &str, url: &str, form: &BTreeMap<&str, &str>) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        token.as_bytes(),
    ));
    context.update(url.as_bytes());
    for (name, value) in form {
        context.update(name.as_bytes());
        context.update(value.as_bytes());
    }
    BASE64_STANDARD.encode(context.sign())
}

/// An account, if the request comes from it.
fn account<'a>(book: &'a Book, sid: &str, headers: &HeaderMap) -> Result<&'a Account, Refusal> {
    let known = book
        .accounts
        .get(sid)
        .filter(|account| account.kind == Kind::Twilio);
    let Some(account) = known else {
        return Err((404, 20404, "The requested resource was not found".to_owned()));
    };
    match is_from(account, headers) {
        true => Ok(account),
        false => Err(unauthorised()),
    }
}

fn is_from(account: &Account, headers: &HeaderMap) -> bool {
    let credentials = format!("{}:{}", account.name, account.secret);
    let expected = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|given| given.as_bytes() == expected.as_bytes())
}

fn unauthorised() -> Refusal {
    (401, 20003, "Authenticate".to_owned())
}

fn refused((status, code, message): Refusal) -> Response {
    error(status, code, &message)
}

fn error(status: u16, code: u32, message: &str) -> Response {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
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
    fn the_signature_is_twilios_own_example() {
        let form = BTreeMap::from([
            ("To", "+18005551212"),
            ("From", "+14158675310"),
            ("Digits", "1234"),
            ("Caller", "+14158675310"),
            ("CallSid", "CA1234567890ABCDE"),
        ]);
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &form), "L/OH5YylLD5NRKLltdqwSvS0BnU=");
    }
}
