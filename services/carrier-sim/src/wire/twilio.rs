//! Twilio's dialect, from <https://www.twilio.com/docs/messaging/api/message-resource>,
//! <https://www.twilio.com/docs/messaging/guides/webhook-request> and
//! <https://www.twilio.com/docs/usage/security#validating-requests>.

use super::{Answers, Webhook, segments, take};
use crate::{
    Account, Kind, SentText,
    book::{Submission, Taken},
    edge::Line,
    sim::Shared,
};
use aws_lc_rs::hmac;
use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::form_urlencoded;

const API_VERSION: &str = "2010-04-01";
/// The longest text, in characters.
const LONGEST: usize = 1600;

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
    Webhook {
        headers: vec![
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8".to_owned(),
            ),
            ("user-agent", "TwilioProxy/1.1".to_owned()),
            ("i-twilio-idempotency-token", format!("{}-{}", text.seq, text.id)),
            ("x-twilio-signature", signature(&account.secret, url, &form)),
        ],
        body: form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&form)
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

/// `POST /2010-04-01/Accounts/{sid}/Messages.json`
pub async fn create_message(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    match read(&shared, &sid, &headers, &body) {
        Ok(new) => {
            take(
                &shared,
                &line,
                new,
                &Answers {
                    taken: created,
                    failed,
                },
            )
            .await
        }
        Err((status, code, message)) => error(status, code, &message),
    }
}

type Refusal = (u16, u32, String);

fn read(shared: &Shared, sid: &str, headers: &HeaderMap, body: &str) -> Result<Submission, Refusal> {
    let refuse = |status, code, message: &str| Err((status, code, message.to_owned()));
    let book = shared.book();
    let Some(account) = book
        .accounts
        .get(sid)
        .filter(|account| account.kind == Kind::Twilio)
    else {
        return refuse(404, 20404, "The requested resource was not found");
    };
    let expected = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{sid}:{}", account.secret))
    );
    if headers
        .get(header::AUTHORIZATION)
        .is_none_or(|given| given.as_bytes() != expected.as_bytes())
    {
        return refuse(401, 20003, "Authenticate");
    }
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
    Ok(Submission {
        account: sid.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        text: text.to_owned(),
        idempotency_key: None,
        attempt: None,
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

fn created(taken: &Taken) -> Response {
    let (Taken::New(text) | Taken::Again(text)) = taken else {
        unreachable!("there are no keys in this dialect")
    };
    let date = OffsetDateTime::from_unix_timestamp((text.at_ms / 1000) as i64)
        .ok()
        .and_then(|at| at.format(&Rfc2822).ok());
    let uri = format!("/{API_VERSION}/Accounts/{}/Messages/{}", text.account, text.id);
    let message = json!({
        "sid": text.id,
        "account_sid": text.account,
        "api_version": API_VERSION,
        "body": text.text,
        "date_created": date,
        "date_sent": null,
        "date_updated": date,
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": text.from,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": segments(&text.text).to_string(),
        "price": null,
        "price_unit": null,
        "status": "queued",
        "subresource_uris": { "media": format!("{uri}/Media.json") },
        "to": text.to,
        "uri": format!("{uri}.json"),
    });
    (StatusCode::CREATED, Json(message)).into_response()
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
