//! Texts as the SMS trade has them: consent, parts, repeats, receipts, notes to agents, dead letters.

use crate::rig::{IDS, Rig, Tenant, incoming, now};
use ccm_db::{
    Accepted, ConsentChange, ConsentSource, DbError, IncomingPart, IncomingText, Mend, Notice, Old, Parted,
    Receipt, Receipted, Refused, Replay, Replayed, Said, TextKind, Unrouted,
};
use ccm_model::{Body, MessageId, MessageState, Report, SmsSettings, sms_settings::AutoReplies};
use ccm_testkit::canary;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use time::Duration as Span;

/// A row in each of these tables.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) {
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<SmsSettings>(&SmsSettings::default(), None)
        .await
        .unwrap();
    let stop = IncomingText {
        kind: TextKind::Stop,
        repeat_window: Some(Duration::from_secs(60)),
        ..incoming(tenant, customer + 1000)
    };
    rig.db.batch().accept(&[stop]).await.unwrap();
    db.receipt(&receipt(tenant, "SMearly", Report::Sent), now())
        .await
        .unwrap();
    unrouted(rig, tenant, "SMlost").await;
    db.take_part(part(tenant, customer, 7, 2, 1, "a"), |_| TextKind::Text)
        .await
        .unwrap();
    rig.run(&format!(
        "INSERT INTO account_event (id, tenant_id, account_id, kind, at)
         VALUES (gen_random_uuid(), '{}', '{}', 'failing', now())",
        tenant.id, tenant.account
    ))
    .await;
}

fn receipt(tenant: Tenant, id: &str, report: Report) -> Receipt {
    Receipt {
        account: tenant.account,
        provider_id: id.to_owned(),
        report,
        code: report.is_failure().then(|| "30003".to_owned()),
    }
}

fn part(tenant: Tenant, customer: u32, reference: u16, parts: u8, part: u8, body: &str) -> IncomingPart {
    IncomingPart {
        text: IncomingText {
            body: Body::new(body).unwrap(),
            ..incoming(tenant, customer)
        },
        reference,
        parts,
        part,
        wait: Duration::from_secs(60),
    }
}

async fn unrouted(rig: &Rig, tenant: Tenant, id: &str) -> uuid::Uuid {
    let (to, from) = ("72345".parse().unwrap(), canary::number(5).parse().unwrap());
    let letter = Unrouted {
        id: IDS.next(),
        account: tenant.account,
        provider_id: id,
        to: &to,
        from: &from,
        body: &Body::new(canary::body(5)).unwrap(),
        code: "ccm:unknown_number",
        detail: "no such number",
        at: now(),
    };
    assert!(rig.db.tenant(tenant.id).keep_unrouted(&letter).await.unwrap());
    letter.id
}

async fn accept(rig: &Rig, text: IncomingText) -> Accepted {
    rig.db.batch().accept(&[text]).await.unwrap()[0]
}

