//! Every way in which a link can be reached, and what its handshakes show.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use ccm_ewc_client::*;
use ccm_testkit::certs::{Ca, ServerCert};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::peer::soon;

/// AACC's proxy: takes every socket and notes what was asked for.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    sni: Option<String>,
    host: String,
    client_certificates: usize,
    resumed: bool,
}

impl Server {
    async fn start(tls: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, notes) = (TlsAcceptor::from(Arc::new(tls)), seen.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), tcp, notes.clone()));
            }
        });
        Server { port, seen }
    }

    fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().expect("a socket").clone()
    }
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream, notes: Arc<Mutex<Vec<Seen>>>) -> Option<()> {
    let tls = acceptor.accept(tcp).await.ok()?;
    let connection = tls.get_ref().1;
    let mut seen = Seen {
        sni: connection.server_name().map(str::to_owned),
        client_certificates: connection.peer_certificates().map_or(0, <[_]>::len),
        resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        host: String::new(),
    };
    #[allow(clippy::result_large_err)]
    let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        seen.host = request.headers()["host"].to_str().unwrap().to_owned();
        notes.lock().unwrap().push(seen);
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(tls, note).await.ok()?;
    while futures::StreamExt::next(&mut socket).await?.is_ok() {}
    Some(())
}

fn certificates(pems: &[&str]) -> Vec<CertificateDer<'static>> {
    let ders = pems
        .iter()
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    ders.collect()
}

