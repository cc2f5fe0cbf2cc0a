//! A number that goes to another tenant: its chats end when their agents have read what waits for them.

use crate::rig::{IDS, PATIENCE, Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{ChatState, Tls};
use ccm_db::{Destination, Moved, NewNumberMove};
use ccm_model::{Actor, ConversationId, ConversationState, Id, MessageState};
use time::OffsetDateTime;

/// The tenant's number goes to another one, now.
async fn moved(rig: &Rig, from: Tenant, to: Tenant) {
    let now = OffsetDateTime::now_utc();
    let skillset = rig.db.tenant(to.id).skillsets().await.unwrap()[0].id;
    let new = NewNumberMove {
        id: IDS.next(),
        number: from.route.number,
        to: Destination {
            tenant: Some((to.id, skillset)),
            account: to.route.account,
        },
        at: now,
        by: "somebody",
        now,
    };
    rig.db.tenant(from.id).plan_number_move(new).await.unwrap();
    let due = rig
        .db
        .operator()
        .due_number_moves(now, 10)
        .await
        .unwrap()
        .remove(0);
    let actor = Actor {
        sub: "mover".to_owned(),
        role: "system",
        via: "timer",
        key: None,
        user: None,
        from: None,
        request: due.id.uuid(),
    };
    assert_eq!(
        rig.db.make_number_move(due, &actor, now).await.unwrap(),
        Moved::Done
    );
}

async fn closed(rig: &Rig, tenant: Tenant, conversation: ConversationId) {
    until("the conversation is closed", async || {
        let row = rig.db.tenant(tenant.id).conversation(conversation).await.unwrap();
        (row.state == ConversationState::Closed).then_some(())
    })
    .await;
}

const NOTE: &str = "[CCM] The number has gone to another contact center";

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reads_that_the_number_is_gone_and_the_chat_ends() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let (old, new) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    let _pod = rig.pod();
    let conversation = rig.text(old, 1, "hello").await;
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(old, conversation, MessageState::Delivered, 1)
        .await;
    moved(&rig, old, new).await;
    closed(&rig, old, conversation).await;
    let last = received(&sim).pop().unwrap();
    assert!(last.starts_with(NOTE), "{last}");
    let ended = |c: &ccm_aacc_sim::ChatView| c.state == ChatState::Ended;
    sim.wait_for_chat(ended, PATIENCE).await.unwrap();
    let db = rig.db.tenant(old.id);
    assert!(
        db.finish_release(old.route.number).await.unwrap(),
        "nothing is under way any more"
    );
    let all = rig.messages(old, conversation).await;
    assert_eq!(
        all.iter().filter(|m| m.state == MessageState::Delivered).count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_agent_is_read_before_the_chat_ends() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let (old, new) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    // Nobody serves it yet.
    let conversation = rig.text(old, 1, "hello").await;
    rig.text(old, 1, "is anybody there?").await;
    moved(&rig, old, new).await;
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    closed(&rig, old, conversation).await;
    let read = received(&sim);
    assert_eq!(read[..2], ["hello", "is anybody there?"]);
    assert!(read[2].starts_with(NOTE), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_nobody_has_taken_and_nothing_waits_for_is_left() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let (old, new) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    let pod = rig.pod();
    let conversation = rig.text(old, 1, "hello").await;
    open_chat(&sim).await;
    pod.drain().await.1.unwrap();
    rig.sql("DELETE FROM inbox");
    moved(&rig, old, new).await;
    let _next = rig.pod();
    closed(&rig, old, conversation).await;
}