#[tokio::test]
async fn keywords_change_the_list_and_stand_in_the_ledger() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let said = |kind| IncomingText {
        kind,
        ..incoming(tenant, 1)
    };
    let (ours, customer) = (said(TextKind::Stop).to, said(TextKind::Stop).from);
    // Of one batch the last word counts.
    let batch = [said(TextKind::Start), said(TextKind::Stop)];
    rig.db.batch().accept(&batch).await.unwrap();
    rig.db.batch().accept(&batch).await.unwrap();
    assert!(db.has_opted_out(&ours, &customer).await.unwrap());
    assert!(
        !rig.db
            .tenant(other.id)
            .has_opted_out(&ours, &customer)
            .await
            .unwrap()
    );
    let ledger = db.consent_events(None, None, 10).await.unwrap();
    let mut kinds: Vec<_> = ledger.iter().map(|e| (e.kind.as_str(), e.message)).collect();
    kinds.sort_unstable_by_key(|(kind, _)| *kind);
    assert_eq!(
        kinds,
        [
            ("opt_in", Some(batch[0].message)),
            ("opt_out", Some(batch[1].message))
        ],
        "a repeated request adds nothing"
    );
    let change = ConsentChange {
        event: IDS.next(),
        our_address: &ours,
        customer_address: &customer,
        opted_out: false,
        source: ConsentSource::Api,
        message: None,
        evidence: Some("told on the phone"),
        at: now(),
    };
    db.change_consent(&change).await.unwrap();
    assert!(!db.has_opted_out(&ours, &customer).await.unwrap());
    assert_eq!(
        db.consent_events(Some(&customer), None, 10).await.unwrap().len(),
        3
    );
    assert!(db.opt_outs(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_ledger_does_not_change() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    fill(&rig, tenant, 1).await;
    let mut app = crate::rig::connect(rig.test.app_url()).await;
    let statement = "UPDATE consent_event SET kind = 'opt_in'";
    let denied = sqlx::query(statement).execute(&mut app).await.unwrap_err();
    assert_eq!(denied.as_database_error().unwrap().code().unwrap(), "42501");
    // It goes with its tenant, and not before.
    let set = format!("SET app.tenant_ids = '{}'", tenant.id);
    sqlx::query(AssertSqlSafe(set)).execute(&mut app).await.unwrap();
    let deleted = sqlx::query("DELETE FROM consent_event")
        .execute(&mut app)
        .await
        .unwrap();
    assert_eq!(deleted.rows_affected(), 0);
}

#[tokio::test]
async fn who_opted_out_gets_nothing_but_the_word_that_he_has() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let db = rig.db.tenant(tenant.id);
    accept(
        &rig,
        IncomingText {
            kind: TextKind::Stop,
            ..incoming(tenant, 1)
        },
    )
    .await;
    let notice = |kind| Notice {
        message: IDS.next(),
        kind,
        body: Body::new(kind).unwrap(),
        chat: Some(chat),
        told: None,
        bound: None,
    };
    let (reply, waiting) = (notice("stop_reply"), notice("waiting"));
    db.say(&fence, conversation, &reply, now()).await.unwrap();
    db.say(&fence, conversation, &waiting, now()).await.unwrap();
    let said = rig.say(&fence, conversation, chat).await;
    let state = async |id: MessageId| {
        let row = &rig
            .rows(&format!(
                "SELECT state || ' ' || coalesce(error_code, '') FROM message WHERE id = '{id}'"
            ))
            .await[0];
        sqlx::Row::get::<String, _>(row, 0)
    };
    assert_eq!(state(reply.message).await, "queued ");
    assert_eq!(state(waiting.message).await, "failed ccm:opted_out");
    assert_eq!(state(said).await, "failed ccm:opted_out");
    // Only the agent's own text is worth a note to the agent.
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    let kinds: Vec<_> = waiting.iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [TextKind::Stop, TextKind::Note]);
    assert!(waiting[1].body.as_str().starts_with("[CCM] "));
}

#[tokio::test]
async fn the_same_words_within_the_window_are_one_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let first = IncomingText {
        repeat_window: Some(Duration::from_secs(60)),
        ..incoming(tenant, 1)
    };
    let again = |seconds: i64| IncomingText {
        message: IDS.next(),
        conversation: IDS.next(),
        provider_id: format!("SM{}", IDS.next::<MessageId>()),
        received_at: first.received_at + Span::seconds(seconds),
        ..first.clone()
    };
    let is_new = async |text: &IncomingText| matches!(accept(&rig, text.clone()).await, Accepted::New { .. });
    let batch = rig.db.batch().accept(&[first.clone(), again(0)]).await.unwrap();
    assert!(matches!(batch[..], [Accepted::New { .. }, Accepted::Repeated]));
    let late = again(59);
    assert!(!is_new(&late).await);
    assert!(
        is_new(&again(61)).await,
        "a window is one of the first text, it does not slide"
    );
    let posted_again = IncomingText {
        received_at: first.received_at + Span::hours(1),
        ..late
    };
    assert!(!is_new(&posted_again).await, "its id is known, whenever it comes");
    let unlike = IncomingText {
        body: Body::new("other words").unwrap(),
        ..again(61)
    };
    assert!(is_new(&unlike).await);
    let of_another = IncomingText {
        from: canary::number(2).parse().unwrap(),
        ..again(61)
    };
    assert!(is_new(&of_another).await);
}

