//! Accounts that fail, second accounts, and who does not want to be texted.

use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
};
use ccm_model::{MessageState, ProviderKind};
use ccm_testkit::canary;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_through_the_second_account_until_the_first_is_back() {
    let (rig, first, second) = (Rig::new().await, Provider::start().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &first, FAST).await;
    let account = rig.second_account(tenant, ProviderKind::Twilio, &second).await;
    first.always(Does::Refuses(429, "busy", None));
    let _dispatchers = [rig.dispatcher(settings()), rig.dispatcher(settings())];
    let mut said = Vec::new();
    for customer in 0..20 {
        let chat = rig.chat(tenant, customer).await;
        said.push((chat, rig.say(chat, "text").await));
    }
    for (chat, id) in said {
        let row = rig.until(chat, id, MessageState::Sent).await;
        assert_eq!(
            row.resends, 0,
            "the first one has said clearly that it did not take it"
        );
    }
    assert_eq!(second.calls().len(), 20);
    let db = rig.db.tenant(tenant.id);
    let told = async || {
        let events = db.account_events(tenant.account, None, 10).await.unwrap();
        events.into_iter().map(|e| (e.kind, e.detail)).collect::<Vec<_>>()
    };
    let events = told().await;
    assert_eq!(events.len(), 1, "two pods, one event: {events:?}");
    let (kind, detail) = &events[0];
    assert_eq!(
        (kind.as_str(), detail["code"].as_str()),
        ("failing", Some("busy"))
    );
    assert!(detail["detail"].as_str().unwrap().contains("asks to wait"));
    assert!(db.account_events(account, None, 10).await.unwrap().is_empty());

    first.always(Does::Takes);
    let (chat, begin) = (rig.chat(tenant, 99).await, Instant::now());
    let before = first.calls().len();
    while told().await.len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(60));
        let id = rig.say(chat, "text").await;
        rig.until(chat, id, MessageState::Sent).await;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(first.calls().len() > before);
    assert_eq!(told().await[0].0, "recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_in_doubt_at_one_provider_is_a_re_send_at_another() {
    let (rig, first, second) = (Rig::new().await, Provider::start().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &first, FAST).await;
    rig.second_account(tenant, ProviderKind::Http, &second).await;
    first.always(Does::Hangs);
    let mut said = Vec::new();
    for customer in 0..6 {
        let chat = rig.chat(tenant, customer).await;
        said.push((chat, rig.say(chat, "text").await));
    }
    let _dispatcher = rig.dispatcher(settings());
    let mut resends = 0;
    for (chat, id) in said {
        let row = rig.until(chat, id, MessageState::Sent).await;
        let may_have_it = first.texts().contains_key(&canary::number(chat.customer));
        assert_eq!(row.resends > 0, may_have_it, "{row:?}");
        resends += row.resends;
    }
    assert!(resends > 0, "those that had opened the circuit");
    assert_eq!(second.texts().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_failed_for_a_pod_that_is_gone_recovers_for_the_next() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &provider, FAST).await;
    provider.always(Does::Refuses(503, "down", None));
    for customer in 0..6 {
        let chat = rig.chat(tenant, customer).await;
        rig.say(chat, "text").await;
    }
    let db = rig.db.tenant(tenant.id);
    let newest = async || {
        let events = db.account_events(tenant.account, None, 1).await.unwrap();
        events.into_iter().next().map(|e| e.kind)
    };
    let gone = rig.dispatcher(settings());
    while newest().await.as_deref() != Some("failing") {
        sleep(Duration::from_millis(20)).await;
    }
    drop(gone);
    provider.always(Does::Takes);
    let _next = rig.dispatcher(settings());
    let begin = Instant::now();
    while newest().await.as_deref() != Some("recovered") {
        assert!(begin.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_carriers_opt_out_holds_from_then_on() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let (out, other) = (rig.chat(tenant, 1).await, rig.chat(tenant, 2).await);
    provider.next([Does::Refuses(400, "21610", None)]);
    let first = rig.say(out, "first").await;
    let second = rig.say(out, "second").await;
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(out, second, MessageState::Failed).await;
    assert_eq!(
        (row.attempts, row.error_code.as_deref()),
        (0, Some("ccm:opted_out"))
    );
    assert_eq!(rig.message(out, first).await.error_code.as_deref(), Some("21610"));
    let text = rig.say(other, "text").await;
    rig.until(other, text, MessageState::Sent).await;
    assert_eq!(provider.calls().len(), 2, "nobody was asked about the second one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_is_transliterated_and_says_where_receipts_go() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let _dispatcher = rig.dispatcher(settings());
    let words = "\u{201c}Yes\u{201d} \u{2013} no";
    let text = rig.say(chat, words).await;
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!(row.body.as_str(), words, "what was written stays");
    let receipts = format!("/v1/sms/twilio/{}", tenant.account);
    let calls = provider.calls();
    assert_eq!(calls[0].text, "\"Yes\" - no");
    assert_eq!(
        calls[0].receipts_to,
        Some(format!("https://sms.example.com{receipts}"))
    );
    rig.run("update provider_account set webhook_base = 'https://own.example'");
    let text = rig.say(chat, "own").await;
    rig.until(chat, text, MessageState::Sent).await;
    let calls = provider.calls();
    assert_eq!(
        calls[1].receipts_to,
        Some(format!("https://own.example{receipts}"))
    );
}
