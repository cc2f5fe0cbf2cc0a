//! Who owns a tenant, and that nobody else writes for it.

use crate::rig::{IDS, Rig, TIMES, agent_text, connect, now};
use ccm_db::{DbError, Fence, OwnedTenant, RoomState};
use ccm_model::{PodId, TenantId};
use sqlx::{Connection, Executor, Row};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::Barrier;

async fn pod(rig: &Rig, name: &str) -> PodId {
    let id = IDS.next();
    rig.db.operator().heartbeat(id, name, false).await.unwrap();
    id
}

async fn take(rig: &Rig, pod: PodId, tenants: &[TenantId]) -> Vec<OwnedTenant> {
    rig.db.operator().take_leases(pod, tenants, TIMES).await.unwrap()
}

async fn free(rig: &Rig) -> Vec<TenantId> {
    rig.db.operator().free_tenants(TIMES).await.unwrap()
}

/// As if the pod had last said something so long ago.
async fn silent_for(rig: &Rig, pod: PodId, seconds: f64) {
    rig.run(&format!(
        "UPDATE pod SET heartbeat_at = now() - make_interval(secs => {seconds}) WHERE id = '{pod}'"
    ))
    .await;
}

/// Bare tenants: enough for leases.
async fn tenants(rig: &Rig, count: usize) -> Vec<TenantId> {
    let mut made = Vec::new();
    for n in 0..count {
        let id = IDS.next();
        rig.db
            .operator()
            .create_tenant(id, &format!("t{n}"), "A tenant")
            .await
            .unwrap();
        made.push(id);
    }
    made
}

#[tokio::test]
async fn a_silent_pods_tenants_are_taken_after_lease_and_margin_only() {
    let rig = Rig::new().await;
    let all = tenants(&rig, 2).await;
    assert_eq!(free(&rig).await, all);
    let (a, b) = (pod(&rig, "a").await, pod(&rig, "b").await);
    let first = take(&rig, a, &all).await;
    assert_eq!(first.iter().map(|o| o.epoch).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(free(&rig).await, []);
    assert_eq!(take(&rig, b, &all).await, [], "held");

    // Longer than the lease, with seconds to spare for a slow machine.
    silent_for(&rig, a, 52.0).await;
    assert_eq!(free(&rig).await, []);
    assert_eq!(
        take(&rig, b, &all).await,
        [],
        "silent for less than lease and margin"
    );
    let shown = rig.db.operator().pods(TIMES).await.unwrap();
    assert!(shown.iter().all(|p| p.alive && !p.draining));

    silent_for(&rig, a, 60.1).await;
    assert_eq!(free(&rig).await, all);
    let shown = rig.db.operator().pods(TIMES).await.unwrap();
    let alive: Vec<_> = shown.iter().map(|p| (p.id, p.name.as_str(), p.alive)).collect();
    assert_eq!(alive, [(a, "a", false), (b, "b", true)]);
    let taken = take(&rig, b, &all[..1]).await;
    assert_eq!(
        taken,
        [OwnedTenant {
            tenant: all[0],
            epoch: 2
        }]
    );

    // Back before anybody took the other one: it is still its own.
    rig.db.operator().heartbeat(a, "a", true).await.unwrap();
    let left = rig.db.operator().leases_of(a).await.unwrap();
    assert_eq!(
        left,
        [OwnedTenant {
            tenant: all[1],
            epoch: 1
        }]
    );
    assert_eq!(take(&rig, b, &all).await, []);
    let shown = rig.db.operator().pods(TIMES).await.unwrap();
    assert!(shown.iter().any(|p| p.id == a && p.alive && p.draining));
}

#[tokio::test]
async fn a_released_lease_is_free_at_once() {
    let rig = Rig::new().await;
    let all = tenants(&rig, 1).await;
    let (a, b) = (pod(&rig, "a").await, pod(&rig, "b").await);
    let first = take(&rig, a, &all).await[0];
    let old = OwnedTenant { epoch: 0, ..first };
    rig.db.operator().release_lease(a, old).await.unwrap();
    rig.db.operator().release_lease(b, first).await.unwrap();
    assert_eq!(
        free(&rig).await,
        [],
        "neither by another pod nor under another epoch"
    );
    rig.db.operator().release_lease(a, first).await.unwrap();
    assert_eq!(free(&rig).await, all);
    assert_eq!(take(&rig, b, &all).await[0].epoch, 2);
    rig.db.operator().forget_pod(b).await.unwrap();
    assert_eq!(free(&rig).await, all, "a pod that is off the list holds nothing");
    assert_eq!(take(&rig, a, &all).await[0].epoch, 3);
}

#[tokio::test]
async fn nothing_goes_to_a_pod_that_is_silent_itself_nor_of_a_suspended_tenant() {
    let rig = Rig::new().await;
    let all = tenants(&rig, 2).await;
    let a = pod(&rig, "a").await;
    assert_eq!(take(&rig, IDS.next(), &all).await, [], "never announced");
    silent_for(&rig, a, 60.1).await;
    assert_eq!(
        take(&rig, a, &all).await,
        [],
        "others would take them away at once"
    );
    rig.run(&format!(
        "UPDATE tenant SET state = 'suspended' WHERE id = '{}'",
        all[0]
    ))
    .await;
    assert_eq!(free(&rig).await, all[1..]);
    silent_for(&rig, a, 4000.0).await;
    pod(&rig, "b").await;
    assert_eq!(
        rig.db.operator().pods(TIMES).await.unwrap().len(),
        1,
        "forgotten after an hour"
    );
}

/// Pods that see the same free tenants and grab them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_pods_that_race_one_wins() {
    const PODS: usize = 4;
    let rig = Arc::new(Rig::new().await);
    let all = tenants(&rig, 30).await;
    let mut pods = Vec::new();
    for n in 0..PODS {
        pods.push(pod(&rig, &n.to_string()).await);
    }
    let mut won = vec![0; PODS];
    for round in 1..=60 {
        let start = Arc::new(Barrier::new(PODS));
        let tasks = pods.iter().enumerate().map(|(n, pod)| {
            let (rig, start, pod, mut all) = (rig.clone(), start.clone(), *pod, all.clone());
            if n % 2 == 1 {
                all.reverse();
            }
            tokio::spawn(async move {
                start.wait().await;
                tokio::time::sleep(std::time::Duration::from_micros(IDS.next_u64() % 1500)).await;
                take(&rig, pod, &all).await
            })
        });
        let mut owners = HashMap::new();
        for (n, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
            let taken = task.await.unwrap();
            won[n] += usize::from(!taken.is_empty());
            for owned in taken {
                assert_eq!(
                    owners.insert(owned.tenant, (n, owned)),
                    None,
                    "round {round}: taken twice"
                );
            }
        }
        // What all skipped because another was just looking at it stays free, and is taken in the next round.
        let left: BTreeSet<_> = free(&rig).await.into_iter().collect();
        let missing: BTreeSet<_> = all.iter().copied().filter(|t| !owners.contains_key(t)).collect();
        assert_eq!(left, missing, "round {round}");
        assert!(!owners.is_empty());
        for (n, owned) in owners.into_values() {
            rig.db.operator().release_lease(pods[n], owned).await.unwrap();
        }
    }
    assert!(
        won.iter().filter(|w| **w > 0).count() > 1,
        "the race is one: {won:?}"
    );
}

