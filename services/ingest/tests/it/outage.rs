use crate::rig::{Rig, Server, TOKEN, incoming, open, settings, text};
use ccm_db::Db;
use ccm_ingest::{AcceptError, Batcher, Batching, Settings};
use ccm_testkit::Proxy;
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The database, behind a proxy.
async fn proxied(rig: &Rig) -> (Db, Proxy) {
    let urls = rig.test.urls();
    let address = urls.app.rsplit('@').next().unwrap().split('/').next().unwrap();
    let proxy = Proxy::start(address.parse().unwrap()).await.unwrap();
    let through = |url: &str| url.replace(address, &proxy.addr().to_string());
    (open(&through(&urls.app), &through(&urls.system)), proxy)
}

/// A server whose database is behind a proxy.
async fn server(rig: &Rig, settings: Settings) -> (Server, Proxy) {
    let (db, proxy) = proxied(rig).await;
    (Server::start(db, rig.bus.clone(), settings).await, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_there_is_no_2xx_and_the_way_back_needs_nobody() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let short = Settings {
        request_timeout: Duration::from_millis(700),
        ..settings()
    };
    let (server, proxy) = server(&rig, short).await;
    let post = async |sid: &str| {
        server
            .twilio(tenant.twilio, TOKEN, &text(sid, 1, tenant, "text"))
            .await
    };
    while post("SM0").await.status != 200 {}
    proxy.refuse(true).await;
    proxy.cut();
    // What is looked up is remembered for a moment, so both the look-up and the commit meet the outage.
    let begin = Instant::now();
    let mut refused = 0;
    while begin.elapsed() < Duration::from_secs(3) {
        let answer = post("SM1").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.retry_after.as_deref(), Some("5"));
        assert_eq!(answer.problem().0, "unavailable");
        refused += 1;
    }
    assert!(refused > 2);
    proxy.refuse(false).await;
    while post("SM1").await.status != 200 {}
    let (_, texts) = &rig.texts(tenant).await[0];
    assert_eq!(texts.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_is_waited_out() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (server, proxy) = server(&rig, settings()).await;
    let post = async |n: u32| {
        let form = text(&format!("SM{n}"), n, tenant, "text");
        server.twilio(tenant.twilio, TOKEN, &form).await.status
    };
    // Connections for all, which the restart leaves dead in the pool.
    assert!(
        join_all((0..30).map(post))
            .await
            .iter()
            .all(|status| *status == 200)
    );
    proxy.refuse(true).await;
    proxy.cut();
    let restart = async {
        sleep(Duration::from_millis(500)).await;
        proxy.refuse(false).await;
    };
    let (answers, ()) = tokio::join!(join_all((30..60).map(post)), restart);
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(rig.texts(tenant).await.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let small = Batching {
        workers: 1,
        most: 2,
        waiting: 4,
    };
    let (db, proxy) = proxied(&rig).await;
    proxy.black_hole(true);
    let (batcher, _workers) = Batcher::start(&db, &rig.bus, small);
    let accept = |n: u32| batcher.accept(incoming(tenant, n, "text"));
    let under_way = tokio::spawn({
        let (batcher, texts) = (
            batcher.clone(),
            [incoming(tenant, 0, "text"), incoming(tenant, 0, "text")],
        );
        async move { join_all(texts.map(|text| batcher.accept(text))).await }
    });
    // Both are taken out of the queue by the one worker, whose commit hangs.
    sleep(Duration::from_millis(300)).await;
    let waiting = join_all((1..20).map(accept));
    let open = async {
        sleep(Duration::from_millis(300)).await;
        proxy.black_hole(false);
    };
    let (results, ()) = tokio::join!(waiting, open);
    let full = results.iter().filter(|r| matches!(r, Err(AcceptError::Full)));
    assert_eq!(full.count(), 19 - 4, "{results:?}");
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 4, "{results:?}");
    assert!(under_way.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_requests_under_way() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (server, proxy) = server(&rig, settings()).await;
    let warm = server
        .twilio(tenant.twilio, TOKEN, &text("SM0", 0, tenant, "text"))
        .await;
    assert_eq!(warm.status, 200);
    proxy.delay(Duration::from_millis(200));
    let forms: Vec<_> = (1..10)
        .map(|n| text(&format!("SM{n}"), n, tenant, "text"))
        .collect();
    let posts = join_all(forms.iter().map(|form| server.twilio(tenant.twilio, TOKEN, form)));
    let drain = async {
        sleep(Duration::from_millis(100)).await;
        server.begin_draining();
    };
    let (answers, ()) = tokio::join!(posts, drain);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(rig.texts(tenant).await.len(), 10);
    server.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_well_while_the_database_is_away() {
    let rig = Rig::new().await;
    let (server, proxy) = server(&rig, settings()).await;
    proxy.black_hole(true);
    // What is done beside the texts is under way, and waits for the database.
    sleep(Duration::from_millis(300)).await;
    server.drain().await;
}
