use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_bus::Wake;
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use ccm_testkit::canary;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn texts_leave_in_order_and_carry_what_the_provider_calls_them() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chats = [rig.chat(tenant, 1).await, rig.chat(tenant, 2).await];
    let mut last = Vec::new();
    for n in 0..6 {
        for chat in chats {
            last.push((chat, rig.say(chat, &format!("text {n}")).await));
        }
    }
    let _dispatcher = rig.dispatcher(settings());
    for (chat, id) in last {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert!(row.provider_message_id.unwrap().starts_with("SM"));
        assert_eq!((row.attempts, row.resends, row.error_code), (1, 0, None));
    }
    let expected: Vec<String> = (0..6).map(|n| format!("text {n}")).collect();
    for chat in chats {
        assert_eq!(provider.texts()[&canary::number(chat.customer)], expected);
    }
    assert!(
        provider
            .calls()
            .iter()
            .all(|call| call.from == canary::number(90_001))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_send_each_text_once_and_in_order() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    provider.always(Does::TakesSlowly(Duration::from_millis(5)));
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    // No answer is late, however busy this machine is.
    let patient = Settings {
        provider_timeout: Duration::from_secs(20),
        claim: Duration::from_secs(60),
        ..settings()
    };
    let _dispatchers = [rig.dispatcher(patient.clone()), rig.dispatcher(patient)];
    let mut chats = Vec::new();
    for customer in 0..10 {
        chats.push(rig.chat(tenant, customer).await);
    }
    let mut said = Vec::new();
    for n in 0..10 {
        for chat in &chats {
            said.push((*chat, rig.say(*chat, &format!("text {n}")).await));
        }
    }
    for (chat, id) in said {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert_eq!((row.attempts, row.resends), (1, 0));
    }
    let texts = provider.texts();
    let expected: Vec<String> = (0..10).map(|n| format!("text {n}")).collect();
    for chat in chats {
        assert_eq!(texts[&canary::number(chat.customer)], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_makes_the_wait_short() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let _dispatcher = rig.dispatcher(Settings {
        poll: Duration::from_secs(300),
        ..settings()
    });
    // The first look happens at the start; only a wake-up brings a second one.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = rig.say(chat, "text").await;
    let said = Instant::now();
    rig.bus.publish(Wake::Outbound {
        tenant: tenant.id,
        conversation: chat.conversation,
    });
    rig.until(chat, id, MessageState::Sent).await;
    assert!(said.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_passes_on_the_second_try_keeps_its_place() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::Refuses(429, "20429", Some(1))]);
    let first = rig.say(chat, "first").await;
    let second = rig.say(chat, "second").await;
    let _dispatcher = rig.dispatcher(settings());
    let waiting = rig.until(chat, first, MessageState::Queued).await;
    assert_eq!(rig.message(chat, second).await.attempts, 0, "{waiting:?}");
    let first = rig.until(chat, first, MessageState::Sent).await;
    assert_eq!((first.attempts, first.resends, first.error_code), (2, 0, None));
    rig.until(chat, second, MessageState::Sent).await;
    let calls = provider.calls();
    let texts: Vec<_> = calls.iter().map(|call| call.text.as_str()).collect();
    assert_eq!(texts, ["first", "first", "second"]);
    assert!(
        calls[1].at - calls[0].at >= Duration::from_secs(1),
        "the provider asked for a second"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_text_says_why_and_the_next_one_goes() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::Refuses(400, "21211", None)]);
    let first = rig.say(chat, "first").await;
    let second = rig.say(chat, "second").await;
    let _dispatcher = rig.dispatcher(settings());
    rig.until(chat, second, MessageState::Sent).await;
    let first = rig.message(chat, first).await;
    assert_eq!(first.state, MessageState::Failed);
    assert_eq!(first.error_code.as_deref(), Some("21211"));
    assert!(first.error_detail.unwrap().contains("not a valid phone number"));
    assert_eq!(provider.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_no_provider_takes_is_given_up_and_the_next_one_goes() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.always(Does::Refuses(429, "busy", None));
    let first = rig.say(chat, "first").await;
    let _dispatcher = rig.dispatcher(Settings {
        give_up_after: Duration::from_millis(1500),
        ..settings()
    });
    let first = rig.until(chat, first, MessageState::Failed).await;
    assert_eq!(first.error_code.as_deref(), Some("ccm:gave-up"));
    let detail = first.error_detail.unwrap();
    assert!(
        detail.contains("(busy)") && detail.contains("asks to wait"),
        "{detail}"
    );
    provider.always(Does::Takes);
    let second = rig.say(chat, "second").await;
    rig.until(chat, second, MessageState::Sent).await;
}
