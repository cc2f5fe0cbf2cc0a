use axum::{Router, routing::get};
use ccm_runtime::{Ending, Health, Lifecycle, config::ShutdownConfig, serve};
use std::{convert::Infallible, future::pending, process::Command, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

fn life(grace: Duration) -> Lifecycle {
    let config = ShutdownConfig {
        notice: Duration::ZERO,
        grace,
    };
    Lifecycle::new(config, Health::new("test"))
}

const LONG: Duration = Duration::from_secs(60);

fn signal_myself(name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(std::process::id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

fn never() -> impl Future<Output = Result<(), Infallible>> + Send {
    pending()
}

#[tokio::test]
async fn sigterm_drains_and_the_second_signal_aborts() {
    let life = life(LONG);
    life.watch_signals().unwrap();
    let (hand_over, handed_over) = oneshot::channel();
    life.spawn("connector", {
        let life = life.clone();
        async move {
            life.draining().await;
            hand_over.send(()).map_err(|()| "nobody listens")
        }
    });
    life.spawn("stubborn", never());
    life.spawn_companion("heartbeat", never());
    let finish = tokio::spawn({
        let life = life.clone();
        async move { life.finish().await }
    });
    sleep(Duration::from_millis(50)).await;
    assert!(!life.is_draining());

    signal_myself("TERM");
    timeout(LONG, handed_over).await.unwrap().unwrap();
    assert!(life.is_draining());
    sleep(Duration::from_millis(50)).await;
    assert!(!finish.is_finished(), "one task still hands over");

    signal_myself("INT");
    let ending = timeout(LONG, finish).await.unwrap().unwrap();
    assert_eq!(
        ending,
        Ending::Aborted {
            tasks: vec!["stubborn"]
        }
    );
}

#[tokio::test]
async fn a_clean_end_waits_for_requests_under_way() {
    let life = life(LONG);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let until = life.clone();
    let slow = Router::new().route(
        "/",
        get(move || async move {
            arrived.send(()).unwrap();
            until.draining().await;
            sleep(Duration::from_millis(100)).await;
            "done"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    life.spawn("http", serve(listener, slow, life.clone()));
    life.spawn_companion("heartbeat", never());
    let request = tokio::spawn(async move {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let answer = reqwest::get(format!("http://{address}/")).await.unwrap();
        answer.text().await.unwrap()
    });
    arrivals.recv().await.unwrap();
    life.drain();
    assert_eq!(life.finish().await, Ending::Clean);
    assert_eq!(request.await.unwrap(), "done");
    assert!(
        reqwest::get(format!("http://{address}/")).await.is_err(),
        "closed"
    );
}

/// Load balancers keep connections open: an answer tells them that this one ends, not a request that breaks.
#[tokio::test]
async fn who_is_answered_while_it_drains_is_told_that_the_connection_ends() {
    let notice = Duration::from_secs(20);
    let config = ShutdownConfig { notice, grace: LONG };
    let life = Lifecycle::new(config, Health::new("test"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let router = Router::new().route("/", get(async || "here"));
    tokio::spawn(serve(listener, router, life.clone()));

    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"here") {
        socket.read_buf(&mut answer).await.unwrap();
    }
    assert!(!String::from_utf8(answer).unwrap().contains("connection:"));

    life.drain();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let read = timeout(notice / 2, socket.read_to_string(&mut answer)).await;
    read.expect("the connection ends before the notice does").unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_grace_ends_what_does_not_end_by_itself() {
    let life = life(Duration::from_secs(25));
    life.spawn("stubborn", never());
    let started = Instant::now();
    life.drain();
    let ending = life.finish().await;
    assert_eq!(
        ending,
        Ending::Aborted {
            tasks: vec!["stubborn"]
        }
    );
    assert_eq!(started.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_fails_or_returns_early_ends_the_process() {
    let drains_well = |life: &Lifecycle| {
        let until = life.clone();
        life.spawn("other", async move {
            until.draining().await;
            Ok::<_, Infallible>(())
        });
    };
    let panics = life(LONG);
    drains_well(&panics);
    panics.spawn("panics", async {
        if true {
            panic!("on purpose");
        }
        Ok::<_, Infallible>(())
    });
    assert_eq!(panics.finish().await, Ending::Failed { task: "panics" });
    assert!(panics.is_draining(), "the others were asked to end");

    let fails = life(LONG);
    drains_well(&fails);
    fails.spawn("fails", async { Err::<(), _>("on purpose") });
    assert_eq!(fails.finish().await, Ending::Failed { task: "fails" });

    let returns = life(LONG);
    drains_well(&returns);
    returns.spawn("returns", async { Ok::<_, Infallible>(()) });
    assert_eq!(returns.finish().await, Ending::Failed { task: "returns" });

    let companion = life(LONG);
    drains_well(&companion);
    companion.spawn_companion("heartbeat", async { Err::<(), _>("on purpose") });
    assert_eq!(companion.finish().await, Ending::Failed { task: "heartbeat" });
}
