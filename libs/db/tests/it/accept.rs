//! Incoming texts: once each, in sequence, whole batches.

use crate::rig::{IDS, Rig, Tenant, address, incoming, now};
use ccm_db::{Accepted, DbError, IncomingText};
use ccm_model::{Address, Body, BodyError, ConversationId, MessageState};
use sqlx::Row;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Barrier;

fn conversation_of(accepted: Accepted) -> ConversationId {
    match accepted {
        Accepted::New { conversation, .. } => conversation,
        Accepted::Repeated => panic!("repeated"),
    }
}

async fn close(rig: &Rig, tenant: Tenant, conversation: ConversationId) {
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    for text in db.pending_texts(conversation, 0, 100).await.unwrap() {
        db.text_delivered(&fence, text.message, now()).await.unwrap();
    }
    assert!(
        db.chat_ended(&fence, conversation, None, "test", None, now())
            .await
            .unwrap()
    );
    rig.db
        .operator()
        .release_lease(fence.pod, fence.owned)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_batch_serves_many_tenants_in_the_order_given() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let texts = [
        incoming(a, 1),
        incoming(b, 1),
        incoming(a, 1),
        incoming(a, 2),
        incoming(b, 1),
        incoming(a, 1),
    ];
    let accepted = rig.db.batch().accept(&texts).await.unwrap();
    for (text, accepted) in texts.iter().zip(&accepted) {
        let Accepted::New { tenant, message, .. } = *accepted else {
            panic!("{accepted:?}")
        };
        assert_eq!((tenant, message), (text.route.tenant, text.message));
    }
    let of = accepted.iter().map(|a| conversation_of(*a)).collect::<Vec<_>>();
    assert_eq!(
        [of[0], of[0], of[1]],
        [of[2], of[5], of[4]],
        "one conversation between two addresses"
    );
    assert!(of[0] != of[1] && of[0] != of[3] && of[1] != of[3]);

    let db = rig.db.tenant(a.id);
    let pending = db.pending_texts(of[0], 0, 10).await.unwrap();
    let order: Vec<_> = pending.iter().map(|p| (p.seq, p.message)).collect();
    assert_eq!(
        order,
        [
            (1, texts[0].message),
            (2, texts[2].message),
            (3, texts[5].message)
        ]
    );
    let row = db.conversation(of[0]).await.unwrap();
    let messages = db.messages(&row, 1, 10).await.unwrap();
    let shown: Vec<_> = messages.iter().map(|m| (m.seq, m.state)).collect();
    assert_eq!(shown, [(2, MessageState::Accepted), (3, MessageState::Accepted)]);
    assert!(rig.db.batch().accept(&[]).await.unwrap().is_empty());

    let mut elsewhere = incoming(a, 1);
    elsewhere.to = address(555);
    let accepted = rig.db.batch().accept(&[elsewhere]).await.unwrap();
    assert_ne!(
        conversation_of(accepted[0]),
        of[0],
        "another address of ours, another conversation"
    );
}

#[tokio::test]
async fn a_repeated_text_is_stored_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let first = incoming(tenant, 1);
    let again = IncomingText {
        message: IDS.next(),
        ..first.clone()
    };
    let accepted = rig
        .db
        .batch()
        .accept(&[first.clone(), again.clone()])
        .await
        .unwrap();
    assert!(
        matches!(accepted[..], [Accepted::New { .. }, Accepted::Repeated]),
        "within a batch"
    );
    let accepted = rig.db.batch().accept(&[again]).await.unwrap();
    assert_eq!(accepted, [Accepted::Repeated], "across batches");
    close(&rig, tenant, conversation_of_first(&rig, tenant).await).await;
    let late = IncomingText {
        message: IDS.next(),
        ..first.clone()
    };
    let accepted = rig.db.batch().accept(&[late]).await.unwrap();
    assert_eq!(accepted, [Accepted::Repeated], "after the conversation ended");
    assert_eq!(rig.count("SELECT count(*) FROM message").await, 1);
    assert_eq!(rig.count("SELECT count(*) FROM conversation").await, 1);
    assert_eq!(rig.count("SELECT next_seq FROM conversation").await, 2);

    // Another account may use the same id for another text.
    let other = rig.tenant(2).await;
    let namesake = IncomingText {
        provider_id: first.provider_id,
        ..incoming(other, 1)
    };
    let accepted = rig.db.batch().accept(&[namesake]).await.unwrap();
    assert!(matches!(accepted[0], Accepted::New { .. }));
}

