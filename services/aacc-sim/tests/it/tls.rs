//! wss with a private CA.

use std::net::SocketAddr;
use std::sync::Arc;

use ccm_aacc_sim::{Config, Sim, Tls};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use crate::customer::{CUSTOMER, Customer};

pub async fn dial_tls(
    addr: SocketAddr,
    ca_pem: &str,
    host: &str,
) -> Result<Customer, tokio_tungstenite::tungstenite::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
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
