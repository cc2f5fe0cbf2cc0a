//! The way to a message centre: who is dialled, and whose certificate is taken.

use ccm_smpp::{
    CommandStatus, Pdu,
    dial::{DialError, Target, Tls, dial},
    link::{self, Handle, Reply, Serve},
    message::{Addr, Numbering, Style, split},
    session::{Bind, BindKind, BindRequest, Closed, Limits, Outcome, Session, State, Version},
};
use futures::{FutureExt, future::BoxFuture};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(10);

/// Takes every text, and binds everybody.
struct Centre;

impl Serve for Centre {
    fn request(&mut self, _: Pdu) -> BoxFuture<'static, Reply> {
        let message_id = "1".to_owned();
        async move {
            Reply {
                status: CommandStatus::EsmeRok,
                message_id,
            }
        }
        .boxed()
    }

    fn bind(&mut self, _: BindRequest) -> Result<String, CommandStatus> {
        Ok("centre".to_owned())
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> Closed {
    let now = Instant::now().into_std();
    let session = Session::smsc(Version::V34, Limits::default(), now);
    let (_handle, driver) = link::link();
    link::run(stream, session, Centre, driver).await
}

/// A message centre with a certificate of this name; its port, and the certificate.
async fn centre(name: &str, tls: bool) -> (u16, String) {
    let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certified.cert.der().to_vec())], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if !tls {
                    serve(stream).await;
                } else if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    (port, certified.cert.pem())
}

fn target(host: &str, port: u16, tls: Option<Tls>) -> Target {
    Target {
        host: host.into(),
        port,
        tls,
    }
}

fn anywhere(_: IpAddr) -> bool {
    true
}

async fn text_over(target: &Target) -> (Outcome, Closed) {
    let stream = dial(target, anywhere, SOON).await.unwrap();
    let bind = Bind {
        kind: BindKind::Transceiver,
        system_id: "ccm".into(),
        password: "secret".into(),
        system_type: String::new(),
        version: Version::V34,
        ton: 0,
        npi: 0,
        address_range: String::new(),
    };
    let session = Session::esme(bind, Limits::default(), Instant::now().into_std());
    let (handle, driver): (Handle, _) = link::link();
    let running = tokio::spawn(link::run(stream, session, Centre, driver));
    let mut bound = handle.clone();
    assert_eq!(bound.reached(State::Bound).await, State::Bound);
    let addr = |text| Addr::new(text, Numbering::default()).unwrap();
    let part = split("hello", &Style::default(), 1).unwrap().remove(0);
    let outcome = handle
        .submit(part.submit(&addr("72345"), &addr("+19995550123"), false))
        .await;
    // Nobody holds the session any more: it is unbound in order.
    drop((handle, bound));
    (outcome, running.await.unwrap())
}

#[tokio::test]
async fn texts_go_over_tcp_and_over_tls_that_is_verified() {
    let (port, _) = centre("localhost", false).await;
    let (tls_port, pem) = centre("localhost", true).await;
    let tls = Tls::new(Some(&pem)).unwrap();
    for target in [
        target("localhost", port, None),
        target("localhost", tls_port, Some(tls)),
    ] {
        let (outcome, closed) = text_over(&target).await;
        assert!(matches!(&outcome, Outcome::Answered(answer) if answer.status == CommandStatus::EsmeRok));
        assert_eq!(closed, Closed::Unbound);
    }
}

#[tokio::test]
async fn another_certificate_is_not_taken() {
    let (port, pem) = centre("elsewhere.example", true).await;
    let (other_port, _) = centre("localhost", true).await;
    for (why, port) in [("another name", port), ("another authority", other_port)] {
        let tls = Tls::new(Some(&pem)).unwrap();
        let failed = dial(&target("localhost", port, Some(tls)), anywhere, SOON)
            .await
            .err();
        assert!(matches!(failed, Some(DialError::Tls(_))), "{why}: {failed:?}");
    }
    let (plain, pem) = centre("localhost", false).await;
    let tls = Tls::new(Some(&pem)).unwrap();
    let failed = dial(
        &target("localhost", plain, Some(tls)),
        anywhere,
        Duration::from_secs(1),
    )
    .await
    .err();
    assert!(
        matches!(failed, Some(DialError::Tls(_) | DialError::TimedOut(_))),
        "{failed:?}"
    );
    assert!(Tls::new(Some("no certificate")).is_err());
}

#[tokio::test]
async fn private_addresses_are_dialled_only_where_that_is_allowed() {
    let (port, _) = centre("localhost", false).await;
    let failed = dial(&target("127.0.0.1", port, None), |ip| !ip.is_loopback(), SOON)
        .await
        .err();
    assert!(matches!(failed, Some(DialError::Private)), "{failed:?}");
    let failed = dial(&target("localhost", 1, None), anywhere, SOON).await.err();
    assert!(matches!(failed, Some(DialError::Connect(_))), "{failed:?}");
}
