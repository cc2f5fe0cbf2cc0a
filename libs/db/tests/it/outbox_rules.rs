//! What decides whether and through what a text leaves, and what follows from how it ends.

use crate::{
    outbox::{
        HOLD, begin, begin_as, claim, expire, failed, finish, finish_at, head, lines, retry, sender, sent,
        stored,
    },
    rig::{IDS, Rig, Tenant, address, now},
};
use ccm_db::{AccountEventRow, AsSent, Doubt, Fence, Head, Knows, NewAccount, Outcome, Sender};
use ccm_model::{AccountId, MessageId, MessageState, ProviderKind};
use serde_json::json;
use sqlx::Row;
use std::{sync::Arc, time::Duration};
use tokio::sync::Barrier;

/// A tenant with a text of an agent in a line of each of so many customers.
pub async fn texts(rig: &Rig, customers: u32) -> (Tenant, Fence, Vec<MessageId>) {
    let tenant = rig.tenant_at_rate(1, 1000.0).await;
    let fence = rig.own(tenant.id).await;
    let mut said = Vec::new();
    for customer in 0..customers {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        said.push(rig.say(&fence, conversation, chat).await);
    }
    (tenant, fence, said)
}

async fn second_account(rig: &Rig, tenant: Tenant, kind: ProviderKind) -> AccountId {
    let id = IDS.next();
    let account = NewAccount {
        id,
        name: "second",
        kind,
        settings: &json!({}),
        secret: b"{}",
        rules: &Default::default(),
    };
    rig.db.tenant(tenant.id).create_account(account).await.unwrap();
    rig.run(&format!(
        "UPDATE number SET second_account_id = '{id}' WHERE tenant_id = '{}'",
        tenant.id
    ))
    .await;
    id
}

pub async fn sms_settings(rig: &Rig, tenant: Tenant, document: serde_json::Value) {
    rig.run(&format!(
        "INSERT INTO sms_settings (tenant_id, settings) VALUES ('{}', '{document}')
         ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings",
        tenant.id
    ))
    .await;
}

#[tokio::test]
async fn texts_leave_through_the_second_account_while_the_first_is_paused() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 1).await;
    let second = second_account(&rig, tenant, ProviderKind::Twilio).await;
    rig.run(&format!(
        "UPDATE provider_account SET webhook_base = 'https://second.example' WHERE id = '{second}'"
    ))
    .await;
    // Customers' texts come in through either.
    let ours = address(tenant.ours);
    for account in [tenant.account, second] {
        let found = rig.db.operator().find_number(account, &ours).await.unwrap();
        assert_eq!(found, Some((tenant.id, tenant.number)));
    }
    let knows = |_| Knows::Again;
    let first_only = |account| (account == tenant.account).then_some(HOLD);
    let both = |account| Some(if account == second { HOLD } else { 2 * HOLD });
    let none = |_| None;
    let with = |paused| Sender {
        knows,
        paused,
        ..sender()
    };
    // In doubt at the first one.
    let began = begin_as(&rig, &claim(&rig).await, &with(&none)).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert_eq!((sending.account, sending.doubt), (tenant.account, Doubt::No));
    assert!(sending.has_second);
    expire(&rig).await;
    let began = begin_as(&rig, &claim(&rig).await, &with(&both)).await;
    assert!(matches!(began, Head::Later), "{began:?}");
    let due = rig.db.operator().next_line_due().await.unwrap().unwrap();
    assert!(due <= HOLD && due > HOLD / 2, "the first to come back: {due:?}");
    expire(&rig).await;
    let mine = claim(&rig).await;
    let began = begin_as(&rig, &mine, &with(&first_only)).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert_eq!((sending.account, sending.kind), (second, ProviderKind::Twilio));
    assert_eq!(sending.webhook_base.as_deref(), Some("https://second.example"));
    assert!(!sending.has_second, "it is the second");
    assert_eq!(
        sending.doubt,
        Doubt::Resend,
        "another provider recognises nothing"
    );
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Sending, 2, 1, None));
    finish_at(&rig, &mine, said[0], second, &retry(Duration::ZERO, true)).await;
    // The same one again recognises it; then back to the first.
    let mine = claim(&rig).await;
    let began = begin_as(&rig, &mine, &with(&first_only)).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert_eq!((sending.account, sending.doubt), (second, Doubt::Recognised));
    finish_at(&rig, &mine, said[0], second, &retry(Duration::ZERO, true)).await;
    let began = begin_as(&rig, &claim(&rig).await, &with(&none)).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert_eq!((sending.account, sending.doubt), (tenant.account, Doubt::Resend));
    assert_eq!(stored(&rig, said[0]).await.2, 2);
}

