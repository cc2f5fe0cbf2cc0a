//! Sending in each vendor's dialect: what is asked for, what each documented answer means.

use crate::{
    FROM, LATER, RECEIPTS, TEXT, TO, Text, after, client, must_be_safe,
    provider::{Break, Got, Provider, breaking},
};
use ccm_model::ProviderKind;
use ccm_sms::{Account, Class, Outbound, SendError, Sent, send};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// One vendor: an account, the request, and its answers.
pub struct Vendor {
    pub kind: ProviderKind,
    /// Besides `api_base` and `timeout_ms`.
    pub settings: Value,
    pub secret: Value,
    pub path: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub sends: Sends,
    pub taken: (u16, Value),
    pub id: &'static str,
    pub refusals: Vec<Refusal>,
}

pub enum Sends {
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

/// Status and body of an answer; and what it means.
pub type Refusal = (u16, Value, Class, Doubt, Option<&'static str>, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    Certain,
    MayHaveIt,
    OptedOut,
}
use Doubt::{Certain, MayHaveIt, OptedOut};

impl Vendor {
    fn account(&self, addr: SocketAddr) -> Account {
        let base = match self.kind {
            ProviderKind::Custom => "send_url",
            _ => "api_base",
        };
        let mut settings = json!({base: format!("http://{addr}/"), "timeout_ms": 300});
        settings
            .as_object_mut()
            .unwrap()
            .extend(self.settings.as_object().unwrap().clone());
        Account::parse(self.kind, &settings, self.secret.to_string().as_bytes()).unwrap()
    }

