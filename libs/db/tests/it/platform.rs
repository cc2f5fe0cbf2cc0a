//! What whoever runs the platform sees of it.

use crate::rig::{IDS, Rig, TIMES, now};
use ccm_db::{AccountEventRow, LeaseState, Leases};
use ccm_model::{Id, PodId};
use serde_json::json;
use time::Duration;

fn numbers(leases: &Leases) -> (i64, i64, i64) {
    (leases.owned, leases.overdue, leases.nobodys)
}

#[tokio::test]
async fn leases_are_owned_overdue_or_nobodys() {
    let rig = Rig::new().await;
    let (a, b, c) = (rig.tenant(1).await, rig.tenant(2).await, rig.tenant(3).await);
    let operator = rig.db.operator();
    let states = async |limit| operator.lease_states(TIMES, limit).await.unwrap();
    assert_eq!(numbers(&states(10).await), (0, 0, 3));
    rig.own(a.id).await;
    let dead = rig.own(b.id).await;
    rig.run(&format!(
        "UPDATE pod SET name = 'dead', heartbeat_at = now() - interval '61 seconds' WHERE id = '{}'",
        dead.pod.uuid()
    ))
    .await;
    let all = states(10).await;
    assert_eq!(numbers(&all), (1, 1, 1));
    let told: Vec<_> = all
        .first
        .iter()
        .map(|lease| (lease.tenant, lease.state, lease.owner.as_deref(), lease.epoch))
        .collect();
    assert_eq!(
        told,
        [
            (c.id, LeaseState::Nobodys, None, 0),
            (b.id, LeaseState::Overdue, Some("dead"), 1),
            (a.id, LeaseState::Owned, Some("pod"), 1),
        ]
    );
    assert!(all.first[1].until.unwrap() < now() && all.first[2].until.unwrap() > now());
    let first = states(1).await;
    assert_eq!(
        (numbers(&first), first.first.len()),
        ((1, 1, 1), 1),
        "all are counted"
    );
    // Nobody is to own one that is suspended.
    rig.run(&format!(
        "UPDATE tenant SET state = 'suspended' WHERE id = '{}'",
        c.id
    ))
    .await;
    assert_eq!(numbers(&states(10).await), (1, 1, 0));
}

#[tokio::test]
async fn a_process_is_seen_until_it_is_long_gone() {
    let rig = Rig::new().await;
    let operator = rig.db.operator();
    let tenant = rig.tenant(1).await;
    let one = rig.own(tenant.id).await.pod;
    let other: PodId = IDS.next();
    for _ in 0..2 {
        operator
            .process_is_there(one, "connector", "pod", "0.1.0", false)
            .await
            .unwrap();
    }
    operator
        .process_is_there(other, "admin", "pod", "0.1.0", true)
        .await
        .unwrap();
    let seen = operator.processes(10).await.unwrap();
    let told: Vec<_> = seen
        .iter()
        .map(|row| (row.id, row.role.as_str(), row.draining, row.leases))
        .collect();
    assert_eq!(
        told,
        [
            (other.uuid(), "admin", true, 0),
            (one.uuid(), "connector", false, 1)
        ]
    );
    assert!(
        seen.iter()
            .all(|row| row.silent_s < 30 && row.started_at <= row.seen_at && !row.replaced)
    );
    // One that was killed: another takes its place, and it comes after all that are there.
    let killed: PodId = IDS.next();
    operator
        .process_is_there(killed, "admin", "a-pod", "0.1.0", false)
        .await
        .unwrap();
    let gone = async |then: &str| {
        let id = killed.uuid();
        rig.run(&format!(
            "UPDATE process SET started_at = now() - interval '1 hour', seen_at = {then} WHERE id = '{id}'"
        ))
        .await;
        let seen = operator.processes(10).await.unwrap();
        let at = seen.iter().position(|row| row.id == id).unwrap();
        (at, seen[at].replaced)
    };
    assert_eq!(gone("now() - interval '2 minutes'").await, (2, true));
    rig.run("UPDATE process SET started_at = now() - interval '1 hour' WHERE role = 'admin'")
        .await;
    assert_eq!(
        gone("now() - interval '2 minutes'").await,
        (2, false),
        "the other was there before"
    );
    rig.run(&format!("DELETE FROM process WHERE id = '{}'", killed.uuid()))
        .await;
    rig.run(&format!(
        "UPDATE process SET seen_at = now() - interval '61 minutes' WHERE id = '{}'",
        other.uuid()
    ))
    .await;
    operator
        .process_is_there(one, "connector", "pod", "0.1.0", true)
        .await
        .unwrap();
    let seen = operator.processes(10).await.unwrap();
    assert_eq!((seen.len(), seen[0].draining), (1, true));
}

