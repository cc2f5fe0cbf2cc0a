//! The reverse proxy in front of AACC, set up badly.

use std::time::Duration;

use ccm_aacc_sim::{
    BodyLimit, Config, Edge, HttpAnswer, NewConnections, Others, OverLimit, Settings, Sim, Skillset,
    UpgradeAnswer, WhiteList,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{client_async, connect_async};

use crate::customer::{Customer, End, PATIENCE, QUIET, http, plain, start};

fn chat_url(sim: &Sim) -> String {
    format!("ws://{}/CustomerControllerWeb/chat", sim.ewc_addr())
}

async fn with_edge(edge: Edge) -> Sim {
    plain(Settings {
        edge,
        ..Settings::default()
    })
    .await
}

async fn upgrade(sim: &Sim) -> Result<(), Error> {
    timeout(PATIENCE, connect_async(chat_url(sim)))
        .await
        .unwrap()
        .map(|_| ())
}

async fn ask_queue(sim: &Sim, skillset: &str) -> reqwest::Response {
    let url = format!("http://{}/CustomerControllerWeb/currentqueue", sim.ewc_addr());
    http()
        .post(url)
        .json(&json!({"skillset": skillset}))
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_upgrade_is_answered_as_set_up_and_can_be_mended() {
    let sim = with_edge(Edge::default()).await;
    let http = |status: u16| {
        UpgradeAnswer::Http(
            HttpAnswer::status(status)
                .header("X-Proxy", "sbc")
                .body("go away"),
        )
    };
    for (answer, status, in_body) in [
        (UpgradeAnswer::HtmlPage, 200, "<html>"),
        (UpgradeAnswer::LoginRedirect, 302, "302 Found"),
        (UpgradeAnswer::HeaderStripped, 426, "426 Upgrade Required"),
        (UpgradeAnswer::status(502), 502, "502 Bad Gateway"),
        (http(403), 403, "go away"),
        (http(401), 401, "go away"),
    ] {
        sim.change_edge(|edge| edge.upgrade = answer.clone());
        let Err(Error::Http(response)) = upgrade(&sim).await else {
            panic!("{answer:?} lets the client in")
        };
        assert_eq!(response.status().as_u16(), status, "{answer:?}");
        let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
        assert!(body.contains(in_body), "{answer:?}: {body}");
        match &answer {
            UpgradeAnswer::LoginRedirect => assert!(response.headers().contains_key("location")),
            UpgradeAnswer::Http(a) if a.body.is_some() => assert_eq!(response.headers()["x-proxy"], "sbc"),
            _ => {}
        }
    }
    sim.change_edge(|edge| edge.upgrade = UpgradeAnswer::Close);
    assert!(!matches!(upgrade(&sim).await, Ok(()) | Err(Error::Http(_))));
    assert_eq!(
        ask_queue(&sim, "").await.status(),
        200,
        "queue metrics have an answer of their own"
    );
    sim.change_edge(|edge| edge.upgrade = UpgradeAnswer::Upgrade);
    Customer::chat(&sim).await;
    assert!(sim.violations().is_empty());
}

#[tokio::test]
async fn an_upgrade_that_hangs_is_never_answered() {
    let sim = with_edge(Edge {
        upgrade: UpgradeAnswer::Hang,
        ..Edge::default()
    })
    .await;
    let hanging = tokio::spawn(connect_async(chat_url(&sim)));
    tokio::time::sleep(QUIET).await;
    assert!(!hanging.is_finished());
    sim.change_edge(|edge| edge.upgrade = UpgradeAnswer::Upgrade);
    assert!(timeout(PATIENCE, hanging).await.unwrap().unwrap().is_err());
    Customer::chat(&sim).await;
}

#[tokio::test]
async fn addresses_that_are_not_on_the_white_list_stay_out() {
    let sim = with_edge(Edge {
        white_list: Some(WhiteList {
            allow: vec!["127.0.0.2".parse().unwrap()],
            others: Others::Reset,
        }),
        ..Edge::default()
    })
    .await;
    assert!(matches!(upgrade(&sim).await, Err(Error::Io(_))));
    sim.change_edge(|edge| edge.white_list.as_mut().unwrap().others = Others::Forbidden);
    let Err(Error::Http(response)) = upgrade(&sim).await else {
        panic!("a stranger came in")
    };
    assert_eq!(response.status(), 403);
    assert_eq!(ask_queue(&sim, "").await.status(), 403);
    let friend = TcpSocket::new_v4().unwrap();
    friend.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let tcp = friend.connect(sim.ewc_addr()).await.unwrap();
    client_async(chat_url(&sim), tcp).await.unwrap();
}

#[tokio::test]
async fn frames_over_the_body_limit_end_the_socket() {
    let sim = with_edge(Edge {
        body_limit: Some(BodyLimit {
            bytes: 1000,
            over: OverLimit::Close,
        }),
        ..Edge::default()
    })
    .await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    customer.text(&"x".repeat(800)).await;
    customer.expect_ack(true).await;
    customer.text(&"x".repeat(1000)).await;
    assert_eq!(customer.end().await, End::Closed(1009));
    assert_eq!(sim.chat(guid).unwrap().received, 1);
    sim.change_edge(|edge| edge.body_limit.as_mut().unwrap().over = OverLimit::Reset);
    let (mut customer, ..) = Customer::live(&sim).await;
    customer.text(&"x".repeat(1000)).await;
    assert_eq!(customer.end().await, End::Lost);
    assert_eq!(ask_queue(&sim, &"x".repeat(1000)).await.status(), 413);
}

#[tokio::test]
async fn five_megabytes_are_too_much_for_any_proxy() {
    let sim = with_edge(Edge::default()).await;
    let (mut customer, ..) = Customer::live(&sim).await;
    let _ = futures::SinkExt::send(&mut customer.ws, Message::text("x".repeat((5 << 20) + 1))).await;
    assert!(matches!(customer.end().await, End::Closed(1009) | End::Lost));
    let rules: Vec<String> = sim.violations().into_iter().map(|v| v.rule).collect();
    assert_eq!(rules, ["frame_size"]);
}

#[tokio::test]
async fn connections_are_closed_after_the_handshake() {
    let sim = start(Config::default()).await;
    sim.set_faults(|f| f.new_connections = NewConnections::CloseAfterTls);
    let mut tcp = TcpStream::connect(sim.ewc_addr()).await.unwrap();
    let read = timeout(PATIENCE, tcp.read(&mut [0; 8])).await.unwrap();
    assert_eq!(read.unwrap(), 0, "closed in good order");
}

#[tokio::test]
async fn a_tls_client_on_a_plain_port_gets_plain_http() {
    let sim = plain(Settings::default()).await;
    let mut tcp = TcpStream::connect(sim.ewc_addr()).await.unwrap();
    tcp.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 3, 13, 10, 13, 10])
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}

