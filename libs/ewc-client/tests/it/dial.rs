//! What a dial refuses, and how it says so.

use std::time::Duration;

use ccm_ewc_client::{DialError, Dialer, Guard, Proxy, Stage, Target, TlsProblem};
use ccm_testkit::certs::Ca;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::peer::*;

/// The error of a dial to a TLS server with a certificate for `name`, trusted by `ca_pem`.
async fn tls_failure(name: &str, ca_pem: impl FnOnce(&Ca) -> Option<String>) -> DialError {
    let ca = Ca::new("tenant").unwrap();
    let tls = server_config(&ca, name, rustls::ALL_VERSIONS);
    let peer = Peer::with_tls(tls, ca_pem(&ca)).await;
    let dialer = peer.dialer();
    let dial = tokio::spawn(async move { dialer.probe().await });
    let tcp = peer.tcp().await;
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server_config(
        &ca,
        name,
        rustls::ALL_VERSIONS,
    )));
    let _ = soon(acceptor.accept(tcp)).await;
    soon(dial).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let other = |_: &Ca| Some(Ca::new("somebody else").unwrap().pem().to_owned());
    let error = tls_failure("localhost", other).await;
    assert!(
        matches!(error, DialError::Tls(TlsProblem::UnknownIssuer)),
        "{error:?}"
    );
    assert!(!error.retryable());
    assert_eq!(error.stage(), Some(Stage::Tls));
}

#[tokio::test]
async fn a_private_authority_is_not_among_the_systems() {
    match tls_failure("localhost", |_| None).await {
        DialError::Tls(TlsProblem::UnknownIssuer) => {}
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let error = tls_failure("aacc.example.com", |ca| Some(ca.pem().to_owned())).await;
    assert!(
        matches!(error, DialError::Tls(TlsProblem::WrongName)),
        "{error:?}"
    );
    assert!(error.remedy().contains("name"));
}

#[tokio::test]
async fn only_the_tenants_authority_is_trusted_of_several_in_its_pem() {
    let (ca, other) = (Ca::new("tenant").unwrap(), Ca::new("other").unwrap());
    let both = format!("{}\n{}", other.pem(), ca.pem());
    let peer = Peer::with_tls(server_config(&ca, "localhost", rustls::ALL_VERSIONS), Some(both)).await;
    let dialer = peer.dialer();
    let (dialled, _) = tokio::join!(dialer.probe(), peer.accept());
    dialled.unwrap();
}

#[tokio::test]
async fn each_version_of_tls_works_and_a_second_socket_resumes_the_session() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let ca = Ca::new("tenant").unwrap();
        let tls = server_config(&ca, "localhost", &[version]);
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialer = Dialer::new(&Target {
            ca_pem: Some(ca.pem().to_owned()),
            ..Target::wss("localhost", port)
        })
        .unwrap();
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let serve = async {
                let (tcp, _) = listener.accept().await.unwrap();
                let tls = acceptor.accept(tcp).await.unwrap();
                let kind = tls.get_ref().1.handshake_kind().unwrap();
                (kind, tokio_tungstenite::accept_async(tls).await.unwrap())
            };
            let (dialled, (kind, _socket)) = soon(async { tokio::join!(dialer.probe(), serve) }).await;
            dialled.unwrap();
            kinds.push(kind);
        }
        assert_ne!(kinds[0], rustls::HandshakeKind::Resumed, "{version:?}");
        assert_eq!(kinds[1..], [rustls::HandshakeKind::Resumed; 2], "{version:?}");
    }
}

/// A server that answers every connection with `answer` once it has read something.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = tcp.read(&mut [0; 4096]).await;
                let _ = tcp.write_all(answer.as_bytes()).await;
                let _ = tcp.read(&mut [0; 4096]).await;
            });
        }
    });
    port
}

async fn failure(target: Target) -> DialError {
    let dialer = Dialer::new(&target).unwrap();
    soon(dialer.probe()).await.unwrap_err()
}

#[tokio::test]
async fn an_http_status_is_told() {
    for (answer, expected, retryable) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, false),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, false),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 502, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, false),
    ] {
        let error = failure(Target::ws("127.0.0.1", answering(answer).await)).await;
        assert!(
            matches!(&error, DialError::Upgrade(answer) if answer.status == expected),
            "{error:?}"
        );
        assert_eq!(error.retryable(), retryable);
    }
}

