//! What tenants decide about their chats: what customers are told, how many chats there are, how they end.

use crate::rig::{PATIENCE, Rig, Tenant, agent, from_agent, open_chat, received, sim, sim_with, until};
use ccm_aacc_sim::{Agent, ChatState, ComfortGroup, Config, Role, Settings, Sim, Skillset, Tls};
use ccm_model::{
    ChatSettings, ConversationId, Direction, MessageState, chat_settings::ComfortMode, settings::Words,
};
use std::time::Duration;
use tokio::time::sleep;

fn words(text: &str) -> Option<Words> {
    Some(Words([("en".to_owned(), text.to_owned())].into()))
}

impl Rig {
    async fn decides(&self, tenant: Tenant, change: impl FnOnce(&mut ChatSettings)) {
        let mut settings = ChatSettings::default();
        change(&mut settings);
        let db = self.db.tenant(tenant.id);
        db.put_settings::<ChatSettings>(&settings, None).await.unwrap();
    }

    /// What went to the customer's phone, notices with their kind in front.
    async fn told(&self, tenant: Tenant, conversation: ConversationId) -> Vec<String> {
        let all = self.messages(tenant, conversation).await;
        let mt = all.iter().filter(|m| m.direction == Direction::Mt);
        mt.map(|m| match m.origin {
            ccm_model::Origin::System => {
                format!("{}: {}", m.author.as_deref().unwrap_or_default(), m.body.as_str())
            }
            _ => m.body.as_str().to_owned(),
        })
        .collect()
    }

    async fn until_told(&self, tenant: Tenant, conversation: ConversationId, n: usize) -> Vec<String> {
        until(&format!("the customer is told {n} things"), async || {
            let told = self.told(tenant, conversation).await;
            (told.len() >= n).then_some(told)
        })
        .await
    }

    async fn until_closed(&self, tenant: Tenant, conversation: ConversationId) {
        until("the conversation is closed", async || {
            let row = self
                .db
                .tenant(tenant.id)
                .conversation(conversation)
                .await
                .unwrap();
            (row.state == ccm_model::ConversationState::Closed).then_some(())
        })
        .await;
    }

    fn close_reason(&self, conversation: ConversationId) -> String {
        self.sql(&format!(
            "SELECT string_agg(close_reason, ',' ORDER BY id) FROM chat WHERE conversation_id = '{conversation}'"
        ))
    }
}

/// An AACC whose only skillset is set up like that.
async fn sim_of(skillset: Skillset) -> Sim {
    let settings = Settings {
        any_skillset: skillset,
        ..Settings::default()
    };
    sim_with(Config {
        tls: Tls::Plain,
        settings,
        ..Config::default()
    })
    .await
}

