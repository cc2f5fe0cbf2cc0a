//! A text that a provider may have already, where the provider can be asked.

use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_has_is_not_sent_again() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let _dispatcher = rig.dispatcher(settings());
    // The same words again and again: each time it is the text in doubt that is found, and not one before.
    for n in 0..3 {
        provider.next([if n == 1 { Does::Takes } else { Does::TakesSilently }]);
        let text = rig.say(chat, "the same").await;
        let row = rig.until(chat, text, MessageState::Sent).await;
        let attempts = if n == 1 { 1 } else { 2 };
        assert_eq!(
            (row.attempts, row.resends, row.error_code),
            (attempts, 0, None),
            "text {n}"
        );
        assert_eq!(row.provider_message_id, Some(format!("SM{}", n + 1)));
    }
    assert_eq!(provider.calls().len(), 3);
    assert!(provider.asked() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_dispatcher_has_sent_is_not_sent_again() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::TakesSilently]);
    let first = rig.say(chat, "first").await;
    let second = rig.say(chat, "second").await;
    let killed = rig.dispatcher(Settings {
        provider_timeout: Duration::from_millis(1400),
        claim: Duration::from_secs(3),
        ..settings()
    });
    while provider.calls().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    drop(killed);
    let _dispatcher = rig.dispatcher(settings());
    rig.until(chat, second, MessageState::Sent).await;
    let first = rig.message(chat, first).await;
    assert_eq!((first.state, first.resends), (MessageState::Sent, 0));
    assert!(first.attempts >= 2);
    let texts: Vec<_> = provider.calls().into_iter().map(|call| call.text).collect();
    assert_eq!(texts, ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_cannot_say_nothing_is_sent_again() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::TakesSilently]);
    provider.refuse_to_tell(Some(503));
    let text = rig.say(chat, "text").await;
    let _dispatcher = rig.dispatcher(settings());
    while provider.asked() < 2 {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(provider.calls().len(), 1);
    provider.refuse_to_tell(None);
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!(row.resends, 0);
    assert_eq!(row.provider_message_id.as_deref(), Some("SM1"));
    assert_eq!(provider.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_will_not_say_gets_the_text_again_and_it_is_marked() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::TakesSilently]);
    provider.refuse_to_tell(Some(403));
    let text = rig.say(chat, "text").await;
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert!(row.attempts >= 2 && row.resends >= 1, "{row:?}");
    assert!(provider.calls().len() >= 2);
}
