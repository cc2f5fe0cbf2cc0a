//! Postgres goes away.

use crate::rig::{PATIENCE, Rig, agent, from_agent, open_chat, received, sim, until};
use ccm_aacc_sim::{Link, Tls};
use ccm_model::MessageState;
use ccm_testkit::{PgOptions, PgServer, StopMode, TempFolder, provision};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_database_is_away() {
    let folder = TempFolder::new().unwrap();
    let mut server = PgServer::start_private(folder.path(), PgOptions::durable()).unwrap();
    let urls = provision::provision(&server, "ccm").unwrap();
    let (rig, sim) = (Rig::on(&urls).await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "1").await;
    let pod = rig.pod();
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    // The acknowledgement and the agent's words come while nothing can be written down.
    sim.set_faults(|f| f.ack_delay_ms = 700);
    rig.text(tenant, 1, "2").await;
    sim.wait_for(chat.guid, |c| c.received == 2, PATIENCE)
        .await
        .unwrap();
    server.stop(StopMode::Immediate).unwrap();
    for text in ["a", "b", "c"] {
        sim.say(chat.guid, None, text).unwrap();
    }
    // Longer than the lease.
    sleep(Duration::from_secs(4)).await;
    sim.set_faults(|f| f.ack_delay_ms = 0);
    server.start().unwrap();
    rig.text(tenant, 1, "3").await;
    rig.until_state(tenant, conversation, MessageState::Delivered, 3)
        .await;
    let all = until("the agent's texts are stored", async || {
        let all = rig.messages(tenant, conversation).await;
        from_agent(&all).contains(&"c").then_some(all)
    })
    .await;
    assert_eq!(from_agent(&all), ["a", "b", "c"]);
    let reached = received(&sim);
    assert_eq!(
        reached.len() as i32,
        3 + all.iter().map(|m| m.resends).sum::<i32>()
    );
    let mut once = reached;
    once.dedup();
    assert_eq!(once, ["1", "2", "3"]);
    assert_eq!(sim.chats().len(), 1);

    // A pod that is asked to go while the database is away still says goodbye on its sockets.
    server.stop(StopMode::Immediate).unwrap();
    sim.set_faults(|f| f.ack_delay_ms = 0);
    let (_, result) = pod.drain().await;
    assert!(result.is_err(), "the hand-over could not be written down");
    sim.wait_for(chat.guid, |c| c.link == Link::Lost, PATIENCE)
        .await
        .unwrap();
    server.start().unwrap();
    rig.text(tenant, 1, "4").await;
    let _next = rig.pod();
    rig.until_state(tenant, conversation, MessageState::Delivered, 4)
        .await;
    assert_eq!(received(&sim).last().unwrap(), "4");
    assert_eq!(sim.chats().len(), 1, "the chat is the same");
}
