//! wss with a private CA.

use std::net::SocketAddr;
use std::sync::Arc;

use ccm_aacc_sim::{
    ClientCertificate, ClientIdentity, Config, ServerCertificate, Sim, Tls, TlsSetup, TlsVersions,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use crate::customer::{CUSTOMER, Customer, PATIENCE, http};

pub async fn dial_tls(addr: SocketAddr, ca_pem: &str, host: &str) -> Result<Customer, Error> {
    dial_as(addr, ca_pem, host, None).await
}

/// The same, showing a certificate.
async fn dial_as(
    addr: SocketAddr,
    ca_pem: &str,
    host: &str,
    identity: Option<&ClientIdentity>,
) -> Result<Customer, Error> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(ca.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let tcp = TcpStream::connect(addr).await.unwrap();
    let url = format!("wss://{host}:{}/CustomerControllerWeb/chat", addr.port());
    let connector = Some(Connector::Rustls(Arc::new(config)));
    let (ws, _) = client_async_tls_with_config(url, tcp, None, connector).await?;
    Ok(Customer { ws })
}

#[tokio::test]
async fn clients_that_trust_the_private_ca_come_in() {
    let sim = Sim::start(Config::default()).await.unwrap();
    let ca = sim.ca_pem().unwrap();
    assert!(sim.chat_url().starts_with("wss://localhost:"));
    for host in ["localhost", "127.0.0.1", "aacc.localhost"] {
        let mut customer = dial_tls(sim.ewc_addr(), ca, host).await.unwrap();
        let (guid, _) = customer.open(CUSTOMER, "").await;
        sim.break_sockets(guid.into(), ccm_aacc_sim::Break::Reset);
        assert_eq!(customer.end().await, crate::customer::End::Lost);
    }
    assert!(dial_tls(sim.ewc_addr(), ca, "elsewhere.example").await.is_err());
    let other = Sim::start(Config::default()).await.unwrap();
    assert!(
        dial_tls(sim.ewc_addr(), other.ca_pem().unwrap(), "localhost")
            .await
            .is_err(),
        "another CA is not trusted"
    );
}

#[tokio::test]
async fn a_restarted_simulator_keeps_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let tls = || Tls::Dir(dir.path().join("tls"));
    let first = Sim::start(Config {
        tls: tls(),
        ..Config::default()
    })
    .await
    .unwrap();
    let ca = first.ca_pem().unwrap().to_owned();
    first.shutdown().await;
    let second = Sim::start(Config {
        tls: tls(),
        ..Config::default()
    })
    .await
    .unwrap();
    assert_eq!(second.ca_pem(), Some(ca.as_str()));
    dial_tls(second.ewc_addr(), &ca, "localhost")
        .await
        .unwrap()
        .open(CUSTOMER, "")
        .await;
    let read = |name: &str| std::fs::read_to_string(dir.path().join("tls").join(name)).unwrap();
    let pem = Tls::Pem {
        cert_pem: read("server.pem"),
        key_pem: read("server.key"),
        ca_pem: read("ca.pem"),
    };
    let third = Sim::start(Config {
        tls: pem,
        ..Config::default()
    })
    .await
    .unwrap();
    dial_tls(third.ewc_addr(), &ca, "localhost")
        .await
        .unwrap()
        .open(CUSTOMER, "")
        .await;
    let wrong = Tls::Pem {
        cert_pem: read("server.pem"),
        key_pem: "no key".into(),
        ca_pem: String::new(),
    };
    assert!(
        Sim::start(Config {
            tls: wrong,
            ..Config::default()
        })
        .await
        .is_err()
    );
}

#[tokio::test]
async fn the_control_api_stays_on_loopback() {
    let config = Config {
        control: "0.0.0.0:0".parse().unwrap(),
        ..Config::default()
    };
    assert!(Sim::start(config).await.is_err());
}

async fn with(setup: TlsSetup) -> Sim {
    Sim::start(Config {
        tls_setup: setup,
        ..Config::default()
    })
    .await
    .unwrap()
}

fn certificate(certificate: ServerCertificate) -> TlsSetup {
    TlsSetup {
        certificate,
        ..TlsSetup::default()
    }
}

/// What the client says to the simulator's TLS side, `None` if nothing is wrong.
async fn complaint(sim: &Sim) -> Option<String> {
    let dialled = dial_tls(sim.ewc_addr(), sim.ca_pem().unwrap(), "localhost").await;
    match dialled {
        Ok(mut customer) => {
            customer.open(CUSTOMER, "").await;
            None
        }
        Err(error) => Some(format!("{error:?}")),
    }
}