async fn open(sim: &Sim, n: usize) -> u64 {
    let is_open = |c: &&ccm_aacc_sim::ChatView| c.state != ChatState::Ended;
    until(&format!("{n} chats are open"), async || {
        let chats = sim.chats();
        let open: Vec<_> = chats.iter().filter(is_open).collect();
        (open.len() == n).then(|| open.last().map(|c| c.guid)).flatten()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_the_tenants_and_never_twice_in_a_row() {
    let rig = Rig::new().await;
    let sim = sim_of(Skillset {
        welcome: Some("Welcome to us".into()),
        ..Skillset::default()
    })
    .await;
    let tenant = rig.tenant(1, &sim, None).await;
    rig.decides(tenant, |s| {
        s.notices.waiting = words("Please wait");
        s.notices.no_agents = words("Nobody is here");
        s.notices.agents_left = words("They are gone");
        s.notices.chat_ended = words("Good-bye");
        s.notices.file = words("{agent} has {file} for you");
        s.waiting_after_s = 0;
    })
    .await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    rig.until_told(tenant, conversation, 1).await;
    let frame = r#"{"apiVersion":"1.0","type":"notification","body":{"method":"routeCancel"}}"#;
    for _ in 0..2 {
        sim.send_frame(guid, frame).unwrap();
    }
    rig.until_told(tenant, conversation, 2).await;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    sim.say(guid, None, "[Agent] What can I do?").unwrap();
    let file = r#"{"apiVersion":"1.0","type":"notification","body":{"method":"newAgentFileTransfer","agentName":"Agent Smith","name":"bill.pdf","uuid":"u"}}"#;
    sim.send_frame(guid, file).unwrap();
    rig.until_told(tenant, conversation, 5).await;
    sim.leave(guid, None, true).unwrap();
    rig.until_closed(tenant, conversation).await;
    assert_eq!(
        rig.told(tenant, conversation).await,
        [
            "waiting: Please wait",
            "no_agents: Nobody is here",
            "Welcome to us",
            "What can I do?",
            "file: Agent Smith has bill.pdf for you",
            "chat_ended: Good-bye",
        ]
    );
}

/// Without a word of the tenant's nothing but agents' texts is sent, whatever AACC says by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_without_notices_sends_none() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    sim.say_raw(guid, None, "[Agent] All Agents have left the conversation")
        .unwrap();
    sim.say_raw(guid, None, "No agents").unwrap();
    sim.say_raw(guid, None, "One &lt; two").unwrap();
    rig.until_told(tenant, conversation, 1).await;
    sim.leave(guid, None, true).unwrap();
    rig.until_closed(tenant, conversation).await;
    assert_eq!(rig.told(tenant, conversation).await, ["One < two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comfort_messages_are_played_as_the_tenant_wants() {
    let rig = Rig::new().await;
    let sim = sim_of(Skillset {
        comfort_groups: vec![ComfortGroup {
            name: "Default".into(),
            delay_s: 1,
            messages: vec!["first comfort".into(), "second comfort".into()],
        }],
        ..Skillset::default()
    })
    .await;
    let (one, none) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    rig.decides(none, |s| s.comfort.mode = ComfortMode::Off).await;
    let told = rig.text(one, 1, "hello").await;
    let untold = rig.text(none, 2, "hello").await;
    let _pod = rig.pod();
    rig.until_told(one, told, 1).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        rig.told(one, told).await,
        ["comfort: first comfort"],
        "the first only"
    );
    assert!(rig.told(none, untold).await.is_empty());
}

/// A fourth chat of one customer waits, is seen to wait, and opens when one of the three has ended. Others pass it by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_aacc_are_kept_before_it_refuses() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let second = rig.number_of(tenant, 2).await;
    rig.decides(tenant, |s| s.limits.per_customer = 1).await;
    let _pod = rig.pod();
    rig.text(tenant, 1, "to the first number").await;
    let first = open(&sim, 1).await;
    let waiting = rig.text(second, 1, "to the second number").await;
    until("it is seen to wait", async || {
        let reason = rig.sql(&format!(
            "SELECT waits_for FROM conversation WHERE id = '{waiting}'"
        ));
        (reason == "customer_limit").then_some(())
    })
    .await;
    rig.text(second, 7, "somebody else").await;
    let other = open(&sim, 2).await;
    assert_eq!(sim.chats().len(), 2, "AACC was not asked for a third");
    sim.join(first, agent()).unwrap();
    until("the first text", async || {
        (received(&sim).len() == 1).then_some(())
    })
    .await;
    sim.leave(first, None, true).unwrap();
    let guid = until("the second chat of the customer", async || {
        let chats = sim.chats();
        let new = chats.iter().find(|c| ![first, other].contains(&c.guid));
        new.map(|c| c.guid)
    })
    .await;
    sim.join(guid, agent()).unwrap();
    rig.until_state(second, waiting, MessageState::Delivered, 1).await;
    until("nothing is said to wait", async || {
        let reason = rig.sql(&format!(
            "SELECT waits_for FROM conversation WHERE id = '{waiting}'"
        ));
        reason.is_empty().then_some(())
    })
    .await;
    assert!(sim.violations().is_empty(), "{:?}", sim.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyword_ends_the_chat_after_what_was_said_before() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    rig.decides(tenant, |s| {
        s.life.closing_keyword = Some("BYE".into());
        s.notices.chat_ended = words("Good-bye");
    })
    .await;
    let bodies = ["one", "two", " bye "].map(String::from);
    let conversation = rig.texts(tenant, 1, &bodies).await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_closed(tenant, conversation).await;
    assert_eq!(
        received(&sim),
        ["one", "two"],
        "the word itself is no agent's business"
    );
    assert_eq!(rig.told(tenant, conversation).await, ["chat_ended: Good-bye"]);
    assert_eq!(rig.close_reason(conversation), "ended by the customer's keyword");
    let chat = sim
        .wait_for(guid, |c| c.state == ChatState::Ended, PATIENCE)
        .await;
    assert!(chat.is_ok(), "AACC was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_customer_is_let_go() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    rig.decides(tenant, |s| s.life.customer_idle_s = Some(1)).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_closed(tenant, conversation).await;
    assert_eq!(received(&sim), ["hello"]);
    assert_eq!(
        rig.close_reason(conversation),
        "the customer was silent for the tenant's limit"
    );
}

/// AACC's own check ends the slow chat: the customer hears nothing of it, and the next text goes on with who was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_force_idle_check_is_silent_and_the_next_text_goes_on() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    rig.decides(tenant, |s| {
        s.life.force_idle_s = 6;
        s.life.reopen_note = words("(goes on from {last_agent})");
        s.notices.chat_ended = words("Good-bye");
    })
    .await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    sim.say(guid, None, "Hi").unwrap();
    rig.until_told(tenant, conversation, 1).await;
    sleep(Duration::from_millis(6500)).await;
    sim.leave(guid, None, true).unwrap();
    rig.until_closed(tenant, conversation).await;
    assert_eq!(rig.told(tenant, conversation).await, ["Hi"]);
    assert_eq!(
        rig.close_reason(conversation),
        "ended by AACC's check of idle customers"
    );
    let next = rig.text(tenant, 1, "I am back").await;
    let chat = open_chat(&sim).await;
    let field = |title: &str| {
        let found = chat.custom_fields.iter().find(|(t, _)| t == title);
        found.map(|(_, v)| v.as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(field("lastAgent"), "Agent Smith");
    assert_eq!(field("firstText"), "I am back");
    assert!(!field("lastChatEnded").is_empty());
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, next, MessageState::Delivered, 1).await;
    assert_eq!(received(&sim)[1], "(goes on from Agent Smith)\nI am back");
}

/// What is held longer, or in greater number, than the tenant wants becomes a dead letter that an operator sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_has_bounds() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    sim.set_faults(|f| f.new_connections = ccm_aacc_sim::NewConnections::Refuse);
    rig.decides(tenant, |s| {
        s.hold.most_texts = 2;
        s.hold.longest_s = 12;
        s.notices.not_delivered = words("Please call us");
    })
    .await;
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "1").await;
    until("it is seen to wait", async || {
        let reason = rig.sql(&format!(
            "SELECT waits_for FROM conversation WHERE id = '{conversation}'"
        ));
        (reason == "link").then_some(())
    })
    .await;
    rig.texts(tenant, 1, &["2".into(), "3".into()]).await;
    let all = rig
        .until_state(tenant, conversation, MessageState::Refused, 3)
        .await;
    let codes: Vec<_> = all
        .iter()
        .filter_map(|m| Some((m.seq, m.error_code.as_deref()?)))
        .collect();
    assert!(codes.contains(&(1, "ccm:held_too_long")), "{codes:?}");
    assert!(
        codes.iter().any(|(_, code)| *code == "ccm:too_many_held"),
        "{codes:?}"
    );
    assert_eq!(
        rig.told(tenant, conversation).await,
        ["not_delivered: Please call us"]
    );
    sim.set_faults(|f| f.new_connections = ccm_aacc_sim::NewConnections::Accept);
    let next = rig.text(tenant, 1, "4").await;
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, next, MessageState::Delivered, 1).await;
    assert_eq!(received(&sim), ["4"]);
}