/// A server's TLS with `chain` after its certificate, that asks clients for a certificate of `clients`.
fn tls(
    cert: &ServerCert,
    chain: &[&str],
    clients: Option<&Ca>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificates(&[ca.pem()]).remove(0)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = certificates(&[&[cert.cert_pem.as_str()], chain].concat());
    let key = PrivateKeyDer::from_pem_slice(cert.key_pem.as_bytes()).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

fn plain_tls(ca: &Ca, name: &str) -> ServerConfig {
    tls(&ca.issue(&[name]).unwrap(), &[], None, rustls::ALL_VERSIONS)
}

fn target(ca: &Ca, port: u16) -> Target {
    Target {
        ca_pem: Some(ca.pem().to_owned()),
        ..Target::wss("localhost", port)
    }
}

async fn probe(target: &Target) -> Result<(), DialError> {
    soon(Dialer::new(target).unwrap().probe()).await
}

#[track_caller]
fn assert_tls(outcome: Result<(), DialError>, expected: TlsProblem) {
    match outcome {
        Err(DialError::Tls(problem)) => {
            assert_eq!(
                std::mem::discriminant(&problem),
                std::mem::discriminant(&expected),
                "{problem:?}"
            );
        }
        other => panic!("{other:?} instead of {expected:?}"),
    }
}

/// Runs the stages up to TLS, as a doctor does.
async fn stages(dialer: &Dialer) -> Secured {
    let deadline = dialer.deadline();
    let addresses = dialer.resolve(deadline).await.unwrap();
    let connection = dialer.connect(&addresses, deadline).await.unwrap();
    soon(dialer.secure(connection, deadline)).await
}

#[tokio::test]
async fn a_server_name_is_asked_for_and_checked_instead_of_the_host() {
    let ca = Ca::new("tenant").unwrap();
    let server = Server::start(plain_tls(&ca, "aacc.example.com")).await;
    let dialled = target(&ca, server.port);
    assert_tls(probe(&dialled).await, TlsProblem::WrongName);
    let named = Target {
        server_name: Some("aacc.example.com".into()),
        ..dialled
    };
    probe(&named).await.unwrap();
    let seen = server.last();
    assert_eq!(seen.sni.as_deref(), Some("aacc.example.com"));
    assert_eq!(seen.host, format!("aacc.example.com:{}", server.port));
}

#[tokio::test]
async fn pinned_addresses_are_dialled_in_order_and_nothing_is_looked_up() {
    let ca = Ca::new("tenant").unwrap();
    let server = Server::start(plain_tls(&ca, "aacc.invalid")).await;
    let dead = IpAddr::from([127, 0, 0, 2]);
    let pinned = Target {
        host: "aacc.invalid".into(),
        addresses: vec![dead, Ipv4Addr::LOCALHOST.into()],
        ..target(&ca, server.port)
    };
    probe(&pinned).await.unwrap();
    let dialer = Dialer::new(&pinned).unwrap();
    let deadline = dialer.deadline();
    let addresses = dialer.resolve(deadline).await.unwrap();
    assert_eq!(addresses.len(), 2);
    let connection = dialer.connect(&addresses, deadline).await.unwrap();
    assert_eq!(connection.address, addresses[1]);
    let all_dead = Target {
        addresses: vec![dead],
        ..pinned
    };
    assert!(matches!(probe(&all_dead).await, Err(DialError::Tcp(_))));
}

#[tokio::test]
async fn mutual_tls_with_the_right_a_missing_and_a_wrong_certificate() {
    let (ca, clients) = (Ca::new("tenant").unwrap(), Ca::new("clients").unwrap());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let cert = ca.issue(&["localhost"]).unwrap();
        let server = Server::start(tls(&cert, &[], Some(&clients), &[version])).await;
        let missing = target(&ca, server.port);
        assert_tls(probe(&missing).await, TlsProblem::ClientCertificateWanted);
        let with = |ca: &Ca| {
            let ours = ca.issue_client("webtext").unwrap();
            Target {
                client_identity: Some(ClientIdentity::new(ours.cert_pem, ours.key_pem)),
                ..missing.clone()
            }
        };
        assert_tls(
            probe(&with(&ca)).await,
            TlsProblem::ClientCertificateRefused(String::new()),
        );
        let right = with(&clients);
        probe(&right).await.unwrap();
        assert_eq!(server.last().client_certificates, 1);
        let secured = stages(&Dialer::new(&right).unwrap()).await;
        assert!(secured.evidence.client_certificate_asked, "{secured:?}");
        // `currentqueue` goes the same way.
        match soon(currentqueue(&Dialer::new(&with(&ca)).unwrap(), "")).await {
            Err(QueueError::Dial(DialError::Tls(TlsProblem::ClientCertificateRefused(_)))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_unusable_client_certificate_is_refused_before_anything_is_opened() {
    let ca = Ca::new("clients").unwrap();
    let (one, other) = (ca.issue_client("a").unwrap(), ca.issue_client("b").unwrap());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (chain, key, says) in [
        (one.cert_pem.as_str(), other.key_pem.as_str(), ""),
        ("", one.key_pem.as_str(), "no certificate"),
        (one.cert_pem.as_str(), "", "no private key"),
        (one.cert_pem.as_str(), encrypted, "encrypted"),
    ] {
        let target = Target {
            client_identity: Some(ClientIdentity::new(chain, key)),
            ..Target::wss("localhost", 8445)
        };
        match Dialer::new(&target) {
            Err(DialError::BadIdentity(why)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_versions_of_tls_and_the_peers_certificate_are_shown() {
    let ca = Ca::new("tenant").unwrap();
    for (version, name) in [
        (&rustls::version::TLS12, "TLS 1.2"),
        (&rustls::version::TLS13, "TLS 1.3"),
    ] {
        let cert = ca.issue(&["localhost"]).unwrap();
        let server = Server::start(tls(&cert, &[], None, &[version])).await;
        let dialer = Dialer::new(&target(&ca, server.port)).unwrap();
        assert_eq!(dialer.peer_certificate(), None);
        let Secured { stream, evidence } = stages(&dialer).await;
        let socket = dialer.upgrade(stream.unwrap(), dialer.deadline()).await.unwrap();
        assert_eq!(evidence.protocol, Some(name));
        assert!(
            evidence.cipher_suite.is_some_and(|suite| suite.contains("AES")),
            "{evidence:?}"
        );
        assert!(!evidence.resumed && !evidence.client_certificate_asked);
        let facts = dialer.peer_certificate().expect("facts");
        assert_eq!(facts.names, ["localhost"]);
        assert_eq!(
            PeerCertificate::from_der(&evidence.chain[0]).as_ref(),
            Ok(&*facts)
        );
        drop(socket);
        dialer.probe().await.unwrap();
        let again = dialer.peer_certificate().unwrap();
        assert!(Arc::ptr_eq(&facts, &again), "read once");
    }
}

#[tokio::test]
async fn a_refused_chain_is_shown_all_the_same() {
    let (ca, stranger) = (Ca::new("tenant").unwrap(), Ca::new("stranger").unwrap());
    let server = Server::start(plain_tls(&ca, "localhost")).await;
    let dialer = Dialer::new(&target(&stranger, server.port)).unwrap();
    let Secured { stream, evidence } = stages(&dialer).await;
    assert!(
        matches!(stream, Err(DialError::Tls(TlsProblem::UnknownIssuer))),
        "{stream:?}"
    );
    let leaf = PeerCertificate::from_der(&evidence.chain[0]).unwrap();
    assert!(
        leaf.issuer.contains("CN=tenant"),
        "which authority is missing: {leaf}"
    );
    assert_eq!(dialer.peer_certificate(), None, "nobody vouches for it");
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_dates() {
    let ca = Ca::new("tenant").unwrap();
    let cert = ca
        .issue_valid(&["localhost"], ((2001, 1, 1), (2002, 1, 1)))
        .unwrap();
    let server = Server::start(tls(&cert, &[], None, rustls::ALL_VERSIONS)).await;
    let Secured { stream, evidence } = stages(&Dialer::new(&target(&ca, server.port)).unwrap()).await;
    assert!(
        matches!(stream, Err(DialError::Tls(TlsProblem::Expired))),
        "{stream:?}"
    );
    let facts = PeerCertificate::from_der(&evidence.chain[0]).unwrap();
    assert_eq!(facts.not_after, datetime!(2002-01-01 0:00 UTC));
}

#[tokio::test]
async fn an_intermediate_comes_from_the_server_or_from_the_links_authorities() {
    let root = Ca::new("root").unwrap();
    let middle = root.subordinate("middle").unwrap();
    let cert = middle.issue(&["localhost"]).unwrap();
    let sends = Server::start(tls(&cert, &[middle.pem()], None, rustls::ALL_VERSIONS)).await;
    probe(&target(&root, sends.port)).await.unwrap();
    let forgets = Server::start(tls(&cert, &[], None, rustls::ALL_VERSIONS)).await;
    assert_tls(
        probe(&target(&root, forgets.port)).await,
        TlsProblem::UnknownIssuer,
    );
    let both = Target {
        ca_pem: Some(format!("{}{}", root.pem(), middle.pem())),
        ..target(&root, forgets.port)
    };
    probe(&both).await.unwrap();
}

#[tokio::test]
async fn while_an_authority_is_rotated_both_are_trusted() {
    let (old, new) = (Ca::new("old").unwrap(), Ca::new("new").unwrap());
    for (ca, other) in [(&old, &new), (&new, &old)] {
        let server = Server::start(plain_tls(ca, "localhost")).await;
        let both = Target {
            ca_pem: Some(format!("{}{}", old.pem(), new.pem())),
            ..target(ca, server.port)
        };
        probe(&both).await.unwrap();
        assert_tls(
            probe(&target(other, server.port)).await,
            TlsProblem::UnknownIssuer,
        );
    }
}

/// An HTTP proxy that carries to any port of 127.0.0.1, but answers what `answer` says of a request if it says something.
async fn proxy(
    answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let notes = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(client.read_u8().await.unwrap().into());
            }
            notes.lock().unwrap().push(head.clone());
            if let Some(answer) = answer(&head) {
                client.write_all(answer.as_bytes()).await.unwrap();
                let _ = client.shutdown().await;
                continue;
            }
            let port: u16 = head.split([':', ' ']).nth(2).unwrap().parse().unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (port, heads)
}

#[tokio::test]
async fn a_proxy_carries_to_the_host_by_its_name() {
    let ca = Ca::new("tenant").unwrap();
    let server = Server::start(plain_tls(&ca, "aacc.invalid")).await;
    let (port, heads) = proxy(|_| None).await;
    let dialled = Target {
        // Only the proxy knows it.
        host: "aacc.invalid".into(),
        proxy: Some(Proxy::new("localhost", port)),
        ..target(&ca, server.port)
    };
    probe(&dialled).await.unwrap();
    let head = heads.lock().unwrap().pop().unwrap();
    let expected = format!("CONNECT aacc.invalid:{} HTTP/1.1\r\n", server.port);
    assert!(head.starts_with(&expected), "{head}");
    assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
    assert_eq!(server.last().sni.as_deref(), Some("aacc.invalid"));
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_and_says_when_they_are_missing() {
    let ca = Ca::new("tenant").unwrap();
    let server = Server::start(plain_tls(&ca, "localhost")).await;
    // "ccm:s3cret:x"
    let (port, _) = proxy(|head| {
        let known = head.contains("Basic Y2NtOnMzY3JldDp4");
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"out\"\r\n\
                      Content-Length: 8\r\n\r\nwho goes";
        (!known).then(|| answer.to_owned())
    })
    .await;
    let without = Target {
        proxy: Some(Proxy::new("127.0.0.1", port)),
        ..target(&ca, server.port)
    };
    let error = probe(&without).await.unwrap_err();
    assert_eq!(error.stage(), Some(Stage::Proxy));
    assert!(
        !error.retryable() && error.remedy().contains("password"),
        "{error}"
    );
    match error {
        DialError::Proxy(ProxyProblem::Refused(answer)) => {
            assert_eq!((answer.status, answer.body.as_str()), (407, "who goes"));
            assert_eq!(answer.authenticate.as_deref(), Some("Basic realm=\"out\""));
        }
        other => panic!("{other:?}"),
    }
    let with = Target {
        proxy: Some(Proxy::new("127.0.0.1", port).with_credentials("ccm", "s3cret:x")),
        ..without
    };
    probe(&with).await.unwrap();
}

#[tokio::test]
async fn a_proxys_refusals_are_its_own() {
    for (answer, status, retryable) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\nno", 403, false),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 502, true),
    ] {
        let (port, heads) = proxy(move |_| Some(answer.to_owned())).await;
        let target = Target {
            proxy: Some(Proxy::new("127.0.0.1", port)),
            addresses: vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()],
            ..Target::wss("aacc.invalid", 8445)
        };
        let error = probe(&target).await.unwrap_err();
        assert_eq!(error.retryable(), retryable, "{error}");
        match error {
            DialError::Proxy(ProxyProblem::Refused(answer)) => assert_eq!(answer.status, status),
            other => panic!("{other:?}"),
        }
        // Where the proxy tried and failed, the next pinned address has its turn.
        let asked = heads.lock().unwrap().len();
        assert_eq!(asked, if status == 502 { 2 } else { 1 });
    }
    let (port, _) = proxy(|_| Some("SSH-2.0-x\r\n\r\n".into())).await;
    let target = Target {
        proxy: Some(Proxy::new("127.0.0.1", port)),
        ..Target::wss("aacc.invalid", 8445)
    };
    let error = probe(&target).await.unwrap_err();
    assert!(
        matches!(error, DialError::Proxy(ProxyProblem::NotAProxy(_))),
        "{error:?}"
    );
    let gone = Target {
        proxy: Some(Proxy::new("127.0.0.1", free_port().await)),
        ..target
    };
    let error = probe(&gone).await.unwrap_err();
    assert!(
        matches!(error, DialError::Proxy(ProxyProblem::Tcp(_))),
        "{error:?}"
    );
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_proxy_works_without_tls_too() {
    let peer = crate::peer::Peer::ws().await;
    let (port, _) = proxy(|_| None).await;
    let target = Target {
        proxy: Some(Proxy::new("127.0.0.1", port)),
        ..peer.target()
    };
    let dialer = Dialer::new(&target).unwrap();
    let (dialled, _) = tokio::join!(dialer.probe(), peer.accept());
    dialled.unwrap();
}

/// A server that answers every connection with `answer` once it has read something.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.read(&mut [0; 4096]).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
            let _ = tcp.read(&mut [0; 4096]).await;
        }
    });
    port
}

#[tokio::test]
async fn alerts_before_the_handshake_are_understood() {
    for (alert, expected) in [
        ("\x15\x03\x01\x00\x02\x02\x46", TlsProblem::NoCommonVersion),
        (
            "\x15\x03\x03\x00\x02\x02\x28",
            TlsProblem::NoCommonCipher(String::new()),
        ),
        ("\x15\x03\x03\x00\x02\x02\x70", TlsProblem::NameUnknown),
    ] {
        let outcome = probe(&Target::wss("127.0.0.1", answering(alert).await)).await;
        assert_tls(outcome, expected);
    }
}

#[tokio::test]
async fn an_answer_to_the_upgrade_is_kept_to_be_explained() {
    let port = answering(
        "HTTP/1.1 401 Unauthorized\r\nServer: Avaya SBCE\r\nWWW-Authenticate: Basic realm=\"x\"\r\nLocation: /login\r\n\
         Content-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Login\n</h1>",
    )
    .await;
    match probe(&Target::ws("127.0.0.1", port)).await {
        Err(DialError::Upgrade(answer)) => {
            let expected = HttpAnswer {
                status: 401,
                server: Some("Avaya SBCE".into()),
                authenticate: Some("Basic realm=\"x\"".into()),
                location: Some("/login".into()),
                content_type: Some("text/html".into()),
                body: "<h1>Login </h1>".into(),
            };
            assert_eq!(*answer, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ewc_can_be_spoken_by_hand() {
    use ccm_ewc_proto::frame::{ClientFrame, ServerFrame};
    let peer = crate::peer::Peer::wss().await;
    let dialer = peer.dialer();
    let (socket, mut conn) = tokio::join!(dialer.dial(), peer.accept());
    let mut socket = socket.unwrap();
    socket
        .send(ClientFrame::CloseConversation.encode())
        .await
        .unwrap();
    assert_eq!(conn.recv().await, ClientFrame::CloseConversation);
    conn.send(ServerFrame::Ping).await;
    assert_eq!(
        soon(socket.receive()).await,
        Received::Text(ServerFrame::Ping.encode())
    );
    let (closed, ()) = tokio::join!(async { soon(socket.receive()).await }, conn.close(1001));
    assert_eq!(closed, Received::Closed(Some(1001)));
}
