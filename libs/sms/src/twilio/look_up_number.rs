use super::{Account, send::authorised};
use crate::{
    Class, Client, NumberFacts, NumberLookUpError,
    call::{self, Reply},
    number::MAX_CARRIER_NAME,
    outbound::ACCOUNT_REST,
};
use ccm_model::{Address, LineType};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

/// An answer has some 1,000 bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Lookup v2 with its package for line types: <https://www.twilio.com/docs/lookup/v2-api>,
/// <https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence>.
pub async fn look_up_number(
    http: &Client,
    account: &Account,
    number: &Address,
    now: OffsetDateTime,
) -> Result<NumberFacts, NumberLookUpError> {
    let base = base(&account.api_base);
    let url = format!("{base}/v2/PhoneNumbers/{number}", number = number.as_str());
    let request = http.get(url).query(&[("Fields", "line_type_intelligence")]);
    let reply = call::exchange(
        http,
        authorised(request, account),
        account.timeout,
        now,
        MAX_BYTES,
    )
    .await
    .map_err(|e| NumberLookUpError::passing(&call::why(&e, account.timeout)))?;
    match reply.status.as_u16() {
        200 => facts(&reply),
        _ => Err(refused(&reply)),
    }
}

/// Twilio's products are hosts beside each other, in each region (`api.dublin.ie1.twilio.com`); what is not Twilio's own
/// (a simulator, a gateway) is asked at the one address that it has.
fn base(api: &str) -> String {
    let lookups = || {
        let mut base = Url::parse(api).ok()?;
        let host = base.host_str()?;
        let rest = host
            .strip_prefix("api.")
            .filter(|_| host.ends_with(".twilio.com"))?;
        let lookups = format!("lookups.{rest}");
        base.set_host(Some(&lookups)).ok()?;
        Some(base.as_str().trim_end_matches('/').to_owned())
    };
    lookups().unwrap_or_else(|| api.to_owned())
}

fn facts(reply: &Reply) -> Result<NumberFacts, NumberLookUpError> {
    let json = reply
        .json()
        .ok_or_else(|| NumberLookUpError::passing("its answer cannot be read to its end"))?;
    let valid = json.get("valid").and_then(Value::as_bool).ok_or_else(|| {
        NumberLookUpError::lasting("its answer is not Twilio's; check the account's api_base")
    })?;
    let line = json.get("line_type_intelligence");
    let of_line = |name: &str| line.and_then(|line| line.get(name));
    if let Some(code) = of_line("error_code").and_then(Value::as_u64)
        && !UNKNOWN_LINE.contains(&code)
    {
        return Err(failed(code, reply));
    }
    let digits = |name: &str| of_line(name).and_then(Value::as_str).filter(|code| is_code(code));
    Ok(NumberFacts {
        valid,
        country: json
            .get("country_code")
            .and_then(Value::as_str)
            .filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()))
            .map(str::to_owned),
        line: of_line("type").and_then(Value::as_str).and_then(line_type),
        carrier: of_line("carrier_name").and_then(Value::as_str).and_then(carrier),
        mobile_country_code: digits("mobile_country_code").map(str::to_owned),
        mobile_network_code: digits("mobile_network_code").map(str::to_owned),
    })
}

fn is_code(code: &str) -> bool {
    matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_digit())
}

fn carrier(name: &str) -> Option<String> {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CARRIER_NAME)
        .collect();
    Some(name).filter(|name| !name.is_empty())
}

/// One that this does not know says nothing; `unknown` is Twilio's own word for that.
fn line_type(name: &str) -> Option<LineType> {
    Some(match name {
        "mobile" => LineType::Mobile,
        "landline" => LineType::FixedLine,
        "fixedVoip" => LineType::FixedVoip,
        "nonFixedVoip" => LineType::NonFixedVoip,
        "tollFree" => LineType::TollFree,
        "premium" => LineType::PremiumRate,
        "sharedCost" => LineType::SharedCost,
        "personal" => LineType::Personal,
        "uan" => LineType::Company,
        "voicemail" => LineType::Voicemail,
        "pager" => LineType::Pager,
        _ => return None,
    })
}

/// The number is outside of what Twilio knows about: an answer, and asking again brings the same one.
const UNKNOWN_LINE: [u64; 3] = [60600, 60607, 60610];

fn refused(reply: &Reply) -> NumberLookUpError {
    let status = reply.status.as_u16();
    let code = reply.json().and_then(|json| json.get("code")?.as_u64());
    match (status, code) {
        (_, Some(code)) => failed(code, reply),
        (408 | 425 | 429 | 500.., None) => NumberLookUpError {
            class: Class::Retryable { after: reply.rest },
            ..NumberLookUpError::passing(&format!("HTTP {status}"))
        },
        _ => NumberLookUpError::lasting(&format!(
            "answered HTTP {status} without one of Twilio's error codes; check the account's api_base and what stands between"
        )),
    }
}

fn failed(code: u64, reply: &Reply) -> NumberLookUpError {
    let status = reply.status.as_u16();
    let remedy = match code {
        20003 => {
            "the credentials are refused; check the account SID and auth token (or API key) in the account's settings"
        }
        10001 | 20005 => "the account is not active; add funds or finish its activation",
        20403 => {
            "the credentials may not look numbers up; give the API key that right, or use the auth token"
        }
        20404 => "it knows no such resource; check api_base in the account's settings",
        20429 => "too many requests at once; lower screenpop.lookups_per_minute if it stays",
        60601 => "Canadian numbers need Twilio's approval; ask for it, or leave them be",
        60606 => "the account may not use Line Type Intelligence; ask Twilio's support for it",
        60614 | 60619 => "numbers of this country are looked up in another of Twilio's regions; see api_base",
        _ => "it refused to look a number up",
    };
    let class = match code {
        10001 | 20003 | 20005 | 20403 => Class::Retryable {
            after: Some(reply.rest.unwrap_or_default().max(ACCOUNT_REST)),
        },
        20429 | 20500 | 20503 => Class::Retryable { after: reply.rest },
        _ if status == 429 || status >= 500 => Class::Retryable { after: reply.rest },
        _ => Class::Terminal,
    };
    let base = match class {
        Class::Retryable { .. } => NumberLookUpError::passing(""),
        Class::Terminal => NumberLookUpError::lasting(""),
    };
    NumberLookUpError {
        class,
        operator: format!(
            "Twilio {code} (HTTP {status}): {remedy}; see https://www.twilio.com/docs/api/errors/{code}"
        ),
        provider_code: Some(code.to_string()),
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_own_hosts_have_one_for_look_ups_and_others_do_not() {
        for (api, lookups) in [
            ("https://api.twilio.com", "https://lookups.twilio.com"),
            (
                "https://api.dublin.ie1.twilio.com",
                "https://lookups.dublin.ie1.twilio.com",
            ),
            ("https://gateway.example/twilio", "https://gateway.example/twilio"),
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.nottwilio.com", "https://api.nottwilio.com"),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ] {
            assert_eq!(base(api), lookups);
        }
    }

    #[test]
    fn a_carriers_name_is_bounded_and_on_one_line() {
        assert_eq!(carrier("T-Mobile\n\u{0}USA").as_deref(), Some("T-MobileUSA"));
        assert_eq!(carrier(&"é".repeat(500)).unwrap().chars().count(), 100);
        assert_eq!(carrier("\u{0}"), None);
        assert!(line_type("unknown").is_none() && line_type("hologram").is_none());
    }
}
