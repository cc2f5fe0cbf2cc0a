//! Opening, texting, resuming, ending.

use std::time::Duration;

use ccm_aacc_sim::{
    Agent, ChatState, ComfortGroup, EndReason, ErrorMethod, Link, OnHoldUrl, Settings, Skillset, Transcript,
};
use serde_json::json;

use crate::customer::{CUSTOMER, Customer, End, PATIENCE, open_body, plain, resume_body, session};

#[tokio::test]
async fn a_new_chat_gets_guid_key_echo_and_what_to_play() {
    let skillset = Skillset {
        comfort_groups: vec![ComfortGroup {
            name: "Default".into(),
            delay_s: 45,
            messages: vec![
                "Thank you for waiting".into(),
                "We are sorry for the delay".into(),
            ],
        }],
        on_hold_urls: vec![OnHoldUrl {
            tag: "home".into(),
            description: "Our home page".into(),
            hold_time_s: 30,
            urls: vec!["https://www.example.com".into()],
        }],
        ..Skillset::default()
    };
    let sim = plain(Settings {
        any_skillset: skillset,
        ..Settings::default()
    })
    .await;
    let mut customer = Customer::dial(&sim).await;
    customer.send(open_body(CUSTOMER, "WC_Default_Skillset")).await;
    let answer = customer.expect("requestChat").await;
    let (guid, key) = session(&answer);
    assert!(key.len() >= 32);
    assert_eq!(answer["intrinsics"]["phoneNumber"], "7206211");
    assert_eq!(answer["intrinsics"]["skillset"], "WC_Default_Skillset");
    let group = &answer["webOnHoldComfortGroups"][0];
    assert_eq!(group["groupName"], "Default");
    assert_eq!(group["delay"], 45);
    assert_eq!(
        group["messages"][1],
        json!({"message": "We are sorry for the delay", "sequence": 2})
    );
    assert_eq!(
        answer["webOnHoldURLs"][0]["urls"],
        json!([{"url": "https://www.example.com"}])
    );

    let chat = sim.chat(guid).unwrap();
    assert_eq!(
        (chat.customer.as_str(), chat.state, chat.link),
        (CUSTOMER, ChatState::Waiting, Link::Open(1))
    );
    let (other, other_key) = Customer::dial(&sim).await.open("+4477", "").await;
    assert!(
        other != guid && other_key != key,
        "every chat has its own guid and key"
    );
    assert_eq!(sim.chat(other).unwrap().skillset, "WC_Default_Skillset");
    assert!(sim.violations().is_empty(), "{:?}", sim.violations());
}

#[tokio::test]
async fn texts_need_an_agent_and_are_acknowledged() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    customer.text("too early").await;
    customer.expect_not_started().await;
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    let joined = customer.expect("newParticipant").await;
    assert_eq!(joined["agentId"], "7000");
    assert_eq!(joined["numberOfParticipants"], 2);
    assert_eq!(
        joined["participants"],
        json!([{"id": "7000", "name": "Russell", "type": "active_participant"}])
    );
    customer.text("a < b > c & d").await;
    customer.expect_ack(true).await;

    let chat = sim.wait_for(guid, |c| c.received == 1, PATIENCE).await.unwrap();
    assert_eq!(
        (chat.not_started, chat.unread, chat.state),
        (1, 1, ChatState::Live)
    );
    let record = sim.record();
    assert_eq!(record.chats[0].ours, "+19717122614");
    let received = &record.chats[0].received;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].text, "a < b > c & d");
    assert_eq!(received[0].displayed, "a &lt; b &gt; c & d");
    assert_eq!(received[0].socket, 1);
}

#[tokio::test]
async fn errors_can_name_the_word_error_instead_of_the_method() {
    let sim = plain(Settings::default()).await;
    let (mut customer, ..) = Customer::chat(&sim).await;
    customer.text("x").await;
    assert_eq!(customer.next().await["body"]["method"], "newMessage");
    let sim = plain(Settings {
        error_method: ErrorMethod::Error,
        ..Settings::default()
    })
    .await;
    let (mut customer, ..) = Customer::chat(&sim).await;
    customer.text("x").await;
    assert_eq!(customer.next().await["body"]["method"], "error");
}

