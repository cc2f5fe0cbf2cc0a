//! What agents do, as the customer's side sees it.

use ccm_aacc_sim::{Agent, ChatState, EndReason, LineKind, OpError, Page, Role, Settings, Skillset};
use futures::StreamExt;
use serde_json::json;

use crate::customer::{CUSTOMER, Customer, PATIENCE, plain};

#[tokio::test]
async fn an_agent_talks() {
    let any_skillset = Skillset {
        welcome: Some("Welcome to us".into()),
        ..Skillset::default()
    };
    let sim = plain(Settings {
        any_skillset,
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    let welcome = customer.expect("newMessage").await;
    assert_eq!(
        (&welcome["message"], &welcome["displayName"]),
        (&json!("[Agent] Welcome to us"), &json!("Agent"))
    );

    sim.typing(guid, "7000", true).unwrap();
    let typing = customer.expect("isTyping").await;
    assert_eq!(
        (&typing["displayName"], &typing["isTyping"]),
        (&json!("Russell"), &json!(true))
    );
    assert_eq!(sim.chat(guid).unwrap().agents_typing, ["7000"]);
    sim.say(guid, None, "is 1 < 2 & 3 > 2 ‹yes›?").unwrap();
    let said = customer.expect("newMessage").await;
    assert_eq!(
        (&said["message"], &said["displayName"]),
        (&json!("is 1  2 & 3  2 ‹yes›?"), &json!("Russell"))
    );
    assert!(said["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    sim.say_raw(guid, None, "1 &lt; 2 &amp; 3").unwrap();
    assert_eq!(customer.expect("newMessage").await["message"], "1 &lt; 2 &amp; 3");
    let page = Page {
        url: "https://www.example.com/order/17".into(),
        ..Page::default()
    };
    sim.push_page(guid, None, page).unwrap();
    let pushed = customer.expect("newPushPageMessage").await;
    assert_eq!(pushed["pagePushURL"], "https://www.example.com/order/17");
    assert_eq!(pushed["pagePushDestination"], "newTab");

    let chat = sim.chat(guid).unwrap();
    assert!(chat.agents_typing.is_empty(), "who has said it types no more");
    let kinds: Vec<_> = chat.transcript.iter().map(|l| l.kind).collect();
    let text = LineKind::Text;
    assert_eq!(
        kinds,
        [LineKind::Joined, LineKind::Welcome, text, text, LineKind::Page]
    );
    let said: Vec<_> = sim
        .record()
        .chats
        .remove(0)
        .said
        .into_iter()
        .map(|s| (s.text, s.delivered_to_socket))
        .collect();
    assert_eq!(said[2], ("1 &lt; 2 &amp; 3".into(), true));
    assert_eq!(said.len(), 4);
}

#[tokio::test]
async fn the_customer_types_and_pushes() {
    let sim = plain(Settings::default()).await;
    let events = sim.events();
    let (mut customer, guid, _) = Customer::live(&sim).await;
    customer
        .send(json!({"method": "isTyping", "isTyping": true}))
        .await;
    sim.wait_for(guid, |c| c.customer_typing, PATIENCE).await.unwrap();
    customer.text("done").await;
    customer.expect_ack(true).await;
    let url = "https://www.example.com";
    customer
        .send(json!({"method": "newPushPageMessage", "pagePushURL": url, "pagePushDestination": "newTab"}))
        .await;
    let chat = sim.wait_for(guid, |c| c.unread == 2, PATIENCE).await.unwrap();
    assert!(!chat.customer_typing);
    assert_eq!(chat.transcript.last().unwrap().text, url);
    customer.expect_quiet().await;
    sim.mark_read(guid).unwrap();
    assert_eq!(sim.chat(guid).unwrap().unread, 0);
    let names: Vec<_> = events
        .take(5)
        .map(|e| {
            serde_json::to_value(e).unwrap()["event"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
        .await;
    assert_eq!(
        names,
        ["chat_opened", "joined", "customer_typing", "text", "text"]
    );
}

#[tokio::test]
async fn a_transfer_puts_the_customer_on_hold() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.transfer(guid, None, None).unwrap();
    let left = customer.expect("participantLeave").await;
    assert_eq!(
        (&left["endChatFlag"], &left["leaveReason"]),
        (&json!(false), &json!("transfer"))
    );
    assert_eq!(
        (&left["numberOfParticipants"], &left["participants"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(sim.chat(guid).unwrap().state, ChatState::Waiting);
    customer.text("held?").await;
    customer.expect_not_started().await;
    sim.join(guid, Agent::new("7001", "Ann")).unwrap();
    customer.expect("newParticipant").await;
    customer.text("now").await;
    customer.expect_ack(true).await;
    sim.transfer(guid, "7001", Some(Agent::new("7002", "Bob")))
        .unwrap();
    customer.expect("participantLeave").await;
    assert_eq!(customer.expect("newParticipant").await["displayName"], "Bob");
}

#[tokio::test]
async fn several_agents_and_an_end() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.join(guid, Agent::new("7001", "Ann")).unwrap();
    assert_eq!(customer.expect("newParticipant").await["numberOfParticipants"], 3);
    let already = OpError::AgentAlreadyIn {
        guid,
        agent_id: "7001".into(),
    };
    assert_eq!(sim.join(guid, Agent::new("7001", "Ann")), Err(already));
    sim.leave(guid, "7000", false).unwrap();
    let left = customer.expect("participantLeave").await;
    assert_eq!(left["participants"][0]["id"], "7001");
    customer.text("still live").await;
    customer.expect_ack(true).await;
    assert_eq!(
        sim.say(guid, "7000", "x"),
        Err(OpError::AgentNotIn {
            guid,
            agent_id: "7000".into()
        })
    );
    sim.leave(guid, None, true).unwrap();
    assert_eq!(customer.expect("participantLeave").await["endChatFlag"], true);
    let chat = sim.chat(guid).unwrap();
    assert_eq!(
        (chat.state, chat.end_reason),
        (ChatState::Ended, Some(EndReason::Agent))
    );
    customer.text("dead").await;
    customer.expect_not_started().await;
    assert_eq!(sim.say(guid, None, "x"), Err(OpError::ChatEnded(guid)));
    assert_eq!(sim.say(guid + 1, None, "x"), Err(OpError::NoSuchChat(guid + 1)));
}

#[tokio::test]
async fn an_observer_opens_the_chat_only_where_configured() {
    for observer_opens_chat in [false, true] {
        let sim = plain(Settings {
            observer_opens_chat,
            ..Settings::default()
        })
        .await;
        let (mut customer, guid, _) = Customer::chat(&sim).await;
        sim.join(guid, Agent::new("9000", "Sue").with_role(Role::SupervisorObserve))
            .unwrap();
        let joined = customer.expect("newParticipant").await;
        assert_eq!(joined["participants"][0]["type"], "supervisor_observe");
        customer.text("x").await;
        if observer_opens_chat {
            customer.expect_ack(true).await;
        } else {
            customer.expect_not_started().await;
        }
    }
}

#[tokio::test]
async fn nobody_is_found() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    assert_eq!(sim.say(guid, None, "x"), Err(OpError::NobodyIn(guid)));
    sim.route_cancel(guid).unwrap();
    customer.expect("routeCancel").await;
    assert_eq!(sim.chat(guid).unwrap().end_reason, Some(EndReason::NoAgent));
}

#[tokio::test]
async fn waiting_for_a_chat_ends_when_it_comes_and_when_it_does_not() {
    let sim = plain(Settings::default()).await;
    let waiting = tokio::spawn({
        let sim = sim.clone();
        async move { sim.wait_for_chat(|c| c.customer == CUSTOMER, PATIENCE).await }
    });
    let (_customer, guid, _) = Customer::chat(&sim).await;
    assert_eq!(waiting.await.unwrap().unwrap().guid, guid);
    let short = std::time::Duration::from_millis(50);
    assert!(
        sim.wait_for_chat(|c| c.customer == "nobody", short)
            .await
            .is_err()
    );
}
