//! Each adapter against the provider that the simulator plays, which was written from the same documentation and from nothing of
//! ours: texts in, texts out, receipts, signatures, refusals.

use crate::{LATER, client};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use ccm_carrier_sim::{
    AccountOptions, Config, Fault, Kind, OrderedReceipt, ReceiptStatus, Retry, Setup, Sim,
};
use ccm_model::{Address, Body, MessageId, Report};
use ccm_sms::{Account, Check, Class, Event, Inbound, Outbound, SendError, Sent, receive, send};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::net::TcpListener;

const SECRET: &str = "what both sides know, and nobody else";
const PHONE: &str = "+19995550123";
const NUMBER: &str = "+19995550100";
const TEXT: &str = "Grüße 😀 & 1+1=2 100% <b> {x}";
/// 2026-11-23T08:00:00.5Z
const NOW_NS: u64 = 1_795_420_800_500_000_000;
const SOON: Duration = Duration::from_secs(10);

/// What a webhook heard, and how many requests it refused.
#[derive(Default)]
struct Heard {
    account: Option<Account>,
    url: String,
    events: Vec<Event>,
    refused: Vec<u16>,
}

struct Pair {
    sim: Sim,
    account: Account,
    name: String,
    heard: Arc<Mutex<Heard>>,
    url: String,
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(NOW_NS.into()).unwrap()
}

async fn hear(State(heard): State<Arc<Mutex<Heard>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut heard = heard.lock().unwrap();
    let url = format!("{}{uri}", heard.url);
    let account = heard.account.clone().unwrap();
    let inbound = Inbound {
        url: &url,
        headers: &headers,
        body: &body,
        check: Check::Enforce,
        now: now(),
    };
    match receive(&account, &inbound) {
        Ok(received) => {
            heard.events.extend(received.events);
            (received.answer.status, received.answer.body).into_response()
        }
        Err(e) => {
            heard.refused.push(e.status().as_u16());
            (e.status(), e.to_string()).into_response()
        }
    }
}

impl Pair {
    async fn of(kind: Kind) -> Self {
        client();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let url = format!("{base}/v1/sms/{}/7?a=1", kind.as_str());
        let name = match kind {
            Kind::Twilio => "AC0123456789abcdef0123456789abcdef",
            _ => "01234567890123456789",
        };
        let at_sim = ccm_carrier_sim::Account {
            kind,
            name: name.into(),
            secret: SECRET.replace([' ', ','], "-"),
            webhook_url: Some(url.clone()),
        };
        let sim = Sim::start(Config {
            setup: Setup {
                accounts: vec![at_sim.clone()],
                numbers: [(NUMBER.into(), name.into())].into(),
            },
            retry: Retry {
                pauses: vec![Duration::from_millis(20)],
                give_up_after: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
            },
            now_ns: Arc::new(|| NOW_NS),
            seed: 7,
            ..Config::default()
        })
        .await
        .unwrap();
        let (settings, secret) = sim.ccm_account(&at_sim);
        let kind = kind.as_str().parse().unwrap();
        // As a tenant gives it, and as it is stored.
        ccm_sms::shape(kind).check_settings(&settings).unwrap();
        ccm_sms::shape(kind).check_secret(&secret).unwrap();
        let account = Account::parse(kind, &settings, secret.to_string().as_bytes()).unwrap();
        *heard.lock().unwrap() = Heard {
            account: Some(account.clone()),
            url: base,
            ..Heard::default()
        };
        Self {
            sim,
            account,
            name: name.into(),
            heard,
            url,
        }
    }

    async fn send(&self, from: &str, text: &str) -> Result<Sent, SendError> {
        let (from, to) = (from.parse().unwrap(), PHONE.parse().unwrap());
        let body = Body::new(text).unwrap();
        let out = Outbound {
            message_id: MessageId(uuid::Uuid::from_u128(text.len() as u128)),
            from: &from,
            to: &to,
            body: &body,
            attempt: 1,
            receipts_to: Some(&self.url),
            now: now(),
        };
        send(&client(), &self.account, &out).await
    }

    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.heard.lock().unwrap().events)
    }
}

