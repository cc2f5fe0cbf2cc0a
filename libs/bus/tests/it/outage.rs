use crate::{ids, inbound, tenant};
use ccm_bus::{Bus, Link, Topic, Wake};
use ccm_testkit::{folder::TempFolder, proxy::Proxy, redis::RedisServer};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const LIMIT: Duration = Duration::from_secs(20);

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "{what} within {LIMIT:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_die_and_come_back_and_publishing_never_waits() {
    let folder = TempFolder::new().unwrap();
    let mut redis = RedisServer::start_private(folder.path()).unwrap();
    let bus = Bus::redis(&redis.url().into(), "ccm", ids()).unwrap();
    let mut chats = bus.subscribe(&Topic::all_inbound());
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);
    let before = inbound(tenant());
    bus.publish(before);
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), before);

    redis.kill().unwrap();
    // More than waits anywhere. Publishing is no future, so it cannot wait for the network; here it must return.
    let (one, ids) = (tenant(), ids());
    for _ in 0..50_000 {
        bus.publish(Wake::Inbound {
            tenant: one,
            conversation: ids.next(),
        });
    }
    until("the outage is seen", || matches!(bus.link(), Link::Down { .. })).await;

    redis.start_again().unwrap();
    until("redis is seen again", || bus.is_connected()).await;
    while timeout(LIMIT, chats.next()).await.unwrap() != Wake::LookAgain {}
    let after = inbound(tenant());
    bus.publish(after);
    while timeout(LIMIT, chats.next()).await.unwrap() != after {}
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_come_up_later() {
    let folder = TempFolder::new().unwrap();
    let redis = RedisServer::start_private(folder.path()).unwrap();
    let door = Proxy::start(([127, 0, 0, 1], redis.port()).into()).await.unwrap();
    door.refuse(true).await;
    let bus = Bus::redis(&format!("redis://{}", door.addr()).into(), "ccm", ids()).unwrap();
    let mut chats = bus.subscribe(&Topic::all_inbound());
    bus.publish(inbound(tenant()));
    until("the closed door is seen", || {
        matches!(bus.link(), Link::Down { .. })
    })
    .await;
    assert!(timeout(Duration::from_millis(300), chats.next()).await.is_err());

    door.refuse(false).await;
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);
    until("publishing works", || bus.is_connected()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_went_silent_is_noticed() {
    let folder = TempFolder::new().unwrap();
    let redis = RedisServer::start_private(folder.path()).unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], redis.port()).into()).await.unwrap();
    let bus = Bus::redis(&format!("redis://{}", proxy.addr()).into(), "ccm", ids()).unwrap();
    let mut chats = bus.subscribe(&Topic::all_inbound());
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), Wake::LookAgain);

    proxy.black_hole(true);
    until("the silence is seen", || matches!(bus.link(), Link::Down { .. })).await;
    // The publisher looks as often as the subscriber; this is for the subscriber to come last.
    sleep(Duration::from_secs(5)).await;
    proxy.black_hole(false);
    assert_eq!(
        timeout(LIMIT, chats.next()).await.unwrap(),
        Wake::LookAgain,
        "connected again"
    );
    let wake = inbound(tenant());
    until("publishing works again", || bus.is_connected()).await;
    bus.publish(wake);
    assert_eq!(timeout(LIMIT, chats.next()).await.unwrap(), wake);
}
