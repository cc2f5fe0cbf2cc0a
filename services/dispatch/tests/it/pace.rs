use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn a_number_sends_at_its_rate_over_all_dispatchers() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, 10.0).await;
    let mut said = Vec::new();
    for customer in 0..10 {
        let chat = rig.chat(tenant, customer).await;
        for text in ["first", "second"] {
            said.push((chat, rig.say(chat, text).await));
        }
    }
    let start = Instant::now();
    let _dispatchers = [rig.dispatcher(settings()), rig.dispatcher(settings())];
    for (chat, id) in said {
        rig.until(chat, id, MessageState::Sent).await;
    }
    let mut at: Vec<Duration> = provider.calls().iter().map(|call| call.at - start).collect();
    at.sort();
    assert_eq!(at.len(), 20);
    for (n, at) in (0..).zip(&at) {
        assert!(*at >= Duration::from_millis(100) * n, "text {n} of {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_slows_nobody_else() {
    let (rig, bad, good) = (Rig::new().await, Provider::start().await, Provider::start().await);
    bad.always(Does::Hangs);
    let slow = rig.tenant(1, ProviderKind::Http, &bad, FAST).await;
    let quick = rig.tenant(2, ProviderKind::Http, &good, FAST).await;
    for customer in 0..40 {
        let chat = rig.chat(slow, customer).await;
        rig.say(chat, "text").await;
    }
    // Longer than the test may take: who waits for the other tenant's provider waits too long.
    let _dispatcher = rig.dispatcher(Settings {
        concurrency: 8,
        provider_timeout: Duration::from_secs(600),
        claim: Duration::from_secs(900),
        ..settings()
    });
    while bad.calls().len() < 4 {
        sleep(Duration::from_millis(10)).await;
    }
    let chat = rig.chat(quick, 100).await;
    for _ in 0..5 {
        let id = rig.say(chat, "text").await;
        rig.until(chat, id, MessageState::Sent).await;
    }
    assert_eq!(bad.calls().len(), 4, "half of the room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_asked_seldom_until_it_is_back() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    provider.always(Does::Refuses(503, "down", None));
    let tenant = rig.tenant(1, ProviderKind::Http, &provider, FAST).await;
    let mut said = Vec::new();
    for customer in 0..40 {
        let chat = rig.chat(tenant, customer).await;
        said.push((chat, rig.say(chat, "text").await));
    }
    let _dispatcher = rig.dispatcher(Settings {
        concurrency: 8,
        ..settings()
    });
    while provider.calls().len() < 5 {
        sleep(Duration::from_millis(10)).await;
    }
    // Four of the tenant's were on their way at once when the account was paused; then one tries now and then.
    sleep(Duration::from_secs(2)).await;
    let asked = provider.calls().len();
    assert!(asked <= 5 + 3 + 3, "{asked} texts were tried");
    provider.always(Does::Takes);
    for (chat, id) in said {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert_eq!(row.resends, 0);
    }
}
