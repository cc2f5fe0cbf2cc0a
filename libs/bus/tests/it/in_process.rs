use crate::{inbound, tenant, tenants_of_two_shards};
use ccm_bus::{Bus, Link, Topic, Wake};
use std::time::Duration;
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn subscribers_hear_their_topics_only() {
    let bus = Bus::in_process();
    assert_eq!(bus.link(), Link::Up);
    let (mine, other) = tenants_of_two_shards();
    let mut chats = bus.subscribe(&[Topic::inbound(mine)]);
    let mut settings = bus.subscribe(&[Topic::Tenants, Topic::Outbound]);
    assert_eq!(chats.next().await, Wake::LookAgain);
    assert_eq!(settings.next().await, Wake::LookAgain);

    let (here, there) = (inbound(mine), inbound(other));
    bus.publish(there);
    bus.publish(here);
    bus.publish(Wake::TenantChanged { tenant: mine });
    bus.publish(Wake::LookAgain);
    assert_eq!(chats.next().await, here);
    assert!(timeout(SHORT, chats.next()).await.is_err(), "nothing else");
    assert_eq!(settings.next().await, Wake::TenantChanged { tenant: mine });
    assert!(timeout(SHORT, settings.next()).await.is_err(), "nothing else");
}

#[tokio::test]
async fn duplicates_that_wait_are_one_and_after_reading_another() {
    let bus = Bus::in_process();
    let mut chats = bus.subscribe(&Topic::all_inbound());
    chats.next().await;
    let (a, b) = (inbound(tenant()), inbound(tenant()));
    for wake in [a, b, a, a, b] {
        bus.publish(wake);
    }
    assert_eq!((chats.next().await, chats.next().await), (a, b));
    assert!(timeout(SHORT, chats.next()).await.is_err());
    bus.publish(a);
    assert_eq!(chats.next().await, a);
}

#[tokio::test]
async fn who_lags_behind_is_told_to_look_at_everything() {
    let bus = Bus::in_process();
    let mut chats = bus.subscribe(&Topic::all_inbound());
    let tenant = tenant();
    for _ in 0..20_000 {
        bus.publish(inbound(tenant));
    }
    assert_eq!(chats.next().await, Wake::LookAgain);
    let mut left = 0;
    while timeout(SHORT, chats.next()).await.is_ok() {
        left += 1;
    }
    assert!(left < 16_384, "what was missed is not kept besides: {left}");
}
