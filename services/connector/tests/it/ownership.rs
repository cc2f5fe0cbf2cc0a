//! Who speaks for a tenant, and how it changes hands.

use crate::rig::{IDS, PATIENCE, Rig, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{Link, NewConnections, Tls};
use ccm_model::{MessageState, PodId};
use std::time::Duration;

/// Two pods share tenants. One drains: its chats go on at the other, with the same agents, nothing lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_pod_hands_its_chats_over() {
    let rig = Rig::new().await;
    let mut tenants = Vec::new();
    let first = rig.pod();
    for n in 1..=4 {
        let sim = sim(Tls::Plain).await;
        let tenant = rig.tenant(n, &sim, None).await;
        let conversation = rig.text(tenant, n, "1").await;
        tenants.push((n, tenant, conversation, sim));
    }
    for (_, tenant, conversation, sim) in &tenants {
        let chat = open_chat(sim).await;
        sim.join(chat.guid, agent()).unwrap();
        rig.until_state(*tenant, *conversation, MessageState::Delivered, 1)
            .await;
        // Nothing is marked as doubled although the next texts are in flight when the pod is asked to go.
        sim.set_faults(|f| f.ack_delay_ms = 300);
    }
    let _second = rig.pod();
    for (n, tenant, ..) in &tenants {
        rig.texts(*tenant, *n, &["2".into(), "3".into()]).await;
    }
    for (.., sim) in &tenants {
        sim.wait_for_chat(|c| c.received == 2, PATIENCE).await.unwrap();
    }
    first.drain().await.1.unwrap();
    for (n, tenant, conversation, sim) in &tenants {
        rig.text(*tenant, *n, "4").await;
        let all = rig
            .until_state(*tenant, *conversation, MessageState::Delivered, 4)
            .await;
        assert_eq!(received(sim), ["1", "2", "3", "4"]);
        assert!(all.iter().all(|m| m.resends == 0));
        assert_eq!((sim.chats().len(), sim.chats()[0].resumes), (1, 1));
        assert!(sim.violations().is_empty(), "{:?}", sim.violations());
    }
    assert_eq!(rig.sql("SELECT count(*) FROM pod"), "1");
}

/// A pod that is killed is replaced when its lease has run out; what was in flight is marked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_pod_is_replaced() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "1").await;
    let first = rig.pod();
    let _second = rig.pod();
    let chat = open_chat(&sim).await;
    sim.set_faults(|f| f.withhold_acks = 1);
    sim.join(chat.guid, agent()).unwrap();
    sim.wait_for(chat.guid, |c| c.received == 1, PATIENCE)
        .await
        .unwrap();
    // Whichever owns it: both go, and a third one comes.
    drop(first);
    drop(_second);
    let _third = rig.pod();
    rig.text(tenant, 1, "2").await;
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    assert_eq!(received(&sim), ["1", "1", "2"]);
    assert_eq!((all[0].resends, all[1].resends), (1, 0));
    assert_eq!(sim.chats().len(), 1, "the chat is the same");
}

/// Neither a dial that hangs nor a text that waits keeps a pod from ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_ends_while_it_dials() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    sim.set_faults(|f| f.new_connections = NewConnections::Hang);
    let conversation = rig.text(tenant, 1, "hello").await;
    let pod = rig.pod();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (took, result) = pod.drain().await;
    result.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}: a dial may take 10 s");
    sim.set_faults(|f| f.new_connections = NewConnections::Accept);
    let _next = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!((all[0].attempts, all[0].resends), (1, 0));
}

/// A black hole with a text in flight: the drain waits for the acknowledgement a while, not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_ends_although_an_acknowledgement_stays_away() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    sim.set_faults(|f| f.withhold_acks = 1);
    let pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    sim.wait_for(chat.guid, |c| c.received == 1, PATIENCE)
        .await
        .unwrap();
    let (took, result) = pod.drain().await;
    result.unwrap();
    assert!(
        took < Duration::from_secs(12),
        "{took:?}: an acknowledgement may take 15 s"
    );
    sim.wait_for(chat.guid, |c| c.link == Link::Lost, PATIENCE)
        .await
        .unwrap();
    let _next = rig.pod();
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(all[0].resends, 1);
}