async fn conversation_of_first(rig: &Rig, tenant: Tenant) -> ConversationId {
    rig.db
        .tenant(tenant.id)
        .conversations(None, None, 1)
        .await
        .unwrap()[0]
        .id
}

#[tokio::test]
async fn after_the_end_the_next_text_opens_a_new_conversation() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (old, _) = rig.text(tenant, 1).await;
    close(&rig, tenant, old).await;
    let accepted = rig
        .db
        .batch()
        .accept(&[incoming(tenant, 1), incoming(tenant, 1)])
        .await
        .unwrap();
    let new = conversation_of(accepted[0]);
    assert_ne!(new, old);
    assert_eq!(new, conversation_of(accepted[1]));
    let db = rig.db.tenant(tenant.id);
    let of_customer = db.conversations(Some(&address(1)), None, 10).await.unwrap();
    let ids: Vec<_> = of_customer.iter().map(|c| c.id).collect();
    assert_eq!(ids, [new, old], "newest first");
    let older = db.conversations(Some(&address(1)), Some(new), 10).await.unwrap();
    assert_eq!(older.iter().map(|c| c.id).collect::<Vec<_>>(), [old]);
    assert_eq!(db.conversations(None, Some(old), 10).await.unwrap().len(), 0);
    assert_eq!(
        db.conversations(Some(&address(2)), None, 10).await.unwrap().len(),
        0
    );
    let seqs: Vec<_> = db
        .pending_texts(new, 0, 10)
        .await
        .unwrap()
        .iter()
        .map(|p| p.seq)
        .collect();
    assert_eq!(seqs, [1, 2], "sequences begin anew");
}

