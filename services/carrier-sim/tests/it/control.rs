use crate::{LONG, NAME, PHONE, SHORT, SID, SOON, http, sim, to_phone::twilio, webhook::Webhook};
use ccm_carrier_sim::{Config, Event, PhoneText, Record, SentState, SentText, Setup, Sim, SimError};
use serde_json::{Value, json};

pub struct Control {
    pub base: String,
    pub http: reqwest::Client,
}

impl Control {
    pub fn of(sim: &Sim) -> Self {
        Self {
            base: format!("http://{}/control", sim.control_addr()),
            http: http(),
        }
    }

    pub async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    pub async fn put(&self, path: &str, body: Value) -> u16 {
        let sent = self
            .http
            .put(format!("{}{path}", self.base))
            .json(&body)
            .send()
            .await;
        sent.unwrap().status().as_u16()
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self
            .http
            .post(format!("{}{path}", self.base))
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or(Value::Null),
        )
    }
}

#[tokio::test]
async fn everything_can_be_played_over_http() {
    let webhook = Webhook::answering(&[]).await;
    http();
    let sim = Sim::start(Config::default()).await.unwrap();
    let control = Control::of(&sim);
    let account = json!({ "kind": "twilio", "secret": crate::TOKEN, "webhook_url": webhook.url });
    assert_eq!(control.put(&format!("/accounts/{SID}"), account).await, 204);
    assert_eq!(
        control
            .put(&format!("/numbers/{LONG}"), json!({ "account": SID }))
            .await,
        204
    );
    let listed: Value = control.get("/accounts").await;
    assert_eq!(listed["accounts"][0]["api_base"], sim.api_base());
    assert_eq!(listed["numbers"][LONG], SID);
    assert!(!listed.to_string().contains(crate::TOKEN));

    let new = json!({ "to": LONG, "text": "hello", "id": "SM-own", "wait": true });
    let (status, sent) = control.post(&format!("/phones/{PHONE}/send"), new).await;
    assert_eq!(
        (status, &sent["state"], &sent["id"]),
        (200, &json!("accepted"), &json!("SM-own"))
    );
    assert_eq!(webhook.posts()[0].form()["MessageSid"], "SM-own");
    let (status, sent) = control
        .post(
            &format!("/phones/{PHONE}/send"),
            json!({ "to": LONG, "text": "more" }),
        )
        .await;
    assert_eq!(status, 202);
    let seq = sent["seq"].as_u64().unwrap();
    sim.wait_accepted(seq, SOON).await.unwrap();
    let now: SentText = control.get(&format!("/texts/{seq}")).await;
    assert_eq!(now.state, SentState::Accepted);

    twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "answer")])
        .await
        .unwrap();
    let shown: Vec<PhoneText> = control.get(&format!("/phones/{PHONE}/messages")).await;
    let shown: Vec<&str> = shown
        .iter()
        .map(|text| match text {
            PhoneText::Sent(text) => text.text.as_str(),
            PhoneText::Received(text) => text.text.as_str(),
        })
        .collect();
    assert_eq!(shown, ["hello", "more", "answer"]);
    let record: Record = control.get("/record").await;
    assert_eq!((record.sent.len(), record.received.len()), (2, 1));
    assert_eq!(record, sim.record());
    let page: Record = control.get("/record?since=1&limit=1").await;
    assert_eq!((page.sent[0].text.as_str(), page.next), ("more", Some(2)));
    let page: Record = control.get("/record?since=2").await;
    assert_eq!((page.received.len(), page.next), (1, None));

    assert_eq!(control.post("/reset", json!({})).await.0, 204);
    assert_eq!(sim.record(), Record::default());
    assert_eq!(sim.setup().accounts.len(), 1);
}