#[tokio::test]
async fn a_provider_that_can_be_asked_is_asked_before_a_re_send_is_marked() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 1).await;
    let db = rig.db.tenant(tenant.id);
    let asks = Sender {
        knows: |_| Knows::WhenAsked,
        ..sender()
    };
    begin_as(&rig, &claim(&rig).await, &asks).await;
    expire(&rig).await;
    let mine = claim(&rig).await;
    let began = begin_as(&rig, &mine, &asks).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert!(matches!(sending.doubt, Doubt::Ask(_)), "{:?}", sending.doubt);
    assert_eq!(sending.held, sending.wait + 2 * HOLD, "time to ask, and to send");
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Sending, 2, 0, None));
    assert!(db.mark_resend(&mine, said[0], now()).await.unwrap());
    assert_eq!(stored(&rig, said[0]).await.2, 1);
    expire(&rig).await;
    let next = claim(&rig).await;
    assert!(
        !db.mark_resend(&mine, said[0], now()).await.unwrap(),
        "its claim is lost"
    );
    assert_eq!(stored(&rig, said[0]).await.2, 1);
    // What the provider has of other texts is not this one.
    finish_at(&rig, &next, said[0], tenant.account, &sent("SM1")).await;
    let ids = ["SM1".to_owned(), "SM2".to_owned()];
    let others = db.ids_of_others(tenant.account, IDS.next(), &ids).await.unwrap();
    assert_eq!(others, ["SM1"]);
    assert!(
        db.ids_of_others(tenant.account, said[0], &ids)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        db.ids_of_others(IDS.next(), IDS.next(), &ids)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_receipt_that_came_first_counts() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 4).await;
    let report = async |id: &str, report: &str, code: &str| {
        rig.run(&format!(
            "INSERT INTO provider_message (account_id, provider_message_id, tenant_id, report, report_code, created_at)
             VALUES ('{}', '{id}', '{}', '{report}', '{code}', now())",
            tenant.account, tenant.id
        ))
        .await;
    };
    report("SM-delivered", "delivered", "").await;
    report("SM-failed", "failed", "30003").await;
    report("SM-queued", "queued", "").await;
    for (id, state, code) in [
        ("SM-delivered", MessageState::Delivered, Some("")),
        ("SM-failed", MessageState::Failed, Some("30003")),
        ("SM-queued", MessageState::Sent, Some("")),
        ("SM-new", MessageState::Sent, None),
    ] {
        let mine = claim(&rig).await;
        let message = head(&rig, &mine).await.message;
        assert!(!finish_at(&rig, &mine, message, tenant.account, &sent(id)).await);
        assert_eq!(stored(&rig, message).await, (state, 1, 0, Some(id.into())));
        let row = &rig
            .rows(&format!("SELECT error_code FROM message WHERE id = '{message}'"))
            .await[0];
        assert_eq!(row.get::<Option<&str>, _>(0), code, "{id}");
        let named = format!(
            "SELECT count(*) FROM provider_message p JOIN message m ON m.id = p.message_id
             WHERE p.account_id = '{}' AND p.provider_message_id = '{id}' AND m.id = '{message}'
               AND p.conversation_id = m.conversation_id",
            tenant.account
        );
        assert_eq!(rig.count(&named).await, 1, "{id}");
    }
    assert_eq!((said.len(), lines(&rig).await), (4, 0));
}