#[tokio::test]
async fn what_is_refused_is_kept_and_waits_for_nobody() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let text = IncomingText {
        refused: Some(Refused {
            code: "ccm:flood",
            detail: "too many",
        }),
        ..incoming(tenant, 1)
    };
    let Accepted::New { conversation, .. } = accept(&rig, text).await else {
        panic!("it is new");
    };
    let db = rig.db.tenant(tenant.id);
    assert!(db.pending_texts(conversation, 0, 10).await.unwrap().is_empty());
    let kept = db
        .messages(&db.conversation(conversation).await.unwrap(), 0, 10)
        .await
        .unwrap();
    assert_eq!(
        (kept[0].state, kept[0].error_code.as_deref()),
        (MessageState::Refused, Some("ccm:flood"))
    );
}

#[tokio::test]
async fn parts_in_any_order_make_one_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let words = ["one ", "two ", "three"];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in orders.into_iter().enumerate() {
        let parts = order.map(|at| part(tenant, 1, n as u16, 3, at as u8 + 1, words[at]));
        for new in &parts[..2] {
            let parted = db.take_part(new.clone(), |_| TextKind::Text).await.unwrap();
            assert_eq!(parted, Parted::Waiting);
            let parted = db.take_part(new.clone(), |_| TextKind::Text).await.unwrap();
            assert_eq!(parted, Parted::Repeated, "the same request again");
            let renamed = IncomingPart {
                text: IncomingText {
                    provider_id: format!("again {}", new.text.provider_id),
                    ..new.text.clone()
                },
                ..new.clone()
            };
            let parted = db.take_part(renamed, |_| TextKind::Text).await.unwrap();
            assert_eq!(parted, Parted::Repeated, "the same part under another id");
        }
        let parted = db.take_part(parts[2].clone(), |whole| {
            assert_eq!(whole, "one two three");
            TextKind::Text
        });
        assert!(matches!(
            parted.await.unwrap(),
            Parted::Whole(Accepted::New { .. })
        ));
        for new in parts {
            let parted = db.take_part(new, |_| TextKind::Text).await.unwrap();
            assert_eq!(parted, Parted::Repeated, "after the whole");
        }
    }
    let conversation = db.conversations(None, None, 10).await.unwrap().remove(0);
    let texts = db.messages(&conversation, 0, 100).await.unwrap();
    assert_eq!(texts.len(), orders.len());
    assert!(texts.iter().all(|t| t.body.as_str() == "one two three"));
    assert_eq!(rig.count("SELECT count(*) FROM inbound_part").await, 0);
}

#[tokio::test]
async fn a_reference_that_is_used_again_begins_another_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let take = async |number, body| {
        db.take_part(part(tenant, 1, 9, 2, number, body), |_| TextKind::Text)
            .await
            .unwrap()
    };
    assert_eq!(take(1, "old, never finished").await, Parted::Waiting);
    assert_eq!(take(1, "new one ").await, Parted::Waiting);
    assert!(matches!(take(2, "new two").await, Parted::Whole(_)));
    let conversation = db.conversations(None, None, 10).await.unwrap().remove(0);
    let texts = db.messages(&conversation, 0, 100).await.unwrap();
    assert_eq!(texts[0].body.as_str(), "new one new two");
    assert_eq!(
        rig.count("SELECT count(*) FROM inbound_part").await,
        1,
        "the old part waits for its time"
    );
}

