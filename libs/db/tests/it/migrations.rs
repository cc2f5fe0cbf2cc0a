//! The migrations runner, and what the schema bears while texts go on.

use crate::rig::{IDS, MASTER, Rig, connect, incoming, now, open};
use ccm_db::{Accepted, Claim, check_migrated, migrate, pending_migrations};
use ccm_model::{ConversationId, Id, MessageId};
use ccm_testkit::{TempFolder, TestDb};
use sqlx::{AssertSqlSafe, Executor, Row};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use uuid::Uuid;

/// A database with nothing in it.
async fn empty() -> (TestDb, TempFolder) {
    let folder = TempFolder::new().unwrap();
    let test = TestDb::create_from(folder.path(), async |_| Ok::<_, Infallible>(())).await;
    (test.unwrap(), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_migrate_an_empty_database_at_once() {
    let (test, _folder) = empty().await;
    let db = open(test.urls(), 1, MASTER);
    assert!(!check_migrated(&db).await.unwrap(), "nothing there");
    let owner = test.owner_url().to_owned().into();
    let pending = pending_migrations(&owner).await.unwrap();
    assert_eq!(
        (pending[0].version, pending[0].description.as_str()),
        (1, "roles")
    );
    let runs = [(); 4].map(|()| {
        let url = test.owner_url().to_owned().into();
        tokio::spawn(async move { migrate(&url).await })
    });
    let watched = {
        let db = db.clone();
        tokio::spawn(async move {
            while !check_migrated(&db).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    let mut made = Vec::new();
    for run in runs {
        made.push(run.await.unwrap().unwrap());
    }
    made.sort();
    assert_eq!(made, [0, 0, 0, 14], "one makes the partitions");
    watched.await.unwrap();
    db.ping().await.unwrap();
    assert_eq!(pending_migrations(&owner).await.unwrap(), []);

    assert_eq!(
        migrate(&test.owner_url().to_owned().into()).await.unwrap(),
        0,
        "once more"
    );
    let of_now = "SELECT count(*) FROM pg_class WHERE relname IN
        (to_char(now(), '\"message_\"YYYYMM'), to_char(now() - interval '1 month', '\"message_\"YYYYMM'),
         to_char(now() + interval '12 months', '\"message_\"YYYYMM'))";
    assert_eq!(test.superuser_sql(of_now).unwrap(), "3");
}

#[tokio::test]
async fn a_program_tells_an_older_schema_from_a_newer_one() {
    let rig = Rig::new().await;
    assert!(check_migrated(&rig.db).await.unwrap());
    rig.run(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a newer program', true, '', 0)",
    )
    .await;
    assert!(
        check_migrated(&rig.db).await.unwrap(),
        "it carries the older program too"
    );
    let url = rig.test.owner_url().to_owned().into();
    assert_eq!(
        migrate(&url).await.unwrap(),
        0,
        "a deploy that is rolled back migrates without harm"
    );
    rig.run("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    rig.run("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .await;
    assert!(!check_migrated(&rig.db).await.unwrap());
    assert_eq!(pending_migrations(&url).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let rig = Rig::new().await;
    rig.run("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2")
        .await;
    let url = rig.test.owner_url().to_owned().into();
    let refused = migrate(&url).await.unwrap_err();
    assert!(
        !refused.is_retryable() && refused.to_string().contains("modified"),
        "{refused}"
    );
}

#[tokio::test]
async fn migrating_without_postgres_can_be_tried_again() {
    let away = "postgres://owner@127.0.0.1:1/none".to_owned().into();
    assert!(migrate(&away).await.unwrap_err().is_retryable());
}

/// The lowest id of a moment some days from now.
fn id_in_days(days: i64) -> MessageId {
    let millis = (now() + time::Duration::days(days)).unix_timestamp_nanos() / 1_000_000;
    let random = IDS.next_u64().to_be_bytes();
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&random);
    MessageId(uuid::Builder::from_unix_timestamp_millis(millis as u64, &bytes).into_uuid())
}

async fn partition_of(rig: &Rig, message: MessageId) -> String {
    rig.rows(&format!(
        "SELECT tableoid::regclass::text FROM message WHERE id = '{message}'"
    ))
    .await[0]
        .get(0)
}

#[tokio::test]
async fn a_text_outside_of_all_months_is_kept_and_moves_when_its_month_comes() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (conversation, usual) = rig.text(tenant, 1).await;
    let month = |days: i64| {
        let at = now() + time::Duration::days(days);
        format!("message_{}{:02}", at.year(), u8::from(at.month()))
    };
    assert_eq!(partition_of(&rig, usual).await, month(0));
    let (future, past) = (id_in_days(600), id_in_days(-400));
    for id in [future, past] {
        let mut text = incoming(tenant, 1);
        text.message = id;
        rig.db.batch().accept(&[text]).await.unwrap();
        assert_eq!(partition_of(&rig, id).await, "message_other");
    }
    let read = async || {
        let db = rig.db.tenant(tenant.id);
        let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
        let history = db
            .messages(&db.conversation(conversation).await.unwrap(), 0, 10)
            .await
            .unwrap();
        let ids = |all: Vec<MessageId>| all;
        (
            ids(waiting.iter().map(|t| t.message).collect()),
            ids(history.iter().map(|t| t.id).collect()),
        )
    };
    let (waiting, history) = read().await;
    assert_eq!(waiting, [usual, future, past], "on its way to the agent");
    assert_eq!(
        history,
        [usual, future],
        "a conversation's texts are looked for from its first day on"
    );

    let mut owner = connect(rig.test.owner_url()).await;
    let ensure = "SELECT ensure_message_partitions(now()::date, 24)";
    let made: i32 = sqlx::query_scalar(ensure).fetch_one(&mut owner).await.unwrap();
    assert_eq!(made, 24 - 13, "the others are there");
    assert_eq!(partition_of(&rig, future).await, month(600));
    assert_eq!(partition_of(&rig, past).await, "message_other");
    assert_eq!(read().await, (waiting, history));
    let made: i32 = sqlx::query_scalar(ensure).fetch_one(&mut owner).await.unwrap();
    assert_eq!(made, 0);
    // What was moved is a text as any other.
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    for text in [usual, future, past] {
        db.text_delivered(&fence, text, now()).await.unwrap();
    }
    assert_eq!(
        rig.count("SELECT count(*) FROM message WHERE state = 'delivered'")
            .await,
        3
    );
    let unlike = "SELECT count(*) FROM pg_inherits i WHERE inhparent = 'message'::regclass
        AND 3 <> (SELECT count(*) FROM pg_index x JOIN pg_inherits p ON p.inhrelid = x.indexrelid
                  WHERE x.indrelid = i.inhrelid)";
    assert_eq!(
        rig.count(unlike).await,
        0,
        "every partition has all indexes, attached to the table's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn months_are_made_while_texts_go_on() {
    let rig = Arc::new(Rig::new().await);
    let tenant = rig.tenant(1).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let (rig, done) = (rig.clone(), done.clone());
            tokio::spawn(async move {
                let mut stored = 0;
                while !done.load(Relaxed) {
                    let mut texts = [incoming(tenant, n), incoming(tenant, n)];
                    texts[1].message = id_in_days(600 + (IDS.next_u64() % 300) as i64);
                    let accepted = loop {
                        match rig.db.batch().accept(&texts).await {
                            Ok(accepted) => break accepted,
                            // Its month was made in the moment between routing and writing.
                            Err(error) => assert!(error.is_retryable(), "{error:?}"),
                        }
                    };
                    let Accepted::New { conversation, .. } = accepted[0] else {
                        panic!()
                    };
                    rig.db
                        .tenant(tenant.id)
                        .pending_texts(conversation, stored, 10)
                        .await
                        .unwrap();
                    stored += 2;
                }
                stored
            })
        })
        .collect();
    let makers: Vec<_> = (0..2)
        .map(|_| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let mut owner = connect(rig.test.owner_url()).await;
                let mut made = 0;
                for months in 14..36 {
                    let sql = format!("SELECT ensure_message_partitions(now()::date, {months})");
                    made += loop {
                        match sqlx::query_scalar::<_, i32>(AssertSqlSafe(sql.as_str()))
                            .fetch_one(&mut owner)
                            .await
                        {
                            Ok(made) => break made,
                            // Rather than let the texts wait for long: lock_not_available.
                            Err(error) => {
                                let code = error.as_database_error().and_then(|e| e.code());
                                assert_eq!(code.as_deref(), Some("55P03"), "{error}");
                            }
                        }
                    };
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for maker in makers {
        made += maker.await.unwrap();
    }
    done.store(true, Relaxed);
    let mut stored = 0;
    for writer in writers {
        stored += writer.await.unwrap();
    }
    assert_eq!(made, 35 - 13);
    assert_eq!(rig.count("SELECT count(*) FROM message").await, stored);
    assert_eq!(
        rig.count("SELECT count(*) FROM message_other").await,
        0,
        "all have moved"
    );
}

/// The statements that a running program has prepared survive a migration that adds a column to every table.
#[tokio::test]
async fn a_new_column_breaks_nothing_that_runs() {
    let rig = Rig::with_connections(1).await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    use_everything(&rig, tenant, &fence, conversation, chat, 2).await;
    for table in rig.tables().await {
        if table != "_sqlx_migrations" {
            rig.run(&format!("ALTER TABLE {table} ADD COLUMN added text"))
                .await;
        }
    }
    use_everything(&rig, tenant, &fence, conversation, chat, 3).await;
}

/// Every kind of statement that a program keeps prepared.
async fn use_everything(
    rig: &Rig,
    tenant: crate::rig::Tenant,
    fence: &ccm_db::Fence,
    conversation: ConversationId,
    chat: ccm_model::ChatId,
    n: u32,
) {
    let (db, operator, at) = (rig.db.tenant(tenant.id), rig.db.operator(), now());
    let hold = Duration::from_secs(30);
    let other = rig.tenant(n).await;
    operator.tenants(None, 10).await.unwrap();
    operator.tenants(Some(tenant.id), 10).await.unwrap();
    assert_eq!(
        operator.account_owner(tenant.account).await.unwrap(),
        Some(tenant.id)
    );
    let found = operator
        .find_number(tenant.account, &crate::rig::address(tenant.ours))
        .await
        .unwrap();
    assert_eq!(found, Some((tenant.id, tenant.number)));
    db.tenant().await.unwrap();
    db.accounts().await.unwrap();
    db.account_secret(tenant.account).await.unwrap();
    db.links().await.unwrap();
    db.skillsets().await.unwrap();
    db.numbers().await.unwrap();
    db.create_auth_key(ccm_db::NewAuthKey {
        id: IDS.next(),
        name: &n.to_string(),
        prefix: "abcd",
        lookup_hash: &[n as u8; 32],
        expires_at: None,
        networks: &[],
        uses: ccm_model::KeyUse::ALL,
    })
    .await
    .unwrap();
    db.auth_keys().await.unwrap();
    operator.auth_key_owner(&[n as u8; 32], at).await.unwrap();
    crate::number_lookups::fill(rig, tenant, n).await;
    let asked = crate::rig::address(n);
    assert!(db.number_lookup(&asked, at).await.unwrap().is_some());

    let (_, message) = rig.text(tenant, 1).await;
    assert!(
        !rig.db
            .batch()
            .conversations_to_serve(&[tenant.id], &[tenant.id])
            .await
            .unwrap()
            .is_empty()
    );
    db.actor_context(conversation).await.unwrap();
    db.pending_texts(conversation, 0, 10).await.unwrap();
    db.set_room(fence, chat, ccm_db::RoomState::Live).await.unwrap();
    db.chat_rekeyed(fence, chat, "key").await.unwrap();
    db.text_sending(fence, message, chat, at).await.unwrap();
    db.text_held(fence, message, at).await.unwrap();
    db.text_delivered(fence, message, at).await.unwrap();
    rig.say(fence, conversation, chat).await;
    db.heard(conversation, chat).await.unwrap();
    let row = db.conversation(conversation).await.unwrap();
    db.conversations(None, None, 10).await.unwrap();
    db.conversations(Some(&row.customer_address), None, 10)
        .await
        .unwrap();
    db.messages(&row, 0, 10).await.unwrap();

    operator.next_line_due().await.unwrap();
    let claim: Claim = rig.claim(hold, 1).await[0];
    let sending = crate::outbox::head(rig, &claim).await;
    db.mark_resend(&claim, sending.message, at).await.unwrap();
    let ids = ["SM1".to_owned()];
    db.ids_of_others(sending.account, sending.message, &ids)
        .await
        .unwrap();
    crate::outbox::finish_at(
        rig,
        &claim,
        sending.message,
        sending.account,
        &crate::outbox::sent("SM1"),
    )
    .await;
    db.account_events(sending.account, None, 10).await.unwrap();

    operator.heartbeat(fence.pod, "pod", false).await.unwrap();
    operator.pods(crate::rig::TIMES).await.unwrap();
    operator.free_tenants(crate::rig::TIMES).await.unwrap();
    let lease = operator
        .take_leases(fence.pod, &[other.id], crate::rig::TIMES)
        .await
        .unwrap();
    operator.leases_of(fence.pod).await.unwrap();
    operator.release_lease(fence.pod, lease[0]).await.unwrap();
    assert!(check_migrated(&rig.db).await.unwrap());
}

#[tokio::test]
async fn the_floor_of_a_moment_is_below_its_ids() {
    let rig = Rig::new().await;
    for days in [-4000, 0, 5000] {
        let id = id_in_days(days);
        let (seconds, nanos) = id.uuid().get_timestamp().unwrap().to_unix();
        let floor = |millis: u64| format!("uuid_v7_floor(to_timestamp({}::numeric / 1000))", millis);
        let millis = seconds * 1000 + u64::from(nanos / 1_000_000);
        let row = &rig
            .rows(&format!("SELECT {}, {}", floor(millis), floor(millis + 1)))
            .await[0];
        let (this, next): (Uuid, Uuid) = (row.get(0), row.get(1));
        assert!(this < id.uuid() && id.uuid() < next, "{this} {id} {next}");
    }
    let mut app = connect(rig.test.app_url()).await;
    app.execute("SELECT uuid_v7_floor(now())").await.unwrap();
}

/// A transaction that does not end must not make every text wait until it does.
#[tokio::test]
async fn making_a_month_gives_up_rather_than_hold_up_texts() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let newest = "SELECT max(relname)::text FROM pg_class WHERE relname LIKE 'message_2_____'";
    let newest: String = rig.rows(newest).await[0].get(0);
    rig.run(&format!("DROP TABLE {newest}")).await;
    let mut reader = rig.root.begin().await.unwrap();
    reader.execute("SELECT count(*) FROM message").await.unwrap();
    let url = rig.test.owner_url().to_owned().into();
    let (refused, accepted) = tokio::join!(migrate(&url), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut text = incoming(tenant, 1);
        text.message = id_in_days(600);
        rig.db.batch().accept(&[text]).await
    });
    assert!(refused.unwrap_err().is_retryable());
    accepted.unwrap();
    reader.rollback().await.unwrap();
    assert_eq!(migrate(&url).await.unwrap(), 1);
}
