use super::*;
use crate::{Account as AnyAccount, Check, receive as receive_any};
use ::http::HeaderMap;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{Address, Body, ProviderKind};
use proptest::prelude::*;
use serde_json::json;
use time::OffsetDateTime;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";
const MESSAGE: &str = "SM00112233445566778899aabbccddeeff";
const URL: &str = "https://ccm.example/hooks/twilio?a=1";

fn account(secret: Value) -> AnyAccount {
    AnyAccount::parse(
        ProviderKind::Twilio,
        &json!({ "account_sid": SID }),
        secret.to_string().as_bytes(),
    )
    .unwrap()
}

/// A second writing of the signature, by the letter of Twilio's page, for names that come once.
fn sign(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let mut form = form.to_vec();
    form.sort_unstable();
    let signed = form
        .iter()
        .fold(url.to_owned(), |all, (name, value)| all + name + value);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()))
}

fn encode(form: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
        .into_bytes()
}

fn take_as(account: &AnyAccount, url: &str, signature: &str, body: &[u8]) -> Result<Received, ReceiveError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-twilio-signature", signature.parse().unwrap());
    receive_any(
        account,
        &Inbound {
            url,
            headers: &headers,
            body,
            check: Check::Enforce,
            now: OffsetDateTime::UNIX_EPOCH,
        },
    )
}

fn take(form: &[(&str, &str)]) -> Result<Received, ReceiveError> {
    take_as(
        &account(json!({ "auth_token": "12345" })),
        URL,
        &sign("12345", URL, form),
        &encode(form),
    )
}

/// The parameters of Twilio's page, with ours where they matter.
fn incoming<'a>(from: &'a str, to: &'a str, body: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("ToCountry", "US"),
        ("ToState", "CA"),
        ("SmsMessageSid", MESSAGE),
        ("NumMedia", "0"),
        ("ToCity", ""),
        ("FromZip", "94108"),
        ("SmsSid", MESSAGE),
        ("FromState", "CA"),
        ("SmsStatus", "received"),
        ("FromCity", "SAN FRANCISCO"),
        ("Body", body),
        ("FromCountry", "US"),
        ("To", to),
        ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
        ("ToZip", ""),
        ("NumSegments", "2"),
        ("MessageSid", MESSAGE),
        ("AccountSid", SID),
        ("From", from),
        ("ApiVersion", "2010-04-01"),
    ]
}

/// The examples of Twilio's pages and libraries over time: <https://www.twilio.com/docs/usage/security>.
#[test]
fn twilios_own_examples_are_signed_as_it_says() {
    for (url, number, signature) in [
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            "+14158675309",
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            "+12349013030",
            "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
        ),
        (
            "https://example.com/myapp.php?foo=1&bar=2",
            "+14158675310",
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        ),
    ] {
        let form = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", number),
            ("Digits", "1234"),
            ("From", number),
            ("To", "+18005551212"),
        ];
        let account = account(json!({ "auth_token": "12345" }));
        // They are calls: past the signature, a message's parameters are missing.
        assert_eq!(
            take_as(&account, url, signature, &encode(&form))
                .unwrap_err()
                .to_string(),
            "AccountSid is missing; post Twilio's messaging parameters"
        );
        for (url, signature) in [
            (url, "RSOYDt4T1cUTdK1PDd93/VVr8B9="),
            ("https://mycompany.com/", signature),
        ] {
            let refused = take_as(&account, url, signature, &encode(&form)).unwrap_err();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
    }
}

#[test]
fn an_incoming_text_is_read() {
    for (from, to, text) in [
        ("+14155550100", "+14155550199", "Hello"),
        ("+14155550100", "72345", "1 + 1 = 2 & 50% <b>"),
        ("+14155550100", "+14155550199", "  Grüße\r\n😀 日本 \u{202e}"),
        ("72345", "+14155550199", ""),
        ("WEBTEXT", "+14155550199", "x"),
    ] {
        let received = take(&incoming(from, to, text)).unwrap();
        assert_eq!(received.answer.content_type, "text/xml");
        assert!(received.answer.body.ends_with("<Response/>"));
        assert_eq!(
            received.events,
            [Event::Text {
                provider_id: MESSAGE.into(),
                from: Address::parse(from).unwrap(),
                to: Address::parse(to).unwrap(),
                body: Body::new(text).unwrap(),
                sent_at: None,
                segments: Some(2),
                media: 0,
                part: None,
            }]
        );
    }
}