#[tokio::test]
async fn a_ping_is_answered_and_the_queue_is_told() {
    let sim = plain(Settings::default()).await;
    let (_first, ..) = Customer::chat(&sim).await;
    let (mut second, guid, _) = Customer::chat(&sim).await;
    second.send(json!({"method": "ping"})).await;
    second.expect("ping").await;
    second
        .send_text(r#"{"apiVersion":1.0,"type":"request","body":{"method":"queueStatus"}}"#)
        .await;
    let status = second.expect("queueStatus").await;
    assert_eq!(
        (&status["positionInQueue"], &status["estimatedWaitTime"]),
        (&json!(2), &json!(124))
    );
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    second.expect("newParticipant").await;
    second.send(json!({"method": "queueStatus"})).await;
    assert_eq!(second.expect("queueStatus").await["positionInQueue"], 0);
    assert!(sim.violations().is_empty());
}

#[tokio::test]
async fn a_resume_takes_the_chat_to_the_new_socket() {
    let sim = plain(Settings::default()).await;
    let (mut old, guid, key) = Customer::live(&sim).await;
    let mut new = Customer::dial(&sim).await;
    new.send(resume_body(guid, &key, true)).await;
    assert_eq!(session(&new.expect("requestChat").await), (guid, key.clone()));
    assert_eq!(old.end().await, End::Closed(1000), "the old socket is closed");
    new.text("the room is as it was").await;
    new.expect_ack(true).await;
    new.expect_quiet().await;
    let chat = sim.chat(guid).unwrap();
    assert_eq!((chat.link, chat.resumes, chat.received), (Link::Open(2), 1, 1));
    assert!(sim.violations().is_empty());
}

#[tokio::test]
async fn the_transcript_is_replayed_when_asked_for() {
    for (transcript, agent_type) in [
        (Transcript::Plain, None),
        (Transcript::WithSenderType, Some("agent")),
    ] {
        let sim = plain(Settings {
            transcript,
            ..Settings::default()
        })
        .await;
        let (mut customer, guid, key) = Customer::live(&sim).await;
        customer.text("1 < 2").await;
        customer.expect_ack(true).await;
        sim.say(guid, None, "delivered").unwrap();
        let first = customer.expect("newMessage").await;
        drop(customer);
        sim.wait_for(guid, |c| c.link == Link::Lost, PATIENCE)
            .await
            .unwrap();
        sim.say(guid, "7000", "while away").unwrap();
        sim.join(guid, Agent::new("7001", "Ann")).unwrap();

        let mut customer = Customer::dial(&sim).await;
        customer.send(resume_body(guid, &key, true)).await;
        customer.expect("requestChat").await;
        let own = customer.expect("newMessage").await;
        assert_eq!(
            (&own["message"], &own["displayName"]),
            (&json!("1 &lt; 2"), &json!("SMS Customer"))
        );
        let again = customer.expect("newMessage").await;
        assert_eq!(again["timestamp"], first["timestamp"]);
        assert_eq!(again["message"], "delivered");
        assert_eq!(again.get("senderType").and_then(|t| t.as_str()), agent_type);
        assert_eq!(customer.expect("newMessage").await["message"], "while away");
        assert_eq!(
            customer.expect("newParticipant").await["agentId"],
            "7001",
            "what was missed comes after"
        );
        customer.expect_quiet().await;
        let said = &sim.record().chats[0].said;
        assert_eq!((said[0].delivered_to_socket, said[0].replayed), (true, 1));
        assert_eq!((said[1].delivered_to_socket, said[1].replayed), (false, 1));
    }
}

#[tokio::test]
async fn no_transcript_unless_asked_for_and_configured() {
    for (transcript, ask) in [(Transcript::Plain, false), (Transcript::Never, true)] {
        let sim = plain(Settings {
            transcript,
            ..Settings::default()
        })
        .await;
        let (mut customer, guid, key) = Customer::live(&sim).await;
        sim.say(guid, None, "once").unwrap();
        customer.expect("newMessage").await;
        let mut customer = Customer::dial(&sim).await;
        customer.send(resume_body(guid, &key, ask)).await;
        customer.expect("requestChat").await;
        customer.expect_quiet().await;
    }
}

#[tokio::test]
async fn a_wrong_or_expired_key_is_refused_and_the_socket_stays_open() {
    let sim = plain(Settings {
        survive_for: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let (customer, guid, key) = Customer::live(&sim).await;
    let mut other = Customer::dial(&sim).await;
    other
        .send(resume_body(guid, "11111111-2222-3333-4444-555555555555", false))
        .await;
    other.expect_expired().await;
    drop(customer);
    let chat = sim
        .wait_for(guid, |c| c.state == ChatState::Ended, PATIENCE)
        .await
        .unwrap();
    assert_eq!(chat.end_reason, Some(EndReason::Expired));
    other.send(resume_body(guid, &key, false)).await;
    other.expect_expired().await;
    let (new, _) = other.open(CUSTOMER, "WC_Default_Skillset").await;
    assert_ne!(new, guid, "a new chat on the same socket");
}

#[tokio::test]
async fn each_loss_has_its_own_time_to_come_back() {
    let settings = Settings {
        survive_for: Duration::from_secs(1),
        ..Settings::default()
    };
    let sim = plain(settings).await;
    let (customer, guid, key) = Customer::live(&sim).await;
    drop(customer);
    sim.wait_for(guid, |c| c.link == Link::Lost, PATIENCE)
        .await
        .unwrap();
    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect("requestChat").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(back);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect("requestChat").await;
    back.text("the time of the first loss is over, that of the second was not")
        .await;
    back.expect_ack(true).await;
}

#[tokio::test]
async fn the_customer_closes() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    customer.send(json!({"method": "closeConversation"})).await;
    assert_eq!(customer.expect("closeConversation").await["result"], true);
    assert_eq!(customer.end().await, End::Closed(1000));
    let chat = sim
        .wait_for(guid, |c| c.state == ChatState::Ended, PATIENCE)
        .await
        .unwrap();
    assert_eq!(chat.end_reason, Some(EndReason::Customer));
    let mut again = Customer::dial(&sim).await;
    again.send(resume_body(guid, &key, false)).await;
    again.expect_expired().await;
}

#[tokio::test]
async fn limits_hold_for_customers_and_skillsets() {
    let any_skillset = Skillset {
        max_chats: Some(4),
        ..Skillset::default()
    };
    let sim = plain(Settings {
        any_skillset,
        ..Settings::default()
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Customer::chat(&sim).await);
    }
    let mut fourth = Customer::dial(&sim).await;
    fourth.send(open_body(CUSTOMER, "S")).await;
    fourth
        .expect_error(500, "Maximum number of concurrent chats reached")
        .await;
    let (first, ..) = &mut open[0];
    first.send(json!({"method": "closeConversation"})).await;
    first.expect("closeConversation").await;
    fourth.open(CUSTOMER, "WC_Default_Skillset").await;
    let mut others = [Customer::dial(&sim).await, Customer::dial(&sim).await];
    others[0].open("+4401", "WC_Default_Skillset").await;
    others[1].send(open_body("+4402", "WC_Default_Skillset")).await;
    others[1]
        .expect_error(500, "Maximum number of concurrent chats reached")
        .await;
    others[1].open("+4402", "another").await;
}
