//! What decides whether, when and through what a text leaves, and what follows from how it ends.

use crate::{
    outbox::{
        HOLD, begin, begin_as, claim, expire, failed, finish, finish_at, head, lines, retry, sender, sent,
        stored,
    },
    rig::{IDS, Rig, Tenant, address, now},
};
use ccm_db::{AccountEventRow, AsSent, Claim, Doubt, Fence, Head, Knows, NewAccount, Outcome, Sender};
use ccm_model::{AccountId, MessageId, MessageState, ProviderKind, sms_settings::Transliterate};
use serde_json::json;
use sqlx::Row;
use std::{sync::Arc, time::Duration};
use tokio::sync::Barrier;

/// A tenant with a text of an agent in a line of each of so many customers.
async fn texts(rig: &Rig, customers: u32) -> (Tenant, Fence, Vec<MessageId>) {
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
    };
    rig.db.tenant(tenant.id).create_account(account).await.unwrap();
    rig.run(&format!(
        "UPDATE number SET second_account_id = '{id}' WHERE tenant_id = '{}'",
        tenant.id
    ))
    .await;
    id
}

async fn sms_settings(rig: &Rig, tenant: Tenant, document: serde_json::Value) {
    rig.run(&format!(
        "INSERT INTO sms_settings (tenant_id, settings) VALUES ('{}', '{document}')
         ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings",
        tenant.id
    ))
    .await;
}

async fn all(rig: &Rig, limit: i64) -> Vec<Claim> {
    let mut claims = Vec::new();
    loop {
        let more = rig.claim(HOLD, limit).await;
        if more.is_empty() {
            return claims;
        }
        claims.extend(more);
    }
}

#[tokio::test]
async fn tenants_take_turns_whatever_one_of_them_has_due() {
    let rig = Rig::new().await;
    let (crowd, one, other) = (rig.tenant(1).await, rig.tenant(2).await, rig.tenant(3).await);
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at)
         SELECT gen_random_uuid(), '{}', now() - interval '1 hour' FROM generate_series(1, 10000)",
        crowd.id
    ))
    .await;
    for tenant in [one, other] {
        rig.run(&format!(
            "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES (gen_random_uuid(), '{}', now())",
            tenant.id
        ))
        .await;
    }
    let claims = rig.claim(HOLD, 12).await;
    assert_eq!(claims.len(), 4 + 1 + 1, "equal shares of twelve");
    for tenant in [one, other] {
        assert_eq!(claims.iter().filter(|c| c.tenant == tenant.id).count(), 1);
    }
    assert_eq!(rig.claim(HOLD, 12).await.len(), 12, "alone it gets all");
    let without = rig.db.operator();
    let none = without
        .claim_lines(uuid::Uuid::now_v7(), HOLD, 12, &[crowd.id])
        .await;
    assert!(none.unwrap().is_empty());
}

/// More tenants wait than there is room for: who has the oldest lines is not always first.
#[tokio::test]
async fn turns_are_drawn_where_there_is_not_room_for_all() {
    let rig = Rig::new().await;
    rig.run(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at)
         SELECT gen_random_uuid(), md5(t::text)::uuid, now() - make_interval(hours => 1 + t)
         FROM generate_series(1, 20) t, generate_series(1, 100)",
    )
    .await;
    let late = rig.tenant(1).await;
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at) VALUES (gen_random_uuid(), '{}', now())",
        late.id
    ))
    .await;
    for claims in 1.. {
        let got = rig.claim(HOLD, 2).await;
        assert_eq!(got.len(), 2);
        if got.iter().any(|c| c.tenant == late.id) {
            break;
        }
        assert!(claims < 300, "two of 21 in each draw");
    }
}

#[tokio::test]
async fn chats_go_before_bulk_and_bulk_before_nothing() {
    let rig = Rig::new().await;
    let (tenant, _, _) = texts(&rig, 6).await;
    rig.run(
        "UPDATE outbox_line SET priority = 1, due_at = now() - interval '1 hour' WHERE conversation_id IN
         (SELECT conversation_id FROM outbox_line ORDER BY 1 LIMIT 4)",
    )
    .await;
    let priority = async |claims: &[Claim]| {
        let mut priorities = Vec::new();
        for claim in claims {
            let sql = format!(
                "SELECT priority::bigint FROM outbox_line WHERE conversation_id = '{}'",
                claim.conversation
            );
            priorities.push(rig.count(&sql).await);
        }
        priorities
    };
    assert_eq!(priority(&rig.claim(HOLD, 1).await).await, [0]);
    let other = rig.tenant(2).await;
    rig.run(&format!(
        "INSERT INTO outbox_line (conversation_id, tenant_id, due_at, priority)
         VALUES (gen_random_uuid(), '{}', now(), 1)",
        other.id
    ))
    .await;
    let claims = rig.claim(HOLD, 4).await;
    assert_eq!(
        claims.len(),
        2,
        "a chat of the one, and bulk of the other in its turn"
    );
    let rest = rig.claim(HOLD, 10).await;
    assert_eq!(priority(&rest).await, [1; 4]);
    assert!(rest.iter().all(|c| c.tenant == tenant.id));
}

/// One, two or three segments.
fn one_to_three(body: ccm_model::Body, _: Transliterate) -> AsSent {
    let segments = (IDS.next_u64() % 3) as u16 + 1;
    AsSent { body, segments }
}

