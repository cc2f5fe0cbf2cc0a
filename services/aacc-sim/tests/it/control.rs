//! The control API over HTTP.

use ccm_aacc_sim::{Config, Record, Settings, Sim, StatsView, Violation};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::customer::{CUSTOMER, Customer, End, PATIENCE, http, plain};

struct Desk {
    http: Client,
    base: String,
}

impl Desk {
    fn of(sim: &Sim) -> Desk {
        Desk {
            http: http(),
            base: format!("http://{}/control", sim.control_addr()),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.http
            .post(format!("{}{path}", self.base))
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn ok(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn problem(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self.post(path, body).await;
        let status = answer.status();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        (status, problem)
    }
}

#[tokio::test]
async fn an_agent_works_over_http() {
    let sim = plain(Settings::default()).await;
    let desk = Desk::of(&sim);
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    let list = desk.get("/chats?state=waiting").await;
    assert_eq!(
        (&list[0]["guid"], &list[0]["customer"]),
        (&json!(guid), &json!(CUSTOMER))
    );
    assert_eq!(desk.get("/chats?state=live").await, json!([]));
    assert_eq!(desk.get("/chats?customer=%2B1").await, json!([]));

    let chat = desk
        .ok(
            &format!("/chats/{guid}/join"),
            json!({"id": "7000", "name": "Russell"}),
        )
        .await;
    assert_eq!(chat["state"], "live");
    customer.expect("newParticipant").await;
    desk.ok(&format!("/chats/{guid}/typing"), json!({"typing": true}))
        .await;
    customer.expect("isTyping").await;
    desk.ok(&format!("/chats/{guid}/say"), json!({"text": "1 < 2"}))
        .await;
    assert_eq!(customer.expect("newMessage").await["message"], "1  2");
    desk.ok(
        &format!("/chats/{guid}/say"),
        json!({"text": "1 &lt; 2", "raw": true, "agent_id": "7000"}),
    )
    .await;
    assert_eq!(customer.expect("newMessage").await["message"], "1 &lt; 2");
    desk.ok(
        &format!("/chats/{guid}/push"),
        json!({"url": "https://x.example", "message": "look"}),
    )
    .await;
    assert_eq!(customer.expect("newPushPageMessage").await["message"], "look");
    customer.text("<hello>").await;
    customer.expect_ack(true).await;
    assert_eq!(desk.get(&format!("/chats/{guid}")).await["unread"], 1);
    desk.ok(&format!("/chats/{guid}/read"), json!({})).await;
    let chat = desk.get(&format!("/chats/{guid}")).await;
    assert_eq!(chat["unread"], 0);
    let last = chat["transcript"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["text"], &last["displayed"]),
        (&json!("<hello>"), &json!("&lt;hello&gt;"))
    );
    desk.ok(
        &format!("/chats/{guid}/transfer"),
        json!({"to": {"id": "7001", "name": "Ann"}}),
    )
    .await;
    customer.expect("participantLeave").await;
    customer.expect("newParticipant").await;
    desk.ok(&format!("/chats/{guid}/frame"), json!({"text": "{}"}))
        .await;
    assert_eq!(customer.next().await, json!({}));
    desk.ok(
        &format!("/chats/{guid}/leave"),
        json!({"end_chat": true, "reason": "done"}),
    )
    .await;
    assert_eq!(customer.expect("participantLeave").await["leaveReason"], "done");

    let record: Record = serde_json::from_value(desk.get("/record").await).unwrap();
    assert_eq!(record, sim.record());
    assert_eq!(
        (record.chats[0].received.len(), record.chats[0].said.len()),
        (1, 3)
    );
    let stats: StatsView = serde_json::from_value(desk.get("/stats").await).unwrap();
    assert_eq!((stats.count, stats.sockets), (1, 1));
    assert_eq!(desk.post("/stats/reset", json!({})).await.status(), 204);
    assert_eq!(desk.get("/stats").await["count"], 0);
}

#[tokio::test]
async fn faults_over_http() {
    let sim = plain(Settings::default()).await;
    let desk = Desk::of(&sim);
    let (mut customer, guid, key) = Customer::live(&sim).await;
    let faults = desk
        .ok("/faults", json!({"maintenance": true, "withhold_acks": 2}))
        .await;
    assert_eq!(
        (&faults["maintenance"], &faults["withhold_acks"]),
        (&json!(true), &json!(2))
    );
    desk.ok("/faults", json!({"maintenance": false})).await;
    assert_eq!(
        desk.get("/faults").await["withhold_acks"],
        2,
        "what is not named stays"
    );
    let broken = desk
        .ok("/faults/break", json!({"guid": guid, "how": "close"}))
        .await;
    assert_eq!(broken, json!({"sockets": 1}));
    assert_eq!(customer.end().await, End::Closed(1001));
    assert_eq!(desk.ok("/faults/expire", json!({})).await, json!({"chats": 1}));
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, false)).await;
    back.expect_expired().await;
    back.send_text("{").await;
    back.expect_error(1, "Invalid message").await;
    let violations: Vec<Violation> = serde_json::from_value(desk.get("/violations").await).unwrap();
    assert_eq!(violations, sim.violations());
    assert_eq!(violations.len(), 1);

