//! Malformed requests: answered as a tolerant server does, and listed.

use std::time::Duration;

use ccm_aacc_sim::{Settings, Severity, Sim};
use futures::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::customer::{Customer, PATIENCE, http, plain};

fn rules(sim: &Sim) -> Vec<String> {
    sim.violations().into_iter().map(|v| v.rule).collect()
}

#[tokio::test]
async fn malformed_frames_are_listed_and_refused() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    customer.send_text("this is +14697206211, no JSON").await;
    customer.expect_error(1, "Invalid message").await;
    customer.send(json!({"method": "renewChat", "guid": 1})).await;
    customer.expect_error(1, "Invalid message").await;
    customer
        .send_text(r#"{"type":"request","body":{"method":"newMessage","message":"no version"}}"#)
        .await;
    customer.expect_ack(true).await;
    customer
        .send(json!({"method": "NEWMESSAGE", "message": "case"}))
        .await;
    customer.expect_ack(true).await;
    customer.send(json!({"method": "newMessage"})).await;
    customer.expect_error(1, "Invalid message").await;
    assert_eq!(
        rules(&sim),
        [
            "not_json",
            "unknown_method",
            "api_version",
            "case",
            "field_missing"
        ]
    );
    let violations = sim.violations();
    assert!(
        violations
            .iter()
            .all(|v| v.guid == Some(guid) && v.socket == Some(1))
    );
    assert_eq!(violations[3].severity, Severity::Tolerated);
    assert!(
        !format!("{violations:?}").contains("7206211"),
        "no content in the list"
    );
}

#[tokio::test]
async fn frames_without_a_chat_and_second_chats_are_listed() {
    let sim = plain(Settings::default()).await;
    let mut customer = Customer::dial(&sim).await;
    customer.text("nobody asked for a chat").await;
    customer.expect_not_started().await;
    let (guid, key) = customer.open("+1", "").await;
    customer.send(crate::customer::open_body("+1", "")).await;
    customer.expect_error(1, "Invalid message").await;
    customer
        .send(json!({"method": "requestChat", "guid": guid, "authenticationKey": null}))
        .await;
    customer.expect_expired().await;
    customer
        .send(json!({"method": "requestChat", "guid": guid.to_string(), "authenticationKey": key}))
        .await;
    customer.expect("requestChat").await;
    customer.ws.send(Message::binary(vec![1, 2])).await.unwrap();
    customer.send(json!({"method": "ping"})).await;
    customer.expect("ping").await;
    let rules = rules(&sim);
    for rule in [
        "no_chat",
        "second_chat",
        "guid_and_key",
        "field_missing",
        "field_type",
        "binary_frame",
    ] {
        assert!(rules.iter().any(|r| r == rule), "{rule} in {rules:?}");
    }
}