/// An observing supervisor does not open the chat; one who barges in does, where the tenant has it so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supervisors_open_a_chat_as_the_tenant_says() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let (strict, open_to_all) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    rig.decides(open_to_all, |s| s.supervisors.observer_opens_chat = true)
        .await;
    let _pod = rig.pod();
    for (tenant, customer) in [(strict, 1), (open_to_all, 2)] {
        let conversation = rig.text(tenant, customer, "hello").await;
        let guid = open(&sim, customer as usize).await;
        let observer = Agent {
            role: Role::SupervisorObserve,
            ..Agent::new("9", "Supervisor")
        };
        // AACC itself takes texts when anybody is in.
        sim.change_settings(|s| s.observer_opens_chat = true);
        sim.join(guid, observer).unwrap();
        if tenant.id == strict.id {
            sleep(Duration::from_millis(700)).await;
            assert!(received(&sim).is_empty());
            sim.join(guid, agent()).unwrap();
        }
        rig.until_state(tenant, conversation, MessageState::Delivered, 1)
            .await;
    }
}

/// What an agent still says after the customer has left reaches the phone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_goes_on_in_the_same_chat() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    rig.decides(tenant, |s| s.notices.agents_left = words("They are gone"))
        .await;
    let conversation = rig.text(tenant, 1, "one").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    sim.transfer(guid, None, None).unwrap();
    rig.text(tenant, 1, "two").await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(received(&sim), ["one"], "held while nobody is in");
    sim.join(guid, Agent::new("1002", "Agent Jones")).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    sim.say(guid, Some("1002"), "Jones here").unwrap();
    let all = rig
        .until_state(tenant, conversation, MessageState::Queued, 1)
        .await;
    assert_eq!(from_agent(&all), ["Jones here"]);
    assert_eq!(sim.chats().len(), 1);
}
