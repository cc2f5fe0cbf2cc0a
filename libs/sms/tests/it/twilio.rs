use crate::{
    FROM, LATER, RECEIPTS, TEXT, TO, Text, after, client, must_be_safe,
    provider::{Break, Provider, breaking},
};
use ccm_model::ProviderKind;
use ccm_sms::{Account, Class, SendError, Sent, send};
use serde_json::json;
use std::net::SocketAddr;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";

fn account(addr: SocketAddr) -> Account {
    let settings = json!({
        "account_sid": SID, "api_base": format!("http://{addr}/"), "messaging_service_sid": SERVICE, "timeout_ms": 300,
    });
    Account::parse(
        ProviderKind::Twilio,
        &settings,
        br#"{"auth_token": "a token to hide"}"#,
    )
    .unwrap()
}

async fn answered(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: impl ToString,
) -> Result<Sent, SendError> {
    let provider = Provider::answering(status, headers, body).await;
    send(&client(), &account(provider.addr), &Text::new().out()).await
}

async fn refused(status: u16, body: serde_json::Value) -> SendError {
    let e = answered(status, &[], body).await.unwrap_err();
    must_be_safe(&e);
    e
}

#[tokio::test]
async fn a_message_is_created_as_documented() {
    let created =
        json!({ "sid": "SM00112233445566778899aabbccddeeff", "status": "queued", "error_code": null });
    let provider = Provider::answering(201, &[], created).await;
    let sent = send(&client(), &account(provider.addr), &Text::new().out())
        .await
        .unwrap();
    assert_eq!(
        sent.provider_id.as_deref(),
        Some("SM00112233445566778899aabbccddeeff")
    );
    let got = provider.only();
    assert_eq!(got.path, format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(got.headers["content-type"], "application/x-www-form-urlencoded");
    // base64 of the SID, a colon and the token
    assert_eq!(
        got.headers["authorization"],
        "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjphIHRva2VuIHRvIGhpZGU="
    );
    let form: Vec<(String, String)> = url::form_urlencoded::parse(got.body.as_bytes())
        .into_owned()
        .collect();
    let expected = [
        ("From", FROM),
        ("To", TO),
        ("Body", TEXT),
        ("MessagingServiceSid", SERVICE),
        ("StatusCallback", RECEIPTS),
    ];
    assert_eq!(form, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[tokio::test]
async fn an_api_key_stands_in_for_the_token() {
    let provider = Provider::answering(201, &[], json!({ "sid": "SM1" })).await;
    let settings = json!({ "account_sid": SID, "api_base": format!("http://{}", provider.addr) });
    let secret =
        br#"{"auth_token": "x", "api_key_sid": "SK0123456789abcdef0123456789abcdef", "api_key_secret": "y"}"#;
    let account = Account::parse(ProviderKind::Twilio, &settings, secret).unwrap();
    send(&client(), &account, &Text::new().out()).await.unwrap();
    assert_eq!(
        provider.only().headers["authorization"],
        "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp5"
    );
}

#[tokio::test]
async fn each_answer_has_its_class() {
    let number = format!("The 'To' number {TO} is not a valid phone number. ({TEXT})");
    for (status, body, class, in_doubt, operator, user) in [
        (
            400,
            json!({ "code": 21211, "message": number, "status": 400 }),
            Class::Terminal,
            false,
            "errors/21211",
            "cannot receive",
        ),
        (
            400,
            json!({ "code": 21610, "message": number, "status": 400 }),
            Class::Terminal,
            false,
            "opted out (STOP)",
            "opted out",
        ),
        (
            400,
            json!({ "code": 21617, "message": number }),
            Class::Terminal,
            false,
            "1,600",
            "too long",
        ),
        (
            403,
            json!({ "code": 21408, "message": number }),
            Class::Terminal,
            false,
            "geo permissions",
            "cannot receive",
        ),
        (
            400,
            json!({ "code": 29999, "message": number }),
            Class::Terminal,
            false,
            "Twilio 29999 (HTTP 400): The 'To' number",
            "could not",
        ),
        (
            401,
            json!({ "code": 20003, "message": "Authenticate" }),
            after(60),
            false,
            "credentials",
            "tried again",
        ),
        (
            429,
            json!({ "code": 20429, "message": "Too Many Requests" }),
            LATER,
            false,
            "too many requests",
            "tried again",
        ),
        (
            400,
            json!({ "code": 21611, "message": number }),
            LATER,
            false,
            "queued",
            "tried again",
        ),
        (
            500,
            json!({ "code": 20500, "message": number }),
            LATER,
            true,
            "failed inside",
            "tried again",
        ),
        (
            503,
            json!("busy"),
            LATER,
            true,
            "answered HTTP 503",
            "tried again",
        ),
        (
            403,
            json!("a proxy's words"),
            after(60),
            false,
            "answered HTTP 403",
            "tried again",
        ),
        (
            400,
            json!("a proxy's words"),
            Class::Terminal,
            false,
            "answered HTTP 400",
            "could not",
        ),
        (
            200,
            json!({ "sid": null }),
            LATER,
            true,
            "may not be Twilio",
            "tried again",
        ),
        (
            302,
            json!({}),
            after(60),
            false,
            "answered HTTP 302",
            "tried again",
        ),
    ] {
        let e = refused(status, body.clone()).await;
        assert_eq!(e.opted_out, body["code"] == 21610, "{status} {body}");
        let at = format!("{status} {body}: {e:?}");
        assert_eq!((e.class, e.in_doubt), (class, in_doubt), "{at}");
        assert!(e.operator.contains(operator) && e.user.contains(user), "{at}");
        assert_eq!(e.provider_code, body.get("code").map(ToString::to_string), "{at}");
    }
}

#[tokio::test]
async fn a_rest_that_is_asked_for_is_given() {
    let e = answered(429, &[("retry-after", "7")], json!({ "code": 20429 }))
        .await
        .unwrap_err();
    assert_eq!(e.class, after(7));
    let e = answered(503, &[("retry-after", "Mon, 23 Nov 2026 08:00:09 GMT")], "")
        .await
        .unwrap_err();
    assert_eq!((e.class, e.in_doubt), (after(9), true));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_in_doubt_unless_nothing_was_sent() {
    for (how, in_doubt, operator) in [
        (Break::Refused, false, "cannot connect"),
        (Break::Hang, true, "did not answer within 300 ms"),
        (Break::Reset, true, "the connection to the provider broke"),
        (Break::Half(200), true, "without a message id"),
        (Break::Half(500), true, "HTTP 500"),
    ] {
        let e = send(&client(), &account(breaking(how).await), &Text::new().out())
            .await
            .unwrap_err();
        must_be_safe(&e);
        assert_eq!((e.class, e.in_doubt), (LATER, in_doubt), "{how:?}: {e:?}");
        assert!(e.operator.contains(operator), "{how:?}: {e:?}");
    }
    let sent = send(
        &client(),
        &account(breaking(Break::Half(201)).await),
        &Text::new().out(),
    )
    .await;
    assert_eq!(
        sent,
        Ok(Sent { provider_id: None }),
        "created, and its sid is lost"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Provider::answering(201, &[], json!({ "sid": "SM1" })).await;
    let target: &'static str = format!("http://{}/", elsewhere.addr).leak();
    let e = answered(307, &[("location", target)], "").await.unwrap_err();
    assert_eq!(e.class, after(60));
}