/// An acknowledgement that stays away keeps its own tenant's chats from the next pod, and no other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_pod_lets_go_of_each_tenant_with_its_last_chat() {
    let rig = Rig::new().await;
    let (slow, swift) = (sim(Tls::Plain).await, sim(Tls::Plain).await);
    slow.set_faults(|f| f.withhold_acks = 1);
    let first = rig.pod();
    for (n, sim) in [(1, &slow), (2, &swift)] {
        let tenant = rig.tenant(n, sim, None).await;
        rig.text(tenant, n, "hello").await;
        let chat = open_chat(sim).await;
        sim.join(chat.guid, agent()).unwrap();
        sim.wait_for(chat.guid, |c| c.received == 1, PATIENCE)
            .await
            .unwrap();
    }
    let _second = rig.pod();
    first.drain().await.1.unwrap();
    for sim in [&slow, &swift] {
        sim.wait_for_chat(|c| c.resumes == 1, PATIENCE).await.unwrap();
    }
    // The text without its acknowledgement is waited for 3 s.
    let apart = "SELECT max(taken_at) - min(taken_at) > interval '1500 milliseconds' FROM lease";
    assert_eq!(rig.sql(apart), "t");
}

/// A pod whose tenant has gone to another one falls silent; when it has the tenant again it goes on, under a new epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_loses_a_tenant_falls_silent() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "1").await;
    let _pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    let other: PodId = IDS.next();
    rig.sql(&format!(
        "INSERT INTO pod (id, name, heartbeat_at) VALUES ('{other}', 'other', now() + interval '1 minute');
         UPDATE lease SET pod_id = '{other}', epoch = epoch + 1"
    ));
    rig.text(tenant, 1, "2").await;
    sim.wait_for(chat.guid, |c| c.link == Link::Lost, PATIENCE)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(received(&sim), ["1"]);
    rig.sql(&format!("DELETE FROM pod WHERE id = '{other}'"));
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    assert_eq!(received(&sim), ["1", "2"]);
    assert!(all.iter().all(|m| m.resends == 0));
    assert_eq!((sim.chats().len(), sim.chats()[0].resumes), (1, 1));
}

/// A pod that comes gets the tenants that rendezvous hashing gives it, and no other: their chats go on there under the same
/// guid, the others' sockets are not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_comes_gets_its_share() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let first = rig.pod();
    let mut chats = Vec::new();
    for n in 1..=10 {
        let tenant = rig.tenant(n, &sim, None).await;
        let conversation = rig.text(tenant, n, "1").await;
        let chat = sim
            .wait_for_chat(|c| c.received == 0 && c.agents.is_empty(), PATIENCE)
            .await
            .unwrap();
        sim.join(chat.guid, agent()).unwrap();
        rig.until_state(tenant, conversation, MessageState::Delivered, 1)
            .await;
        chats.push((n, tenant, conversation));
    }
    let owners = || {
        let all = rig.sql("SELECT coalesce(string_agg(tenant_id::text || pod_id::text, ',' ORDER BY tenant_id), '') FROM lease");
        all.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let before = owners();
    let second = rig.pod();
    until("the tenants are shared", async || {
        let pods = rig.sql("SELECT count(DISTINCT pod_id) FROM lease WHERE pod_id IS NOT NULL");
        let free = rig.sql("SELECT count(*) FROM lease WHERE pod_id IS NULL");
        (pods == "2" && free == "0").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = owners();
    let moved = before.iter().filter(|o| !after.contains(o)).count();
    assert!((1..10).contains(&moved), "{moved} of 10 moved");
    for (n, tenant, conversation) in &chats {
        rig.text(*tenant, *n, "2").await;
        let all = rig
            .until_state(*tenant, *conversation, MessageState::Delivered, 2)
            .await;
        assert!(all.iter().all(|m| m.resends == 0), "nothing was in doubt");
    }
    let chats = sim.chats();
    assert_eq!(chats.len(), 10, "every chat goes on under its guid");
    let resumed = chats.iter().filter(|c| c.resumes > 0).count();
    assert_eq!(resumed, moved, "who stays is not touched");
    assert!(sim.violations().is_empty(), "{:?}", sim.violations());
    drop((first, second));
}