#[test]
fn spaces_may_come_as_plus_or_percent_20() {
    let form = incoming("+14155550100", "+14155550199", "a b+c");
    let signature = sign("12345", URL, &form);
    let plus = String::from_utf8(encode(&form)).unwrap();
    assert!(plus.contains("a+b%2Bc"));
    for body in [plus.clone(), plus.replace("a+b%2Bc", "a%20b%2bc")] {
        let account = account(json!({ "auth_token": "12345" }));
        let events = take_as(&account, URL, &signature, body.as_bytes())
            .unwrap()
            .events;
        let Event::Text { body, .. } = &events[0] else {
            panic!("{events:?}")
        };
        assert_eq!(body.as_str(), "a b+c");
    }
}

#[test]
fn what_twilio_may_spell_otherwise_is_taken() {
    let form = incoming("+14155550100", "+14155550199", "x");
    let account = account(json!({ "auth_token": "the new one", "previous_auth_token": "the old one" }));
    for (token, signed_url, url) in [
        ("the new one", URL, URL),
        ("the old one", URL, URL),
        ("the new one", "https://ccm.example:443/hooks/twilio?a=1", URL),
        (
            "the new one",
            "https://ccm.example/h",
            "https://ccm.example:8443/h",
        ),
        ("the old one", "http://ccm.example:80/h", "http://ccm.example/h"),
    ] {
        let signature = sign(token, signed_url, &form);
        assert!(
            take_as(&account, url, &signature, &encode(&form)).is_ok(),
            "{signed_url} as {url}"
        );
    }
    // A name several times: each different value once, in order.
    let repeated = [form.clone(), vec![("X", "b"), ("X", "a"), ("X", "b")]].concat();
    let once = [form.clone(), vec![("X", "a"), ("X", "b")]].concat();
    assert!(
        take_as(
            &account,
            URL,
            &sign("the new one", URL, &once),
            &encode(&repeated)
        )
        .is_ok()
    );
    // A parameter that nobody knows yet.
    let more = [form, vec![("OptOutType", "STOP")]].concat();
    assert!(take_as(&account, URL, &sign("the new one", URL, &more), &encode(&more)).is_ok());
}

#[test]
fn what_is_not_signed_for_us_is_refused() {
    let form = incoming("+14155550100", "+14155550199", "x");
    let (good, body) = (sign("12345", URL, &form), encode(&form));
    let account = account(json!({ "auth_token": "12345" }));
    let added = [form.clone(), vec![("Extra", "1")]].concat();
    let moved = "https://ccm.example/hooks/twilio?a=2";
    for (name, url, signature, body) in [
        ("other token", URL, sign("54321", URL, &form), body.clone()),
        ("other address", moved, good.clone(), body.clone()),
        (
            "plain http",
            "http://ccm.example/hooks/twilio?a=1",
            good.clone(),
            body.clone(),
        ),
        ("parameter added", URL, good.clone(), encode(&added)),
        ("parameter gone", URL, good.clone(), encode(&form[1..])),
        (
            "parameter changed",
            URL,
            good.clone(),
            encode(&incoming("+14155550100", "+14155550199", "y")),
        ),
        ("not base64", URL, "???".into(), body.clone()),
        ("empty", URL, String::new(), body.clone()),
        (
            "half",
            URL,
            BASE64_STANDARD.encode(&BASE64_STANDARD.decode(&good).unwrap()[..10]),
            body.clone(),
        ),
    ] {
        let e = take_as(&account, url, &signature, &body).unwrap_err();
        assert_eq!(e.status(), StatusCode::FORBIDDEN, "{name}: {e}");
    }
    let unsigned = Inbound {
        url: URL,
        headers: &HeaderMap::new(),
        body: &body,
        check: Check::Enforce,
        now: OffsetDateTime::UNIX_EPOCH,
    };
    assert!(
        receive_any(&account, &unsigned)
            .unwrap_err()
            .to_string()
            .contains("is missing")
    );
    let other: Vec<_> = form
        .iter()
        .map(|(k, v)| {
            (
                *k,
                if *k == "AccountSid" {
                    "AC11111111111111111111111111111111"
                } else {
                    v
                },
            )
        })
        .collect();
    assert_eq!(
        take(&other).unwrap_err(),
        ReceiveError::WrongAccount { field: "AccountSid" }
    );
}

