//! From the voice script's question to the agent's first word, through the running product.

use crate::play::{SOON, nothing_leaked, we_spoke_as_it_is_spoken, world};
use ccm_aacc_sim::{Agent, ChatView};
use ccm_demo::World;
use ccm_testkit::canary;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Mobile numbers, as their country's plan says: marked ones cannot be texted.
const CALLER: &str = "+353861234567";
const OTHER: &str = "+353861234568";

async fn settings(world: &World, change: Value) {
    let id = &world.tenants[0].made.id;
    let mut document = json!({"offer": {"en": format!("{}: text back, {{name}}", canary::body(1))}});
    document
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let path = format!("/tenants/{id}/deflection-settings");
    world.admin.put(&path, &document).await.unwrap();
    let fields = json!({"customer": {"fields": [
        {"title": "order", "value": "{context.order}"},
        {"title": "waited", "value": "{waited}"},
        {"title": "priority", "value": "{priority}"},
        {"title": "from", "value": "{customer}"},
        {"title": "to", "value": "{ours}"},
    ]}});
    let path = format!("/tenants/{id}/chat-settings");
    world.admin.put(&path, &fields).await.unwrap();
}

/// As a script asks.
async fn ask(world: &World, caller: &str, contact: &str) -> Value {
    let base = world.stack.address("deflection").unwrap();
    let answer = reqwest::Client::new()
        .post(format!("{base}/v1/deflections"))
        .form(&[
            ("auth", world.tenants[0].made.auth_key.as_str()),
            ("caller", caller),
            ("contact_id", contact),
            ("waited_s", "301"),
            ("name", &canary::body(2)),
            ("context.order", &canary::body(3)),
        ])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn accepted(world: &World, caller: &str, contact: &str) -> String {
    let answer = ask(world, caller, contact).await;
    assert_eq!(answer["result"], "accepted", "{answer}");
    answer["deflection"].as_str().unwrap().to_owned()
}

async fn state(world: &World, id: &str) -> String {
    let base = world.stack.address("deflection").unwrap();
    let answer = reqwest::Client::new()
        .get(format!("{base}/v1/deflections/{id}?format=text"))
        .bearer_auth(&world.tenants[0].made.auth_key)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

async fn comes_to(world: &World, id: &str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..SOON.as_millis() / 200 {
        last = state(world, id).await;
        if last == wanted {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("it is {last}, and never comes to {wanted}");
}

async fn chat_of(world: &World, caller: &str) -> ChatView {
    let mine = |c: &ChatView| c.customer == caller;
    let aacc = &world.tenants[0].aacc;
    aacc.wait_for_chat(mine, SOON).await.expect("a chat is opened")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_texts_back_has_an_agent_who_knows_what_the_script_knew() {
    let world = world().start().await.unwrap();
    settings(
        &world,
        json!({"priorities": [{"over_s": 300, "priority": "high"}]}),
    )
    .await;
    // A number that cannot be texted leaves no trace in a log either.
    assert_eq!(
        ask(&world, &canary::number(7), "call-0").await["reason"],
        "no_sms"
    );
    let id = accepted(&world, CALLER, "call-1").await;
    assert_eq!(
        accepted(&world, CALLER, "call-1").await,
        id,
        "asked twice, offered once"
    );
    let offer = world.carrier.wait_received(CALLER, 1, SOON).await.unwrap();
    assert_eq!(
        offer[0].text,
        format!("{}: text back, {}", canary::body(1), canary::body(2))
    );
    comes_to(&world, &id, "delivered").await;
    let tenant = &world.tenants[0];
    world.carrier.text(CALLER, &tenant.number, "yes please").unwrap();
    let chat = chat_of(&world, CALLER).await;
    assert_eq!(chat.customer_name, canary::body(2));
    for field in [
        ("order", canary::body(3)),
        ("waited", "301".into()),
        ("priority", "high".into()),
    ] {
        let field = (field.0.to_owned(), field.1);
        assert!(chat.custom_fields.contains(&field), "{:?}", chat.custom_fields);
    }
    tenant
        .aacc
        .join(chat.guid, Agent::new("7000", "Russell"))
        .unwrap();
    let told = |c: &ChatView| c.transcript.iter().any(|line| line.text.ends_with("yes please"));
    let chat = tenant.aacc.wait_for(chat.guid, told, SOON).await.unwrap();
    let first = chat
        .transcript
        .iter()
        .find(|line| line.text.ends_with("yes please"))
        .unwrap();
    assert!(first.text.contains("waited for 5 min"), "{}", first.text);
    comes_to(&world, &id, "chat").await;
    tenant
        .aacc
        .say_raw(chat.guid, None, "How can I help you?")
        .unwrap();
    let texts = world.carrier.wait_received(CALLER, 2, SOON).await.unwrap();
    assert!(texts[1].text.ends_with("How can I help you?"));
    let funnel = format!("/tenants/{}/deflection-funnel", tenant.made.id);
    for _ in 0..SOON.as_millis() / 200 {
        let seen = world.admin.get(&funnel).await.unwrap()["items"][0].clone();
        if seen["served"] == 1 {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    let seen = world.admin.get(&funnel).await.unwrap()["items"][0].clone();
    for step in ["offered", "sent", "delivered", "answered", "chat", "served"] {
        assert_eq!(seen[step], 1, "{step}: {seen}");
    }
    assert_eq!(seen["refused"], json!({"no_sms": 1}));
    nothing_leaked(&world).await;
    we_spoke_as_it_is_spoken(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_opens_the_chat_though_the_role_is_killed_in_between() {
    let mut world = world().start().await.unwrap();
    settings(
        &world,
        json!({"offer": {"en": "Chat: {link}"}, "link": true, "answer_within_s": 60}),
    )
    .await;
    let id = accepted(&world, CALLER, "call-1").await;
    let late = accepted(&world, OTHER, "call-2").await;
    world.stack.kill9("deflection").unwrap();
    let offer = world.carrier.wait_received(CALLER, 1, SOON).await.unwrap();
    world.stack.start("deflection").await.unwrap();
    let link = offer[0].text.strip_prefix("Chat: ").unwrap().to_owned();
    comes_to(&world, &id, "delivered").await;
    let http = reqwest::Client::new();
    let page = http.get(&link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<form method=\"post\">"));
    assert_eq!(
        state(&world, &id).await,
        "delivered",
        "who looks has not answered"
    );
    assert_eq!(http.post(&link).send().await.unwrap().status(), 200);
    let chat = chat_of(&world, CALLER).await;
    let aacc = &world.tenants[0].aacc;
    aacc.join(chat.guid, Agent::new("7000", "Russell")).unwrap();
    let told = |c: &ChatView| {
        c.transcript
            .iter()
            .any(|line| line.text.contains("opened this chat by the link"))
    };
    aacc.wait_for(chat.guid, told, SOON).await.unwrap();
    aacc.say_raw(chat.guid, None, "How can I help you?").unwrap();
    world.carrier.wait_received(CALLER, 2, SOON).await.unwrap();
    comes_to(&world, &id, "chat").await;
    // Whoever does not answer within a minute: it is over now.
    comes_to(&world, &late, "delivered").await;
    let over = format!("UPDATE deflection SET expires_at = now(), due_at = now() WHERE id = '{late}'");
    world.stack.superuser_sql(&over).unwrap();
    comes_to(&world, &late, "expired").await;
    nothing_leaked(&world).await;
    we_spoke_as_it_is_spoken(&world);
}