#[tokio::test]
async fn a_row_that_fails_fails_the_batch_and_nothing_is_stored() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.text(tenant, 1).await;
    let before = rig.everything().await;
    let break_number = |t: &mut IncomingText| t.route.number = IDS.next();
    let break_id = |t: &mut IncomingText| t.provider_id = "x".repeat(201);
    let no_id = |t: &mut IncomingText| t.provider_id.clear();
    let nul_id = |t: &mut IncomingText| t.provider_id = "a\0b".into();
    type Damage<'a> = &'a dyn Fn(&mut IncomingText);
    let breaks: [(Damage<'_>, &str); 4] = [
        (&break_number, "conversation_tenant_id_number_id_fkey"),
        (&break_id, "inbound_dedup_provider_message_id_check"),
        (&no_id, "inbound_dedup_provider_message_id_check"),
        (&nul_id, "22021"),
    ];
    for (damage, reason) in breaks {
        let mut texts = [incoming(tenant, 1), incoming(tenant, 2), incoming(tenant, 3)];
        damage(&mut texts[1]);
        match rig.db.batch().accept(&texts).await {
            Err(DbError::Conflict {
                constraint,
                missing: true,
            }) => assert_eq!(constraint, reason),
            Err(DbError::Invalid { constraint }) => assert_eq!(constraint, reason),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(rig.everything().await, before, "{reason}");
        // One by one, as the caller goes on.
        let one = rig.db.batch().accept(&texts[1..2]).await.unwrap_err();
        assert!(!one.is_retryable(), "{one:?}");
        assert_eq!(rig.everything().await, before, "{reason}");
    }
}

#[test]
fn nul_is_refused_before_it_gets_here() {
    assert_eq!(Body::new("a\0b"), Err(BodyError::Nul));
    assert!("+1415555\x00123".parse::<Address>().is_err());
}

/// Eight tasks throw batches at a few conversations of two tenants. Ids repeat within a batch, between batches at the same
/// time and long after; every batch has its own order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_batches_store_each_text_once_in_sequence() {
    const TASKS: usize = 8;
    const ROUNDS: usize = 40;
    const CUSTOMERS: u64 = 6;
    let rig = Arc::new(Rig::new().await);
    let tenants = [rig.tenant(1).await, rig.tenant(2).await];
    let together = Arc::new(Barrier::new(TASKS));
    let tasks = (0..TASKS).map(|_| {
        let (rig, together) = (rig.clone(), together.clone());
        tokio::spawn(async move {
            let mut new = Vec::new();
            for round in 0..ROUNDS as u64 {
                let texts: Vec<_> = (0..24)
                    .map(|_| {
                        let (tenant, customer) = (
                            tenants[(IDS.next_u64() % 2) as usize],
                            (IDS.next_u64() % CUSTOMERS) as u32,
                        );
                        // The round's ids, seldom those of an earlier one.
                        let round = if IDS.next_u64().is_multiple_of(8) {
                            round / 2
                        } else {
                            round
                        };
                        IncomingText {
                            provider_id: format!("{round}-{customer}-{}", IDS.next_u64() % 12),
                            ..incoming(tenant, customer)
                        }
                    })
                    .collect();
                together.wait().await;
                let accepted = rig.db.batch().accept(&texts).await.unwrap();
                let pairs = texts.into_iter().zip(accepted);
                new.extend(pairs.filter(|(_, a)| *a != Accepted::Repeated));
            }
            new
        })
    });
    let mut new: HashMap<(String, String), (IncomingText, Accepted)> = HashMap::new();
    for task in tasks.collect::<Vec<_>>() {
        for (text, accepted) in task.await.unwrap() {
            let key = (text.route.account.to_string(), text.provider_id.clone());
            let twice = new.insert(key, (text, accepted));
            assert!(twice.is_none(), "accepted as new twice: {twice:?}");
        }
    }

    let stored = rig
        .rows(
            "SELECT d.account_id::text, d.provider_message_id, m.id, m.conversation_id, m.seq, i.seq AS inbox_seq,
                    c.customer_address
             FROM message m JOIN inbound_dedup d ON d.message_id = m.id JOIN inbox i ON i.message_id = m.id
             JOIN conversation c ON c.id = m.conversation_id
             ORDER BY m.conversation_id, m.seq",
        )
        .await;
    for (table, rows) in [("message", 0), ("inbox", 0), ("inbound_dedup", 0)] {
        let count = rig.count(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count + rows, new.len() as i64, "{table}");
    }
    assert_eq!(stored.len(), new.len());
    assert!(
        new.len() > ROUNDS * 20,
        "the test is worth its time: {}",
        new.len()
    );
    let mut last: HashMap<uuid::Uuid, i64> = HashMap::new();
    for row in &stored {
        let (text, accepted) = &new[&(row.get(0), row.get(1))];
        assert_eq!(row.get::<uuid::Uuid, _>(2), text.message.0);
        let conversation: uuid::Uuid = row.get(3);
        assert_eq!(conversation, conversation_of(*accepted).0);
        assert_eq!(row.get::<&str, _>(6), text.from.as_str());
        let before = last.insert(conversation, row.get(4)).unwrap_or(0);
        assert_eq!(row.get::<i64, _>(4), before + 1, "without a gap");
        assert_eq!(row.get::<i64, _>(5), before + 1);
    }
    assert_eq!(last.len() as u64, 2 * CUSTOMERS, "one conversation each");
    for row in rig.rows("SELECT id, next_seq FROM conversation").await {
        assert_eq!(row.get::<i64, _>(1), last[&row.get::<uuid::Uuid, _>(0)] + 1);
    }
}