/// Leases that are not there yet are made by whoever comes first; two that make them in different orders do not wait for
/// each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_leases_are_made_by_several_at_once() {
    let rig = Arc::new(Rig::new().await);
    let all = tenants(&rig, 40).await;
    let pods = [pod(&rig, "a").await, pod(&rig, "b").await];
    for _ in 0..25 {
        rig.run("DELETE FROM lease").await;
        let tasks = pods.map(|pod| {
            let (rig, mut all) = (rig.clone(), all.clone());
            if pod == pods[1] {
                all.reverse();
            }
            tokio::spawn(async move { rig.db.operator().take_leases(pod, &all, TIMES).await })
        });
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_takeover_skips_a_tenant_that_its_owner_is_writing_for() {
    let rig = Rig::new().await;
    let all = tenants(&rig, 2).await;
    let (a, b) = (pod(&rig, "a").await, pod(&rig, "b").await);
    take(&rig, a, &all).await;
    silent_for(&rig, a, 600.0).await;
    // A write of `a` that is still open.
    let mut write = connect(rig.test.app_url()).await;
    write.execute("BEGIN").await.unwrap();
    let under = format!("SELECT set_config('app.tenant_ids', '{}', true)", all[0]);
    write.execute(sqlx::AssertSqlSafe(under)).await.unwrap();
    write.execute("SELECT 1 FROM lease FOR SHARE").await.unwrap();
    let taken = take(&rig, b, &all).await;
    assert_eq!(taken.iter().map(|o| o.tenant).collect::<Vec<_>>(), all[1..]);
    write.execute("COMMIT").await.unwrap();
    let taken = take(&rig, b, &all).await;
    assert_eq!(taken.iter().map(|o| o.tenant).collect::<Vec<_>>(), all[..1]);
    write.close().await.unwrap();
}

/// A write that waits for a takeover sees its end, not its beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_meets_a_takeover_is_refused() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let before = rig.count("SELECT count(*) FROM message").await;
    let mut takeover = rig.root.begin().await.unwrap();
    sqlx::query("UPDATE lease SET epoch = epoch + 1")
        .execute(&mut *takeover)
        .await
        .unwrap();
    let write = {
        let rig = rig.clone();
        tokio::spawn(async move {
            let db = rig.db.tenant(tenant.id);
            db.agent_said(&fence, conversation, chat, &agent_text(), now())
                .await
        })
    };
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!write.is_finished(), "waits for the takeover's end");
    takeover.commit().await.unwrap();
    assert!(matches!(write.await.unwrap(), Err(DbError::Fenced)));
    assert_eq!(rig.count("SELECT count(*) FROM message").await, before);
}

