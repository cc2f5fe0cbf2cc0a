use crate::{
    provider::{Does, Provider},
    rig::{Dispatcher, FAST, Rig, open, settings},
};
use ccm_dispatch::Settings;
use ccm_model::{MessageState, ProviderKind};
use ccm_testkit::Proxy;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_in_doubt_and_marked_where_the_provider_cannot_tell() {
    for (kind, resends) in [(ProviderKind::Twilio, 1), (ProviderKind::Http, 0)] {
        let (rig, provider) = (Rig::new().await, Provider::start().await);
        let tenant = rig.tenant(1, kind, &provider, FAST).await;
        let chat = rig.chat(tenant, 1).await;
        provider.next([Does::Hangs]);
        let first = rig.say(chat, "first").await;
        let second = rig.say(chat, "second").await;
        let _dispatcher = rig.dispatcher(settings());
        rig.until(chat, second, MessageState::Sent).await;
        let first = rig.message(chat, first).await;
        assert_eq!(first.state, MessageState::Sent);
        assert_eq!((first.attempts, first.resends), (2, resends), "{kind}");
        let calls = provider.calls();
        let texts: Vec<_> = calls.iter().map(|call| call.text.as_str()).collect();
        assert_eq!(texts, ["first", "first", "second"]);
        if kind == ProviderKind::Http {
            assert_eq!(calls[0].idempotency_key, Some(first.id.to_string()));
            assert_eq!(calls[0].idempotency_key, calls[1].idempotency_key);
            assert_ne!(calls[0].idempotency_key, calls[2].idempotency_key);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_dispatcher_was_sending_is_sent_again_and_marked() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.next([Does::Hangs]);
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
    assert_eq!(
        (first.state, first.attempts, first.resends),
        (MessageState::Sent, 2, 1)
    );
    let texts: Vec<_> = provider.calls().into_iter().map(|call| call.text).collect();
    assert_eq!(texts, ["first", "first", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_what_is_on_its_way_and_lets_go_of_the_rest() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let told = Arc::new(Semaphore::new(0));
    provider.next([Does::TakesWhen(told.clone())]);
    let first = rig.say(chat, "first").await;
    let second = rig.say(chat, "second").await;
    let patient = Settings {
        provider_timeout: Duration::from_secs(60),
        claim: Duration::from_secs(300),
        ..settings()
    };
    let dispatcher = rig.dispatcher(patient.clone());
    while provider.calls().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    dispatcher.begin_draining();
    told.add_permits(1);
    dispatcher.drain().await;
    assert_eq!(rig.message(chat, first).await.state, MessageState::Sent);
    assert_eq!(rig.message(chat, second).await.state, MessageState::Queued);
    // Not after five minutes: the claim was let go.
    let _next = rig.dispatcher(patient);
    let second = rig.until(chat, second, MessageState::Sent).await;
    assert_eq!((second.attempts, second.resends), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_by_itself_when_the_database_comes_back_and_sends_nothing_twice() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &provider, FAST).await;
    let urls = rig.test.urls();
    let server = urls.app.rsplit('@').next().unwrap().split('/').next().unwrap();
    let proxy = Proxy::start(server.parse().unwrap()).await.unwrap();
    let through = |url: &str| url.replace(server, &proxy.addr().to_string());
    let start = || {
        let db = open(&through(&urls.app), &through(&urls.system));
        let patient = Settings {
            provider_timeout: Duration::from_secs(60),
            claim: Duration::from_secs(61),
            ..settings()
        };
        Dispatcher::start(db, rig.bus.clone(), patient)
    };
    let _dispatchers = [start(), start()];
    let told = Arc::new(Semaphore::new(0));
    provider.next((0..8).map(|_| Does::TakesWhen(told.clone())));
    let mut texts = Vec::new();
    for customer in 0..8 {
        let chat = rig.chat(tenant, customer).await;
        texts.push((chat, rig.say(chat, "under way").await));
    }
    while provider.calls().len() < 8 {
        sleep(Duration::from_millis(5)).await;
    }
    proxy.refuse(true).await;
    proxy.cut();
    told.add_permits(8);
    let other = rig.chat(tenant, 8).await;
    texts.push((other, rig.say(other, "meanwhile").await));
    // Time to notice; then the claims run out.
    sleep(Duration::from_secs(2)).await;
    rig.test
        .superuser_sql("update outbox_line set due_at = now()")
        .unwrap();
    for (chat, id) in &texts[..8] {
        assert_eq!(rig.message(*chat, *id).await.state, MessageState::Sending);
    }
    proxy.refuse(false).await;
    for (chat, id) in texts {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert_eq!((row.attempts, row.resends), (1, 0));
    }
    assert_eq!(provider.calls().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_used_holds_its_texts_until_it_is_mended() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let set = |settings: &str| {
        let sql = format!(
            "update provider_account set settings = {settings} where id = '{}'",
            tenant.account
        );
        rig.test.superuser_sql(&sql).unwrap();
    };
    let good = format!(
        "'{{\"account_sid\": \"{}\", \"api_base\": \"{}\"}}'",
        crate::rig::SID,
        provider.url
    );
    set("'{}'");
    let id = rig.say(chat, "text").await;
    let _dispatcher = rig.dispatcher(settings());
    let row = loop {
        let row = rig.message(chat, id).await;
        if row.error_code.is_some() {
            break row;
        }
        sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(row.error_code.as_deref(), Some("ccm:account"));
    assert!(row.error_detail.unwrap().contains("account_sid is missing"));
    set(&good);
    let row = rig.until(chat, id, MessageState::Sent).await;
    assert_eq!(row.error_code, None);
}
