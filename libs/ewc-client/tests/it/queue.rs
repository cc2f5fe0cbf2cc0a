//! `currentqueue` over http and https.

use ccm_ewc_client::{Dialer, QueueError, QueueMetrics, Target, currentqueue};
use ccm_testkit::certs::Ca;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::peer::*;

const ANSWER: &str = r#"{"body":{"metrics":[{"queueName":"WC_Default_Skillset","customersInQueue":0,
    "availableAgentsInQueue":1,"maxConcurrentChats":50}]}}"#;

/// Reads one request, gives its head and body, answers.
async fn serve(mut io: impl AsyncRead + AsyncWrite + Unpin, status: &str, body: &str) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !request.contains("\r\n\r\n") || !request.ends_with('}') {
        let n = io.read(&mut buffer).await.unwrap();
        assert!(n > 0, "cut short: {request}");
        request += std::str::from_utf8(&buffer[..n]).unwrap();
    }
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    io.write_all(answer.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
    request
}

async fn ask(status: &str, body: &str) -> (Result<Vec<QueueMetrics>, QueueError>, String) {
    let peer = Peer::ws().await;
    let dialer = peer.dialer();
    let served = async { serve(peer.tcp().await, status, body).await };
    soon(async { tokio::join!(currentqueue(&dialer, "WC_Default_Skillset"), served) }).await
}

#[tokio::test]
async fn the_skillset_is_asked_for_beside_the_chat() {
    let (metrics, request) = ask("200 OK", ANSWER).await;
    let metrics = metrics.unwrap();
    assert_eq!(metrics[0].queue_name, "WC_Default_Skillset");
    assert!(metrics[0].is_open());
    let request = request.to_ascii_lowercase();
    assert!(
        request.starts_with("post /customercontrollerweb/currentqueue http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/json\r\n"),
        "{request}"
    );
    assert!(request.contains("host: 127.0.0.1:"), "{request}");
    assert!(
        request.ends_with(r#"{"skillset":"wc_default_skillset"}"#),
        "{request}"
    );
}

#[tokio::test]
async fn it_goes_over_the_links_tls() {
    let ca = Ca::new("tenant").unwrap();
    let tls = server_config(&ca, "localhost", rustls::ALL_VERSIONS);
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::wss("localhost", listener.local_addr().unwrap().port());
    for (ca_pem, trusted) in [
        (ca.pem().to_owned(), true),
        (Ca::new("x").unwrap().pem().to_owned(), false),
    ] {
        let dialer = Dialer::new(&Target {
            ca_pem: Some(ca_pem),
            ..target.clone()
        })
        .unwrap();
        let served = async {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(tls) = acceptor.accept(tcp).await {
                serve(tls, "200 OK", ANSWER).await;
            }
        };
        let (metrics, ()) = soon(async { tokio::join!(currentqueue(&dialer, ""), served) }).await;
        match metrics {
            Ok(metrics) => assert!(trusted && metrics.len() == 1),
            Err(QueueError::Dial(_)) => assert!(!trusted),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn other_answers_are_errors() {
    let (metrics, _) = ask("503 Service Unavailable", "").await;
    assert!(matches!(metrics, Err(QueueError::Status(503))), "{metrics:?}");
    assert!(metrics.unwrap_err().retryable());
    let (metrics, _) = ask("200 OK", "<html>").await;
    assert!(matches!(metrics, Err(QueueError::BadAnswer)), "{metrics:?}");
    let (metrics, _) = ask("200 OK", &format!("{}{ANSWER}", " ".repeat(2 << 20))).await;
    assert!(
        matches!(metrics, Err(QueueError::Http(_))),
        "too large: {metrics:?}"
    );
}