#[tokio::test]
async fn every_write_of_a_connector_is_fenced() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let now_owner = rig.own(tenant.id).await;
    let others = rig.own(other.id).await;
    let (conversation, chat) = rig.chat(tenant, &now_owner, 1).await;
    let (_, waiting) = rig.text(tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    let old = Fence {
        owned: OwnedTenant {
            epoch: now_owner.owned.epoch - 1,
            ..now_owner.owned
        },
        ..now_owner
    };
    let other_pod = Fence {
        pod: others.pod,
        ..now_owner
    };
    for (fence, who) in [
        (old, "an old epoch"),
        (other_pod, "another pod"),
        (others, "the owner of another tenant"),
    ] {
        let (f, at) = (&fence, now());
        let before = rig.everything().await;
        let refused = [
            db.chat_opened(
                f,
                conversation,
                &ccm_db::NewChat {
                    id: IDS.next(),
                    link: tenant.link,
                    guid: "1",
                    key: "key",
                    skillset: "WC_Default_Skillset",
                    lost_counts_until: None,
                },
                at,
            )
            .await,
            db.chat_rekeyed(f, chat, "key").await,
            db.set_room(f, chat, RoomState::Live).await,
            db.agent_said(f, conversation, chat, &agent_text(), at).await,
            db.chat_ended(f, conversation, Some(chat), "left", None, at)
                .await
                .map(drop),
            db.text_sending(f, waiting, chat, at).await.map(drop),
            db.text_held(f, waiting, at).await,
            db.text_delivered(f, waiting, at).await,
            db.text_refused(f, waiting, "1", "refused", at).await,
        ];
        for (n, result) in refused.into_iter().enumerate() {
            assert!(
                matches!(result, Err(DbError::Fenced)),
                "{who}: write {n}: {result:?}"
            );
        }
        assert_eq!(rig.everything().await, before, "{who}");
    }

    // The same writes of the owner go through.
    let (f, at) = (&now_owner, now());
    let doubts = async || db.pending_texts(conversation, 0, 10).await.unwrap()[0].doubts;
    assert_eq!(doubts().await, 0);
    assert!(!db.text_sending(f, waiting, chat, at).await.unwrap());
    assert_eq!(doubts().await, 1, "nobody knows yet");
    assert!(
        db.text_sending(f, waiting, chat, at).await.unwrap(),
        "in doubt: a re-send"
    );
    assert_eq!(doubts().await, 2);
    db.text_held(f, waiting, at).await.unwrap();
    assert_eq!(
        doubts().await,
        1,
        "of the last attempt it is known that nobody saw it"
    );
    assert!(
        !db.text_sending(f, waiting, chat, at).await.unwrap(),
        "refused before: not a re-send"
    );
    db.set_room(f, chat, RoomState::Live).await.unwrap();
    let resumed = db.actor_context(conversation).await.unwrap().chat.unwrap();
    assert_eq!((resumed.id, resumed.room), (chat, RoomState::Live));
    db.text_delivered(f, waiting, at).await.unwrap();
    assert!(
        db.chat_ended(f, conversation, Some(chat), "left", None, at)
            .await
            .unwrap()
    );
    let row = &rig
        .rows("SELECT attempts, resends, state FROM message WHERE seq = 2")
        .await[0];
    let stored = (row.get::<i32, _>(0), row.get::<i32, _>(1), row.get::<&str, _>(2));
    assert_eq!(stored, (3, 1, "delivered"));
    assert!(matches!(
        db.text_sending(f, waiting, chat, at).await,
        Err(DbError::NotFound(_))
    ));
}