/// Every reservation is noted by a trigger: the row, its rate, and the transaction, which leads to the text.
async fn note_moments(rig: &Rig) {
    rig.run("CREATE TABLE noted (row text, rate float8, tx bigint, next_at timestamptz)")
        .await;
    rig.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         DECLARE r jsonb := to_jsonb(NEW);
         BEGIN
           INSERT INTO public.noted VALUES (coalesce(r->>'id', 'tenant'),
             coalesce(r->>'per_second', r->'settings'->>'segments_per_second')::float8,
             pg_current_xact_id()::text::bigint, NEW.next_at);
           RETURN NEW;
         END $$",
    )
    .await;
    for table in ["number", "provider_account", "sms_settings"] {
        rig.run(&format!(
            "CREATE TRIGGER note AFTER UPDATE OF next_at ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_rates_hold_at_once() {
    const LINES: u32 = 24;
    let rig = Arc::new(Rig::new().await);
    let (tenant, _, _) = texts(&rig, LINES).await;
    // Half of the texts leave from another number, of the same account.
    let other = IDS.next::<uuid::Uuid>();
    rig.run(&format!(
        "INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second)
         SELECT '{other}', tenant_id, account_id, skillset_id, '+19995559999', 30 FROM number"
    ))
    .await;
    rig.run(&format!(
        "UPDATE conversation SET number_id = '{other}'
         WHERE id IN (SELECT conversation_id FROM outbox_line ORDER BY 1 LIMIT {})",
        LINES / 2
    ))
    .await;
    rig.run("UPDATE provider_account SET per_second = 60").await;
    sms_settings(&rig, tenant, json!({ "segments_per_second": 50.0 })).await;
    note_moments(&rig).await;
    let claims = all(&rig, 100).await;
    assert_eq!(claims.len(), LINES as usize);
    let start = Arc::new(Barrier::new(LINES as usize));
    let tasks: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let (rig, start) = (rig.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let sender = Sender {
                    as_sent: &one_to_three,
                    ..sender()
                };
                let Head::Send(sending) = begin_as(&rig, &claim, &sender).await else {
                    panic!("all of them fit into two seconds")
                };
                (sending.message, now() + sending.wait)
            })
        })
        .collect();
    let mut leaves = std::collections::HashMap::new();
    for task in tasks {
        let (message, at) = task.await.unwrap();
        leaves.insert(message.0, at.unix_timestamp_nanos() as f64 / 1e9);
    }
    let noted = rig
        .rows(
            "SELECT row, extract(epoch FROM next_at)::float8, segments / rate, m.id FROM noted n
             JOIN message m ON m.xmin::text::bigint = n.tx AND m.direction = 'mt' ORDER BY row, next_at",
        )
        .await;
    assert_eq!(
        noted.len(),
        3 * LINES as usize,
        "number, account and tenant of each text"
    );
    let read = |row: &sqlx::postgres::PgRow| -> (String, f64, f64, uuid::Uuid) {
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };
    let mut moments: std::collections::HashMap<uuid::Uuid, f64> = Default::default();
    let mut last: Option<(String, f64)> = None;
    for (row, next_at, takes, message) in noted.iter().map(read) {
        let moment = next_at - takes;
        if let Some((_, free)) = last.filter(|(other, _)| *other == row) {
            assert!(moment >= free - 3e-6, "{row}: {moment} before {free}");
        }
        let same = *moments.entry(message).or_insert(moment);
        assert!(
            (moment - same).abs() < 3e-6,
            "one moment for a text: {moment} {same}"
        );
        assert!(leaves[&message] >= moment - 1e-5, "leaves before its moment");
        last = Some((row, next_at));
    }
    assert_eq!(moments.len(), LINES as usize);
}

#[tokio::test]
async fn a_moment_is_reserved_with_all_rates_or_with_none() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 2).await;
    sms_settings(&rig, tenant, json!({ "segments_per_second": 2.0 })).await;
    rig.run("UPDATE provider_account SET per_second = 0.5").await;
    let claims = all(&rig, 10).await;
    let three = |body, _| AsSent { body, segments: 3 };
    let sender = Sender {
        as_sent: &three,
        ..sender()
    };
    let Head::Send(first) = begin_as(&rig, &claims[0], &sender).await else {
        panic!("everything is free")
    };
    assert!(first.wait < Duration::from_millis(1) && first.segments == 3);
    let ahead = async |sql: &str| -> f64 { rig.rows(sql).await[0].get(0) };
    let rows = [
        ("number", 0.003),
        ("provider_account", 6.0),
        ("sms_settings", 1.5),
    ];
    let mut before = Vec::new();
    for (table, takes) in rows {
        let next = ahead(&format!(
            "SELECT extract(epoch FROM next_at)::float8 FROM {table}"
        ))
        .await;
        let is = ahead(&format!(
            "SELECT extract(epoch FROM next_at - now())::float8 FROM {table}"
        ))
        .await;
        assert!(is <= takes && is > takes - 1.0, "{table}: {is}");
        before.push(next);
    }
    assert!(matches!(begin_as(&rig, &claims[1], &sender).await, Head::Later));
    for ((table, _), before) in rows.iter().zip(before) {
        let next = ahead(&format!(
            "SELECT extract(epoch FROM next_at)::float8 FROM {table}"
        ))
        .await;
        assert_eq!(next, before, "{table}");
    }
    let due = "SELECT extract(epoch FROM due_at - now())::float8 FROM outbox_line WHERE claim IS NULL";
    let due = ahead(due).await;
    assert!(
        due > 4.0 && due <= 5.0,
        "a second before the account is free: {due}"
    );
    assert_eq!(said.len(), 2);
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
    assert_eq!(sending.doubt, Doubt::Ask);
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