    async fn answered(&self, status: u16, body: &Value) -> (Result<Sent, SendError>, Got) {
        let provider = Provider::answering(status, &[], body).await;
        let answer = send(&client(), &self.account(provider.addr), &Text::new().out()).await;
        (answer, provider.only())
    }
}

fn bare(number: &str) -> &str {
    number.trim_start_matches('+')
}

fn vonage() -> Vendor {
    let refused = |status: &str| json!({"message-count": "1", "messages": [{"status": status, "error-text": format!("no {TO} {TEXT}")}]});
    Vendor {
        kind: ProviderKind::Vonage,
        settings: json!({"api_key": "abcd1234"}),
        secret: json!({"api_secret": "a secret to hide", "signature_secret": "another to hide"}),
        path: "/sms/json",
        headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
        sends: Sends::Form(vec![
            ("api_key", "abcd1234".into()),
            ("api_secret", "a secret to hide".into()),
            ("from", bare(FROM).into()),
            ("to", bare(TO).into()),
            ("text", TEXT.into()),
            ("type", "unicode".into()),
            ("callback", RECEIPTS.into()),
        ]),
        taken: (
            200,
            json!({"message-count": "1", "messages": [{"to": "447700900000", "message-id": "0C000000217B7F02", "status": "0",
                "remaining-balance": "15.53590000", "message-price": "0.03330000", "network": "23410"}]}),
        ),
        id: "0C000000217B7F02",
        refusals: vec![
            (200, refused("1"), LATER, Certain, Some("1"), "lower the rates"),
            (200, refused("4"), after(60), Certain, Some("4"), "check api_key"),
            (200, refused("5"), LATER, MayHaveIt, Some("5"), "failed inside"),
            (200, refused("7"), Class::Terminal, Certain, Some("7"), "barred"),
            (
                200,
                refused("29"),
                Class::Terminal,
                Certain,
                Some("29"),
                "Vonage 29 (HTTP 200): no [number]",
            ),
            (200, json!({}), LATER, MayHaveIt, None, "may not be Vonage"),
        ],
    }
}

fn telnyx() -> Vendor {
    let refused =
        |code: &str| json!({"errors": [{"code": code, "title": "x", "detail": format!("The {TO}: {TEXT}")}]});
    Vendor {
        kind: ProviderKind::Telnyx,
        settings: json!({
            "public_key": "0f0GfTNrLhNDWBW2iTzLkKFJZvCVHG5+T5BGaOVrWm0=",
            "messaging_profile_id": "0f512bda-ae1e-4597-8e11-e5f5686b97d3",
        }),
        secret: json!({"api_key": "KEY to hide"}),
        path: "/v2/messages",
        headers: vec![
            ("authorization", "Bearer KEY to hide".into()),
            ("content-type", "application/json".into()),
        ],
        sends: Sends::Json(json!({
            "from": FROM, "to": TO, "text": TEXT, "webhook_url": RECEIPTS,
            "messaging_profile_id": "0f512bda-ae1e-4597-8e11-e5f5686b97d3",
        })),
        taken: (
            200,
            json!({"data": {"record_type": "message", "direction": "outbound", "id": "b0c7e8cb-6227-4c74-9f32-c7f80c30934b",
                "to": [{"phone_number": TO, "status": "queued"}]}}),
        ),
        id: "b0c7e8cb-6227-4c74-9f32-c7f80c30934b",
        refusals: vec![
            (
                400,
                refused("40310"),
                Class::Terminal,
                Certain,
                Some("40310"),
                "not valid",
            ),
            (
                400,
                refused("40300"),
                Class::Terminal,
                OptedOut,
                Some("40300"),
                "opted out (STOP)",
            ),
            (
                401,
                refused("10009"),
                after(60),
                Certain,
                Some("10009"),
                "check api_key",
            ),
            (
                429,
                refused("10011"),
                LATER,
                Certain,
                Some("10011"),
                "lower the rates",
            ),
            (
                500,
                refused("10007"),
                LATER,
                MayHaveIt,
                Some("10007"),
                "failed inside",
            ),
            (
                422,
                refused("49999"),
                Class::Terminal,
                Certain,
                Some("49999"),
                "HTTP 422",
            ),
            (
                200,
                json!({"data": {}}),
                LATER,
                MayHaveIt,
                None,
                "may not be Telnyx",
            ),
        ],
    }
}

/// One that is described by its settings alone; where its API is, they say themselves.
fn custom(json: bool) -> Vendor {
    let refused =
        |code: &str| json!({"status": "failed", "error": {"code": code, "text": format!("{TO}: {TEXT}")}});
    let mut send = json!({
        "method": "PUT", "headers": {"X-Api-Key": "k:{key}", "Authorization": "Basic {basic}", "Idempotency-Key": "{id}"},
        "id": "/message/id", "taken": {"statuses": [200, 202], "at": "/status", "is": ["queued", "0"]},
        "code": "/error/code", "message": "/error/text", "retry_statuses": [409], "retry_codes": ["busy"],
        "opted_out_codes": ["stopped"],
    });
    let mut content = "application/json";
    let sends = if json {
        send["json"] = json!({
            "sms": {"to": ["{to}"], "from": "{from_digits}", "{text}": "{{{text}}", "n": 1}, "again": "{attempt}",
            "callback": "{receipts_to}",
        });
        Sends::Json(json!({
            "sms": {"to": [TO], "from": bare(FROM), "{text}": format!("{{{TEXT}}}"), "n": 1}, "again": "2", "callback": RECEIPTS,
        }))
    } else {
        content = "application/x-www-form-urlencoded";
        send["form"] =
            json!({"dst": "{to_digits}", "msg": "{text}", "src": "{from}", "url": "{receipts_to}"});
        Sends::Form(vec![
            ("dst", bare(TO).into()),
            ("msg", TEXT.into()),
            ("src", FROM.into()),
            ("url", RECEIPTS.into()),
        ])
    };
    Vendor {
        kind: ProviderKind::Custom,
        settings: json!({
            "send": send,
            "receive": {"text": {"id": "/id", "from": "/from", "to": "/to", "text": "/text"}},
            "signature": {"scheme": "token", "header": "X-Token"},
        }),
        secret: json!({"webhook_secret": "to hide", "key": "hidden-key", "user": "hidden", "password": "hidden too"}),
        path: "/",
        headers: vec![
            ("x-api-key", "k:hidden-key".into()),
            ("authorization", "Basic aGlkZGVuOmhpZGRlbiB0b28=".into()),
            ("idempotency-key", "00000000-0000-0000-0000-000000000007".into()),
            ("content-type", content.into()),
        ],
        sends,
        taken: (202, json!({"status": "queued", "message": {"id": "m-1"}})),
        id: "m-1",
        refusals: vec![
            (
                400,
                refused("bad"),
                Class::Terminal,
                Certain,
                Some("bad"),
                "the provider bad (HTTP 400)",
            ),
            (
                200,
                refused("bad"),
                Class::Terminal,
                Certain,
                Some("bad"),
                "the provider bad",
            ),
            (
                200,
                refused("busy"),
                LATER,
                Certain,
                Some("busy"),
                "the provider busy",
            ),
            (
                409,
                refused("late"),
                LATER,
                Certain,
                Some("late"),
                "the provider late",
            ),
            (
                422,
                refused("stopped"),
                Class::Terminal,
                OptedOut,
                Some("stopped"),
                "has opted out",
            ),
            (
                202,
                json!({"status": "queued"}),
                LATER,
                MayHaveIt,
                None,
                "without a message id",
            ),
            (
                202,
                json!({"status": "?"}),
                LATER,
                MayHaveIt,
                None,
                "without a message id",
            ),
        ],
    }
}

fn bandwidth() -> Vendor {
    let refused = |kind: &str| json!({"type": kind, "description": format!("{TO}: {TEXT}")});
    Vendor {
        kind: ProviderKind::Bandwidth,
        settings: json!({"account_id": "9900000", "application_id": "93de2206", "callback_user": "ccm"}),
        secret: json!({"api_user": "me", "api_password": "word to hide", "callback_password": "another to hide"}),
        path: "/api/v2/users/9900000/messages",
        headers: vec![
            ("authorization", "Basic bWU6d29yZCB0byBoaWRl".into()),
            ("content-type", "application/json".into()),
        ],
        sends: Sends::Json(json!({
            "applicationId": "93de2206", "from": FROM, "to": [TO], "text": TEXT,
            "tag": "00000000-0000-0000-0000-000000000007",
        })),
        taken: (
            202,
            json!({"id": "14762070468292kw2fuqty55yp2b2", "time": "2016-09-14T18:20:16Z", "to": [TO], "from": FROM,
                "text": "x", "applicationId": "93de2206", "owner": FROM, "direction": "out", "segmentCount": 1}),
        ),
        id: "14762070468292kw2fuqty55yp2b2",
        refusals: vec![
            (
                400,
                refused("request-validation"),
                Class::Terminal,
                Certain,
                Some("request-validation"),
                "not accepted",
            ),
            (
                401,
                refused("unauthorized"),
                after(60),
                Certain,
                Some("unauthorized"),
                "check account_id",
            ),
            (
                403,
                refused("forbidden"),
                after(60),
                Certain,
                Some("forbidden"),
                "may not use",
            ),
            (
                429,
                refused("max-message-queue-size-exceeded"),
                LATER,
                Certain,
                Some("max-message-queue-size-exceeded"),
                "queue at Bandwidth is full",
            ),
            (
                400,
                refused("new-one"),
                Class::Terminal,
                Certain,
                Some("new-one"),
                "Bandwidth new-one (HTTP 400)",
            ),
        ],
    }
}

fn plivo() -> Vendor {
    let refused = |words: &str| json!({"api_id": "1", "error": format!("{words} {TO}")});
    Vendor {
        kind: ProviderKind::Plivo,
        settings: json!({"auth_id": "MAXXXXXXXXXXXXXXXXXX"}),
        secret: json!({"auth_token": "a token to hide"}),
        path: "/v1/Account/MAXXXXXXXXXXXXXXXXXX/Message/",
        headers: vec![
            (
                "authorization",
                "Basic TUFYWFhYWFhYWFhYWFhYWFhYWFg6YSB0b2tlbiB0byBoaWRl".into(),
            ),
            ("content-type", "application/json".into()),
        ],
        sends: Sends::Json(json!({
            "src": bare(FROM), "dst": bare(TO), "text": TEXT, "url": RECEIPTS, "method": "POST",
        })),
        taken: (
            202,
            json!({"message": "message(s) queued", "message_uuid": ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"], "api_id": "1"}),
        ),
        id: "db3ce55a-7f1d-11e1-8ea7-1231380bc196",
        refusals: vec![
            (
                400,
                refused("invalid dst"),
                Class::Terminal,
                Certain,
                None,
                "HTTP 400",
            ),
            (401, refused("no access"), after(60), Certain, None, "HTTP 401"),
            (404, refused("none"), after(60), Certain, None, "HTTP 404"),
            (500, refused("failed"), LATER, MayHaveIt, None, "HTTP 500"),
        ],
    }
}

fn infobip() -> Vendor {
    let refused = |group: &str| json!({"messages": [{"messageId": "m", "status": {"groupId": 5, "groupName": group, "name": "X", "description": TO}}]});
    Vendor {
        kind: ProviderKind::Infobip,
        settings: json!({"webhook_user": "ccm"}),
        secret: json!({"api_key": "a key to hide", "webhook_password": "a word to hide"}),
        path: "/sms/3/messages",
        headers: vec![
            ("authorization", "App a key to hide".into()),
            ("content-type", "application/json".into()),
        ],
        sends: Sends::Json(json!({"messages": [{
            "sender": bare(FROM), "content": {"text": TEXT},
            "destinations": [{"to": bare(TO), "messageId": "00000000-0000-0000-0000-000000000007"}],
        }]})),
        taken: (
            200,
            json!({"bulkId": "2034072219640523072", "messages": [{"messageId": "2250be2d4219-3af1-78856-aabe-1362af1edfd2",
                "status": {"groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED", "description": "x"},
                "destination": "41793026727"}]}),
        ),
        id: "2250be2d4219-3af1-78856-aabe-1362af1edfd2",
        refusals: vec![
            (
                200,
                refused("REJECTED"),
                Class::Terminal,
                Certain,
                Some("REJECTED"),
                "refused the text",
            ),
            (
                200,
                refused("UNDELIVERABLE"),
                Class::Terminal,
                Certain,
                Some("UNDELIVERABLE"),
                "cannot be delivered",
            ),
            (
                200,
                refused("EXPIRED"),
                Class::Terminal,
                Certain,
                Some("EXPIRED"),
                "expired",
            ),
            (
                200,
                refused("NEW_ONE"),
                Class::Terminal,
                Certain,
                Some("NEW_ONE"),
                "Infobip NEW_ONE (HTTP 200)",
            ),
            (
                401,
                json!({"description": "Invalid login details"}),
                after(60),
                Certain,
                None,
                "HTTP 401",
            ),
            (
                400,
                json!({"description": TO}),
                Class::Terminal,
                Certain,
                None,
                "HTTP 400",
            ),
        ],
    }
}

fn all() -> Vec<Vendor> {
    vec![
        infobip(),
        vonage(),
        telnyx(),
        bandwidth(),
        plivo(),
        custom(true),
        custom(false),
    ]
}

#[tokio::test]
async fn every_kind_but_those_with_tests_of_their_own_is_here() {
    let here: Vec<ProviderKind> = all().iter().map(|vendor| vendor.kind).collect();
    for kind in ProviderKind::ALL {
        let own = matches!(kind, ProviderKind::Twilio | ProviderKind::Http);
        assert_ne!(here.contains(kind), own, "{kind}");
    }
}

#[tokio::test]
async fn a_text_is_sent_as_documented() {
    for vendor in all() {
        let (status, body) = &vendor.taken;
        let (answer, got) = vendor.answered(*status, body).await;
        let kind = vendor.kind;
        assert_eq!(
            answer,
            Ok(Sent {
                provider_id: Some(vendor.id.into())
            }),
            "{kind}"
        );
        assert_eq!(got.path, vendor.path, "{kind}");
        for (name, value) in &vendor.headers {
            assert_eq!(got.headers[*name], value.as_str(), "{kind}");
        }
        match &vendor.sends {
            Sends::Json(expected) => {
                assert_eq!(
                    &serde_json::from_str::<Value>(&got.body).unwrap(),
                    expected,
                    "{kind}"
                );
            }
            Sends::Form(expected) => {
                let form: Vec<(String, String)> = url::form_urlencoded::parse(got.body.as_bytes())
                    .into_owned()
                    .collect();
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), v.clone()))
                    .collect();
                assert_eq!(form, expected, "{kind}");
            }
        }
    }
}

