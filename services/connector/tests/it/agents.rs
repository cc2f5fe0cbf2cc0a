//! What goes between customers and agents.

use crate::rig::{PATIENCE, Rig, agent, from_agent, open_chat, received, sim, sim_with, until};
use ccm_aacc_sim::{Break, ChatState, Config, Settings, Target, Tls, Transcript};
use ccm_connector::SessionConfig;
use ccm_model::{ChatSettings, ConversationState, MAX_BODY_CHARS, MessageState};
use std::time::Duration;

fn numbered(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("text {i}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_texts_than_are_read_at_once_arrive_in_order() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let sent = numbered(47);
    let conversation = rig.texts(tenant, 1, &sent[..45]).await;
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    // Two more while the line moves.
    rig.texts(tenant, 1, &sent[45..]).await;
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 47)
        .await;
    assert_eq!(received(&sim), sent);
    assert!(all.iter().all(|m| m.resends == 0 && m.attempts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_writes_is_stored_whatever_it_is() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    let mut odd = agent();
    odd.name = format!("Agent\0 {}", "x".repeat(5000));
    sim.join(chat.guid, odd).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    let long = "é".repeat(MAX_BODY_CHARS + 3);
    for text in ["a\0b", "", " \n", "\0", &long, "1 &lt; 2 &amp; 3", "end"] {
        sim.say_raw(chat.guid, None, text).unwrap();
    }
    // A frame with a time that no database takes, one without any, and one that is no message at all.
    for body in [
        r#"{"message":"long ago","displayName":"A","timestamp":-300000000000000}"#,
        r#"{"message":"some time","displayName":"A"}"#,
        r#"{"displayName":"A"}"#,
    ] {
        let rest = &body[1..];
        let frame =
            format!(r#"{{"apiVersion":"1.0","type":"notification","body":{{"method":"newMessage",{rest}}}"#);
        sim.send_frame(chat.guid, frame).unwrap();
    }
    sim.say_raw(chat.guid, None, "the very end").unwrap();
    let all = until("the last text is stored", async || {
        let all = rig.messages(tenant, conversation).await;
        all.iter()
            .any(|m| m.body.as_str() == "the very end")
            .then_some(all)
    })
    .await;
    let heard = from_agent(&all);
    assert!(heard[1] == &long[..2 * MAX_BODY_CHARS] && heard[2] == "ééé");
    assert_eq!(
        [&heard[..1], &heard[3..]].concat(),
        ["ab", "1 < 2 & 3", "end", "long ago", "some time", "the very end"]
    );
    assert_eq!(sim.chats().len(), 1, "it is the same chat");
}

/// With a transcript nothing is doubled; without one what was said meanwhile is lost at AACC, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_with_and_without_a_transcript() {
    for transcript in [Transcript::Never, Transcript::Plain, Transcript::WithSenderType] {
        let rig = Rig::new().await;
        let settings = Settings {
            transcript,
            ..Settings::default()
        };
        let sim = sim_with(Config {
            tls: Tls::Plain,
            settings,
            ..Config::default()
        })
        .await;
        let tenant = rig.tenant(1, &sim, None).await;
        let conversation = rig.text(tenant, 1, "hello").await;
        let _pod = rig.pod();
        let chat = open_chat(&sim).await;
        sim.join(chat.guid, agent()).unwrap();
        // The same words twice, most likely in one millisecond.
        for text in ["yes", "yes", "before"] {
            sim.say(chat.guid, None, text).unwrap();
        }
        for cut in 0..3 {
            sim.break_sockets(Target::All, Break::Reset);
            sim.wait_for(chat.guid, |c| c.resumes > cut, PATIENCE)
                .await
                .unwrap();
        }
        sim.say(chat.guid, None, "after").unwrap();
        rig.text(tenant, 1, "bye").await;
        rig.until_state(tenant, conversation, MessageState::Delivered, 2)
            .await;
        let all = until("the agent's text is stored", async || {
            let all = rig.messages(tenant, conversation).await;
            from_agent(&all).contains(&"after").then_some(all)
        })
        .await;
        let heard = from_agent(&all);
        let expected = ["yes", "yes", "before", "after"];
        match transcript {
            // The reset may have come before the first texts were read.
            Transcript::Never => assert_eq!(heard.last(), Some(&"after")),
            _ => assert_eq!(heard, expected, "{transcript:?}"),
        }
        assert_eq!(received(&sim), ["hello", "bye"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_expires_with_a_text_in_flight_becomes_a_new_chat() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let sent = numbered(25);
    let conversation = rig.texts(tenant, 1, &sent).await;
    sim.set_faults(|f| f.withhold_acks = 1);
    let _pod = rig.pod();
    let first = open_chat(&sim).await;
    sim.join(first.guid, agent()).unwrap();
    sim.wait_for(first.guid, |c| c.received == 1, PATIENCE)
        .await
        .unwrap();
    sim.expire(Target::All);
    sim.break_sockets(Target::All, Break::Close);
    let second = sim
        .wait_for_chat(|c| c.state != ChatState::Ended, PATIENCE)
        .await
        .unwrap();
    sim.join(second.guid, agent()).unwrap();
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 25)
        .await;
    let mut expected = vec![sent[0].clone()];
    expected.extend(sent.clone());
    assert_eq!(
        received(&sim),
        expected,
        "the text in doubt comes again, in its place"
    );
    let marks: Vec<i32> = all.iter().map(|m| m.resends).collect();
    assert_eq!((marks[0], marks[1..].iter().sum::<i32>()), (1, 0));
}

/// After a long absence of a link no agent is called to a chat in which nobody has anything to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_aacc_has_forgotten_is_opened_again_by_the_next_text_only() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    // It is not counted against its own customer.
    let mut settings = ChatSettings::default();
    settings.limits.per_customer = 1;
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<ChatSettings>(&settings, None).await.unwrap();
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    let first = open_chat(&sim).await;
    sim.join(first.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    sim.expire(Target::All);
    sim.break_sockets(Target::All, Break::Reset);
    until("the conversation ends", async || {
        let row = rig.db.tenant(tenant.id).conversation(conversation).await.unwrap();
        (row.state == ConversationState::Closed).then_some(())
    })
    .await;
    assert_eq!(sim.chats().len(), 1);
    let next = rig.text(tenant, 1, "are you there?").await;
    let second = open_chat(&sim).await;
    sim.join(second.guid, agent()).unwrap();
    rig.until_state(tenant, next, MessageState::Delivered, 1).await;
    assert_eq!(sim.chats().len(), 2);
}

/// Agents who take a chat and end it at once, with a text that stays unanswered, are not rung up without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_that_end_at_once_are_not_reopened_in_haste() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    sim.set_faults(|f| f.withhold_acks = 1000);
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let ended = async {
        loop {
            let chat = open_chat(&sim).await;
            sim.join(chat.guid, agent()).unwrap();
            let received = sim.wait_for(chat.guid, |c| c.received == 1, PATIENCE).await;
            received.unwrap();
            sim.leave(chat.guid, None, true).unwrap();
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(4), ended).await;
    let chats = sim.chats().len();
    assert!(chats <= 4, "{chats} chats in 4 s");
    // The next agent has it.
    sim.set_faults(|f| f.withhold_acks = 0);
    let chat = open_chat(&sim).await;
    if chat.agents.is_empty() {
        sim.join(chat.guid, agent()).unwrap();
    }
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(usize::try_from(all[0].resends).unwrap() + 1, received(&sim).len());
}

/// A conversation ends with its chat; the next text opens a new one at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conversation_ends_with_its_last_chat() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let first = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, first, MessageState::Delivered, 1).await;
    sim.leave(chat.guid, None, true).unwrap();
    until("the conversation is closed", async || {
        let row = rig.db.tenant(tenant.id).conversation(first).await.unwrap();
        row.closed_at
    })
    .await;
    let second = rig.text(tenant, 1, "hello again").await;
    assert_ne!(first, second);
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, second, MessageState::Delivered, 1).await;
}

/// A text with which each chat ends does not block the line for ever: after some chats it is a dead letter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_ends_each_chat_becomes_a_dead_letter() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    sim.set_faults(|f| f.withhold_acks = 1000);
    let conversation = rig.texts(tenant, 1, &["poison".into(), "hello".into()]).await;
    let _pod = rig.pod_with(SessionConfig {
        doubts_before_dead_letter: 3,
        ..SessionConfig::default()
    });
    for _ in 0..3 {
        let chat = open_chat(&sim).await;
        sim.join(chat.guid, agent()).unwrap();
        sim.wait_for(chat.guid, |c| c.received == 1, PATIENCE)
            .await
            .unwrap();
        sim.leave(chat.guid, None, true).unwrap();
    }
    sim.set_faults(|f| f.withhold_acks = 0);
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(received(&sim), ["poison", "poison", "poison", "hello"]);
    assert_eq!((all[0].state, all[0].resends), (MessageState::Refused, 2));
    assert!(all[0].error_code.is_some());
}
