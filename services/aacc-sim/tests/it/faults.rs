//! Everything that can be made to fail does.

use std::time::Duration;

use ccm_aacc_sim::{Agent, Break, ChatState, Link, NewConnections, Settings, Target};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async;

use crate::customer::{CUSTOMER, Customer, End, PATIENCE, QUIET, open_body, plain, resume_body};

#[tokio::test]
async fn sockets_are_closed_and_reset() {
    for (how, end) in [(Break::Close, End::Closed(1001)), (Break::Reset, End::Lost)] {
        let sim = plain(Settings::default()).await;
        let (mut customer, guid, key) = Customer::live(&sim).await;
        let (mut other, ..) = Customer::chat(&sim).await;
        assert_eq!(sim.break_sockets(guid.into(), how), 1);
        assert_eq!(customer.end().await, end);
        assert_eq!(sim.chat(guid).unwrap().link, Link::Lost);
        other.send(json!({"method": "ping"})).await;
        other.expect("ping").await;
        let mut back = Customer::dial(&sim).await;
        back.send(resume_body(guid, &key, false)).await;
        back.expect("requestChat").await;
        assert_eq!(sim.break_sockets(Target::All, how), 2);
        assert_eq!(back.end().await, end);
        assert_eq!(other.end().await, end);
        assert!(
            sim.violations().is_empty(),
            "a broken link is no violation: {:?}",
            sim.violations()
        );
    }
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset() {
    use tokio::io::AsyncReadExt;
    let sim = plain(Settings::default()).await;
    let (customer, guid, _) = Customer::live(&sim).await;
    let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = customer.ws.get_ref() else {
        unreachable!()
    };
    let port = tcp.local_addr().unwrap().port();
    sim.break_sockets(guid.into(), Break::Reset);
    let mut tcp = match customer.ws.into_inner() {
        tokio_tungstenite::MaybeTlsStream::Plain(tcp) => tcp,
        _ => unreachable!(),
    };
    assert_eq!(tcp.local_addr().unwrap().port(), port);
    let error = timeout(PATIENCE, tcp.read(&mut [0; 16]))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_black_hole_keeps_tcp_open_and_carries_nothing() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    sim.break_sockets(guid.into(), Break::BlackHole);
    customer.send(json!({"method": "ping"})).await;
    customer.text("into the void").await;
    sim.say(guid, None, "never sent").unwrap();
    customer.expect_quiet().await;
    let chat = sim.chat(guid).unwrap();
    assert_eq!(
        (chat.link, chat.received),
        (Link::Open(1), 0),
        "AACC takes the socket for open"
    );
    assert!(!sim.record().chats[0].said[0].delivered_to_socket);
    sim.join(guid, Agent::new("7001", "Ann")).unwrap();

    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect("requestChat").await;
    assert_eq!(
        back.expect("newParticipant").await["agentId"],
        "7001",
        "what the hole swallowed"
    );
    back.text("through").await;
    back.expect_ack(true).await;
    assert_eq!(sim.record().chats[0].received.len(), 1);

    sim.break_sockets(guid.into(), Break::BlackHole);
    sim.break_sockets(guid.into(), Break::Reset);
    assert_eq!(back.end().await, End::Lost, "a reset ends a black hole");
}

#[tokio::test]
async fn sessions_expire_on_order() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    let (_other, second, _) = Customer::chat(&sim).await;
    assert_eq!(sim.expire(guid.into()), 1);
    customer.text("dead").await;
    customer.expect_not_started().await;
    customer.send(resume_body(guid, &key, false)).await;
    customer.expect_expired().await;
    let (new, _) = customer.open(CUSTOMER, "WC_Default_Skillset").await;
    assert_eq!(sim.chat(new).unwrap().state, ChatState::Waiting);
    assert_eq!(sim.expire(Target::All), 2);
    assert_eq!(sim.chat(second).unwrap().state, ChatState::Ended);
}

#[tokio::test]
async fn new_connections_are_refused_or_hang() {
    let sim = plain(Settings::default()).await;
    let url = format!("ws://{}/CustomerControllerWeb/chat", sim.ewc_addr());
    let (mut open, ..) = Customer::chat(&sim).await;
    sim.set_faults(|f| f.new_connections = NewConnections::Refuse);
    assert!(timeout(PATIENCE, connect_async(&url)).await.unwrap().is_err());
    open.send(json!({"method": "ping"})).await;
    open.expect("ping").await;

    sim.set_faults(|f| f.new_connections = NewConnections::Hang);
    let hanging = tokio::spawn(connect_async(url));
    tokio::time::sleep(QUIET).await;
    assert!(!hanging.is_finished());
    sim.set_faults(|f| f.new_connections = NewConnections::Accept);
    assert!(
        timeout(PATIENCE, hanging).await.unwrap().unwrap().is_err(),
        "what hung is reset"
    );
    Customer::chat(&sim).await;
}