#[tokio::test]
async fn what_is_no_http_or_no_tls_is_told() {
    let error = failure(Target::ws("127.0.0.1", answering("SSH-2.0-x\r\n\r\n").await)).await;
    assert!(matches!(error, DialError::NotWebSocket(_)), "{error:?}");
    let error = failure(Target::wss(
        "127.0.0.1",
        answering("HTTP/1.1 400 Bad Request\r\n\r\n").await,
    ))
    .await;
    assert!(matches!(error, DialError::Tls(TlsProblem::NotTls)), "{error:?}");
}

#[tokio::test]
async fn silence_is_told_with_its_stage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect_timeout = Duration::from_millis(100);
    for (target, stage) in [
        (Target::ws("127.0.0.1", port), Stage::Upgrade),
        (Target::wss("127.0.0.1", port), Stage::Tls),
    ] {
        let error = failure(Target {
            connect_timeout,
            ..target
        })
        .await;
        assert!(matches!(error, DialError::Timeout(s) if s == stage), "{error:?}");
        assert!(error.retryable());
    }
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = failure(Target::wss("localhost", port)).await;
    assert!(matches!(error, DialError::Tcp(_)), "{error:?}");
    let error = failure(Target::wss("no-such-host.invalid", 8445)).await;
    assert!(
        matches!(error, DialError::Dns { .. } | DialError::Timeout(Stage::Dns)),
        "{error:?}"
    );
}

#[test]
fn a_bad_target_is_refused_before_anything_is_opened() {
    let base = Target::wss("localhost", 8445);
    let refuse = |target: Target| Dialer::new(&target).unwrap_err();
    for pem in [
        "",
        "no pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = refuse(Target {
            ca_pem: Some(pem.into()),
            ..base.clone()
        });
        assert!(matches!(error, DialError::BadCa(_)), "{pem}: {error:?}");
    }
    for host in ["", "a b", "a/b", "exa_mple..com:1"] {
        let error = refuse(Target {
            host: host.into(),
            ..base.clone()
        });
        assert!(
            matches!(error, DialError::BadHost(_) | DialError::BadPath(_)),
            "{host}: {error:?}"
        );
    }
    for path in ["", "chat", "/a b"] {
        assert!(
            matches!(
                refuse(Target {
                    path: path.into(),
                    ..base.clone()
                }),
                DialError::BadPath(_)
            ),
            "{path}"
        );
    }
}

#[tokio::test]
async fn addresses_that_a_guard_refuses_are_not_dialled() {
    let loopback = Guard::new(|ip| ip.to_string() == "127.0.0.1");
    let target = |host: &str, addresses: &[&str]| Target {
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        guard: Some(loopback.clone()),
        ..Target::ws(host, 8081)
    };
    let resolved = async |target: &Target| {
        let dialer = Dialer::new(target).unwrap();
        dialer.resolve(dialer.deadline()).await
    };
    let mixed = target("aacc.example.com", &["10.0.0.1", "127.0.0.1"]);
    assert_eq!(
        resolved(&mixed).await.unwrap(),
        ["127.0.0.1:8081".parse().unwrap()]
    );
    let proxied = |target: Target, by: &str| Target {
        proxy: Some(Proxy::new(by, 3128)),
        ..target
    };
    for (refused, host) in [
        (target("10.0.0.1", &[]), "10.0.0.1"),
        (
            target("aacc.example.com", &["10.0.0.1", "::1"]),
            "aacc.example.com",
        ),
        (proxied(target("aacc.example.com", &[]), "10.0.0.2"), "10.0.0.2"),
        // The proxy would dial it for us.
        (proxied(target("10.0.0.1", &[]), "127.0.0.1"), "10.0.0.1"),
        (proxied(mixed.clone(), "127.0.0.1"), "aacc.example.com"),
    ] {
        let error = resolved(&refused).await.unwrap_err();
        assert!(
            matches!(&error, DialError::NotAllowed { host: named } if named == host),
            "{error:?}"
        );
        assert!(!error.retryable() && error.stage() == Some(Stage::Dns));
        assert!(error.remedy().contains("egress.private_networks"));
    }
    let by_name = proxied(target("aacc.example.com", &[]), "127.0.0.1");
    assert!(
        resolved(&by_name).await.is_ok(),
        "what the proxy looks up is its affair"
    );
}
