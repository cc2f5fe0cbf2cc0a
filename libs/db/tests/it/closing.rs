//! A conversation ends while a text comes in.

use crate::rig::{IDS, Rig, incoming, now};
use ccm_db::Accepted;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Barrier;

const LANES: usize = 4;
const ROUNDS: usize = 75;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_text_is_left_in_a_closed_conversation() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (ended_first, text_first) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let lanes = (0..LANES).map(|lane| {
        let (rig, ended_first, text_first) = (rig.clone(), ended_first.clone(), text_first.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let customer = (lane * ROUNDS + round) as u32;
                let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
                let start = Arc::new(Barrier::new(2));
                let text = {
                    let (rig, start) = (rig.clone(), start.clone());
                    tokio::spawn(async move {
                        let texts = [incoming(tenant, customer)];
                        start.wait().await;
                        jitter().await;
                        rig.db.batch().accept(&texts).await.unwrap()[0]
                    })
                };
                start.wait().await;
                jitter().await;
                let db = rig.db.tenant(tenant.id);
                let closed = db
                    .chat_ended(&fence, conversation, Some(chat), "the agent left", None, now())
                    .await
                    .unwrap();
                let Accepted::New { conversation: to, .. } = text.await.unwrap() else {
                    panic!("a new text")
                };
                assert_eq!(closed, to != conversation, "round {round}");
                (if closed { &ended_first } else { &text_first }).fetch_add(1, Relaxed);
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    let stranded = "SELECT count(*) FROM inbox i JOIN conversation c ON c.id = i.conversation_id WHERE c.state <> 'open'";
    assert_eq!(rig.count(stranded).await, 0);
    assert_eq!(
        rig.count("SELECT count(*) FROM inbox").await,
        (LANES * ROUNDS) as i64
    );
    let served = rig
        .db
        .batch()
        .conversations_to_serve(&[tenant.id], &[tenant.id])
        .await
        .unwrap();
    assert_eq!(served.len(), LANES * ROUNDS, "every one of them gets an actor");
    let (ended_first, text_first) = (ended_first.load(Relaxed), text_first.load(Relaxed));
    assert!(
        ended_first > 10 && text_first > 10,
        "both orders happen: {ended_first}, {text_first}"
    );
}

/// Up to a millisecond: the length of the transactions that race.
async fn jitter() {
    tokio::time::sleep(std::time::Duration::from_micros(IDS.next_u64() % 1000)).await;
}

#[tokio::test]
async fn a_chat_ends_with_its_conversation_only_when_nothing_waits() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let (_, waiting) = rig.text(tenant, 1).await;
    assert!(
        !db.chat_ended(&fence, conversation, Some(chat), "left", None, now())
            .await
            .unwrap()
    );
    assert!(
        db.actor_context(conversation).await.unwrap().chat.is_none(),
        "the chat is over all the same"
    );
    let to_serve = rig
        .db
        .batch()
        .conversations_to_serve(&[tenant.id], &[tenant.id])
        .await
        .unwrap();
    assert_eq!(to_serve.len(), 1);
    assert_eq!(
        (to_serve[0].conversation, to_serve[0].newest_seq),
        (conversation, 2)
    );

    db.text_refused(&fence, waiting, "1", "Not\0allowed", now())
        .await
        .unwrap();
    assert!(
        db.chat_ended(&fence, conversation, None, "nothing waits", None, now())
            .await
            .unwrap()
    );
    assert!(
        !db.chat_ended(&fence, conversation, None, "again", None, now())
            .await
            .unwrap(),
        "closed already"
    );
    assert_eq!(
        rig.db
            .batch()
            .conversations_to_serve(&[tenant.id], &[tenant.id])
            .await
            .unwrap(),
        []
    );

    // What comes later about a text that is settled changes nothing.
    db.text_held(&fence, waiting, now()).await.unwrap();
    db.text_delivered(&fence, waiting, now()).await.unwrap();
    let row = db.conversation(conversation).await.unwrap();
    let texts = db.messages(&row, 1, 10).await.unwrap();
    assert_eq!(texts[0].state, ccm_model::MessageState::Refused);
    assert_eq!(texts[0].error_detail.as_deref(), Some("Not\u{fffd}allowed"));
}
