use crate::rig::{Rig, incoming};
use ccm_db::{Accepted, DbError};
use ccm_ingest::{AcceptError, Batcher, Batching};
use ccm_runtime::Metrics;
use futures::future::join_all;

const ONE_WORKER: Batching = Batching {
    workers: 1,
    most: 128,
    waiting: 1000,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_text_that_cannot_be_stored_costs_the_others_nothing() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let (batcher, _workers) = Batcher::start(&rig.db, &rig.bus, ONE_WORKER);
    for round in 0..5 {
        let texts = (0..40).map(|n| {
            let mut text = incoming(tenant, round * 100 + n, "text");
            if n == 20 {
                // No such number of this tenant.
                text.route.number = other.number;
            }
            batcher.accept(text)
        });
        for (n, result) in join_all(texts).await.into_iter().enumerate() {
            match result {
                Ok(Accepted::New { .. }) => assert_ne!(n, 20),
                Err(AcceptError::Db(DbError::Conflict { missing: true, .. })) => assert_eq!(n, 20),
                other => panic!("text {n}: {other:?}"),
            }
        }
    }
    let stored: usize = rig.texts(tenant).await.iter().map(|(_, texts)| texts.len()).sum();
    assert_eq!(stored, 5 * 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversations_texts_are_stored_in_the_order_of_their_coming() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (batcher, workers) = Batcher::start(
        &rig.db,
        &rig.bus,
        Batching {
            workers: 4,
            most: 7,
            waiting: 1000,
        },
    );
    // `join_all` begins them one after the other, as they would come from a socket.
    let texts = (0..400).map(|n| batcher.accept(incoming(tenant, n % 4, &n.to_string())));
    for result in join_all(texts).await {
        result.unwrap();
    }
    for (_, texts) in rig.texts(tenant).await {
        let order: Vec<u32> = texts.iter().map(|t| t.body.as_str().parse().unwrap()).collect();
        assert_eq!(order.len(), 100);
        assert!(order.is_sorted(), "{order:?}");
    }
    drop(batcher);
    workers.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_commit_is_under_way_shares_the_next_one() {
    let metrics = Metrics::install().unwrap();
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (batcher, _workers) = Batcher::start(&rig.db, &rig.bus, ONE_WORKER);
    let texts = (0..256).map(|n| batcher.accept(incoming(tenant, n, "text")));
    for result in join_all(texts).await {
        result.unwrap();
    }
    let rendered = metrics.render();
    let count = rendered
        .lines()
        .find_map(|line| line.strip_prefix("ccm_ingest_batch_texts_count "));
    let commits: u32 = count.expect("batches are counted").parse().unwrap();
    assert!(commits < 64, "256 texts took {commits} commits");
}