#[tokio::test]
async fn queue_metrics_can_be_withheld() {
    let sim = plain(Settings {
        skillsets: vec![Skillset {
            name: "WC_Sales".into(),
            available_agents: 4,
            ..Skillset::default()
        }],
        known_skillsets_only: true,
        ..Settings::default()
    })
    .await;
    let metrics = async |skillset: &str| {
        ask_queue(&sim, skillset).await.json::<Value>().await.unwrap()["body"]["metrics"].clone()
    };
    assert_eq!(metrics("WC_Sales").await[0]["availableAgentsInQueue"], 4);
    assert_eq!(
        metrics("WC_Elsewhere").await,
        json!([]),
        "an unknown skillset is left out"
    );
    sim.change_settings(|s| s.skillset_mut("WC_Sales").available_agents = 0);
    assert_eq!(metrics("WC_Sales").await[0]["availableAgentsInQueue"], 0);
    for status in [404, 403, 500] {
        sim.change_edge(|edge| edge.queue = Some(HttpAnswer::status(status)));
        assert_eq!(ask_queue(&sim, "WC_Sales").await.status(), status);
    }
    sim.reset();
    assert_eq!(
        metrics("WC_Sales").await[0]["availableAgentsInQueue"],
        4,
        "as at the start"
    );
}

#[tokio::test]
async fn resumes_and_chats_can_be_refused_always() {
    let sim = plain(Settings {
        survive_for: Duration::ZERO,
        ..Settings::default()
    })
    .await;
    let (_customer, guid, key) = Customer::chat(&sim).await;
    sim.break_sockets(guid.into(), ccm_aacc_sim::Break::Reset);
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, false)).await;
    back.expect_expired().await;

    let (_customer, guid, key) = Customer::chat(&sim).await;
    sim.set_faults(|f| f.refuse_resumes = true);
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, false)).await;
    back.expect_expired().await;

    sim.change_settings(|s| s.chats_per_customer = Some(0));
    back.send(crate::customer::open_body("+1", "")).await;
    back.expect_error(500, "Maximum number of concurrent chats reached")
        .await;
}

#[tokio::test]
async fn the_set_up_changes_over_the_control_api() {
    let sim = plain(Settings::default()).await;
    let base = format!("http://{}/control", sim.control_addr());
    let post = async |path: &str, body: Value| {
        let response = http()
            .post(format!("{base}{path}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let (status, edge) = post(
        "/edge",
        json!({"upgrade": {"http": {"status": 404}}, "queue": {"status": 403}}),
    )
    .await;
    assert_eq!((status, &edge["upgrade"]["http"]["status"]), (200, &json!(404)));
    let (_, edge) = post("/edge", json!({"queue": null})).await;
    assert_eq!(
        (&edge["queue"], &edge["upgrade"]["http"]["status"]),
        (&Value::Null, &json!(404))
    );
    assert!(matches!(upgrade(&sim).await, Err(Error::Http(r)) if r.status() == 404));
    assert_eq!(
        post("/edge", json!({"upgrade": {"http": {"status": 101}}}))
            .await
            .0,
        422
    );

    let (_, settings) = post(
        "/settings",
        json!({"survive_for_ms": 5, "any_skillset": {"available_agents": 0}}),
    )
    .await;
    assert_eq!(
        (
            &settings["survive_for_ms"],
            &settings["any_skillset"]["available_agents"]
        ),
        (&json!(5), &json!(0))
    );
    assert_eq!(
        settings["any_skillset"]["agent_label"], "[Agent]",
        "what is left out stays"
    );
    assert_eq!(sim.settings().survive_for, Duration::from_millis(5));
    assert_eq!(post("/settings", json!({"survive": 1})).await.0, 422);

    let (_, sales) = post("/skillsets/WC_Sales", json!({"available_agents": 7})).await;
    assert_eq!(
        (&sales["name"], &sales["available_agents"]),
        (&json!("WC_Sales"), &json!(7))
    );
    assert_eq!(post("/tls", json!({})).await.0, 404, "plain ws has no TLS side");
}