#[test]
fn what_cannot_be_read_is_named_without_being_repeated() {
    let good = incoming("+19995550177", "+19995550199", "x");
    for (field, value, words) in [
        ("Body", "CANARY\0", "Body contains a NUL"),
        ("From", "whatsapp:+19995550177", "From is not a sender name"),
        ("From", "", "From is empty"),
        ("To", "19995550199", "To is digits without +"),
        ("MessageSid", "SM 1", "MessageSid must be"),
    ] {
        let form: Vec<_> = good
            .iter()
            .map(|(k, v)| (*k, if *k == field { value } else { v }))
            .collect();
        let e = take(&form).unwrap_err();
        assert_eq!(e.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(e.to_string().starts_with(words), "{e}");
        let shown = format!("{e} {e:?}");
        assert!(!shown.contains("CANARY") && !shown.contains("999555"), "{shown}");
    }
    for field in ["AccountSid", "From", "To"] {
        let form: Vec<_> = good.iter().filter(|(k, _)| *k != field).copied().collect();
        assert!(
            take(&form)
                .unwrap_err()
                .to_string()
                .starts_with(&format!("{field} is missing"))
        );
    }
    // The old name alone is enough.
    let old: Vec<_> = good.iter().filter(|(k, _)| *k != "MessageSid").copied().collect();
    assert!(
        matches!(&take(&old).unwrap().events[0], Event::Text { provider_id, .. } if provider_id == MESSAGE)
    );
}

#[test]
fn a_picture_is_counted_and_a_status_callback_is_no_text() {
    let form: Vec<_> = incoming("+14155550100", "+14155550199", "")
        .iter()
        .map(|(k, v)| (*k, if *k == "NumMedia" { "3" } else { v }))
        .collect();
    assert!(matches!(
        take(&form).unwrap().events[0],
        Event::Text { media: 3, .. }
    ));
    let form: Vec<_> = incoming("+14155550199", "+14155550100", "")
        .into_iter()
        .map(|(k, v)| (k, if k == "SmsStatus" { "delivered" } else { v }))
        .chain([("MessageStatus", "delivered")])
        .collect();
    assert_eq!(
        take(&form).unwrap().events,
        [Event::Receipt {
            provider_id: MESSAGE.to_owned(),
            report: Report::Delivered,
            code: None,
            at: None,
        }]
    );
}

#[test]
fn a_status_callback_is_a_receipt() {
    for (status, code, expected) in [
        ("queued", None, Some(Report::Queued)),
        ("sending", None, Some(Report::Sending)),
        ("sent", None, Some(Report::Sent)),
        ("undelivered", Some("30003"), Some(Report::Undeliverable)),
        ("failed", Some("30008"), Some(Report::Failed)),
        ("canceled", None, Some(Report::Failed)),
        ("read", None, Some(Report::Delivered)),
        ("something new", None, None),
    ] {
        let mut form = vec![
            ("AccountSid", SID),
            ("MessageSid", MESSAGE),
            ("MessageStatus", status),
        ];
        form.extend(code.map(|code| ("ErrorCode", code)));
        let events = take(&form).unwrap().events;
        let expected = expected.map(|report| Event::Receipt {
            provider_id: MESSAGE.to_owned(),
            report,
            code: code.map(str::to_owned),
            at: None,
        });
        assert_eq!(events, Vec::from_iter(expected), "{status}");
    }
}

#[test]
fn a_mismatch_is_overlooked_only_where_that_is_wanted() {
    let body = encode(&incoming("+14155550100", "+14155550199", "hi"));
    let mut headers = HeaderMap::new();
    headers.insert("x-twilio-signature", "bm9uZQ==".parse().unwrap());
    let take = |check| {
        let inbound = Inbound {
            url: URL,
            headers: &headers,
            body: &body,
            check,
            now: OffsetDateTime::UNIX_EPOCH,
        };
        receive_any(&account(json!({ "auth_token": "0123456789abcdef" })), &inbound)
    };
    let received = take(Check::Report).unwrap();
    assert!(matches!(
        received.mismatch,
        Some(ReceiveError::BadSignature { .. })
    ));
    assert_eq!(received.events.len(), 1);
    assert!(matches!(
        take(Check::Enforce),
        Err(ReceiveError::BadSignature { .. })
    ));
}

#[test]
fn an_account_says_what_is_wrong_with_it_and_shows_no_secret() {
    let token = json!({ "auth_token": "CANARY-TOKEN", "api_key_sid": KEY, "api_key_secret": "CANARY-KEY" });
    let shown = format!("{:?}", account(token.clone()));
    assert!(shown.contains(SID) && !shown.contains("CANARY"), "{shown}");
    assert!(!crate::recognises_retries(ProviderKind::Twilio));
    for (settings, secret, words) in [
        (
            json!({ "account_sid": SID, "api_base": "https://me:pw@api.example" }),
            token.clone(),
            "must not hold a user",
        ),
        (json!({}), token.clone(), "settings.account_sid is missing"),
        (json!({ "account_sid": "SM1" }), token.clone(), "is not AC and 32"),
        (
            json!({ "account_sid": SID, "messaging_service_sid": "x" }),
            token.clone(),
            "is not MG and 32",
        ),
        (
            json!({ "account_sid": SID, "api_base": "http://api.example" }),
            token.clone(),
            "must be https",
        ),
        (
            json!({ "account_sid": SID, "api_base": "https://api.example?x" }),
            token,
            "without ?",
        ),
        (
            json!({ "account_sid": SID }),
            json!({}),
            "secret.auth_token is missing",
        ),
        (
            json!({ "account_sid": SID }),
            json!({ "auth_token": "x", "api_key_sid": KEY }),
            "secret.api_key_secret is missing; give both",
        ),
    ] {
        let e =
            AnyAccount::parse(ProviderKind::Twilio, &settings, secret.to_string().as_bytes()).unwrap_err();
        assert!(e.to_string().contains(words), "{e}");
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_taken_and_any_other_byte_is_not(
        text in "[^\0]{1,60}", token in "[!-~]{1,40}", at in 0usize.., bit in 0u8..8,
    ) {
        let account = account(json!({ "auth_token": token }));
        let form = incoming("+14155550100", "+14155550199", &text);
        let (signature, body) = (sign(&token, URL, &form), encode(&form));
        prop_assert!(take_as(&account, URL, &signature, &body).is_ok());

        let mut other = body.clone();
        let changed = at % other.len();
        other[changed] ^= 1 << bit;
        let pairs = |body: &[u8]| form_urlencoded::parse(body).into_owned().collect::<std::collections::BTreeSet<_>>();
        // What only spells the same parameters otherwise (%2B and %2b) stays good, as it must.
        if pairs(&other) != pairs(&body) {
            let e = take_as(&account, URL, &signature, &other).unwrap_err();
            prop_assert_eq!(e.status().as_u16(), 403);
        }
        let mut tag = BASE64_STANDARD.decode(&signature).unwrap();
        let changed = at % tag.len();
        tag[changed] ^= 1 << bit;
        let e = take_as(&account, URL, &BASE64_STANDARD.encode(&tag), &body).unwrap_err();
        prop_assert_eq!(e.status().as_u16(), 403);
        let e = take_as(&account, URL, &sign(&format!("{token}!"), URL, &form), &body).unwrap_err();
        prop_assert_eq!(e.status().as_u16(), 403);
    }
}