#[tokio::test]
async fn other_paths_methods_and_upgrades_are_refused() {
    let sim = plain(Settings::default()).await;
    let http = http();
    let at = |path: &str| format!("http://{}{path}", sim.ewc_addr());
    assert_eq!(http.get(at("/")).send().await.unwrap().status(), 404);
    assert_eq!(
        http.get(at("/CustomerControllerWeb/chat"))
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        http.post(at("/CustomerControllerWeb/chat"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    assert_eq!(rules(&sim), ["http_path", "http_upgrade", "http_method"]);
}

#[tokio::test]
async fn the_queue_metrics_count_who_waits() {
    let sim = plain(Settings::default()).await;
    let (_waiting, ..) = Customer::chat(&sim).await;
    let (_live, ..) = Customer::live(&sim).await;
    let (_other, ..) = (Customer::dial(&sim).await.open("+2", "WC_Sales").await, ());
    sim.wait_for_chat(|c| c.skillset == "WC_Sales", PATIENCE)
        .await
        .unwrap();
    let http = http();
    let url = format!("http://{}/CustomerControllerWeb/currentqueue", sim.ewc_addr());
    let ask = async |body: serde_json::Value| http.post(&url).json(&body).send().await.unwrap();
    let one: serde_json::Value = ask(json!({"skillset": "WC_Default_Skillset"}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        one,
        json!({"body": {"metrics": [{"queueName": "WC_Default_Skillset", "customersInQueue": 1,
            "availableAgentsInQueue": 1, "maxConcurrentChats": 50}]}})
    );
    let all: serde_json::Value = ask(json!({"skillset": ""})).await.json().await.unwrap();
    assert_eq!(all["body"]["metrics"].as_array().unwrap().len(), 2);
    assert_eq!(ask(json!(["?"])).await.status(), 400);
    assert_eq!(rules(&sim), ["queue_request"]);
    sim.set_faults(|f| f.maintenance = true);
    assert_eq!(ask(json!({"skillset": ""})).await.status(), 503);
}

#[tokio::test]
async fn texts_into_an_empty_room_are_listed() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::chat(&sim).await;
    customer.text("too early").await;
    customer.expect_not_started().await;
    assert_eq!(rules(&sim), ["empty_room"]);
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, false)).await;
    back.expect("requestChat").await;
    back.text("who knows who is in").await;
    back.expect_not_started().await;
    sim.join(guid, ccm_aacc_sim::Agent::new("7000", "Russell"))
        .unwrap();
    back.expect("newParticipant").await;
    sim.leave(guid, None, false).unwrap();
    back.text("crosses the leaving").await;
    back.expect("participantLeave").await;
    back.expect_not_started().await;
    assert_eq!(rules(&sim), ["empty_room"], "neither is against the protocol");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    back.text("nobody is in").await;
    back.expect_not_started().await;
    assert_eq!(rules(&sim), ["empty_room", "empty_room"]);
}

#[tokio::test]
async fn two_sockets_for_one_chat_and_hasty_pings_are_listed() {
    let sim = plain(Settings {
        superseded_close_code: 1000,
        ..Settings::default()
    })
    .await;
    let (mut old, guid, key) = Customer::live(&sim).await;
    old.send(json!({"method": "ping"})).await;
    old.send(json!({"method": "ping"})).await;
    old.expect("ping").await;
    old.expect("ping").await;
    let mut new = Customer::dial(&sim).await;
    new.send(crate::customer::resume_body(guid, &key, false)).await;
    new.expect("requestChat").await;
    // The old socket's close frame is not read, so it can still write.
    tokio::time::sleep(Duration::from_millis(300)).await;
    old.text("on the old socket").await;
    new.text("on the new one").await;
    new.expect_ack(true).await;
    assert_eq!(old.end().await, crate::customer::End::Closed(1000));
    let found: Vec<_> = sim
        .violations()
        .into_iter()
        .map(|v| (v.rule, v.severity))
        .collect();
    assert_eq!(found[0], ("ping_rate".into(), Severity::Tolerated));
    assert_eq!(found[1], ("superseded_socket".into(), Severity::Malformed));
    assert_eq!(
        sim.chat(guid).unwrap().received,
        1,
        "what came on the old socket is not taken"
    );
}

#[tokio::test]
async fn closes_connects_and_unanswered_pings_are_counted() {
    let sim = plain(Settings {
        ws_ping_every: Some(Duration::from_millis(100)),
        ..Settings::default()
    })
    .await;
    let (mut polite, ..) = Customer::chat(&sim).await;
    let heard = tokio::time::timeout(crate::customer::QUIET, polite.next()).await;
    assert!(heard.is_err(), "nothing but pings, which are answered");
    polite.ws.close(None).await.unwrap();
    while futures::StreamExt::next(&mut polite.ws).await.is_some() {}
    let (silent, ..) = Customer::chat(&sim).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    drop(silent);
    while sim.stats().abrupt_closes == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stats = sim.stats();
    assert_eq!((stats.clean_closes, stats.abrupt_closes), (1, 1));
    assert!((1..=2).contains(&stats.peak_connects_per_s), "{stats:?}");
    let rules = rules(&sim);
    assert!(
        !rules.is_empty() && rules.iter().all(|r| r == "no_pong"),
        "who does not read answers no ping: {rules:?}"
    );
    sim.reset_stats();
    assert_eq!(sim.stats().peak_connects_per_s, 0);
}