#[tokio::test]
async fn faults_and_figures_are_at_hand() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    assert_eq!(
        control
            .post("/faults", json!({ "fault": "answer", "status": 503, "times": 2 }))
            .await
            .0,
        204
    );
    let listed: Value = control.get("/faults").await;
    assert_eq!(
        (&listed[0]["fault"], &listed[0]["times"]),
        (&json!("answer"), &json!(2))
    );
    assert_eq!(
        twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "x")])
            .await
            .unwrap()
            .status()
            .as_u16(),
        503
    );
    let cleared = control
        .http
        .delete(format!("{}/faults", control.base))
        .send()
        .await
        .unwrap();
    assert_eq!((cleared.status().as_u16(), sim.faults().len()), (204, 0));

    let sent_ns = crate::NOW_NS - 5_000_000;
    let text = format!("TS{sent_ns} x");
    twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", &text)])
        .await
        .unwrap();
    let stats: Value = control.get("/stats").await;
    assert_eq!((&stats["count"], &stats["lat_n"]), (&json!(1), &json!(1)));
    assert!(
        (4_900..=5_100).contains(&stats["p50_us"].as_u64().unwrap()),
        "{stats}"
    );
    assert_eq!(control.post("/stats/reset", json!({})).await.0, 204);
    assert_eq!(sim.stats().count, 0);
    assert_eq!(sim.record().received.len(), 1, "texts stay");
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(Some(webhook.url), None).await;
    let control = Control::of(&sim);
    let mut heard = sim.events();
    let url = format!("{}/events?phone={}", control.base, PHONE.replace('+', "%2B"));
    let mut stream = control.http.get(url).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    sim.text("+19995550999", LONG, "somebody else").unwrap();
    let mine = sim.text(PHONE, LONG, "mine").unwrap();
    sim.wait_accepted(mine.seq, SOON).await.unwrap();
    twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "answer")])
        .await
        .unwrap();

    let mut told = String::new();
    while told.matches("\n\n").count() < 4 {
        told.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let told: Vec<(&str, Value)> = told
        .split_terminator("\n\n")
        .map(|event| {
            let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            (line("event: "), serde_json::from_str(line("data: ")).unwrap())
        })
        .collect();
    assert_eq!(
        told.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["sent", "sent", "sent", "received"]
    );
    assert!(told.iter().all(|(_, text)| text["text"] != "somebody else"));
    assert_eq!(
        told.iter().map(|(_, text)| &text["state"]).collect::<Vec<_>>()[..3],
        ["waiting", "waiting", "accepted"]
    );
    assert_eq!(told[3].1["text"], "answer");
    assert!(matches!(heard.recv().await.unwrap(), Event::Sent(text) if text.text == "somebody else"));
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    let send = format!("/phones/{PHONE}/send");
    for (path, body, status, words) in [
        (
            send.as_str(),
            json!({ "to": "+19995550111", "text": "x" }),
            409,
            "belongs to no account",
        ),
        (&send, json!({ "to": LONG }), 422, "text"),
        (&send, json!({ "to": LONG, "text": "x", "when": 1 }), 422, "when"),
        ("/faults", json!({ "fault": "fire" }), 422, "fire"),
        ("/nothing", json!({}), 404, "README"),
        ("/record", json!({}), 405, "README"),
    ] {
        let (got, problem) = control.post(path, body).await;
        assert_eq!(
            (got, &problem["status"]),
            (status, &json!(status)),
            "{path}: {problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{path}: {problem}"
        );
    }
    assert_eq!(
        control.put("/numbers/1", json!({ "account": "nobody" })).await,
        404
    );
    assert_eq!(
        control
            .put("/accounts/AC1", json!({ "kind": "twilio", "secret": "x" }))
            .await,
        422
    );
    assert_eq!(
        control
            .put("/accounts/nobody/webhook", json!({ "url": "http://127.0.0.1" }))
            .await,
        404
    );
    let (status, _) = control.post(&send, json!({ "to": SHORT, "text": "x" })).await;
    assert_eq!((status, sim.phone(PHONE).len()), (202, 1));
    assert_eq!(sim.setup().accounts.iter().filter(|a| a.name == NAME).count(), 1);
    let response = control
        .http
        .get(format!("{}/texts/99", control.base))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );

    let open = Config {
        control: ([0, 0, 0, 0], 0).into(),
        ..Config::default()
    };
    assert!(matches!(
        Sim::start(open).await,
        Err(SimError::ControlNotLoopback(_))
    ));
}

#[tokio::test]
async fn the_control_api_can_live_elsewhere() {
    let sim = sim(None, None).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = axum::Router::new().merge(sim.control_router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let record: Record = http()
        .get(format!("http://{addr}/control/record"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(record, Record::default());
}

#[test]
fn a_setup_is_read_from_a_file() {
    let path = std::env::temp_dir().join(format!("carrier-sim-setup-{}.json", std::process::id()));
    let text = json!({
        "accounts": [{ "kind": "http", "name": "h", "secret": "s", "webhook_url": "http://127.0.0.1:1/" }],
        "numbers": { "72345": "h" },
    });
    std::fs::write(&path, text.to_string()).unwrap();
    let setup = Setup::load(&path).unwrap();
    assert_eq!(
        (setup.accounts[0].name.as_str(), setup.numbers["72345"].as_str()),
        ("h", "h")
    );
    assert!(!format!("{:?}", setup.accounts).contains("secret"));
    std::fs::write(&path, "{\"nambers\": {}}").unwrap();
    let e = Setup::load(&path).unwrap_err().to_string();
    assert!(e.contains("nambers"), "{e}");
    std::fs::remove_file(&path).unwrap();
}