#[tokio::test]
async fn certificates_are_wrong_in_every_way_and_can_be_mended() {
    let sim = with(certificate(ServerCertificate::Expired)).await;
    let ca = sim.ca_pem().unwrap().to_owned();
    for (which, complains) in [
        (ServerCertificate::Expired, "Expired"),
        (ServerCertificate::NotYetValid, "NotValidYet"),
        (ServerCertificate::WrongName, "NotValidForName"),
        (ServerCertificate::UnknownIssuer, "UnknownIssuer"),
        (ServerCertificate::IncompleteChain, "UnknownIssuer"),
        (ServerCertificate::SelfSigned, "UnknownIssuer"),
    ] {
        sim.set_tls(certificate(which)).unwrap();
        let said = complaint(&sim).await.expect("the handshake fails");
        assert!(said.contains(complains), "{which:?}: {said}");
        let missing = matches!(
            which,
            ServerCertificate::UnknownIssuer | ServerCertificate::IncompleteChain
        );
        assert_eq!(sim.issuer_pem().is_some(), missing, "{which:?}");
        if let Some(issuer) = sim.issuer_pem() {
            let trusted = dial_tls(sim.ewc_addr(), &format!("{ca}{issuer}"), "localhost").await;
            assert!(
                trusted.is_ok(),
                "{which:?}: who has the CA that is missing gets in"
            );
        }
    }
    for good in [ServerCertificate::WithIntermediate, ServerCertificate::Good] {
        sim.set_tls(certificate(good)).unwrap();
        assert_eq!(complaint(&sim).await, None, "{good:?}");
    }
    sim.set_tls(TlsSetup {
        expires_in_s: Some(86_400),
        ..TlsSetup::default()
    })
    .unwrap();
    assert_eq!(complaint(&sim).await, None, "it has not ended yet");
    assert_eq!(sim.ca_pem(), Some(ca.as_str()), "the CA stays");
}

#[tokio::test]
async fn client_certificates_are_demanded() {
    let asking = |client_certificate| TlsSetup {
        client_certificate,
        ..TlsSetup::default()
    };
    let sim = with(asking(ClientCertificate::OfCa)).await;
    let stranger = with(TlsSetup::default()).await.client_identity();
    let own = sim.client_identity();
    for (wanted, identity, lets_in) in [
        (ClientCertificate::OfCa, &own, true),
        (ClientCertificate::OfCa, &stranger, false),
        (ClientCertificate::OfCa, &None, false),
        (ClientCertificate::Any, &stranger, true),
        (ClientCertificate::Any, &None, false),
        (ClientCertificate::NotAsked, &None, true),
    ] {
        sim.set_tls(asking(wanted)).unwrap();
        let dialled = dial_as(
            sim.ewc_addr(),
            sim.ca_pem().unwrap(),
            "localhost",
            identity.as_ref(),
        )
        .await;
        assert_eq!(dialled.is_ok(), lets_in, "{wanted:?}, {identity:?}");
    }
}

#[tokio::test]
async fn versions_of_tls_are_refused() {
    let speaking = |versions| TlsSetup {
        versions,
        ..TlsSetup::default()
    };
    let sim = with(speaking(TlsVersions::Only12)).await;
    for (versions, version) in [
        (TlsVersions::Only12, rustls::ProtocolVersion::TLSv1_2),
        (TlsVersions::Only13, rustls::ProtocolVersion::TLSv1_3),
    ] {
        sim.set_tls(speaking(versions)).unwrap();
        let customer = dial_tls(sim.ewc_addr(), sim.ca_pem().unwrap(), "localhost")
            .await
            .unwrap();
        let tokio_tungstenite::MaybeTlsStream::Rustls(stream) = customer.ws.get_ref() else {
            panic!("no TLS")
        };
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version));
    }
    sim.set_tls(speaking(TlsVersions::TooOld)).unwrap();
    let said = complaint(&sim).await.expect("no version in common");
    assert!(said.contains("ProtocolVersion"), "{said}");
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let sim = with(TlsSetup::default()).await;
    let mut tcp = TcpStream::connect(sim.ewc_addr()).await.unwrap();
    let request = "GET /CustomerControllerWeb/chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, tcp.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("The plain HTTP request was sent to HTTPS port"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_tls_side_changes_over_the_control_api() {
    let sim = with(TlsSetup::default()).await;
    let base = format!("http://{}/control", sim.control_addr());
    let post = async |body: Value| {
        let response = http()
            .post(format!("{base}/tls"))
            .json(&body)
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    };
    let pem = async |name: &str| {
        let response = http().get(format!("{base}/{name}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(pem("issuer.pem").await.0, 404);
    assert_eq!(
        post(json!({"certificate": "unknown_issuer", "versions": "only_1_2"})).await,
        200
    );
    assert!(complaint(&sim).await.unwrap().contains("UnknownIssuer"));
    assert_eq!(pem("issuer.pem").await, (200, sim.issuer_pem().unwrap()));
    assert!(pem("client.pem").await.1.contains("PRIVATE KEY"));
    assert_eq!(post(json!({"versions": "1.4"})).await, 422);
    assert_eq!(post(json!({})).await, 200);
    assert_eq!(complaint(&sim).await, None);
}

#[tokio::test]
async fn without_the_cas_key_no_certificate_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::Dir(dir.path().to_owned());
    let config = |certificate| Config {
        tls: tls.clone(),
        tls_setup: TlsSetup {
            certificate,
            ..TlsSetup::default()
        },
        ..Config::default()
    };
    let first = Sim::start(config(ServerCertificate::Good)).await.unwrap();
    let ca = first.ca_pem().unwrap().to_owned();
    first.shutdown().await;
    let second = Sim::start(config(ServerCertificate::WithIntermediate))
        .await
        .unwrap();
    dial_tls(second.ewc_addr(), &ca, "localhost")
        .await
        .expect("a restored CA issues certificates that are trusted");
    std::fs::remove_file(dir.path().join("ca.key")).unwrap();
    assert!(Sim::start(config(ServerCertificate::Good)).await.is_ok());
    assert!(Sim::start(config(ServerCertificate::Expired)).await.is_err());
}