#[tokio::test]
async fn queues_say_how_much_waits_and_since_when() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let operator = rig.db.operator();
    let queue = async |name: &str| {
        let queues = operator.queues(now()).await.unwrap();
        let row = queues.into_iter().find(|row| row.name == name).unwrap();
        (row.waiting, row.oldest)
    };
    assert_eq!(operator.oldest_unsent().await.unwrap(), None);
    for name in [
        "texts_for_agents",
        "texts_for_providers",
        "lines_to_providers",
        "parts_of_texts",
        "timers",
        "deflections",
        "retention",
        "erasures",
        "number_moves",
    ] {
        assert_eq!(queue(name).await, (0, None), "{name}");
    }
    let before = now() - Duration::SECOND;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let said = rig.say(&fence, conversation, chat).await;
    rig.say(&fence, conversation, chat).await;
    rig.text(tenant, 2).await;
    let since_now =
        |oldest: Option<time::OffsetDateTime>| oldest.is_some_and(|at| at > before && at <= now());
    let (waiting, oldest) = queue("texts_for_agents").await;
    assert!(waiting == 1 && since_now(oldest), "{waiting} {oldest:?}");
    let (waiting, oldest) = queue("texts_for_providers").await;
    assert!(waiting == 2 && since_now(oldest), "{waiting} {oldest:?}");
    let (waiting, oldest) = queue("lines_to_providers").await;
    assert!(waiting == 1 && since_now(oldest), "{waiting} {oldest:?}");
    let unsent = operator.oldest_unsent().await.unwrap().unwrap();
    assert_eq!((unsent.message, unsent.tenant), (said, tenant.id));
    // What is not to be carried waits for nobody.
    let state = async |to: &str| rig.run(&format!("UPDATE tenant SET state = '{to}'")).await;
    state("suspended").await;
    assert_eq!(
        (
            operator.oldest_unsent().await.unwrap(),
            queue("texts_for_providers").await.0
        ),
        (None, 0)
    );
    state("active").await;
    // Somebody has it in hand.
    assert_eq!(rig.claim(std::time::Duration::from_secs(60), 5).await.len(), 1);
    assert_eq!(queue("lines_to_providers").await.0, 0);
}

#[tokio::test]
async fn tenants_fail_whose_links_or_accounts_fail_now() {
    let rig = Rig::new().await;
    let (a, b, c) = (rig.tenant(1).await, rig.tenant(2).await, rig.tenant(3).await);
    let failing = async || rig.db.operator().failing_tenants(10, now()).await.unwrap();
    for tenant in [a, b, c] {
        let fence = rig.own(tenant.id).await;
        crate::links::watched(&rig.db, tenant, &fence).await;
    }
    assert_eq!(failing().await, []);
    rig.run(&format!(
        "UPDATE link_state SET state = 'down', since = now() - interval '1 minute' WHERE tenant_id = '{}'",
        a.id
    ))
    .await;
    let turned = async |kind: &str, ago: i64| {
        let event = AccountEventRow {
            id: IDS.next(),
            account: b.account,
            kind: kind.to_owned(),
            at: now() - Duration::seconds(ago),
            detail: json!({}),
        };
        assert!(rig.db.tenant(b.id).account_turned(&event).await.unwrap());
    };
    turned("failing", 120).await;
    assert_eq!(failing().await, [b.id, a.id], "the longest first");
    assert_eq!(rig.db.operator().failing_tenants(1, now()).await.unwrap(), [b.id]);
    rig.run(&format!(
        "UPDATE tenant SET state = 'suspended' WHERE id = '{}'",
        b.id
    ))
    .await;
    assert_eq!(failing().await, [a.id], "nobody wants it to work");
    rig.run("UPDATE tenant SET state = 'active'").await;
    turned("recovered", 1).await;
    assert_eq!(failing().await, [a.id]);
    let said = async |ago: &str| {
        rig.run(&format!(
            "UPDATE link_state SET updated_at = now() - interval '{ago}'"
        ))
        .await;
    };
    said("4 minutes").await;
    assert_eq!(failing().await, [], "nobody uses it, and nobody knows");
    said("1 minute").await;
    assert_eq!(failing().await, [a.id]);
    rig.run("UPDATE link_state SET state = 'held'").await;
    assert_eq!(failing().await, []);
}

#[tokio::test]
async fn a_text_waits_for_its_agent_from_the_end_of_what_is_meant_to_be() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let conversation = rig.text(tenant, 1).await.0;
    let db = rig.db.tenant(tenant.id);
    let waiting = async || {
        let seen = rig.db.batch().overviews(&[tenant.id], now()).await.unwrap();
        seen[0].for_agents
    };
    let came = waiting().await;
    assert_eq!(came.count, 1);
    let waits = async |what: Option<&str>, at| db.set_waits(&fence, conversation, what, at).await.unwrap();
    let near = |a: Option<time::OffsetDateTime>, b: time::OffsetDateTime| {
        a.is_some_and(|a| (a - b).abs() < Duration::milliseconds(1))
    };

    // Over night.
    let opening = now() + Duration::hours(9);
    db.set_held(&fence, conversation, Some(&json!({"calendar": "office"})), now())
        .await
        .unwrap();
    waits(Some("opening"), now()).await;
    assert_eq!(waiting().await.count, 0);
    db.set_held(&fence, conversation, None, opening).await.unwrap();
    waits(Some("agent"), opening + Duration::SECOND).await;
    assert!(near(waiting().await.since, opening + Duration::SECOND));
    // A link that is down for a while in between changes nothing.
    waits(Some("link"), opening + Duration::minutes(5)).await;
    waits(Some("agent"), opening + Duration::minutes(9)).await;
    assert!(near(waiting().await.since, opening + Duration::SECOND));
    let patched = opening + Duration::hours(1);
    waits(Some("maintenance"), opening + Duration::minutes(10)).await;
    assert_eq!(waiting().await.count, 0);
    waits(None, patched).await;
    assert!(near(waiting().await.since, patched));
}
