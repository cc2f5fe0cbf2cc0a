//! Agents who play by themselves.

use std::time::Duration;

use ccm_aacc_sim::{AutoAgent, ChatState, Config, Script, Settings};
use serde_json::json;

use crate::customer::{CUSTOMER, Customer, PATIENCE, start};

#[tokio::test]
async fn a_script_plays_a_whole_conversation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.toml");
    let text = r#"
        [aacc.any_skillset]
        welcome = "Welcome"
        [[agents]]
        skillset = "WC_Default_Skillset"
        customers = ["+1469*"]
        join_after_ms = 20
        greeting = "{tag} {agent} here"
        tag = "r-{n}"
        replies = ["{tag} you wrote: {text}"]
        reply_after_ms = 10
        typing = true
        leave_after_texts = 2
    "#;
    std::fs::write(&path, text).unwrap();
    let script = Script::load(&path).unwrap();
    let sim = start(Config {
        settings: script.aacc,
        agents: script.agents,
        ..Config::default()
    })
    .await;

    let (mut customer, guid, _) = Customer::chat(&sim).await;
    assert_eq!(customer.expect("newParticipant").await["agentId"], "7000");
    assert_eq!(customer.expect("newMessage").await["message"], "[Agent] Welcome");
    assert_eq!(customer.expect("newMessage").await["message"], "r-1 Russell here");
    for (text, answer) in [
        ("first", "r-2 you wrote: first"),
        ("{n} second", "r-3 you wrote: {n} second"),
    ] {
        customer.text(text).await;
        customer.expect_ack(true).await;
        assert_eq!(customer.expect("isTyping").await["isTyping"], true);
        assert_eq!(customer.expect("newMessage").await["message"], answer);
    }
    assert_eq!(customer.expect("participantLeave").await["endChatFlag"], true);
    sim.wait_for(guid, |c| c.state == ChatState::Ended, PATIENCE)
        .await
        .unwrap();
    customer.send(json!({"method": "closeConversation"})).await;
    customer.expect_not_started().await;

    let (mut again, ..) = Customer::chat(&sim).await;
    again.expect("newParticipant").await;
    again.expect("newMessage").await;
    assert_eq!(
        again.expect("newMessage").await["message"],
        "r-4 Russell here",
        "numbers go on for a customer"
    );

    let mut other = Customer::dial(&sim).await;
    other.open("+4477", "WC_Default_Skillset").await;
    other.expect_quiet().await;
}

#[tokio::test]
async fn a_wrong_script_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.json");
    std::fs::write(&path, r#"{"agents": [{"reply": "x"}]}"#).unwrap();
    let error = Script::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("agents.json") && error.contains("reply"),
        "{error}"
    );
    assert!(
        Script::load(&dir.path().join("none.json"))
            .unwrap_err()
            .to_string()
            .contains("none.json")
    );
}

#[tokio::test]
async fn places_are_limited_and_shared_out() {
    let rule = AutoAgent {
        agents: 2,
        chats_per_agent: Some(1),
        leave_after_texts: Some(1),
        ..AutoAgent::default()
    };
    let sim = start(Config {
        agents: vec![rule],
        ..Config::default()
    })
    .await;
    let (mut first, ..) = Customer::chat(&sim).await;
    let (mut second, ..) = Customer::chat(&sim).await;
    let mut ids = [
        first.expect("newParticipant").await,
        second.expect("newParticipant").await,
    ]
    .map(|p| p["agentId"].as_str().unwrap().to_owned());
    ids.sort();
    assert_eq!(ids, ["7000", "7001"]);
    let (mut third, ..) = Customer::chat(&sim).await;
    third.expect_quiet().await;
    first.text("bye").await;
    first.expect_ack(true).await;
    let answer = first.expect("newMessage").await;
    assert_eq!(answer["message"], "#a-14697206211-1 bye", "the default template");
    third.expect("newParticipant").await;
}

#[tokio::test]
async fn an_agent_leaves_the_customer_on_hold_and_comes_back() {
    let rule = AutoAgent {
        leave_after_ms: Some(50),
        end_chat: false,
        rejoin_after_ms: Some(50),
        replies: Vec::new(),
        ..AutoAgent::default()
    };
    let sim = start(Config {
        agents: vec![rule],
        ..Config::default()
    })
    .await;
    let (mut customer, ..) = Customer::chat(&sim).await;
    for _ in 0..2 {
        customer.expect("newParticipant").await;
        assert_eq!(customer.expect("participantLeave").await["endChatFlag"], false);
    }
}

#[tokio::test]
async fn without_a_record_chats_are_counted_and_forgotten() {
    let settings = Settings {
        record: false,
        chats_per_customer: None,
        ..Settings::default()
    };
    let now_ns = 1_800_000_000_000_000_000u64;
    let sim = start(Config {
        settings,
        agents: vec![AutoAgent {
            leave_after_texts: Some(2),
            ..AutoAgent::default()
        }],
        now_ns: std::sync::Arc::new(move || now_ns),
        ..Config::default()
    })
    .await;
    let (mut customer, guid, key) = Customer::chat(&sim).await;
    customer.expect("newParticipant").await;
    customer.text(&format!("c-1 TS{}", now_ns - 3_000_000)).await;
    customer.expect_ack(true).await;
    customer.expect("newMessage").await;
    assert!(sim.chat(guid).unwrap().transcript.is_empty());
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, true)).await;
    back.expect("requestChat").await;
    back.text("c-2").await;
    back.expect_ack(true).await;
    back.expect("newMessage").await;
    back.expect("participantLeave").await;
    let stats = sim.stats();
    assert_eq!((stats.count, stats.lat_n, stats.chats), (2, 1, 0));
    assert!((2_990..=3_010).contains(&stats.p50_us), "{stats:?}");
    assert!(sim.chats().is_empty());
    back.text("dead").await;
    back.expect_not_started().await;
    back.send(crate::customer::resume_body(guid, &key, true)).await;
    back.expect_expired().await;
    tokio::time::timeout(Duration::from_secs(5), sim.shutdown())
        .await
        .unwrap();
    sim.reset_stats();
    assert_eq!(sim.stats().count, 0);
    assert!(sim.violations().is_empty(), "{CUSTOMER}: {:?}", sim.violations());
}
