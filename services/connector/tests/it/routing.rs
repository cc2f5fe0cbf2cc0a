//! Where texts go by a tenant's rules and business hours.

use crate::rig::{Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::Tls;
use ccm_db::{Names, NewSkillset, TextKind};
use ccm_model::{ConversationId, Direction, MessageState};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

async fn rules(rig: &Rig, tenant: Tenant, document: Value) {
    rig.db
        .tenant(tenant.id)
        .put_routing(&document, &Names::default(), None)
        .await
        .unwrap();
}

async fn told(rig: &Rig, tenant: Tenant, conversation: ConversationId) -> Vec<String> {
    let all = rig.messages(tenant, conversation).await;
    let mt = all.iter().filter(|m| m.direction == Direction::Mt);
    mt.map(|m| m.body.as_str().to_owned()).collect()
}

async fn until_told(rig: &Rig, tenant: Tenant, conversation: ConversationId, words: &str) {
    until(words, async || {
        told(rig, tenant, conversation)
            .await
            .contains(&words.to_owned())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyword_goes_to_another_skillset_and_a_take_over_keeps_it() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    let sales = NewSkillset {
        id: crate::rig::IDS.next(),
        link: tenant.link,
        name: "WC_Sales",
    };
    rig.db.tenant(tenant.id).create_skillset(sales).await.unwrap();
    rules(
        &rig,
        tenant,
        json!({"rules": [
            {"name": "sales", "when": {"keyword": {"any_of": ["BUY"]}}, "action": {"skillset": "WC_Sales"}},
            {"name": "gone", "when": {"keyword": {"any_of": ["OLD"]}}, "action": {"skillset": "WC_Gone"}},
        ]}),
    )
    .await;
    let pod = rig.pod();
    let conversation = rig.text(tenant, 1, "Buy one").await;
    let chat = open_chat(&sim).await;
    assert_eq!(chat.skillset, "WC_Sales");
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    pod.drain().await.1.unwrap();
    let _next = rig.pod();
    rig.text(tenant, 1, "and another").await;
    rig.until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    assert_eq!(sim.chats().len(), 1, "the chat went on");
    // A rule that names what is not there sends nobody away.
    rig.text(tenant, 2, "old thing").await;
    let other = until("a chat of the number's own skillset", async || {
        sim.chats().into_iter().find(|c| c.guid != chat.guid)
    })
    .await;
    assert_eq!(other.skillset, "WC_Default_Skillset");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_answers_and_no_agent_is_bothered() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    rules(
        &rig,
        tenant,
        json!({"rules": [
            {"name": "hours", "when": {"keyword": {"any_of": ["HOURS"]}},
             "action": {"reply": {"words": {"en": "9 to 5"}, "then": "done"}}},
        ]}),
    )
    .await;
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hours?").await;
    until_told(&rig, tenant, conversation, "9 to 5").await;
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert!(sim.chats().is_empty());
}

/// Two minutes' opening hours around a moment, in UTC.
fn open_from(from: OffsetDateTime) -> Value {
    let clock = |t: OffsetDateTime| format!("{:02}:{:02}", t.hour(), t.minute());
    let day = json!([{"from": clock(from), "to": clock(from + Duration::hours(1))}]);
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let weekly: serde_json::Map<_, _> = days.map(|d| (d.to_owned(), day.clone())).into_iter().collect();
    json!({
        "calendars": {"office": {"time_zone": "UTC", "weekly": weekly}},
        "after_hours": [{"calendar": "office", "reply": {"en": "We are closed."}}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_hours_texts_are_answered_once_kept_and_offered_at_the_opening() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    rules(
        &rig,
        tenant,
        open_from(OffsetDateTime::now_utc() + Duration::hours(3)),
    )
    .await;
    let pod = rig.pod();
    let conversation = rig.text(tenant, 1, "one").await;
    until_told(&rig, tenant, conversation, "We are closed.").await;
    rig.text(tenant, 1, "two").await;
    // Who refuses texts at night hears at once that it was understood, and wakes nobody.
    rig.text_of_kind(tenant, 2, "STOP", TextKind::Stop).await;
    // Another pod goes on waiting, and says nothing again.
    pod.drain().await.1.unwrap();
    let pod = rig.pod();
    rig.text(tenant, 1, "three").await;
    until("people see what it waits for", async || {
        let row = rig.db.tenant(tenant.id).conversation(conversation).await.unwrap();
        (row.waits_for.as_deref() == Some("opening")).then_some(())
    })
    .await;
    assert_eq!(told(&rig, tenant, conversation).await, ["We are closed."]);
    assert!(sim.chats().is_empty());
    // The office opens: here, by its hours being changed. The next pod sees them at once.
    rules(
        &rig,
        tenant,
        open_from(OffsetDateTime::now_utc() - Duration::minutes(1)),
    )
    .await;
    pod.drain().await.1.unwrap();
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 3)
        .await;
    assert_eq!(received(&sim), ["one", "two", "three"]);
    assert_eq!(told(&rig, tenant, conversation).await, ["We are closed."]);
}
