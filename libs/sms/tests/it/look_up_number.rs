//! What a provider says about a number: Twilio's Lookup v2.

use crate::{
    LATER, TO, after, client,
    provider::{Break, Provider, breaking},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{LineType, ProviderKind};
use ccm_sms::{Account, Class, NumberFacts, NumberLookUpError, can_look_up_numbers, look_up_number};
use serde_json::{Value, json};
use std::net::SocketAddr;
use time::macros::datetime;

const SID: &str = "AC0123456789abcdef0123456789abcdef";

async fn asked(addr: SocketAddr) -> Result<NumberFacts, NumberLookUpError> {
    let settings = json!({ "account_sid": SID, "api_base": format!("http://{addr}/x/"), "timeout_ms": 300 });
    let secret = br#"{"auth_token": "a token to hide"}"#;
    let account = Account::parse(ProviderKind::Twilio, &settings, secret).unwrap();
    let number = TO.parse().unwrap();
    look_up_number(&client(), &account, &number, datetime!(2026-11-23 08:00 UTC)).await
}

/// As Twilio's page shows it.
fn answer(valid: bool, line: Value) -> Value {
    json!({
        "calling_country_code": "1", "country_code": "US", "phone_number": TO, "national_format": "(999) 555-0123",
        "valid": valid, "validation_errors": if valid { json!([]) } else { json!(["INVALID_BUT_POSSIBLE"]) },
        "caller_name": null, "line_type_intelligence": line, "url": "https://lookups.twilio.com/v2/PhoneNumbers/x",
    })
}

fn line(kind: Value, error: Value) -> Value {
    json!({
        "type": kind, "carrier_name": "T-Mobile USA, Inc.", "mobile_country_code": "310",
        "mobile_network_code": "160", "error_code": error,
    })
}

/// Nothing that an error prints holds the number or a secret.
fn must_be_safe(e: &NumberLookUpError) {
    let shown = format!("{e} {e:?}");
    for private in ["5550123", "to hide", "%2B"] {
        assert!(!shown.contains(private), "{private} stands in {shown}");
    }
    assert!(!e.operator.is_empty() && !e.user.is_empty());
}

#[tokio::test]
async fn a_number_is_asked_about_and_its_line_is_told() {
    let twilio = Provider::answering(200, &[], answer(true, line(json!("mobile"), Value::Null))).await;
    let facts = asked(twilio.addr).await.unwrap();
    assert_eq!(
        facts,
        NumberFacts {
            valid: true,
            country: Some("US".into()),
            line: Some(LineType::Mobile),
            carrier: Some("T-Mobile USA, Inc.".into()),
            mobile_country_code: Some("310".into()),
            mobile_network_code: Some("160".into()),
        }
    );
    let got = twilio.only();
    assert_eq!(
        got.path,
        format!("/x/v2/PhoneNumbers/{TO}?Fields=line_type_intelligence")
    );
    let basic = BASE64_STANDARD.encode(format!("{SID}:a token to hide"));
    assert_eq!(got.headers["authorization"], format!("Basic {basic}"));
    assert!(got.body.is_empty());
}

#[tokio::test]
async fn every_type_of_line_has_its_name() {
    for (name, expected) in [
        ("landline", Some(LineType::FixedLine)),
        ("fixedVoip", Some(LineType::FixedVoip)),
        ("nonFixedVoip", Some(LineType::NonFixedVoip)),
        ("personal", Some(LineType::Personal)),
        ("tollFree", Some(LineType::TollFree)),
        ("premium", Some(LineType::PremiumRate)),
        ("sharedCost", Some(LineType::SharedCost)),
        ("uan", Some(LineType::Company)),
        ("voicemail", Some(LineType::Voicemail)),
        ("pager", Some(LineType::Pager)),
        ("unknown", None),
        ("something new", None),
    ] {
        let twilio = Provider::answering(200, &[], answer(true, line(json!(name), Value::Null))).await;
        assert_eq!(asked(twilio.addr).await.unwrap().line, expected, "{name}");
    }
}

#[tokio::test]
async fn what_twilio_cannot_tell_is_an_answer_and_what_the_account_may_not_ask_is_a_failure() {
    let invalid = Provider::answering(200, &[], answer(false, Value::Null)).await;
    let facts = asked(invalid.addr).await.unwrap();
    assert_eq!((facts.valid, facts.line), (false, None));
    let unknown = Provider::answering(200, &[], answer(true, line(Value::Null, json!(60600)))).await;
    assert_eq!(asked(unknown.addr).await.unwrap().line, None);
    let refused = Provider::answering(200, &[], answer(true, line(Value::Null, json!(60606)))).await;
    let e = asked(refused.addr).await.unwrap_err();
    must_be_safe(&e);
    assert_eq!(
        (e.class, e.provider_code.as_deref()),
        (Class::Terminal, Some("60606"))
    );
    assert!(e.operator.contains("Line Type Intelligence"), "{e}");
}

#[tokio::test]
async fn failures_are_classified() {
    let too_long = "x".repeat(2_000_000);
    for (status, headers, body, class) in [
        (401, vec![], json!({ "code": 20003, "message": TO }), after(60)),
        (403, vec![], json!({ "code": 20403 }), after(60)),
        (
            429,
            vec![("retry-after", "7")],
            json!({ "code": 20429 }),
            after(7),
        ),
        (429, vec![], json!({}), LATER),
        (500, vec![], json!({ "code": 20500 }), LATER),
        (503, vec![], json!({}), LATER),
        (200, vec![], json!(too_long), LATER),
        (
            400,
            vec![],
            json!({ "code": 60200, "message": TO }),
            Class::Terminal,
        ),
        (404, vec![], json!({ "code": 20404 }), Class::Terminal),
        (
            302,
            vec![("location", "https://elsewhere.example")],
            json!({}),
            Class::Terminal,
        ),
        (200, vec![], json!({ "phone_number": TO }), Class::Terminal),
    ] {
        let provider = Provider::answering(status, &headers, body).await;
        let e = asked(provider.addr).await.unwrap_err();
        must_be_safe(&e);
        assert_eq!(e.class, class, "{status}: {e}");
        provider.only();
    }
    for how in [Break::Refused, Break::Hang, Break::Reset, Break::Half(200)] {
        let e = asked(breaking(how).await).await.unwrap_err();
        must_be_safe(&e);
        assert_eq!(e.class, LATER, "{how:?}: {e}");
    }
}

#[tokio::test]
async fn who_cannot_be_asked_says_so() {
    assert!(can_look_up_numbers(ProviderKind::Twilio) && !can_look_up_numbers(ProviderKind::Http));
    let settings = json!({ "send_url": "https://provider.example/send" });
    let secret = br#"{"signing_secret": "a signing secret to hide"}"#;
    let account = Account::parse(ProviderKind::Http, &settings, secret).unwrap();
    let number = TO.parse().unwrap();
    let e = look_up_number(&client(), &account, &number, datetime!(2026-11-23 08:00 UTC)).await;
    assert_eq!(e.unwrap_err().class, Class::Terminal);
}