#[tokio::test]
async fn acknowledgements_come_late_or_never_or_say_no() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.set_faults(|f| f.ack_delay_ms = 200);
    let sent = Instant::now();
    customer.text("slow").await;
    customer.expect_ack(true).await;
    assert!(sent.elapsed() >= Duration::from_millis(200));
    sim.set_faults(|f| f.ack_delay_ms = 0);

    sim.set_faults(|f| f.withhold_acks = 1);
    customer.text("no answer").await;
    customer.expect_quiet().await;
    customer.text("answered").await;
    customer.expect_ack(true).await;

    sim.set_faults(|f| f.refuse_texts = 1);
    customer.text("refused").await;
    customer.expect_ack(false).await;
    let texts: Vec<_> = sim.record().chats[0]
        .received
        .iter()
        .map(|r| r.text.clone())
        .collect();
    assert_eq!(
        texts,
        ["slow", "no answer", "answered"],
        "a withheld acknowledgement hides no text, a refusal does"
    );
    assert_eq!(sim.chat(guid).unwrap().received, 3);
}

#[tokio::test]
async fn texts_sent_before_a_late_acknowledgement_are_noted() {
    let sim = plain(Settings::default()).await;
    let (mut customer, ..) = Customer::live(&sim).await;
    sim.set_faults(|f| f.ack_delay_ms = 100);
    customer.text("one").await;
    customer.text("two").await;
    customer.expect_ack(true).await;
    customer.expect_ack(true).await;
    let rules: Vec<_> = sim.violations().into_iter().map(|v| v.rule).collect();
    assert_eq!(rules, ["in_flight"]);
}

#[tokio::test]
async fn maintenance_refuses_chats_and_metrics() {
    let sim = plain(Settings::default()).await;
    let (mut open, guid, key) = Customer::live(&sim).await;
    sim.set_faults(|f| f.maintenance = true);
    let mut new = Customer::dial(&sim).await;
    for body in [open_body(CUSTOMER, ""), resume_body(guid, &key, false)] {
        new.send(body).await;
        new.expect_error(503, "Contact center is shutting down").await;
    }
    open.text("what is open goes on").await;
    open.expect_ack(true).await;
    sim.set_faults(|f| f.maintenance = false);
    new.open(CUSTOMER, "").await;
}

#[tokio::test]
async fn pings_go_unanswered_and_garbage_comes() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    sim.set_faults(|f| f.ignore_pings = true);
    customer.send(json!({"method": "ping"})).await;
    customer.expect_quiet().await;
    let unknown = json!({"apiVersion": 2, "type": "surprise", "body": {"method": "newThing"}});
    sim.send_frame(guid, unknown.to_string()).unwrap();
    assert_eq!(customer.next().await, unknown);
    sim.send_frame(guid, "42").unwrap();
    assert_eq!(customer.next().await, 42);
}

#[tokio::test]
async fn idle_sockets_are_cut_where_configured() {
    let settings = Settings {
        cut_idle_after: Some(Duration::from_millis(300)),
        ..Settings::default()
    };
    let sim = plain(settings).await;
    let (mut customer, ..) = Customer::chat(&sim).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        customer.send(json!({"method": "ping"})).await;
        customer.expect("ping").await;
    }
    assert_eq!(customer.end().await, End::Lost);
}

#[tokio::test]
async fn a_shutdown_closes_sockets_and_frees_the_port() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    let (mut hole, hole_guid, _) = Customer::chat(&sim).await;
    sim.break_sockets(hole_guid.into(), Break::BlackHole);
    let addr = sim.ewc_addr();
    let reading = tokio::spawn(async move { customer.end().await });
    timeout(PATIENCE, sim.shutdown()).await.unwrap();
    assert_eq!(reading.await.unwrap(), End::Closed(1001));
    assert_eq!(hole.end().await, End::Lost, "nothing comes out of a black hole");
    let config = ccm_aacc_sim::Config {
        listen: addr,
        ..Default::default()
    };
    let again = crate::customer::start(config).await;
    let mut back = Customer::dial(&again).await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect_expired().await;
}

