//! Customers whom somebody has texted before: their answer becomes a chat that knows of it.

use crate::rig::{IDS, Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::Tls;
use ccm_db::{Names, NewSkillset, NewText};
use ccm_model::{Body, ChatSettings, ConversationId, MessageState, Origin, settings::Words};
use ccm_testkit::canary;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

async fn skillset(rig: &Rig, tenant: Tenant, name: &str) {
    let new = NewSkillset {
        id: IDS.next(),
        link: tenant.link,
        name,
    };
    rig.db.tenant(tenant.id).create_skillset(new).await.unwrap();
}

async fn texted(rig: &Rig, tenant: Tenant, customer: u32, body: &str, about: Value) -> ConversationId {
    let text = NewText {
        message: IDS.next(),
        conversation: IDS.next(),
        from: &canary::number(tenant.ours).parse().unwrap(),
        to: &canary::number(customer).parse().unwrap(),
        origin: Origin::Agent,
        author: "Mary",
        body: &Body::new(body).unwrap(),
        about: Some(&about),
        answer_within: Duration::hours(72),
        event: None,
        trace: None,
    };
    let db = rig.db.tenant(tenant.id);
    db.text_customer(&text, None, OffsetDateTime::now_utc())
        .await
        .unwrap()
        .conversation
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_opens_a_chat_with_the_right_agents_who_know_what_was_written() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    skillset(&rig, tenant, "WC_Billing").await;
    let mut settings = ChatSettings::default();
    settings.customer.fields =
        serde_json::from_value(json!([{"title": "context", "value": "{context}"}])).unwrap();
    settings.life.reopen_note = Some(Words([("en".to_owned(), "(goes on)".to_owned())].into()));
    rig.db
        .tenant(tenant.id)
        .put_settings::<ChatSettings>(&settings, None)
        .await
        .unwrap();
    let _pod = rig.pod();
    let about = json!({"skillset": "WC_Billing", "context": "order 4711", "said": "called about a bill"});
    let conversation = texted(&rig, tenant, 1, "Please text us your order number", about).await;
    assert_eq!(rig.text(tenant, 1, "4711").await, conversation);
    let chat = open_chat(&sim).await;
    assert_eq!(chat.skillset, "WC_Billing");
    assert!(
        chat.custom_fields
            .contains(&("context".to_owned(), "order 4711".to_owned()))
    );
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(
        received(&sim),
        ["[CCM] called about a bill\n[CCM] Mary texted the customer: Please text us your order number\n4711"]
    );
    // The chat is open: its agent reads what somebody writes now.
    texted(&rig, tenant, 1, "Or call again", json!({})).await;
    until("the agent reads it", async || {
        received(&sim)
            .contains(&"[CCM] Mary texted the customer: Or call again".to_owned())
            .then_some(())
    })
    .await;
    assert_eq!(sim.chats().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_tenant_know_best_and_a_skillset_that_is_gone_sends_nobody_away() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    skillset(&rig, tenant, "WC_Billing").await;
    skillset(&rig, tenant, "WC_Sales").await;
    let rules = json!({"rules": [
        {"name": "sales", "when": {"keyword": {"any_of": ["BUY"]}}, "action": {"skillset": "WC_Sales"}},
    ]});
    rig.db
        .tenant(tenant.id)
        .put_routing(&rules, &Names::default(), None)
        .await
        .unwrap();
    let _pod = rig.pod();
    texted(&rig, tenant, 1, "hello", json!({"skillset": "WC_Billing"})).await;
    rig.text(tenant, 1, "buy one").await;
    let first = open_chat(&sim).await;
    assert_eq!(first.skillset, "WC_Sales");
    texted(&rig, tenant, 2, "hello", json!({"skillset": "WC_Gone"})).await;
    rig.text(tenant, 2, "hi").await;
    let other = until("a chat of the number's own skillset", async || {
        sim.chats().into_iter().find(|c| c.guid != first.guid)
    })
    .await;
    assert_eq!(other.skillset, "WC_Default_Skillset");
}
