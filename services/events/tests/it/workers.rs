//! Several processes, of which any may die, and receivers of different speeds.

use crate::{
    receiver::Receiver,
    rig::{Rig, quick},
};
use ccm_events::Settings;
use ccm_model::DeliveryState;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn two_workers_tell_each_thing_once() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("ok"), &["message.received"]).await;
    let workers = [rig.work(), rig.work()];
    for customer in 0..60 {
        rig.text(customer).await;
    }
    let heard = receiver.wait("ok", 60).await;
    let ids: BTreeSet<String> = heard.iter().map(|one| one.id().to_owned()).collect();
    sleep(Duration::from_millis(300)).await;
    assert_eq!((receiver.heard("ok").len(), ids.len()), (60, 60));
    for worker in workers {
        worker.life.drain();
        worker.task.await.unwrap();
    }
    assert!(
        rig.deliveries(webhook)
            .await
            .iter()
            .all(|row| row.state == DeliveryState::Delivered)
    );
}

#[tokio::test]
async fn what_a_worker_had_in_hand_when_it_died_is_told_by_another() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("gate"), &["message.received"]).await;
    for customer in 0..6 {
        rig.text(customer).await;
    }
    let brief = Settings {
        claim: Duration::from_secs(3),
        ..quick()
    };
    // Its calls go with it: a task that is aborted runs not one line more, as a process that is killed.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let events = rig.events_apart(brief.clone());
    runtime.spawn(events.run(Rig::life()));
    receiver.wait("gate", 1).await;
    runtime.shutdown_background();
    assert!(
        rig.deliveries(webhook)
            .await
            .iter()
            .all(|row| row.state == DeliveryState::Pending)
    );
    receiver.open_gate();
    let _other = rig.work_with(brief);
    for _ in 0..400 {
        let rows = rig.deliveries(webhook).await;
        if rows.iter().all(|row| row.state == DeliveryState::Delivered) {
            let ids: BTreeSet<String> = receiver
                .heard("gate")
                .iter()
                .map(|one| one.id().to_owned())
                .collect();
            assert_eq!(ids.len(), 6);
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", rig.deliveries(webhook).await);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody_else() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    rig.webhook(&receiver.url("hangs"), &["message.received"]).await;
    rig.webhook(&receiver.url("ok"), &["message.received"]).await;
    for customer in 0..30 {
        rig.text(customer).await;
    }
    let small = Settings {
        concurrency: 8,
        timeout: Duration::from_secs(20),
        claim: Duration::from_secs(60),
        ..quick()
    };
    let began = Instant::now();
    let _worker = rig.work_with(small);
    receiver.wait("ok", 30).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(receiver.heard("hangs").len(), 4, "its share, and no more");
}

#[tokio::test]
async fn a_worker_that_drains_ends_what_it_has_begun() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("slow"), &["message.received"]).await;
    rig.text(1).await;
    let worker = rig.work();
    receiver.wait("slow", 1).await;
    worker.life.drain();
    worker.task.await.unwrap();
    assert_eq!(rig.deliveries(webhook).await[0].state, DeliveryState::Delivered);
    rig.text(2).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.heard("slow").len(), 1);
}
