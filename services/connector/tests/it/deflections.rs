//! Callers who were offered a chat: what their script knew reaches AACC, whatever they ask before they answer.

use crate::rig::{IDS, Rig, Tenant, open_chat, sim, until};
use ccm_aacc_sim::Tls;
use ccm_db::{NewText, TextKind};
use ccm_model::{Body, ChatSettings, ConversationState, Origin};
use ccm_testkit::canary;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

async fn offered(rig: &Rig, tenant: Tenant, about: &Value) -> ccm_model::ConversationId {
    let text = NewText {
        message: IDS.next(),
        conversation: IDS.next(),
        from: &canary::number(tenant.ours).parse().unwrap(),
        to: &canary::number(1).parse().unwrap(),
        origin: Origin::System,
        author: "deflection",
        body: &Body::new("Text back for a chat").unwrap(),
        about: Some(about),
        answer_within: Duration::minutes(10),
        event: None,
        trace: None,
    };
    let db = rig.db.tenant(tenant.id);
    let texted = db
        .text_customer(&text, None, OffsetDateTime::now_utc())
        .await
        .unwrap();
    texted.conversation
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_knew_comes_with_the_chat_though_the_caller_asks_for_help_first() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    let mut settings = ChatSettings::default();
    settings.customer.fields = serde_json::from_value(json!([
        {"title": "waited", "value": "{waited} s, {waited_minutes} min"},
        {"title": "call", "value": "{contact}"},
        {"title": "priority", "value": "{priority}"},
        {"title": "order", "value": "{context.order}"},
        {"title": "none", "value": "{context.none}"},
        {"title": "all", "value": "{context}"},
    ]))
    .unwrap();
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<ChatSettings>(&settings, None).await.unwrap();
    let _pod = rig.pod();
    let about = json!({
        "waited_s": 125, "contact_id": "call-1", "priority": "high", "name": "Mary", "said": "was on the phone",
        "context": {"order": "A1", "amount": 3},
    });
    let conversation = offered(&rig, tenant, &about).await;
    rig.text_of_kind(tenant, 1, "HELP", TextKind::Help).await;
    until("the keyword is dealt with", async || {
        let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
        waiting.is_empty().then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let state = db.conversation(conversation).await.unwrap().state;
    assert_eq!(state, ConversationState::Open, "an answer is waited for");
    assert_eq!(rig.text(tenant, 1, "yes please").await, conversation);
    let chat = open_chat(&sim).await;
    assert_eq!(chat.customer_name, "Mary");
    let fields = [
        ("waited", "125 s, 2 min"),
        ("call", "call-1"),
        ("priority", "high"),
        ("order", "A1"),
        ("all", "amount: 3; order: A1"),
    ];
    let fields: Vec<_> = fields
        .map(|(title, value)| (title.to_owned(), value.to_owned()))
        .into();
    assert_eq!(chat.custom_fields, fields);
}
