//! Lookup v2: <https://www.twilio.com/docs/lookup/v2-api> and
//! <https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence>. Twilio serves it at `lookups.twilio.com`.

use super::{is_from, refused, unauthorised};
use crate::{Kind, LineType, PhoneLine, sim::Shared};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;
use url::form_urlencoded;

/// Calling codes and their countries, those that tests use.
const COUNTRIES: [(&str, &str); 12] = [
    ("1", "US"),
    ("31", "NL"),
    ("33", "FR"),
    ("34", "ES"),
    ("39", "IT"),
    ("41", "CH"),
    ("43", "AT"),
    ("44", "GB"),
    ("48", "PL"),
    ("49", "DE"),
    ("61", "AU"),
    ("91", "IN"),
];

/// `GET /v2/PhoneNumbers/{number}?Fields=line_type_intelligence`
pub async fn fetch(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let book = shared.book();
    let mut twilios = book.accounts.values().filter(|a| a.kind == Kind::Twilio);
    if !twilios.any(|account| is_from(account, &headers)) {
        return refused(unauthorised());
    }
    let query = query.unwrap_or_default();
    let wanted = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "Fields")
        .any(|(_, fields)| fields.split(',').any(|f| f.trim() == "line_type_intelligence"));
    let line = book.lines.get(&number).cloned().unwrap_or_default();
    Json(about(&number, &line, wanted)).into_response()
}

fn about(number: &str, line: &PhoneLine, wanted: bool) -> Value {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let error = match digits.len() {
        _ if !is_number => Some("NOT_A_NUMBER"),
        0..7 => Some("TOO_SHORT"),
        7..16 if line.invalid => Some("INVALID_BUT_POSSIBLE"),
        7..16 => None,
        _ => Some("TOO_LONG"),
    };
    let valid = error.is_none();
    let country = COUNTRIES
        .into_iter()
        .find(|(code, _)| valid && digits.starts_with(code));
    let national = country.map(|(code, _)| national(code, &digits[code.len()..]));
    json!({
        "calling_country_code": country.map(|(code, _)| code),
        "country_code": country.map(|(_, country)| country),
        "phone_number": number,
        "national_format": national,
        "valid": valid,
        "validation_errors": error.into_iter().collect::<Vec<_>>(),
        "caller_name": null,
        "sim_swap": null,
        "call_forwarding": null,
        "line_status": null,
        "line_type_intelligence": (wanted && valid).then(|| intelligence(line)),
        "identity_match": null,
        "reassigned_number": null,
        "sms_pumping_risk": null,
        "url": format!("https://lookups.twilio.com/v2/PhoneNumbers/{number}"),
    })
}

fn national(code: &str, rest: &str) -> String {
    match (code, rest.len()) {
        ("1", 10) => format!("({}) {}-{}", &rest[..3], &rest[3..6], &rest[6..]),
        _ => format!("0{rest}"),
    }
}

fn intelligence(line: &PhoneLine) -> Value {
    if let Some(code) = line.error_code {
        return json!({
            "type": null, "carrier_name": null, "mobile_country_code": null, "mobile_network_code": null,
            "error_code": code,
        });
    }
    let has_carrier = matches!(
        line.line_type,
        LineType::Landline | LineType::Mobile | LineType::FixedVoip | LineType::NonFixedVoip
    );
    let carrier = line.carrier_name.as_deref().or(Some("Simulated Wireless"));
    let mobile = line.line_type == LineType::Mobile;
    json!({
        "type": line.line_type,
        "carrier_name": carrier.filter(|_| has_carrier),
        "mobile_country_code": mobile.then_some("240"),
        "mobile_network_code": mobile.then_some("38"),
        "error_code": null,
    })
}
