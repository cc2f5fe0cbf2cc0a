//! Where texts go by a tenant's own program.

use crate::rig::{Rig, Tenant, agent, open_chat, sim, until};
use axum::{
    Json, Router, extract::State, http::HeaderMap, http::StatusCode, response::IntoResponse, routing::post,
};
use ccm_aacc_sim::Tls;
use ccm_db::{Names, NewSkillset, TextKind};
use ccm_model::{Direction, MessageState, SmsSettings};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a tenant's program was asked, whether the signature fitted, and what it answers.
#[derive(Clone, Default)]
struct Program {
    asked: Arc<Mutex<Vec<(Value, bool)>>>,
    answers: Arc<Mutex<Value>>,
}

impl Program {
    async fn start(&self) -> SocketAddr {
        let router = Router::new()
            .route("/route", post(answer))
            .route("/hangs", post(std::future::pending::<()>))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        at
    }

    fn answers(&self, answer: Value) {
        *self.answers.lock().unwrap() = answer;
    }

    fn asked(&self) -> Vec<(Value, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

/// A number is a status.
async fn answer(State(program): State<Program>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let signed = standardwebhooks::Webhook::new(SECRET)
        .unwrap()
        .verify(body.as_bytes(), &headers)
        .is_ok();
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        headers["webhook-id"],
        asked["data"]["message_id"].as_str().unwrap()
    );
    program.asked.lock().unwrap().push((asked, signed));
    let answer = program.answers.lock().unwrap().clone();
    match answer.as_u64() {
        Some(status) => StatusCode::from_u16(status.try_into().unwrap())
            .unwrap()
            .into_response(),
        None => Json(answer).into_response(),
    }
}

async fn skillset(rig: &Rig, tenant: Tenant, name: &str) {
    let new = NewSkillset {
        id: crate::rig::IDS.next(),
        link: tenant.link,
        name,
    };
    rig.db.tenant(tenant.id).create_skillset(new).await.unwrap();
}

async fn asks(rig: &Rig, tenant: Tenant, url: String, timeout_ms: u32) {
    let document = json!({"rules": [{"name": "ask", "action": {"webhook": {
        "url": url, "timeout_ms": timeout_ms, "fallback": {"skillset": "WC_Fallback"}}}}]});
    rig.db
        .tenant(tenant.id)
        .put_routing(&document, &Names::default(), None)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_program_says_where_a_text_goes() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    skillset(&rig, tenant, "WC_Sales").await;
    skillset(&rig, tenant, "WC_Fallback").await;
    let db = rig.db.tenant(tenant.id);
    db.create_webhook_secret(crate::rig::IDS.next(), "one", SECRET)
        .await
        .unwrap();
    let program = Program::default();
    let at = program.start().await;
    asks(&rig, tenant, format!("http://{at}/route"), 5000).await;
    let _pod = rig.pod();

    program.answers(json!({"skillset": "WC_Sales"}));
    let conversation = rig.text(tenant, 1, "I want <one>").await;
    let chat = open_chat(&sim).await;
    assert_eq!(chat.skillset, "WC_Sales");
    let [(asked, signed)] = &program.asked()[..] else {
        panic!("asked once for a text: {:?}", program.asked())
    };
    assert!(signed);
    assert_eq!(asked["type"], "text.route");
    let data = &asked["data"];
    assert_eq!(data["text"], "I want <one>");
    assert_eq!(data["rule"], "ask");
    assert_eq!(data["skillset"], "WC_Default_Skillset");
    assert_eq!(data["conversation_id"], conversation.to_string());
    // The chat's further texts go where the chat is.
    sim.join(chat.guid, agent()).unwrap();
    rig.text(tenant, 1, "please").await;
    rig.until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    assert_eq!(program.asked().len(), 1);

    // It answers for the tenant, and no agent is bothered.
    program.answers(json!({"reply": {"words": {"en": "9 to 5"}, "then": "done"}}));
    let conversation = rig.text(tenant, 2, "hours?").await;
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    let all = rig.messages(tenant, conversation).await;
    let told: Vec<_> = all.iter().filter(|m| m.direction == Direction::Mt).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body.as_str(), "9 to 5");
    assert_eq!(sim.chats().len(), 1);

    // It has nothing to say.
    program.answers(json!({}));
    rig.text(tenant, 3, "hello").await;
    until("a chat of the number's own skillset", async || {
        let found = sim.chats().into_iter().find(|c| c.guid != chat.guid)?;
        (found.skillset == "WC_Default_Skillset").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_keeps_no_text_from_an_agent() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    skillset(&rig, tenant, "WC_Fallback").await;
    let program = Program::default();
    let at = program.start().await;
    let _pod = rig.pod();
    let mut n = 0;
    for (url, answer) in [
        (format!("http://{at}/route"), json!(500)),
        (format!("http://{at}/route"), json!({"skilset": "WC_Sales"})),
        (format!("http://{at}/route"), json!({"skillset": "WC_Gone"})),
        (format!("http://{at}/route"), json!({"reply": {"words": {}}})),
        (format!("http://{at}/hangs"), json!({})),
        ("http://127.0.0.1:1/route".into(), json!({})),
        // Not within the networks that this platform allows beside public ones.
        ("https://10.255.255.1/route".into(), json!({})),
    ] {
        n += 1;
        program.answers(answer.clone());
        asks(&rig, tenant, url.clone(), 300).await;
        // Until the pod looks at the rules anew.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        rig.text(tenant, n, "hello").await;
        until("a chat with the fallback's agents", async || {
            (sim.chats().len() == n as usize).then_some(())
        })
        .await;
        let chats = sim.chats();
        assert!(
            chats.iter().all(|c| c.skillset == "WC_Fallback"),
            "{url} {answer}: {chats:?}"
        );
    }
    assert!(
        program.asked().iter().all(|(_, signed)| !signed),
        "no secret, no signature"
    );
}

/// Who refuses texts hears at once that it was understood, whatever a program is doing.
#[tokio::test(flavor = "multi_thread")]
async fn stop_is_answered_while_a_program_hangs() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    let mut settings = SmsSettings::default();
    settings.consent.stop_reply = Some(serde_json::from_value(json!({"en": "No more texts."})).unwrap());
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<SmsSettings>(&settings, None).await.unwrap();
    let at = Program::default().start().await;
    // Longer than this test waits for anything.
    asks(&rig, tenant, format!("http://{at}/hangs"), 10_000).await;
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    rig.text_of_kind(tenant, 1, "STOP", TextKind::Stop).await;
    until("the reply to STOP", async || {
        let all = rig.messages(tenant, conversation).await;
        let mut mt = all.iter().filter(|m| m.direction == Direction::Mt);
        mt.any(|m| m.body.as_str() == "No more texts.").then_some(())
    })
    .await;
    assert!(sim.chats().is_empty(), "the program still thinks");
}
