use ccm_testkit::Proxy;
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(300);

/// A server that sends back what it gets, behind a proxy.
async fn proxied_echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Proxy::start(addr).await.unwrap()
}

async fn dial(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

async fn says_back(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).await.unwrap();
    hears(socket, text).await;
}

async fn hears(socket: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    timeout(SOON, socket.read_exact(&mut heard))
        .await
        .expect("an answer in time")
        .unwrap();
    assert_eq!(heard, text.as_bytes());
}

#[tokio::test]
async fn carries_both_ways_to_the_end() {
    let proxy = proxied_echo().await;
    let mut socket = dial(&proxy).await;
    says_back(&mut socket, "hello").await;
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));
    let big = "x".repeat(3_000_000);
    let (mut read, mut write) = socket.split();
    let mut heard = Vec::new();
    let send = async {
        write.write_all(big.as_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
    };
    timeout(SOON, async { tokio::join!(send, read.read_to_end(&mut heard)) })
        .await
        .unwrap()
        .1
        .unwrap();
    assert_eq!(
        heard.len(),
        big.len(),
        "an end of the stream is carried, after all that stands before it"
    );
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_nothing_later() {
    let proxy = proxied_echo().await;
    let (mut first, mut second) = (dial(&proxy).await, dial(&proxy).await);
    says_back(&mut first, "one").await;
    says_back(&mut second, "two").await;
    proxy.cut();
    for socket in [&mut first, &mut second] {
        let error = timeout(SOON, socket.read(&mut [0; 8]))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    says_back(&mut dial(&proxy).await, "three").await;
}

#[tokio::test]
async fn refuses_and_takes_again_on_the_same_port() {
    let proxy = proxied_echo().await;
    let mut before = dial(&proxy).await;
    says_back(&mut before, "one").await;
    for _ in 0..3 {
        proxy.refuse(true).await;
        let error = TcpStream::connect(proxy.addr()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        says_back(&mut before, "two").await;
        proxy.refuse(false).await;
        says_back(&mut dial(&proxy).await, "three").await;
    }
}

#[tokio::test]
async fn a_black_hole_is_silent_and_gives_back_what_it_held() {
    let proxy = proxied_echo().await;
    let mut before = dial(&proxy).await;
    says_back(&mut before, "one").await;
    proxy.black_hole(true);
    let mut during = dial(&proxy).await;
    for socket in [&mut before, &mut during] {
        socket.write_all(b"lost?").await.unwrap();
        timeout(A_WHILE, socket.read(&mut [0; 8]))
            .await
            .expect_err("silence");
    }
    proxy.black_hole(false);
    hears(&mut before, "lost?").await;
    hears(&mut during, "lost?").await;
}

#[tokio::test]
async fn a_cut_reaches_into_a_black_hole() {
    let proxy = proxied_echo().await;
    proxy.black_hole(true);
    let mut socket = dial(&proxy).await;
    timeout(A_WHILE, socket.read(&mut [0; 8]))
        .await
        .expect_err("silence");
    proxy.cut();
    timeout(SOON, socket.read(&mut [0; 8]))
        .await
        .unwrap()
        .unwrap_err();
}

#[tokio::test]
async fn a_delay_holds_every_byte_back_and_keeps_order() {
    let proxy = proxied_echo().await;
    let mut socket = dial(&proxy).await;
    says_back(&mut socket, "one").await;
    proxy.delay(A_WHILE);
    let start = Instant::now();
    socket.write_all(b"two").await.unwrap();
    socket.write_all(b"three").await.unwrap();
    hears(&mut socket, "twothree").await;
    assert!(
        start.elapsed() >= 2 * A_WHILE,
        "there and back: {:?}",
        start.elapsed()
    );
    proxy.delay(Duration::ZERO);
    says_back(&mut socket, "four").await;
}

#[tokio::test]
async fn a_dropped_proxy_takes_its_connections_along() {
    let proxy = proxied_echo().await;
    let mut socket = dial(&proxy).await;
    says_back(&mut socket, "one").await;
    let addr = proxy.addr();
    drop(proxy);
    timeout(SOON, socket.read(&mut [0; 8]))
        .await
        .unwrap()
        .unwrap_err();
    TcpStream::connect(addr).await.unwrap_err();
}