#[tokio::test]
async fn what_never_becomes_whole_is_taken_as_it_is_by_one() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    for n in [3, 1] {
        db.take_part(part(tenant, 1, 9, 3, n, &n.to_string()), |_| TextKind::Text)
            .await
            .unwrap();
    }
    assert!(db.due_parts(10).await.unwrap().is_empty());
    assert!(
        rig.db
            .operator()
            .tenants_with_due_parts(10)
            .await
            .unwrap()
            .is_empty()
    );
    rig.run("UPDATE inbound_part SET due_at = now() - interval '1 s'")
        .await;
    assert_eq!(
        rig.db.operator().tenants_with_due_parts(10).await.unwrap(),
        [tenant.id]
    );
    let due = db.due_parts(10).await.unwrap().remove(0);
    let take = || {
        db.take_incomplete(
            &due,
            |route, to, from, body| IncomingText {
                route,
                to,
                from,
                body,
                ..incoming(tenant, 1)
            },
            |total, parts| {
                let numbers: Vec<_> = parts.iter().map(|p| p.part).collect();
                format!("{numbers:?} of {total}")
            },
        )
    };
    let (one, two) = tokio::join!(take(), take());
    let taken = [one.unwrap(), two.unwrap()];
    assert_eq!(taken.iter().flatten().count(), 1);
    let conversation = db.conversations(None, None, 10).await.unwrap().remove(0);
    let texts = db.messages(&conversation, 0, 100).await.unwrap();
    assert_eq!(texts[0].body.as_str(), "[1, 3] of 3");
}

/// An agent's text that its provider has taken as `id`.
async fn sent(
    rig: &Rig,
    tenant: Tenant,
    fence: &ccm_db::Fence,
    customer: u32,
    id: &str,
) -> (ccm_model::ConversationId, MessageId) {
    let (conversation, chat) = rig.chat(tenant, fence, customer).await;
    let message = rig.say(fence, conversation, chat).await;
    for statement in [
        "DELETE FROM outbox".to_owned(),
        format!("UPDATE message SET state = 'sent', provider_message_id = '{id}' WHERE id = '{message}'"),
        format!(
            "INSERT INTO provider_message (account_id, provider_message_id, tenant_id, message_id, conversation_id,
                                           created_at)
             VALUES ('{}', '{id}', '{}', '{message}', '{conversation}', now())",
            tenant.account, tenant.id
        ),
    ] {
        rig.run(&statement).await;
    }
    (conversation, message)
}

#[tokio::test]
async fn receipts_in_any_order_come_to_the_same_state() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let orders: [&[Report]; 4] = [
        &[Report::Sent, Report::Delivered, Report::Sent],
        &[Report::Delivered, Report::Sent, Report::Queued],
        &[Report::Undeliverable, Report::Delivered],
        &[Report::Delivered, Report::Failed, Report::Delivered],
    ];
    for (n, reports) in orders.into_iter().enumerate() {
        let id = format!("SM{n}");
        let (conversation, message) = sent(&rig, tenant, &fence, n as u32, &id).await;
        for report in reports {
            db.receipt(&receipt(tenant, &id, *report), now()).await.unwrap();
        }
        let row = db.conversation(conversation).await.unwrap();
        let text = db
            .messages(&row, 0, 10)
            .await
            .unwrap()
            .into_iter()
            .find(|t| t.id == message)
            .unwrap();
        assert_eq!(
            (text.state, text.error_code),
            (MessageState::Delivered, None),
            "{reports:?}"
        );
    }
    let early = db
        .receipt(&receipt(tenant, "not yet", Report::Sent), now())
        .await
        .unwrap();
    assert_eq!(early, Receipted::Early);
    let again = db
        .receipt(&receipt(tenant, "not yet", Report::Queued), now())
        .await
        .unwrap();
    assert_eq!(again, Receipted::Old);
}

