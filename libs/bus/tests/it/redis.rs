use crate::{ids, inbound, tenant, tenants_of_two_shards};
use ccm_bus::{Bus, BusError, Link, Topic, Wake};
use ccm_testkit::redis::redis_url;
use std::time::Duration;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

/// A bus on the shared Redis with channels of its own.
fn bus(prefix: &str) -> Bus {
    Bus::redis(&redis_url().unwrap().into(), prefix, ids()).unwrap()
}

fn own_prefix() -> String {
    format!("test-{}", tenant())
}

#[tokio::test]
async fn wakes_cross_processes_by_topic() {
    let prefix = own_prefix();
    let (sender, receiver, stranger) = (bus(&prefix), bus(&prefix), bus(&own_prefix()));
    let (mine, other) = tenants_of_two_shards();
    let mut chats = receiver.subscribe(&[Topic::inbound(mine), Topic::Tenants]);
    let mut outbox = receiver.subscribe(&[Topic::Outbound]);
    let mut strange = stranger.subscribe(&Topic::all_inbound());
    for sub in [&mut chats, &mut outbox, &mut strange] {
        assert_eq!(timeout(LIMIT, sub.next()).await.unwrap(), Wake::LookAgain);
    }

    let (here, there) = (inbound(mine), inbound(other));
    let Wake::Inbound { conversation, .. } = here else {
        unreachable!("made above")
    };
    let out = Wake::Outbound {
        tenant: mine,
        conversation,
    };
    let changed = Wake::TenantChanged { tenant: mine };
    for wake in [there, out, here, changed] {
        sender.publish(wake);
    }
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), here);
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), changed);
    assert_eq!(timeout(LIMIT, outbox.next()).await.unwrap(), out);
    assert!(
        timeout(SHORT, chats.next()).await.is_err(),
        "the other shard's is not heard"
    );
    assert!(
        timeout(SHORT, strange.next()).await.is_err(),
        "nor another deployment's"
    );
    assert!(sender.is_connected());
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let prefix = own_prefix();
    let (sender, receiver) = (bus(&prefix), bus(&prefix));
    let mut chats = receiver.subscribe(&Topic::all_inbound());
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);
    let tenant = tenant();
    let sent: Vec<Wake> = (0..3000).map(|_| inbound(tenant)).collect();
    for wake in &sent {
        sender.publish(*wake);
    }
    for wake in sent {
        assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), wake);
    }
}

#[tokio::test]
async fn what_was_published_goes_out_although_the_handle_is_dropped() {
    let prefix = own_prefix();
    let receiver = bus(&prefix);
    let mut chats = receiver.subscribe(&Topic::all_inbound());
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);
    let sender = bus(&prefix);
    while sender.link() == Link::Connecting {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let wake = inbound(tenant());
    sender.publish(wake);
    drop(sender);
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), wake);
}

#[tokio::test]
async fn waiting_can_be_given_up_without_losing_a_wake() {
    let prefix = own_prefix();
    let bus = bus(&prefix);
    let mut chats = bus.subscribe(&Topic::all_inbound());
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);
    let tenant = tenant();
    for _ in 0..50 {
        let wake = inbound(tenant);
        let _ = timeout(Duration::from_micros(200), chats.next()).await;
        bus.publish(wake);
        assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), wake);
    }
}

#[tokio::test]
async fn a_bad_address_is_told_without_repeating_it() {
    let Err(BusError::Address(_)) = Bus::redis(&"postgres://u:SECRET@h".into(), "ccm", ids()) else {
        panic!("no Redis speaks postgres")
    };
    let error = Bus::redis(&"redis://u:SECRET@:::/x".into(), "ccm", ids())
        .err()
        .unwrap();
    assert!(!error.to_string().contains("SECRET"), "{error}");
    assert!(error.to_string().contains("redis://HOST:PORT"), "{error}");
}