#[tokio::test]
async fn a_text_from_a_phone_arrives_and_one_that_is_signed_otherwise_does_not() {
    for kind in Kind::ALL {
        let pair = Pair::of(kind).await;
        pair.sim.fault(Fault::WrongSignature);
        let sent = pair.sim.text(PHONE, NUMBER, TEXT).unwrap();
        let sent = pair.sim.wait_accepted(sent.seq, SOON).await.unwrap();
        assert!(sent.accepted_at_ms.is_some(), "{kind:?}: {:?}", sent.last_failure);
        assert_eq!(pair.heard.lock().unwrap().refused, [403], "{kind:?}");
        let events = pair.events();
        let [
            Event::Text {
                provider_id,
                from,
                to,
                body,
                ..
            },
        ] = &events[..]
        else {
            panic!("{kind:?}: {events:?}")
        };
        assert_eq!(*provider_id, sent.id, "{kind:?}");
        assert_eq!(
            (from, to, body.as_str()),
            (
                &Address::parse(PHONE).unwrap(),
                &Address::parse(NUMBER).unwrap(),
                TEXT
            ),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_text_to_a_phone_arrives_and_its_receipts_come_back() {
    for kind in Kind::ALL {
        let pair = Pair::of(kind).await;
        let id = pair.send(NUMBER, TEXT).await.unwrap().provider_id.unwrap();
        let received = pair.sim.wait_received(PHONE, 1, SOON).await.unwrap();
        assert_eq!(
            (received[0].text.as_str(), received[0].from.as_str()),
            (TEXT, NUMBER),
            "{kind:?}"
        );
        assert_eq!(id, received[0].id, "{kind:?}");
        pair.sim.wait_quiet(SOON).await.unwrap();
        let told: Vec<Report> = pair
            .events()
            .iter()
            .map(|event| match event {
                Event::Receipt {
                    provider_id, report, ..
                } if *provider_id == id => *report,
                other => panic!("{kind:?}: {other:?}"),
            })
            .collect();
        let first = if kind == Kind::Bandwidth {
            Report::Sending
        } else {
            Report::Sent
        };
        assert_eq!(told, [first, Report::Delivered], "{kind:?}");

        pair.sim.fault(Fault::Receipts {
            receipts: vec![OrderedReceipt {
                code: Some("30".into()),
                ..ReceiptStatus::Failed.into()
            }],
            early: false,
        });
        pair.send(NUMBER, "this one fails").await.unwrap();
        pair.sim.wait_quiet(SOON).await.unwrap();
        let events = pair.events();
        assert!(
            matches!(&events[..], [Event::Receipt { report: Report::Failed, code: Some(code), .. }] if code == "30"),
            "{kind:?}: {events:?}"
        );
        assert!(pair.heard.lock().unwrap().refused.is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn what_the_provider_refuses_has_its_class() {
    for kind in Kind::ALL {
        let pair = Pair::of(kind).await;
        let fault = |status| Fault::Answer {
            status,
            code: None,
            retry_after_s: None,
            taken: false,
        };
        for (status, class, in_doubt) in [(429, LATER, false), (503, LATER, true), (500, LATER, true)] {
            // Vonage says what is wrong in a code of its own, whatever the status.
            if kind == Kind::Vonage && status == 429 {
                continue;
            }
            pair.sim.fault(fault(status));
            let e = pair.send(NUMBER, TEXT).await.unwrap_err();
            assert_eq!(
                (e.class, e.in_doubt),
                (class, in_doubt),
                "{kind:?} {status}: {e:?}"
            );
        }
        let e = pair.send("+19995550999", TEXT).await.unwrap_err();
        assert_eq!((e.class, e.in_doubt), (Class::Terminal, false), "{kind:?}: {e:?}");

        pair.sim
            .set_options(
                &pair.name,
                AccountOptions {
                    carrier_handles_stop: true,
                    receipts: true,
                },
            )
            .unwrap();
        let stop = pair.sim.text(PHONE, NUMBER, "STOP").unwrap();
        pair.sim.wait_accepted(stop.seq, SOON).await.unwrap();
        let e = pair.send(NUMBER, TEXT).await.unwrap_err();
        assert_eq!(e.class, Class::Terminal, "{kind:?}: {e:?}");
        // The others tell it in a receipt, or not at all.
        let told = matches!(kind, Kind::Twilio | Kind::Http | Kind::Telnyx | Kind::Custom);
        assert_eq!(e.opted_out, told, "{kind:?}: {e:?}");
        let shown = format!("{e} {e:?}");
        assert!(
            !shown.contains("5550123") && !shown.contains("Grüße") && !shown.contains(SECRET),
            "{shown}"
        );
    }
}