#[tokio::test]
async fn each_answer_has_its_class() {
    for vendor in all() {
        let kind = vendor.kind;
        let usual: [Refusal; 5] = [
            (503, json!("busy"), LATER, MayHaveIt, None, "HTTP 503"),
            (429, json!("slow down"), LATER, Certain, None, "HTTP 429"),
            (
                403,
                json!("a proxy's words"),
                after(60),
                Certain,
                None,
                "HTTP 403",
            ),
            (302, json!({}), after(60), Certain, None, "HTTP 302"),
            (
                200,
                json!("what?"),
                LATER,
                MayHaveIt,
                None,
                "without a message id",
            ),
        ];
        for (status, body, class, doubt, code, operator) in usual.iter().chain(&vendor.refusals) {
            let (answer, _) = vendor.answered(*status, body).await;
            let e = answer.expect_err(&format!("{kind} {status} {body}"));
            must_be_safe(&e);
            let at = format!("{kind} {status} {body}: {e:?}");
            assert_eq!((e.class, e.in_doubt), (*class, *doubt == MayHaveIt), "{at}");
            assert_eq!(e.opted_out, *doubt == OptedOut, "{at}");
            assert_eq!(e.provider_code.as_deref(), *code, "{at}");
            assert!(e.operator.contains(operator) && !e.user.is_empty(), "{at}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_in_doubt_unless_nothing_was_sent() {
    for vendor in all() {
        for (how, in_doubt) in [
            (Break::Refused, false),
            (Break::Hang, true),
            (Break::Reset, true),
            (Break::Half(500), true),
        ] {
            let account = vendor.account(breaking(how).await);
            let e = send(&client(), &account, &Text::new().out()).await.unwrap_err();
            must_be_safe(&e);
            assert_eq!(
                (e.class, e.in_doubt),
                (LATER, in_doubt),
                "{} {how:?}: {e:?}",
                vendor.kind
            );
        }
    }
}

#[tokio::test]
async fn a_text_without_an_address_for_receipts_is_sent_too() {
    for vendor in all() {
        let (status, body) = &vendor.taken;
        let provider = Provider::answering(*status, &[], body).await;
        let text = Text::new();
        let out = Outbound {
            receipts_to: None,
            ..text.out()
        };
        send(&client(), &vendor.account(provider.addr), &out)
            .await
            .unwrap();
        assert!(!provider.only().body.contains("v1/sms"), "{}", vendor.kind);
    }
}
