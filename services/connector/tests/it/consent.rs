//! Keywords of consent, and our notes to agents.

use crate::rig::{PATIENCE, Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{ChatState, Tls};
use ccm_db::{Receipt, Receipted, TextKind};
use ccm_model::{ConversationId, ConversationState, MessageState, Report, SmsSettings, settings::Words};
use time::OffsetDateTime;

fn words(text: &str) -> Option<Words> {
    Some(Words([("en".to_owned(), text.to_owned())].into()))
}

async fn replies(rig: &Rig, tenant: Tenant) {
    let mut settings = SmsSettings::default();
    settings.consent.stop_reply = words("You get no more texts.");
    settings.consent.start_reply = words("Welcome back.");
    settings.consent.help_reply = words("Call us.");
    settings.agent_notes.min_gap_s = 0;
    rig.db
        .tenant(tenant.id)
        .put_settings::<SmsSettings>(&settings, None)
        .await
        .unwrap();
}

async fn closed(rig: &Rig, tenant: Tenant, conversation: ConversationId) {
    until("the conversation is closed", async || {
        let row = rig.db.tenant(tenant.id).conversation(conversation).await.unwrap();
        (row.state == ConversationState::Closed).then_some(())
    })
    .await;
}

async fn said(rig: &Rig, tenant: Tenant, conversation: ConversationId) -> Vec<String> {
    let all = rig.messages(tenant, conversation).await;
    let mt = all.iter().filter(|m| m.direction == ccm_model::Direction::Mt);
    mt.map(|m| m.body.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_without_a_chat_are_answered_and_open_none() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    replies(&rig, tenant).await;
    let _pod = rig.pod();
    for (customer, kind, body, reply) in [
        (1, TextKind::Stop, "STOP", "You get no more texts."),
        (2, TextKind::Help, "help", "Call us."),
        (3, TextKind::Start, "START", "Welcome back."),
    ] {
        let conversation = rig.text_of_kind(tenant, customer, body, kind).await;
        let told = until("a reply", async || {
            let told = said(&rig, tenant, conversation).await;
            (!told.is_empty()).then_some(told)
        })
        .await;
        assert_eq!(told, [reply]);
        closed(&rig, tenant, conversation).await;
    }
    assert!(sim.chats().is_empty(), "nobody at AACC was bothered");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_in_a_live_chat_tells_the_agent_and_closes_it() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    replies(&rig, tenant).await;
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    rig.text_of_kind(tenant, 1, "Stop", TextKind::Stop).await;
    closed(&rig, tenant, conversation).await;
    let last = received(&sim).pop().unwrap();
    assert!(
        last.starts_with("Stop\n[CCM] The customer has opted out."),
        "{last}"
    );
    assert_eq!(said(&rig, tenant, conversation).await, ["You get no more texts."]);
    let ended = |c: &ccm_aacc_sim::ChatView| c.state == ChatState::Ended;
    sim.wait_for_chat(ended, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_before_an_agent_came_ends_the_wait() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    replies(&rig, tenant).await;
    let pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    let chat = open_chat(&sim).await;
    rig.text_of_kind(tenant, 1, "stop", TextKind::Stop).await;
    // What was asked before stays an agent's to read; the refusal itself is confirmed at once.
    until("the refusal is confirmed", async || {
        (said(&rig, tenant, conversation).await == ["You get no more texts."]).then_some(())
    })
    .await;
    pod.drain().await.1.unwrap();
    let _next = rig.pod();
    sim.join(chat.guid, agent()).unwrap();
    closed(&rig, tenant, conversation).await;
    assert_eq!(
        said(&rig, tenant, conversation).await.len(),
        1,
        "it is confirmed once, whoever serves"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reads_that_a_text_failed_and_a_note_opens_no_chat() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    replies(&rig, tenant).await;
    let pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    let fails = async |n: usize, id: &str| {
        sim.say(chat.guid, None, "an answer").unwrap();
        let texts = until("the answer is stored", async || {
            let all = rig.messages(tenant, conversation).await;
            let answers: Vec<_> = all
                .into_iter()
                .filter(|m| m.body.as_str() == "an answer")
                .collect();
            (answers.len() == n).then_some(answers)
        })
        .await;
        let message = texts[n - 1].id;
        rig.sql(&format!(
            "INSERT INTO provider_message (account_id, provider_message_id, tenant_id, message_id, conversation_id, created_at)
             SELECT a.id, '{id}', a.tenant_id, '{message}', '{conversation}', now() FROM provider_account a"
        ));
        let account = rig.db.tenant(tenant.id).accounts().await.unwrap()[0].id;
        Receipt {
            account,
            provider_id: id.to_owned(),
            report: Report::Undeliverable,
            code: Some("30003".to_owned()),
        }
    };
    let receipt = fails(1, "SM1").await;
    let db = rig.db.tenant(tenant.id);
    let receipted = db.receipt(&receipt, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(
        receipted,
        Receipted::News {
            conversation,
            noted: true
        }
    );
    until("the agent reads it", async || {
        let read = received(&sim).pop()?;
        read.starts_with("[CCM] Your text did not reach the customer's phone")
            .then_some(())
    })
    .await;
    // A failure that becomes known when the chat is over before anybody reads of it.
    let receipt = fails(2, "SM2").await;
    pod.drain().await.1.unwrap();
    let receipted = db.receipt(&receipt, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(
        receipted,
        Receipted::News {
            conversation,
            noted: true
        }
    );
    rig.sql("UPDATE chat SET state = 'closed', closed_at = now()");
    let _next = rig.pod();
    rig.until_state(tenant, conversation, MessageState::Expired, 1)
        .await;
    assert_eq!(sim.chats().len(), 1, "nobody was called for a note");
}
