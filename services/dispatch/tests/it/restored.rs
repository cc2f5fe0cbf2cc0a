//! After a restore of the database: a provider is asked, recognises its key, or a person is (ADR 27).

use crate::{
    provider::{Does, Provider},
    rig::{Chat, FAST, Rig, settings},
};
use ccm_model::{MessageId, MessageState, ProviderKind};

/// The database comes back as it was when a text had been put in line, and is noticed to.
async fn restored(rig: &Rig) {
    rig.run("update database_life set timeline = timeline + 1000");
    rig.db
        .operator()
        .notice_life(false)
        .await
        .unwrap()
        .expect("a life has begun");
}

/// A text that was sent before the database forgot it.
async fn sent_and_forgotten(rig: &Rig, provider: &Provider, chat: Chat) -> MessageId {
    let text = rig.say(chat, "hello").await;
    let dispatcher = rig.dispatcher(settings());
    rig.until(chat, text, MessageState::Sent).await;
    drop(dispatcher);
    assert_eq!(provider.calls().len(), 1);
    rig.run(&format!(
        "update message set state = 'queued', attempts = 0, provider_message_id = null where id = '{text}';
         delete from provider_message where message_id = '{text}';
         insert into outbox_line (conversation_id, tenant_id, due_at)
           select conversation_id, tenant_id, now() from message where id = '{text}' on conflict do nothing;
         insert into outbox (message_id, tenant_id, conversation_id, seq, created_at)
           select id, tenant_id, conversation_id, seq, created_at from message where id = '{text}'"
    ));
    restored(rig).await;
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_can_be_asked_is_asked() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let text = sent_and_forgotten(&rig, &provider, chat).await;
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!(
        (row.resends, row.provider_message_id.as_deref()),
        (0, Some("SM1"))
    );
    assert_eq!((provider.calls().len(), provider.asked()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_have_is_sent_and_marked() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let text = rig.say(chat, "hello").await;
    restored(&rig).await;
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!((row.resends, provider.calls().len(), provider.asked()), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_will_not_say_leaves_it_to_people() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    provider.refuse_to_tell(Some(403));
    let text = sent_and_forgotten(&rig, &provider, chat).await;
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Unknown).await;
    assert_eq!(row.error_code.as_deref(), Some(ccm_db::RESTORED));
    assert_eq!(provider.calls().len(), 1);
    let db = rig.db.tenant(tenant.id);
    let letters = db.dead_letters(Default::default(), None, 5).await.unwrap();
    assert_eq!((letters.len(), letters[0].message), (1, Some(text)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_recognises_its_key_gets_it_again() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Http, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let text = sent_and_forgotten(&rig, &provider, chat).await;
    provider.next([Does::Takes]);
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!(row.resends, 0, "the same key is no re-send");
    let calls = provider.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].idempotency_key, calls[1].idempotency_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_account_had_it_is_found() {
    let (rig, first, second) = (Rig::new().await, Provider::start().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &first, FAST).await;
    let other = rig.second_account(tenant, ProviderKind::Twilio, &second).await;
    let chat = rig.chat(tenant, 1).await;
    // It had left through the second one.
    rig.run(&format!(
        "update number set account_id = '{other}', second_account_id = null where id = '{}'",
        tenant.number
    ));
    let text = sent_and_forgotten(&rig, &second, chat).await;
    rig.run(&format!(
        "update number set account_id = '{}', second_account_id = '{other}' where id = '{}'",
        tenant.account, tenant.number
    ));
    let _dispatcher = rig.dispatcher(settings());
    let row = rig.until(chat, text, MessageState::Sent).await;
    assert_eq!(
        (row.resends, row.provider_message_id.as_deref()),
        (0, Some("SM1"))
    );
    assert_eq!((first.asked(), second.asked()), (1, 1));
    assert_eq!((first.calls().len(), second.calls().len()), (0, 1));
}
