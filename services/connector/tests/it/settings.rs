//! Settings that are wrong, and are mended while texts wait.

use crate::rig::{Rig, agent, open_chat, received, sim, sim_with};
use ccm_aacc_sim::{Config, Settings, Skillset, Tls};
use ccm_model::MessageState;
use ccm_testkit::certs::Ca;
use std::time::Duration;
use tokio::time::sleep;

/// Texts wait behind a link that cannot be used, and go out when it can be, without anybody touching the connector.
async fn heals_when_mended(wrong_ca: &str) {
    let (rig, sim) = (Rig::new().await, sim(Tls::PrivateCa).await);
    let tenant = rig.tenant(1, &sim, Some(wrong_ca)).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    sleep(Duration::from_millis(1500)).await;
    assert!(sim.chats().is_empty());
    let right = sim.ca_pem().unwrap();
    rig.sql(&format!(
        "UPDATE ewc_link SET ca_pem = '{right}' WHERE id = '{}'",
        tenant.link
    ));
    let chat = open_chat(&sim).await;
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(received(&sim), ["hello"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_heals_when_mended() {
    heals_when_mended(Ca::new("Another CA").unwrap().pem()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_none_heals_when_mended() {
    heals_when_mended("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").await;
}

/// AACC moves: the chat that was open there is over, and its texts go to the new place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_moves_takes_its_chats_along() {
    let (rig, old, new) = (Rig::new().await, sim(Tls::Plain).await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &old, None).await;
    let conversation = rig.text(tenant, 1, "one").await;
    let _pod = rig.pod();
    let chat = open_chat(&old).await;
    old.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    rig.sql(&format!(
        "UPDATE ewc_link SET port = {} WHERE id = '{}'",
        new.ewc_addr().port(),
        tenant.link
    ));
    old.shutdown().await;
    rig.text(tenant, 1, "two").await;
    let chat = open_chat(&new).await;
    new.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    assert_eq!(received(&new), ["two"]);
}

/// AACC gives no chat in a skillset; the texts go out when the number has another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skillset_that_aacc_refuses_heals_when_mended() {
    let full = Skillset {
        name: "WC_Default_Skillset".into(),
        max_chats: Some(0),
        ..Skillset::default()
    };
    let settings = Settings {
        skillsets: vec![full],
        ..Settings::default()
    };
    let config = Config {
        tls: Tls::Plain,
        settings,
        ..Config::default()
    };
    let (rig, sim) = (Rig::new().await, sim_with(config).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let conversation = rig.text(tenant, 1, "hello").await;
    let _pod = rig.pod();
    sleep(Duration::from_millis(1500)).await;
    assert!(sim.chats().is_empty());
    rig.sql("UPDATE skillset SET name = 'WC_Sales'");
    let chat = open_chat(&sim).await;
    assert_eq!(chat.skillset, "WC_Sales");
    sim.join(chat.guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
}