    assert_eq!(desk.post("/reset", json!({})).await.status(), 204);
    assert_eq!(back.end().await, End::Closed(1001));
    assert_eq!(desk.get("/record").await, json!({"chats": []}));
    assert_eq!(desk.get("/violations").await, json!([]));
    assert_eq!(desk.get("/faults").await["withhold_acks"], 0);
    let (_new, second, _) = Customer::chat(&sim).await;
    assert!(second > guid, "a guid is never given twice");
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let sim = plain(Settings::default()).await;
    let desk = Desk::of(&sim);
    let (_customer, guid, _) = Customer::chat(&sim).await;
    let say = format!("/chats/{guid}/say");
    let (status, problem) = desk.problem("/chats/1/say", json!({"text": "x"})).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::NOT_FOUND, &json!("there is no chat 1"))
    );
    assert_eq!(desk.problem(&say, json!({"text": "x"})).await.0, 409);
    let (status, problem) = desk.problem(&say, json!({"txt": "x"})).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("txt"), "{problem}");
    assert_eq!(desk.problem("/chats/abc/say", json!({"text": "x"})).await.0, 400);
    assert_eq!(
        desk.problem("/faults/break", json!({"guid": 1, "how": "reset"}))
            .await
            .0,
        404
    );
    assert_eq!(desk.problem("/chats", json!({})).await.0, 405);
    assert_eq!(desk.problem("/nothing", json!({})).await.0, 404);
    let ca = desk
        .http
        .get(format!("{}/ca.pem", desk.base))
        .send()
        .await
        .unwrap();
    assert_eq!(ca.status(), 404, "plain ws has no CA");
}

#[tokio::test]
async fn the_ca_and_the_router_are_handed_out() {
    let sim = Sim::start(Config::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = axum::Router::new().nest("/aacc", sim.control_router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("http://{addr}/aacc/control/ca.pem");
    let pem = http().get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(Some(pem.as_str()), sim.ca_pem());
}

#[tokio::test]
async fn events_stream_as_they_happen_and_end_with_the_simulator() {
    let sim = plain(Settings::default()).await;
    let mut stream = http()
        .get(format!("http://{}/control/events", sim.control_addr()))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let (mut customer, guid, _) = Customer::live(&sim).await;
    customer.text("hello").await;
    customer.expect_ack(true).await;
    sim.typing(guid, None, true).unwrap();
    sim.leave(guid, None, true).unwrap();
    let mut seen = String::new();
    while !seen.contains("event: closed") {
        let chunk = timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let names: Vec<_> = seen.lines().filter_map(|l| l.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        ["chat_opened", "joined", "text", "agent_typing", "left", "closed"]
    );
    let data: Vec<Value> = seen
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .map(|d| serde_json::from_str(d).unwrap())
        .collect();
    assert_eq!(data[2]["line"]["text"], "hello");
    assert_eq!(
        data[5],
        json!({"event": "closed", "guid": guid, "reason": "agent"})
    );
    let ends = tokio::spawn(async move { while let Ok(Some(_)) = stream.chunk().await {} });
    drop(customer);
    timeout(PATIENCE, sim.shutdown()).await.unwrap();
    timeout(PATIENCE, ends).await.unwrap().unwrap();
}
