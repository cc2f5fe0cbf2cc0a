//! All that AACC does in a chat, beside talking.

use std::time::Duration;

use ccm_aacc_sim::{
    Agent, ApiVersion, AutoAgent, ChatState, ComfortGroup, Config, Dialect, EndReason, IdleEnd, LineKind,
    OfferedFile, OnHoldUrl, Role, RoleChange, Settings, Skillset, Target, Transcript, TransferOrder,
};
use serde_json::{Value, json};

use crate::customer::{CUSTOMER, Customer, End, PATIENCE, plain, resume_body, start};

fn types(event: &Value) -> Vec<&str> {
    let list = event["participants"].as_array().unwrap();
    list.iter().map(|p| p["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_supervisor_observes_barges_in_and_goes_back() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    let boss = Agent::new("9000", "Boss").with_role(Role::SupervisorObserve);
    sim.join(guid, boss).unwrap();
    let joined = customer.expect("newParticipant").await;
    assert_eq!(types(&joined), ["active_participant", "supervisor_observe"]);
    sim.change_role(guid, "9000", Role::SupervisorBarge).unwrap();
    let joined = customer.expect("newParticipant").await;
    assert_eq!(
        (&joined["agentId"], types(&joined)[1]),
        (&json!("9000"), "supervisor_barge")
    );
    sim.leave(guid, "7000", false).unwrap();
    customer.expect("participantLeave").await;
    assert_eq!(
        sim.chat(guid).unwrap().state,
        ChatState::Live,
        "who barged in takes texts"
    );
    sim.change_settings(|s| s.role_change = RoleChange::LeaveAndJoin);
    sim.change_role(guid, "9000", Role::SupervisorObserve).unwrap();
    assert_eq!(
        customer.expect("participantLeave").await["participants"],
        json!([])
    );
    assert_eq!(
        types(&customer.expect("newParticipant").await),
        ["supervisor_observe"]
    );
    assert_eq!(sim.chat(guid).unwrap().state, ChatState::Waiting);
    assert!(sim.change_role(guid, "1", Role::Supervisor).is_err());
}

#[tokio::test]
async fn a_consult_and_a_conference_share_the_room() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.join(
        guid,
        Agent::new("7001", "Ann").with_role(Role::PassiveParticipant),
    )
    .unwrap();
    assert_eq!(
        types(&customer.expect("newParticipant").await)[1],
        "passive_participant"
    );
    sim.change_role(guid, "7001", Role::ActiveParticipant).unwrap();
    customer.expect("newParticipant").await;
    sim.say(guid, "7001", "both of us").unwrap();
    assert_eq!(customer.expect("newMessage").await["displayName"], "Ann");
    sim.leave(guid, "7000", false).unwrap();
    assert_eq!(
        customer.expect("participantLeave").await["participants"][0]["id"],
        "7001"
    );
    customer.text("still somebody").await;
    customer.expect_ack(true).await;
}

#[tokio::test]
async fn a_transfer_can_join_before_it_leaves() {
    let sim = plain(Settings {
        transfer_order: TransferOrder::JoinFirst,
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    sim.transfer(guid, None, Some(Agent::new("7001", "Ann"))).unwrap();
    assert_eq!(customer.expect("newParticipant").await["agentId"], "7001");
    let left = customer.expect("participantLeave").await;
    assert_eq!(
        (&left["agentId"], &left["leaveReason"]),
        (&json!("7000"), &json!("transfer"))
    );
}

#[tokio::test]
async fn a_requeue_goes_to_the_other_skillsets_agents() {
    let sales = AutoAgent {
        id: "8000".into(),
        skillset: Some("WC_Sales".into()),
        greeting: Some("sales here".into()),
        ..AutoAgent::default()
    };
    let desk = AutoAgent {
        requeue_to: Some("WC_Sales".into()),
        leave_after_texts: Some(1),
        skillset: Some("WC_Default_Skillset".into()),
        ..AutoAgent::default()
    };
    let sim = start(Config {
        agents: vec![desk, sales],
        ..Config::default()
    })
    .await;
    let mut customer = Customer::dial(&sim).await;
    let (guid, _) = customer.open(CUSTOMER, "WC_Default_Skillset").await;
    customer.expect("newParticipant").await;
    customer.text("I want to buy").await;
    customer.expect_ack(true).await;
    customer.expect("newMessage").await;
    let left = customer.expect("participantLeave").await;
    assert_eq!(
        (&left["leaveReason"], &left["endChatFlag"]),
        (&json!("requeue"), &json!(false))
    );
    assert_eq!(customer.expect("newParticipant").await["agentId"], "8000");
    assert_eq!(customer.expect("newMessage").await["message"], "sales here");
    assert_eq!(sim.chat(guid).unwrap().skillset, "WC_Sales");
    customer.text("so do I").await;
    customer.expect_ack(true).await;
    assert!(
        customer.expect("newMessage").await["message"]
            .as_str()
            .unwrap()
            .ends_with("so do I")
    );
}

#[tokio::test]
async fn places_in_the_queue_go_down_and_a_requeued_chat_is_last() {
    let sim = plain(Settings {
        push_queue_status: true,
        ..Settings::default()
    })
    .await;
    let (mut first, first_guid, _) = Customer::chat(&sim).await;
    let (mut second, second_guid, _) = Customer::chat(&sim).await;
    let (mut third, ..) = Customer::chat(&sim).await;
    let mut elsewhere = Customer::dial(&sim).await;
    elsewhere.open("+2", "WC_Sales").await;
    let place = async |customer: &mut Customer| {
        customer.send(json!({"method": "queueStatus"})).await;
        let status = customer.expect("queueStatus").await;
        (
            status["positionInQueue"].clone(),
            status["estimatedWaitTime"].clone(),
        )
    };
    assert_eq!(place(&mut third).await, (json!(3), json!(186)));
    assert_eq!(
        place(&mut elsewhere).await,
        (json!(1), json!(62)),
        "each skillset has its queue"
    );
    sim.join(first_guid, Agent::new("7000", "Russell")).unwrap();
    for (customer, at) in [(&mut second, 1), (&mut third, 2)] {
        assert_eq!(
            customer.expect("queueStatus").await["positionInQueue"],
            at,
            "told unasked"
        );
    }
    first.expect("newParticipant").await;
    sim.requeue(first_guid, None).unwrap();
    first.expect("participantLeave").await;
    assert_eq!(place(&mut first).await.0, json!(3), "at the end");
    sim.route_cancel(second_guid).unwrap();
    second.expect("routeCancel").await;
    assert_eq!(third.expect("queueStatus").await["positionInQueue"], 1);
    elsewhere.expect_quiet().await;
}

#[tokio::test]
async fn a_cancelled_route_can_leave_the_chat_open() {
    let sim = plain(Settings {
        route_cancel_ends_chat: false,
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    sim.route_cancel(guid).unwrap();
    customer.expect("routeCancel").await;
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    customer.expect("newParticipant").await;
}

#[tokio::test]
async fn files_pages_and_what_to_play_are_handed_over() {
    let skillset = Skillset {
        comfort_groups: vec![ComfortGroup {
            name: "Default".into(),
            delay_s: 45,
            messages: vec!["Please hold".into()],
        }],
        on_hold_urls: vec![OnHoldUrl {
            tag: "home".into(),
            urls: vec!["https://x.example".into()],
            ..OnHoldUrl::default()
        }],
        ..Skillset::default()
    };
    let sim = plain(Settings {
        any_skillset: skillset,
        ..Settings::default()
    })
    .await;
    let mut customer = Customer::dial(&sim).await;
    customer.send(crate::customer::open_body(CUSTOMER, "")).await;
    let accepted = customer.expect("requestChat").await;
    assert_eq!(
        accepted["webOnHoldComfortGroups"][0]["messages"][0]["message"],
        "Please hold"
    );
    assert_eq!(
        accepted["webOnHoldURLs"][0]["urls"][0]["url"],
        "https://x.example"
    );
    let (guid, _) = crate::customer::session(&accepted);
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    customer.expect("newParticipant").await;
    let file = OfferedFile {
        name: "offer.pdf".into(),
        uuid: Some("u-1".into()),
    };
    sim.send_file(guid, None, file).unwrap();
    let offered = customer.expect("newAgentFileTransfer").await;
    assert_eq!(
        (&offered["name"], &offered["uuid"], &offered["agentName"]),
        (&json!("offer.pdf"), &json!("u-1"), &json!("Russell"))
    );
}

#[tokio::test]
async fn notices_come_where_configured_and_are_no_agents_words() {
    let sim = plain(Settings {
        any_skillset: Skillset {
            all_left: Some("All Agents have left the conversation".into()),
            no_agents: Some("No agents".into()),
            available_agents: 0,
            ..Skillset::default()
        },
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, _) = Customer::chat(&sim).await;
    assert_eq!(customer.expect("newMessage").await["message"], "No agents");
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    customer.expect("newParticipant").await;
    sim.leave(guid, None, false).unwrap();
    customer.expect("participantLeave").await;
    let notice = "[Agent] All Agents have left the conversation";
    assert_eq!(customer.expect("newMessage").await["message"], notice);
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    customer.expect("newParticipant").await;
    sim.leave(guid, None, true).unwrap();
    assert_eq!(
        customer.expect("newMessage").await["message"],
        notice,
        "before the end"
    );
    assert_eq!(customer.expect("participantLeave").await["endChatFlag"], true);
    let chat = sim.chat(guid).unwrap();
    assert_eq!(
        (
            chat.said,
            chat.transcript
                .iter()
                .filter(|l| l.kind == LineKind::Notice)
                .count()
        ),
        (0, 3)
    );
    assert_eq!(sim.record().chats[0].said, []);
}

#[tokio::test]
async fn idle_customers_lose_their_chat_while_an_agent_is_in() {
    for how in [IdleEnd::ParticipantLeave, IdleEnd::CloseConversation] {
        let sim = plain(Settings {
            force_idle_after: Duration::from_millis(1500),
            idle_end: how,
            ..Settings::default()
        })
        .await;
        let (mut waiting, waits, _) = Customer::chat(&sim).await;
        let (mut customer, guid, _) = Customer::live(&sim).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            customer.text("still here").await;
            customer.expect_ack(true).await;
        }
        sim.say(guid, None, "an agent's words do not count").unwrap();
        customer.expect("newMessage").await;
        match how {
            IdleEnd::ParticipantLeave => {
                assert_eq!(customer.expect("participantLeave").await["endChatFlag"], true);
            }
            IdleEnd::CloseConversation => {
                customer.expect("closeConversation").await;
                assert_eq!(customer.end().await, End::Closed(1000));
            }
        }
        assert_eq!(sim.chat(guid).unwrap().end_reason, Some(EndReason::Idle));
        assert_eq!(
            sim.chat(waits).unwrap().state,
            ChatState::Waiting,
            "who waits is not idle"
        );
        waiting.expect_quiet().await;
    }
}

#[tokio::test]
async fn agents_can_speak_after_the_customer_closed() {
    let sim = plain(Settings {
        close_delay: Duration::from_millis(1500),
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    customer.send(json!({"method": "closeConversation"})).await;
    let mut back = Customer::dial(&sim).await;
    customer.send(json!({"method": "ping"})).await;
    customer.expect("ping").await;
    back.send(resume_body(guid, &key, false)).await;
    back.expect_expired().await;
    sim.say(guid, None, "one more thing").unwrap();
    assert_eq!(customer.expect("newMessage").await["message"], "one more thing");
    customer.text("too late").await;
    customer.expect("closeConversation").await;
    assert_eq!(customer.end().await, End::Closed(1000));
    let rules: Vec<String> = sim.violations().into_iter().map(|v| v.rule).collect();
    assert_eq!(rules, ["after_close"]);
    assert_eq!(sim.chat(guid).unwrap().received, 0);
}

#[tokio::test]
async fn a_resume_can_change_the_key() {
    let sim = plain(Settings {
        rekey_on_resume: true,
        ..Settings::default()
    })
    .await;
    let (_customer, guid, key) = Customer::live(&sim).await;
    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, false)).await;
    let (same, new_key) = crate::customer::session(&back.expect("requestChat").await);
    assert_eq!(same, guid);
    assert_ne!(new_key, key);
    let mut again = Customer::dial(&sim).await;
    again.send(resume_body(guid, &key, false)).await;
    again.expect_expired().await;
    again.send(resume_body(guid, &new_key, false)).await;
    again.expect("requestChat").await;
}

#[tokio::test]
async fn a_transcript_can_leave_the_customers_texts_out() {
    let sim = plain(Settings {
        transcript: Transcript::AgentsOnly,
        ..Settings::default()
    })
    .await;
    let (mut customer, guid, key) = Customer::live(&sim).await;
    customer.text("mine").await;
    customer.expect_ack(true).await;
    sim.say(guid, None, "theirs").unwrap();
    let mut back = Customer::dial(&sim).await;
    back.send(resume_body(guid, &key, true)).await;
    back.expect("requestChat").await;
    assert_eq!(back.expect("newMessage").await["message"], "theirs");
    back.expect_quiet().await;
}

#[tokio::test]
async fn frames_come_in_another_dialect() {
    let sim = plain(Settings {
        dialect: Dialect {
            api_version: ApiVersion::Integer,
            guid_as_string: true,
            agent_id_as_number: true,
            pong: true,
            accepted: true,
            participant_role: true,
            lower_case: true,
            new_chat_acknowledgement: true,
        },
        ..Settings::default()
    })
    .await;
    let mut customer = Customer::dial(&sim).await;
    customer.send(crate::customer::open_body(CUSTOMER, "")).await;
    assert_eq!(customer.next().await["type"], "newChatAcknowledgement");
    let accepted = customer.next().await;
    assert_eq!(
        (&accepted["apiVersion"], &accepted["body"]["method"]),
        (&json!(1), &json!("requestchat"))
    );
    let guid: u64 = accepted["body"]["guid"].as_str().unwrap().parse().unwrap();
    sim.join(guid, Agent::new("7000", "Russell")).unwrap();
    let joined = customer.next().await["body"].clone();
    assert_eq!(
        (&joined["agentId"], &joined["participants"][0]["id"]),
        (&json!(7000), &json!(7000))
    );
    assert_eq!(
        (&joined["participantRole"], &joined["role"]),
        (&json!("active_participant"), &Value::Null)
    );
    customer.text("x").await;
    assert_eq!(
        customer.next().await["body"],
        json!({"method": "newmessage", "accepted": true})
    );
    customer.send(json!({"method": "ping"})).await;
    assert_eq!(customer.next().await["body"]["method"], "pong");
}

#[tokio::test]
async fn maintenance_is_announced_on_open_sockets() {
    let sim = plain(Settings::default()).await;
    let (mut customer, guid, _) = Customer::live(&sim).await;
    assert_eq!(sim.announce_maintenance(Target::All), 1);
    customer
        .expect_error(503, "Contact center is shutting down")
        .await;
    sim.set_faults(|f| (f.maintenance, f.maintenance_texts) = (true, true));
    customer.text("x").await;
    customer
        .expect_error(503, "Contact center is shutting down")
        .await;
    sim.set_faults(|f| f.maintenance = false);
    customer.text("x").await;
    customer.expect_ack(true).await;
    assert_eq!(sim.chat(guid).unwrap().received, 1);
}

#[tokio::test]
async fn a_customers_chats_without_sockets_count_until_they_die() {
    let sim = plain(Settings {
        survive_for: Duration::from_millis(2000),
        ..Settings::default()
    })
    .await;
    for _ in 0..3 {
        let (_gone, guid, _) = Customer::chat(&sim).await;
        sim.break_sockets(guid.into(), ccm_aacc_sim::Break::Reset);
    }
    let mut fourth = Customer::dial(&sim).await;
    fourth.send(crate::customer::open_body(CUSTOMER, "")).await;
    fourth
        .expect_error(500, "Maximum number of concurrent chats reached")
        .await;
    sim.wait_for_chat(|c| c.end_reason == Some(EndReason::Expired), PATIENCE)
        .await
        .unwrap();
    fourth.open(CUSTOMER, "").await;
    let violations = sim.violations();
    assert_eq!(
        (violations.len(), violations[0].rule.as_str()),
        (1, "limit_reached")
    );
}
