//! Postgres goes away and comes back.

use crate::rig::{IDS, MASTER, TIMES, address, now, open};
use ccm_db::{
    Accepted, Db, DbError, IncomingText, NewAccount, NewLink, NewNumber, NewSkillset, Route, Scheme,
};
use ccm_model::{Body, ProviderKind, TenantId};
use ccm_testkit::{PgOptions, PgServer, StopMode, TempFolder, canary, provision};
use sqlx::{Connection, PgConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

async fn route(db: &Db) -> Route {
    let tenant: TenantId = IDS.next();
    db.operator()
        .create_tenant(tenant, "tenant", "A tenant")
        .await
        .unwrap();
    let (account, link, skillset, number) = (IDS.next(), IDS.next(), IDS.next(), IDS.next());
    let rows = db.tenant(tenant);
    rows.create_account(NewAccount {
        id: account,
        name: "account",
        kind: ProviderKind::Http,
        settings: &serde_json::json!({}),
        secret: b"{}",
        rules: &Default::default(),
    })
    .await
    .unwrap();
    rows.create_link(NewLink {
        id: link,
        name: "aacc",
        scheme: Scheme::Ws,
        host: "aacc.example",
        port: 80,
        path: "/",
        ca_pem: None,
        swap_angle_brackets: true,
        connects_per_second: 1.0,
        reach: Default::default(),
    })
    .await
    .unwrap();
    rows.create_skillset(NewSkillset {
        id: skillset,
        link,
        name: "WC_Default_Skillset",
    })
    .await
    .unwrap();
    let number_row = NewNumber {
        id: number,
        address: &address(1),
        account,
        skillset,
        per_second: 1.0,
        second_account: None,
        kind: ccm_model::NumberKind::LongCode,
    };
    rows.create_number(number_row).await.unwrap();
    Route {
        tenant,
        number,
        account,
    }
}

fn text(route: Route, customer: u32) -> IncomingText {
    IncomingText {
        message: IDS.next(),
        conversation: IDS.next(),
        route,
        provider_id: format!("SM{}", IDS.next_u64()),
        repeat_window: None,
        kind: ccm_db::TextKind::Text,
        refused: None,
        segments: None,
        to: address(1),
        from: address(customer),
        body: Body::new(canary::body(customer)).unwrap(),
        received_at: now(),
        written_at: None,
        trace: None,
    }
}

/// Texts come in and pods beat all the time. Every failure is one that the caller may try again; what was accepted is
/// there afterwards; what was in doubt is there once when it was tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_fail_retryably_and_the_pool_recovers_by_itself() {
    let folder = TempFolder::new().unwrap();
    let mut server = PgServer::start_private(folder.path(), PgOptions::durable()).unwrap();
    let urls = provision::provision(&server, "ccm").unwrap();
    ccm_db::migrate(&urls.owner.clone().into()).await.unwrap();
    let db = open(&urls, 4, MASTER);
    let route = route(&db).await;

    let (done, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let retryable = |error: &DbError| assert!(error.is_retryable(), "{error:?}");
    let writers: Vec<_> = (0..6)
        .map(|customer| {
            let (db, done, failures) = (db.clone(), done.clone(), failures.clone());
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                while !done.load(Relaxed) {
                    let text = text(route, customer);
                    loop {
                        match db.batch().accept(std::slice::from_ref(&text)).await {
                            Ok(_) => break accepted.push(text.message),
                            Err(error) => {
                                retryable(&error);
                                failures.fetch_add(1, Relaxed);
                            }
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                accepted
            })
        })
        .collect();
    let beats = {
        let (db, done) = (db.clone(), done.clone());
        tokio::spawn(async move {
            let pod = IDS.next();
            while !done.load(Relaxed) {
                let operator = db.operator();
                for result in [
                    operator.heartbeat(pod, "pod", false).await,
                    operator.take_leases(pod, &[route.tenant], TIMES).await.map(drop),
                    operator.next_line_due().await.map(drop),
                ] {
                    result.unwrap_or_else(|error| retryable(&error));
                }
            }
        })
    };
    for mode in [StopMode::Immediate, StopMode::Fast] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = failures.load(Relaxed);
        server.stop(mode).unwrap();
        let away = db.ping().await.unwrap_err();
        retryable(&away);
        server.start().unwrap();
        let mut tries = 0;
        while db.ping().await.is_err() {
            tries += 1;
            assert!(tries < 20, "the pools have not recovered");
        }
        assert!(failures.load(Relaxed) > before, "somebody noticed");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    done.store(true, Relaxed);
    beats.await.unwrap();
    let mut accepted = Vec::new();
    for writer in writers {
        accepted.extend(writer.await.unwrap());
    }
    let root_url = server.superuser_url_of("ccm");
    let mut root = PgConnection::connect(&root_url).await.unwrap();
    let mut stored: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM message")
        .fetch_all(&mut root)
        .await
        .unwrap();
    let mut expected: Vec<uuid::Uuid> = accepted.iter().map(|m| m.0).collect();
    stored.sort();
    expected.sort();
    assert!(stored.len() > 50, "{}", stored.len());
    assert_eq!(stored, expected, "each accepted text is there once");

    // Sessions that a pooler or an operator ended cost one call each, and no more.
    for session in ["ccm", "ccm-system"] {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
        let ended: i64 = sqlx::query_scalar(sql)
            .bind(session)
            .fetch_one(&mut root)
            .await
            .unwrap();
        assert!(ended > 0);
    }
    let mut failed = 0;
    while let Err(error) = db.batch().accept(&[text(route, 1)]).await {
        retryable(&error);
        failed += 1;
        assert!(failed <= 4, "more than the pool has");
    }
    let again = db.batch().accept(&[text(route, 1)]).await.unwrap();
    assert!(matches!(again[0], Accepted::New { .. }));
}

#[tokio::test]
async fn a_service_starts_while_postgres_is_away() {
    let urls = ccm_testkit::Urls {
        superuser: String::new(),
        owner: String::new(),
        app: "postgres://nobody@127.0.0.1:1/none".into(),
        system: "postgres://nobody@127.0.0.1:1/none".into(),
    };
    let db = open(&urls, 1, MASTER);
    let started = tokio::time::Instant::now();
    let error = db.ping().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}