#[tokio::test]
async fn an_agent_is_told_once_and_not_too_often() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let (conversation, _) = sent(&rig, tenant, &fence, 1, "SM1").await;
    let fail = async |id: &str, report, at| db.receipt(&receipt(tenant, id, report), at).await.unwrap();
    let noted = Receipted::News {
        conversation,
        noted: true,
    };
    let silent = Receipted::News {
        conversation,
        noted: false,
    };
    assert_eq!(fail("SM1", Report::Undeliverable, now()).await, noted);
    assert_eq!(
        fail("SM1", Report::Failed, now()).await,
        silent,
        "one text, one note"
    );
    let chat = db.actor_context(conversation).await.unwrap().chat.unwrap().id;
    let second = rig.say(&fence, conversation, chat).await;
    rig.run(&format!(
        "INSERT INTO provider_message (account_id, provider_message_id, tenant_id, message_id, conversation_id, created_at)
         VALUES ('{}', 'SM2', '{}', '{second}', '{conversation}', now())",
        tenant.account, tenant.id
    ))
    .await;
    assert_eq!(
        fail("SM2", Report::Expired, now()).await,
        silent,
        "within 30 s of the last note"
    );
    let notes = db.pending_texts(conversation, 0, 10).await.unwrap();
    assert_eq!(notes.len(), 1);
    assert_eq!(
        notes[0].body.as_str(),
        "[CCM] Your text did not reach the customer's phone. The mobile network refused it (code 30003)."
    );
    let third = rig.say(&fence, conversation, chat).await;
    rig.run(&format!(
        "UPDATE provider_message SET message_id = '{third}', report = NULL WHERE provider_message_id = 'SM2'"
    ))
    .await;
    assert_eq!(
        fail("SM2", Report::Expired, now() + Span::seconds(31)).await,
        noted
    );
    db.chat_ended(&fence, conversation, Some(chat), "over", None, now())
        .await
        .unwrap();
    rig.run(&format!(
        "UPDATE provider_message SET message_id = '{}', report = NULL WHERE provider_message_id = 'SM2'",
        second
    ))
    .await;
    assert_eq!(
        fail("SM2", Report::Failed, now() + Span::hours(1)).await,
        silent,
        "nobody is there to read it"
    );
    db.note_expired(&fence, notes[0].message, now()).await.unwrap();
    assert!(
        db.dead_letters(
            ccm_db::DeadLetterFilter {
                resolved_too: true,
                ..Default::default()
            },
            None,
            10
        )
        .await
        .unwrap()
        .is_empty()
    );
}

#[tokio::test]
async fn automatic_replies_are_bounded() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, _) = rig.text(tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    let reply = |n: i32| Notice {
        message: IDS.next(),
        kind: "help_reply",
        body: Body::new(format!("reply {n}")).unwrap(),
        chat: None,
        told: None,
        bound: Some(AutoReplies { most: 2, per_s: 3600 }),
    };
    for (n, said) in [(1, Said::Stored), (2, Said::Stored), (3, Said::TooMany)] {
        assert_eq!(
            db.say(&fence, conversation, &reply(n), now()).await.unwrap(),
            said
        );
    }
    let later = now() + Span::hours(2);
    assert_eq!(
        db.say(&fence, conversation, &reply(4), later).await.unwrap(),
        Said::Stored
    );
}

