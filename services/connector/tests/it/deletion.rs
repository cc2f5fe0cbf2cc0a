//! A tenant that is being deleted: agents are told, chats end, and what waits stays for the case that it is taken back. A person who is
//! being erased: nothing stays.

use crate::rig::{IDS, Rig, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{ChatState, Tls};
use ccm_db::{Begin, ErasureState, NewDeletion, NewErasure, UnderWay};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_of_a_person_who_is_erased_are_told_and_ended() {
    let rig = Rig::new().await;
    let sim = sim(Tls::Plain).await;
    let tenant = rig.tenant(1, &sim, None).await;
    let settings = serde_json::from_value(serde_json::json!({"notices": {"chat_ended": {"en": "Goodbye"}}}));
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<ccm_model::ChatSettings>(&settings.unwrap(), None)
        .await
        .unwrap();
    let served = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    until("the agent has the text", async || {
        (received(&sim) == ["hello"]).then_some(())
    })
    .await;
    // One that no agent has come to yet, and another person's.
    let waits = rig.text(tenant, 2, "anybody?").await;
    let stays = rig.text(tenant, 3, "me too").await;
    let open = async || sim.chats().iter().filter(|c| c.state != ChatState::Ended).count();
    until("three chats are open", async || (open().await == 3).then_some(())).await;
    for conversation in [served, waits] {
        let customer = db.conversation(conversation).await.unwrap().customer_address;
        let wish = NewErasure {
            id: IDS.next(),
            customer: &customer,
            reason: "asked for it",
            by: "mary",
            at: OffsetDateTime::now_utc(),
            close: true,
            dry_run: false,
        };
        let begun = db.begin_erasure(wish).await.unwrap();
        assert!(matches!(begun, Begin::Begun(_)), "{begun:?}");
        until("the conversation is closed and erased", async || {
            let step = db.erase_some(wish.id, OffsetDateTime::now_utc()).await.unwrap();
            (step == Some(ErasureState::Erased)).then_some(())
        })
        .await;
    }
    until("the agent is told", async || {
        (received(&sim).len() == 2).then_some(())
    })
    .await;
    let told = received(&sim);
    assert!(told[1].contains("being erased"), "{told:?}");
    assert_eq!(
        rig.sql("SELECT count(*) FROM message WHERE direction = 'mt'"),
        "0",
        "nobody says goodbye"
    );
    until("the other person's alone is open", async || {
        (open().await == 1).then_some(())
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(open().await, 1, "none is opened anew");
    let still = db.conversation(stays).await.unwrap();
    assert_eq!(still.state, ccm_model::ConversationState::Open);
}
