//! Retention that takes all it may, while texts are carried.

use crate::rig::{IDS, Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{ChatState, Tls};
use ccm_db::{AsSent, Head, Knows, Outcome, Sender};
use ccm_model::{ConversationId, ConversationState, MessageState};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::sleep;

const ROUNDS: usize = 6;

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Takes away what is over, over and over, as if all of it were too old the moment that it is over. Returns how many conversations went.
async fn retain(rig: &Rig, tenant: Tenant, stop: &AtomicBool, gone: &AtomicU64) {
    let db = rig.db.tenant(tenant.id);
    db.retention_is_due().await.unwrap();
    while !stop.load(Relaxed) {
        db.erase_bodies(now(), None, 50, now()).await.unwrap();
        let taken = db.remove_conversations(now(), None, 50).await.unwrap();
        gone.fetch_add(taken.conversations, Relaxed);
        sleep(Duration::from_millis(5)).await;
    }
}

/// A dispatcher whose provider takes everything: what it was given.
async fn dispatch(rig: &Rig, tenant: Tenant, stop: &AtomicBool, sent: &Mutex<Vec<String>>) {
    let sender = Sender {
        hold: Duration::from_secs(30),
        knows: |_| Knows::Nothing,
        paused: &|_| None,
        as_sent: &|body, _| AsSent { body, segments: 1 },
    };
    let db = rig.db.tenant(tenant.id);
    while !stop.load(Relaxed) {
        let operator = rig.db.operator();
        let claims = operator
            .claim_lines(IDS.next(), Duration::from_secs(30), 10, &[])
            .await
            .unwrap();
        for claim in claims {
            while let Head::Send(sending) = db.begin_send(&claim, &sender, now()).await.unwrap() {
                sleep(Duration::from_millis(10)).await;
                sent.lock().unwrap().push(sending.body.as_str().to_owned());
                let outcome = Outcome::Sent { provider_id: None };
                db.finish_send(&claim, sending.message, sending.account, &outcome, &IDS, now())
                    .await
                    .unwrap();
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// All texts of an open conversation are there, with their words.
async fn is_whole(rig: &Rig, tenant: Tenant, conversation: ConversationId, texts: usize) {
    let all = rig.messages(tenant, conversation).await;
    assert_eq!(all.len(), texts);
    assert!(all.iter().all(|text| !text.body.as_str().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_under_way_is_retained_away() {
    let rig = Arc::new(Rig::new().await);
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    let _pod = rig.pod();
    let (stop, gone, sent) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Vec::new()));
    let customers = async {
        let (mut texts, mut answers) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (text, answer) = (format!("text {round}"), format!("answer {round}"));
            let conversation = rig.text(tenant, 1, &text).await;
            let guid = open_chat(&sim).await.guid;
            sim.join(guid, agent()).unwrap();
            rig.until_state(tenant, conversation, MessageState::Delivered, 1)
                .await;
            sim.say(guid, None, &answer).unwrap();
            until("the answer is stored and sent", async || {
                sent.lock().unwrap().contains(&answer).then_some(())
            })
            .await;
            // Old enough for retention all the time, and it stays until it is over.
            sleep(Duration::from_millis(50)).await;
            is_whole(&rig, tenant, conversation, 2).await;
            sim.leave(guid, None, true).unwrap();
            until("it is over and gone", async || {
                let open = sim.chats().iter().any(|chat| chat.state != ChatState::Ended);
                let row = rig.db.tenant(tenant.id).conversation(conversation).await;
                let stays = row.is_ok_and(|row| row.state == ConversationState::Open);
                (!open && !stays && gone.load(Relaxed) > round as u64).then_some(())
            })
            .await;
            texts.push(text);
            answers.push(answer);
        }
        stop.store(true, Relaxed);
        (texts, answers)
    };
    let (_, _, (texts, answers)) = tokio::join!(
        retain(&rig, tenant, &stop, &gone),
        dispatch(&rig, tenant, &stop, &sent),
        customers
    );
    assert_eq!(
        received(&sim),
        texts,
        "each text reached an agent, once and whole"
    );
    assert_eq!(*sent.lock().unwrap(), answers, "each answer left, once and whole");
    assert_eq!(
        rig.sql("SELECT count(*) FROM message"),
        "0",
        "and what was over is gone"
    );
    assert_eq!(rig.sql("SELECT count(*) FROM dead_letter"), "0");
}