#[tokio::test]
async fn texts_are_answered_in_every_wrong_way() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.set_faults(|f| f.internal_error_texts = 1);
    customer.text("500").await;
    customer.expect_error(500, "Internal error").await;
    sim.set_faults(|f| f.unknown_error_texts = 1);
    customer.text("unknown").await;
    customer.expect_error(4711, "Unexpected condition").await;
    assert_eq!(sim.chat(guid).unwrap().received, 0, "neither reached the agent");
    sim.set_faults(|f| f.surplus_acks = 1);
    customer.text("twice").await;
    customer.expect_ack(true).await;
    customer.expect_ack(true).await;
    sim.set_faults(|f| f.close_after_ack = 1);
    customer.text("answered, then closed").await;
    customer.expect_ack(true).await;
    assert_eq!(customer.end().await, End::Closed(1001));
    let (mut customer, second, _) = Customer::live(&sim).await;
    sim.set_faults(|f| f.close_before_ack = 1);
    customer.text("closed").await;
    assert_eq!(customer.end().await, End::Closed(1001));
    assert_eq!(
        (
            sim.chat(guid).unwrap().received,
            sim.chat(second).unwrap().received
        ),
        (2, 1)
    );
    assert_eq!(sim.faults(), Default::default(), "all are used up");
}

#[tokio::test]
async fn half_open_links_carry_one_way() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    sim.break_sockets(guid.into(), Break::HalfOpen);
    customer.text("it arrives").await;
    sim.wait_for(guid, |c| c.received == 1, PATIENCE).await.unwrap();
    sim.say(guid, None, "it does not").unwrap();
    sim.join(guid, Agent::new("7001", "Ann")).unwrap();
    customer.expect_quiet().await;
    assert!(!sim.record().chats[0].said[0].delivered_to_socket);
    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect("requestChat").await;
    assert_eq!(
        back.expect("newParticipant").await["agentId"],
        "7001",
        "what got lost"
    );
}

#[tokio::test]
async fn frozen_sockets_stand_still_and_go_on() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    let sent = Instant::now();
    assert_eq!(sim.freeze(guid.into(), Duration::from_millis(300)), 1);
    // The order may still be on its way; a frame behind it is not.
    sim.say(guid, None, "late").unwrap();
    customer.expect("newMessage").await;
    assert!(sent.elapsed() >= Duration::from_millis(300));
    customer.text("in time").await;
    customer.expect_ack(true).await;
}

#[tokio::test]
async fn frames_are_split_dripped_doubled_and_strange() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    let text = "größer 🙂 ".repeat(30);
    sim.set_faults(|f| f.fragment_bytes = 7);
    sim.say(guid, None, &text).unwrap();
    assert_eq!(customer.expect("newMessage").await["message"], text);
    sim.set_faults(|f| (f.fragment_bytes, f.drip_bytes, f.drip_pause_ms) = (0, 100, 20));
    let begin = Instant::now();
    sim.say(guid, None, &text).unwrap();
    assert_eq!(customer.expect("newMessage").await["message"], text);
    assert!(begin.elapsed() >= Duration::from_millis(60), "about five drops");
    sim.set_faults(|f| (f.drip_bytes, f.duplicate_notifications) = (0, 1));
    sim.say(guid, None, "twice").unwrap();
    for _ in 0..2 {
        assert_eq!(customer.expect("newMessage").await["message"], "twice");
    }
    sim.set_faults(|f| f.unknown_method_every = 1);
    sim.say(guid, None, "after a strange one").unwrap();
    customer.expect("newSimulatorGreeting").await;
    customer.expect("newMessage").await;
    assert_eq!(sim.record().chats[0].said.len(), 4);
}

#[tokio::test]
async fn the_same_drips_through_tls() {
    let sim = ccm_aacc_sim::Sim::start(ccm_aacc_sim::Config::default())
        .await
        .unwrap();
    let mut customer = crate::tls::dial_tls(sim.ewc_addr(), sim.ca_pem().unwrap(), "localhost")
        .await
        .unwrap();
    let (guid, _) = customer.open(CUSTOMER, "").await;
    sim.set_faults(|f| (f.drip_bytes, f.drip_pause_ms) = (50, 1));
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    assert_eq!(customer.expect("newParticipant").await["agentId"], "7000");
    sim.set_faults(|f| f.drip_bytes = 0);
    sim.say(guid, None, "flows").unwrap();
    customer.expect("newMessage").await;
}
