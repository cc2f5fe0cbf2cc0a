//! A tenant that is being deleted: agents are told, chats end, and what waits stays for the case that it is taken back.

use crate::rig::{IDS, Rig, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{ChatState, Tls};
use ccm_db::{NewDeletion, UnderWay};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_of_a_tenant_that_goes_are_told_and_ended() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let (tenant, other) = (rig.tenant(1, &sim, None).await, rig.tenant(2, &sim, None).await);
    rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let served = open_chat(&sim).await.guid;
    sim.join(served, agent()).unwrap();
    until("the agent has the text", async || {
        (received(&sim) == ["hello"]).then_some(())
    })
    .await;
    let waits = rig.text(tenant, 2, "anybody?").await;
    let stays = rig.text(other, 3, "me too").await;
    let open = async || sim.chats().iter().filter(|c| c.state != ChatState::Ended).count();
    until("three chats are open", async || (open().await == 3).then_some(())).await;

    let now = OffsetDateTime::now_utc();
    let deletion = NewDeletion {
        id: IDS.next(),
        reason: "contract has ended",
        by: "mary",
        grace_days: 30,
        at: now,
    };
    let operator = rig.db.operator();
    operator.begin_deletion(tenant.id, deletion).await.unwrap();
    let db = rig.db.tenant(tenant.id);
    let ended = UnderWay {
        chats: 0,
        texts: false,
        carried: true,
    };
    until("its chats end", async || {
        (db.under_way().await.unwrap() == ended).then_some(())
    })
    .await;
    let told = received(&sim);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("switched off"), "{told:?}");
    let reasons = rig.sql(&format!(
        "SELECT string_agg(DISTINCT close_reason, ',') FROM chat WHERE tenant_id = '{}'",
        tenant.id
    ));
    assert_eq!(reasons, "the tenant is being deleted");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(open().await, 1, "the other tenant's, and none is opened anew");
    let still = rig.db.tenant(other.id).conversation(stays).await.unwrap();
    assert_eq!(still.state, ccm_model::ConversationState::Open);

    operator.restore_tenant(tenant.id, "mary", now).await.unwrap();
    until("the text that waited has a chat again", async || {
        (open().await == 2).then_some(())
    })
    .await;
    let messages = rig.messages(tenant, waits).await;
    assert_eq!(messages.len(), 1);
}