#[tokio::test]
async fn an_id_that_means_two_texts_goes_on_meaning_the_first() {
    let rig = Rig::new().await;
    let (tenant, fence, _) = texts(&rig, 2).await;
    let mut messages = Vec::new();
    for _ in 0..2 {
        let mine = claim(&rig).await;
        let message = head(&rig, &mine).await.message;
        finish_at(&rig, &mine, message, tenant.account, &sent("SM1")).await;
        rig.run("UPDATE provider_message SET report = 'failed'").await;
        messages.push(message);
    }
    assert_eq!(stored(&rig, messages[1]).await.0, MessageState::Sent);
    let first: uuid::Uuid = rig.rows("SELECT message_id FROM provider_message").await[0].get(0);
    assert_eq!(first, messages[0].0);
    let strange = "x".repeat(300);
    let (conversation, chat) = rig.chat(tenant, &fence, 7).await;
    let long = rig.say(&fence, conversation, chat).await;
    let mine = claim(&rig).await;
    head(&rig, &mine).await;
    finish_at(&rig, &mine, long, tenant.account, &sent(&strange)).await;
    assert_eq!(stored(&rig, long).await.0, MessageState::Sent);
}

#[tokio::test]
async fn who_has_opted_out_gets_its_confirmation_and_nothing_else() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let refused = rig.say(&fence, conversation, chat).await;
    let goodbye = rig.say(&fence, conversation, chat).await;
    rig.run(&format!(
        "UPDATE message SET origin = 'system', author = 'stop_reply' WHERE id = '{goodbye}'"
    ))
    .await;
    for (ours, customer) in [(tenant.ours, 2), (tenant.ours + 1, 1), (tenant.ours, 1)] {
        rig.run(&format!(
            "INSERT INTO opt_out (tenant_id, our_address, customer_address, source, since)
             VALUES ('{}', '{}', '{}', 'keyword', now())",
            tenant.id,
            address(ours).as_str(),
            address(customer).as_str()
        ))
        .await;
    }
    let mine = claim(&rig).await;
    let Head::OptedOut {
        message,
        account,
        kind,
    } = begin(&rig, &mine).await
    else {
        panic!("this pair is out")
    };
    assert_eq!((message, account), (refused, tenant.account));
    assert_eq!(kind, ProviderKind::Http);
    assert_eq!(
        stored(&rig, refused).await.0,
        MessageState::Queued,
        "nothing has changed yet"
    );
    assert!(finish(&rig, &mine, refused, &Outcome::OptedOut).await);
    assert_eq!(stored(&rig, refused).await, (MessageState::Failed, 0, 0, None));
    let code = "SELECT count(*) FROM message WHERE error_code = 'ccm:opted_out'";
    assert_eq!(rig.count(code).await, 1);
    assert_eq!(head(&rig, &mine).await.message, goodbye);
    assert!(!finish(&rig, &mine, goodbye, &sent("SM1")).await);
    assert_eq!(rig.count("SELECT count(*) FROM dead_letter").await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM consent_event").await, 0);
}

#[tokio::test]
async fn what_the_carrier_knows_of_an_opt_out_is_learned_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let first = rig.say(&fence, conversation, chat).await;
    let second = rig.say(&fence, conversation, chat).await;
    let out = Outcome::Failed {
        code: Some("21610".into()),
        detail: "opted out".into(),
        reason: "opted out".into(),
        opted_out: true,
    };
    let mine = claim(&rig).await;
    head(&rig, &mine).await;
    assert!(finish_at(&rig, &mine, first, tenant.account, &out).await);
    assert!(
        finish_at(&rig, &mine, first, tenant.account, &out).await,
        "said twice"
    );
    assert!(matches!(begin(&rig, &mine).await, Head::OptedOut { .. }));
    // The confirmation of an opt-out that the carrier knew before us is refused like anything else.
    rig.run("UPDATE message SET origin = 'system', author = 'stop_reply' WHERE state = 'queued'")
        .await;
    head(&rig, &mine).await;
    finish_at(&rig, &mine, second, tenant.account, &out).await;
    let learned = &rig
        .rows("SELECT our_address, customer_address, source FROM opt_out")
        .await;
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].get::<&str, _>(0), address(tenant.ours).as_str());
    assert_eq!(learned[0].get::<&str, _>(1), address(1).as_str());
    assert_eq!(learned[0].get::<&str, _>(2), "carrier");
    let ledger = "SELECT kind, source, evidence, message_id FROM consent_event";
    let ledger = &rig.rows(ledger).await;
    assert_eq!(ledger.len(), 1);
    let event: Vec<&str> = (0..3).map(|n| ledger[0].get(n)).collect();
    assert_eq!(event, ["opt_out", "carrier", "21610"]);
    assert_eq!(ledger[0].get::<uuid::Uuid, _>(3), first.0);
    assert_eq!(stored(&rig, first).await, (MessageState::Failed, 1, 0, None));
}

