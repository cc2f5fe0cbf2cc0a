use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
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
    assert!(at[19] < Duration::from_secs(10), "{at:?}");
}

#[tokio::test]
async fn a_provider_that_hangs_slows_nobody_else_and_is_asked_seldom_until_it_is_back() {
    let (rig, bad, good) = (Rig::new().await, Provider::start().await, Provider::start().await);
    bad.always(Does::Hangs);
    let slow = rig.tenant(1, ProviderKind::Http, &bad, FAST).await;
    let quick = rig.tenant(2, ProviderKind::Http, &good, FAST).await;
    let mut stuck = Vec::new();
    for customer in 0..40 {
        let chat = rig.chat(slow, customer).await;
        stuck.push((chat, rig.say(chat, "text").await));
    }
    let _dispatcher = rig.dispatcher(Settings {
        concurrency: 8,
        ..settings()
    });
    while bad.calls().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let chat = rig.chat(quick, 100).await;
    for _ in 0..5 {
        let said = Instant::now();
        let id = rig.say(chat, "text").await;
        rig.until(chat, id, MessageState::Sent).await;
        assert!(
            said.elapsed() < Duration::from_millis(400),
            "waited {:?}: as long as the hanging provider may take",
            said.elapsed()
        );
    }
    // Eight or fewer were on their way before the account was paused; then one tries now and then.
    sleep(Duration::from_secs(2)).await;
    let asked = bad.calls().len();
    assert!(
        asked < 16,
        "{asked} of 40 texts were tried while the provider hung"
    );
    bad.always(Does::Takes);
    for (chat, id) in stuck {
        rig.until(chat, id, MessageState::Sent).await;
    }
}
