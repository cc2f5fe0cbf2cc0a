//! Messages as Twilio shows them, one and many: <https://www.twilio.com/docs/messaging/api/message-resource>, and
//! <https://www.twilio.com/docs/usage/twilios-response#pagination> for the pages.

use super::{API_VERSION, Refusal, account, error, refused, status_name};
use crate::{PhoneText, ReceiptStatus, ReceivedText, SentText, segments::segments, sim::Shared};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;
use time::{
    Date, OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
    macros::format_description,
};
use url::form_urlencoded;

const DAY_MS: u64 = 86_400_000;
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

pub fn outbound(text: &ReceivedText) -> Value {
    // <https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>
    let status = match (text.status, &text.messaging_service_sid) {
        (ReceiptStatus::Queued, Some(_)) => "accepted",
        (status, _) => status_name(status),
    };
    let code = text.error_code.as_ref();
    let mut message = shared_fields(
        &text.account,
        &text.id,
        &text.from,
        &text.to,
        &text.text,
        text.at_ms,
    );
    message["direction"] = json!("outbound-api");
    message["status"] = json!(status);
    message["date_sent"] = json!(text.sent_at_ms.and_then(rfc2822));
    message["error_code"] = json!(code.map(|code| code.parse::<u32>().unwrap_or(30008)));
    message["error_message"] = json!(code.map(|_| "Ordered by the control API"));
    message["messaging_service_sid"] = json!(text.messaging_service_sid);
    message
}

fn inbound(text: &SentText) -> Value {
    let mut message = shared_fields(
        &text.account,
        &text.id,
        &text.from,
        &text.to,
        &text.text,
        text.at_ms,
    );
    message["direction"] = json!("inbound");
    message["status"] = json!("received");
    message["date_sent"] = json!(rfc2822(text.at_ms));
    message
}

fn shared_fields(account: &str, id: &str, from: &str, to: &str, body: &str, at_ms: u64) -> Value {
    let uri = format!("/{API_VERSION}/Accounts/{account}/Messages/{id}");
    json!({
        "sid": id,
        "account_sid": account,
        "api_version": API_VERSION,
        "body": body,
        "date_created": rfc2822(at_ms),
        "date_updated": rfc2822(at_ms),
        "error_code": null,
        "error_message": null,
        "from": from,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": segments(body).to_string(),
        "price": null,
        "price_unit": null,
        "subresource_uris": { "media": format!("{uri}/Media.json") },
        "to": to,
        "uri": format!("{uri}.json"),
    })
}

fn rfc2822(at_ms: u64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp((at_ms / 1000) as i64).ok()?;
    at.format(&Rfc2822).ok()
}

fn json_of(text: &PhoneText) -> Value {
    match text {
        PhoneText::Sent(text) => inbound(text),
        PhoneText::Received(text) => outbound(text),
    }
}