#[tokio::test]
async fn what_fails_for_good_leaves_one_dead_letter() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 1).await;
    let mine = claim(&rig).await;
    let sending = head(&rig, &mine).await;
    for _ in 0..2 {
        finish_at(&rig, &mine, said[0], sending.account, &failed()).await;
    }
    let letters = &rig
        .rows(
            "SELECT kind, code, detail, message_id, conversation_id, account_id, body, our_address, resolution
             FROM dead_letter",
        )
        .await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    let words: Vec<&str> = (0..3).map(|n| letter.get(n)).collect();
    assert_eq!(words, ["mt", "30006", "landline"]);
    let ids: Vec<uuid::Uuid> = (3..6).map(|n| letter.get(n)).collect();
    assert_eq!(ids, [said[0].0, mine.conversation.0, tenant.account.0]);
    for n in 6..9 {
        assert_eq!(letter.get::<Option<&str>, _>(n), None);
    }
}

#[tokio::test]
async fn what_leaves_is_made_of_what_the_tenant_has_set() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 1).await;
    let before = rig.count("SELECT sum(length(body)) FROM message").await;
    let shout = |body: ccm_model::Body, how| AsSent {
        body: ccm_model::Body::new(format!("{how:?}")).unwrap(),
        segments: body.as_str().len() as u16,
    };
    let sender = Sender {
        as_sent: &shout,
        ..sender()
    };
    for (document, how) in [
        (None, "Punctuation"),
        (Some(json!({ "transliterate": "latin" })), "Latin"),
        (Some(json!({ "transliterate": "off" })), "Off"),
        (Some(json!({ "transliterate": "newer" })), "Punctuation"),
        (Some(json!({})), "Punctuation"),
    ] {
        if let Some(document) = document {
            sms_settings(&rig, tenant, document).await;
        }
        let began = begin_as(&rig, &claim(&rig).await, &sender).await;
        let Head::Send(sending) = began else {
            panic!("{began:?}")
        };
        assert_eq!(sending.body.as_str(), how);
        expire(&rig).await;
    }
    assert_eq!(rig.count("SELECT sum(length(body)) FROM message").await, before);
    assert_eq!(said.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_pods_tell_once_that_an_account_fails() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant(1).await;
    let event = |kind: &str| AccountEventRow {
        id: IDS.next(),
        account: tenant.account,
        kind: kind.to_owned(),
        at: now(),
        detail: json!({ "code": "20003" }),
    };
    let db = rig.db.tenant(tenant.id);
    assert!(
        !db.account_turned(&event("recovered")).await.unwrap(),
        "it never failed"
    );
    for kind in ["failing", "recovered", "failing"] {
        let start = Arc::new(Barrier::new(6));
        let pods = (0..6).map(|_| {
            let (rig, start, event) = (rig.clone(), start.clone(), event(kind));
            tokio::spawn(async move {
                start.wait().await;
                rig.db.tenant(tenant.id).account_turned(&event).await.unwrap()
            })
        });
        let mut told = 0;
        for pod in pods.collect::<Vec<_>>() {
            told += i32::from(pod.await.unwrap());
        }
        assert_eq!(told, 1, "{kind}");
        // Another kind of event in between changes nothing.
        rig.run(&format!(
            "INSERT INTO account_event (id, tenant_id, account_id, kind, at)
             VALUES ('{}', '{}', '{}', 'noted', now())",
            IDS.next::<uuid::Uuid>(),
            tenant.id,
            tenant.account
        ))
        .await;
        assert!(!db.account_turned(&event(kind)).await.unwrap());
    }
    let page = db.account_events(tenant.account, None, 4).await.unwrap();
    let kinds: Vec<&str> = page.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["noted", "failing", "noted", "recovered"]);
    let rest = db
        .account_events(tenant.account, Some(page[3].id), 10)
        .await
        .unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[1].detail, json!({ "code": "20003" }));
    assert!(db.account_events(IDS.next(), None, 10).await.unwrap().is_empty());
}