#[tokio::test]
async fn a_dead_letter_is_mended_and_replayed_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let id = unrouted(&rig, tenant, "SM1").await;
    let replay = |mend| Replay {
        message: IDS.next(),
        conversation: IDS.next(),
        by: "engineer",
        at: now(),
        mend,
    };
    let unmended = db.replay_dead_letter(id, replay(Mend::default())).await.unwrap();
    assert_eq!(unmended, Replayed::NoNumber);
    let mend = Mend {
        number: Some(tenant.number),
        body: Some(Body::new("mended").unwrap()),
    };
    let Replayed::Yes {
        conversation,
        to_phone: false,
        ..
    } = db.replay_dead_letter(id, replay(mend)).await.unwrap()
    else {
        panic!("it has a number now");
    };
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    assert_eq!(waiting[0].body.as_str(), "mended");
    let again = db.replay_dead_letter(id, replay(Mend::default())).await.unwrap();
    assert_eq!(again, Replayed::Resolved);
    assert!(
        db.dead_letters(ccm_db::DeadLetterFilter::default(), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        db.dead_letter(id).await.unwrap().resolved_by.as_deref(),
        Some("engineer")
    );
    let missing = db.discard_dead_letter(IDS.next(), "engineer", now()).await;
    assert!(matches!(missing, Err(DbError::NotFound(_))));
}

#[tokio::test]
async fn what_no_agent_got_is_a_dead_letter_and_comes_again() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, message) = rig.text(tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    db.text_refused(&fence, message, "ccm:held_too_long", "nobody came", now())
        .await
        .unwrap();
    let letter = db
        .dead_letters(ccm_db::DeadLetterFilter::default(), None, 10)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((letter.kind.as_str(), letter.message), ("mo", Some(message)));
    assert_eq!(letter.conversation, Some(conversation));
    let replay = Replay {
        message: IDS.next(),
        conversation: IDS.next(),
        by: "engineer",
        at: now(),
        mend: Mend::default(),
    };
    let replayed = db.replay_dead_letter(letter.id, replay).await.unwrap();
    assert!(matches!(replayed, Replayed::Yes { to_phone: false, .. }));
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    assert_eq!(waiting[0].body, letter.body.unwrap());
}

#[tokio::test]
async fn what_is_needed_for_a_while_only_is_forgotten_and_nothing_younger() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    for tenant in [a, b] {
        fill(&rig, tenant, 1).await;
        crate::doctor_reports::fill(&rig.db, tenant).await;
        crate::deflections::fill(&rig, tenant, 1).await;
        crate::webhooks::fill(&rig.db, tenant).await;
        crate::looks::fill(&rig.db, tenant).await;
    }
    for (what, age, days) in [
        (Old::InboundIds, "seen_at", 90),
        (Old::InboundWords, "seen_at", 2),
        (Old::ProviderIds, "created_at", 90),
        (Old::DoctorReports, "made_at", 90),
        (Old::Deflections, "asked_at", 90),
        (Old::WebhookDeliveries, "at", 30),
        (Old::TextLooks, "at", 1),
    ] {
        let table = what.as_str();
        let rows = async || rig.count(&format!("SELECT count(*) FROM {table}")).await;
        let grow_old = async |tenant: Tenant, by: &str| {
            let sql = format!(
                "UPDATE {table} SET {age} = now() - interval '{by}' WHERE tenant_id = '{}'",
                tenant.id
            );
            assert_ne!(rig.run(&sql).await, 0);
        };
        let before = rows().await;
        grow_old(a, &format!("{days} days -1 hour")).await;
        assert_eq!(rig.db.operator().forget(what).await.unwrap(), (0, false));
        grow_old(a, &format!("{days} days 1 hour")).await;
        let (gone, more) = rig.db.operator().forget(what).await.unwrap();
        assert!(gone > 0 && !more, "{table}");
        assert_eq!(rows().await, before - gone as i64, "{table}");
        let of_a = format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", a.id);
        assert_eq!(rig.count(&of_a).await, 0);
        // Whatever the program asks for, the role sees nothing that is young, and of deflections nothing that it may delete.
        let mut system = crate::rig::connect(rig.test.system_url()).await;
        let gone = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}")))
            .execute(&mut system)
            .await;
        match what {
            Old::Deflections => assert!(gone.is_err()),
            _ => assert_eq!(gone.unwrap().rows_affected(), 0),
        }
    }
}