/// `GET /2010-04-01/Accounts/{sid}/Messages/{id}.json`
pub async fn fetch(
    State(shared): State<Arc<Shared>>,
    Path((sid, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let book = shared.book();
    if let Err(refusal) = account(&book, &sid, &headers) {
        return refused(refusal);
    }
    let wanted = file.strip_suffix(".json").unwrap_or(&file);
    let is_it = |text: &&PhoneText| match text {
        PhoneText::Sent(text) => text.account == sid && text.id == wanted,
        PhoneText::Received(text) => text.account == sid && text.id == wanted,
    };
    match book.newest(None).find(is_it) {
        Some(text) => Json(json_of(text)).into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

/// `GET /2010-04-01/Accounts/{sid}/Messages.json`
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Path(sid): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match page(&shared, &sid, query.as_deref().unwrap_or_default(), &headers) {
        Ok(page) => Json(page).into_response(),
        Err(refusal) => refused(refusal),
    }
}

/// What is asked for.
#[derive(Default)]
struct Filter {
    to: Option<String>,
    from: Option<String>,
    /// From, and before.
    sent_ms: [Option<u64>; 2],
    size: usize,
    page: usize,
    /// The texts of earlier pages have this number and larger ones.
    before: Option<u64>,
    /// What every page's address repeats.
    asked: Vec<(String, String)>,
}

impl Filter {
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut filter = Self {
            size: PAGE,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            let wrong = || (400, 20001, format!("Invalid parameter {name}"));
            let number = || value.parse::<usize>().map_err(|_| wrong());
            match name.as_str() {
                "To" => filter.to = Some(value.clone()),
                "From" => filter.from = Some(value.clone()),
                "DateSent" => {
                    let (start, end) = moment(&value).ok_or_else(wrong)?;
                    filter.sent_ms = [Some(start), Some(end)];
                }
                "DateSent>" => filter.sent_ms[0] = Some(moment(&value).ok_or_else(wrong)?.0),
                "DateSent<" => filter.sent_ms[1] = Some(moment(&value).ok_or_else(wrong)?.1),
                "PageSize" => filter.size = number()?.clamp(1, LARGEST_PAGE),
                "Page" => filter.page = number()?,
                "PageToken" => {
                    let digits = value.strip_prefix("PA").unwrap_or_default();
                    filter.before = Some(u64::from_str_radix(digits, 16).map_err(|_| wrong())?);
                }
                _ => {}
            }
            if !["Page", "PageToken", "PageSize"].contains(&name.as_str()) {
                filter.asked.push((name, value));
            }
        }
        Ok(filter)
    }

    /// A text that has not left yet goes by the time at which it was taken.
    fn fits(&self, text: &PhoneText) -> bool {
        let (from, to, at_ms) = match text {
            PhoneText::Sent(text) => (&text.from, &text.to, text.at_ms),
            PhoneText::Received(text) => (&text.from, &text.to, text.sent_at_ms.unwrap_or(text.at_ms)),
        };
        let is = |wanted: &Option<String>, value: &String| wanted.as_ref().is_none_or(|w| w == value);
        is(&self.to, to)
            && is(&self.from, from)
            && self.sent_ms[0].is_none_or(|start| at_ms >= start)
            && self.sent_ms[1].is_none_or(|end| at_ms < end)
            && self.before.is_none_or(|before| text.seq() < before)
    }

    fn uri(&self, sid: &str, page: usize, before: Option<u64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.asked);
        query.append_pair("PageSize", &self.size.to_string());
        query.append_pair("Page", &page.to_string());
        if let Some(before) = before {
            query.append_pair("PageToken", &format!("PA{before:032x}"));
        }
        format!("/{API_VERSION}/Accounts/{sid}/Messages.json?{}", query.finish())
    }
}

/// A day in GMT, or a moment: from, and before.
fn moment(raw: &str) -> Option<(u64, u64)> {
    let ms = |at: OffsetDateTime| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok();
    if let Ok(day) = Date::parse(raw, format_description!("[year]-[month]-[day]")) {
        let start = ms(day.midnight().assume_utc())?;
        return Some((start, start + DAY_MS));
    }
    let at = ms(OffsetDateTime::parse(raw, &Rfc3339).ok()?)?;
    Some((at, at + 1))
}

fn page(shared: &Shared, sid: &str, query: &str, headers: &HeaderMap) -> Result<Value, Refusal> {
    let book = shared.book();
    account(&book, sid, headers)?;
    let filter = Filter::read(query)?;
    let of_account = |text: &&PhoneText| match text {
        PhoneText::Sent(text) => text.account == sid,
        PhoneText::Received(text) => text.account == sid,
    };
    // Texts are found by phone; our own numbers are none.
    let ours = |number: &&String| !book.numbers.contains_key(*number);
    let phone = filter.to.iter().chain(&filter.from).find(ours);
    let mut found = book
        .newest(phone.map(String::as_str))
        .filter(of_account)
        .filter(|text| filter.fits(text));
    let texts: Vec<&PhoneText> = found.by_ref().take(filter.size).collect();
    let last = texts.last().map(|text| text.seq());
    let more = found.next().is_some();
    let start = filter.page * filter.size;
    Ok(json!({
        "messages": texts.iter().map(|text| json_of(text)).collect::<Vec<_>>(),
        "page": filter.page,
        "page_size": filter.size,
        "start": start,
        "end": (start + texts.len()).saturating_sub(1),
        "uri": filter.uri(sid, filter.page, filter.before),
        "first_page_uri": filter.uri(sid, 0, None),
        "next_page_uri": more.then(|| filter.uri(sid, filter.page + 1, last)),
        "previous_page_uri": null,
    }))
}
