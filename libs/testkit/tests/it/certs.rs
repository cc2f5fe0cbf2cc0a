use ccm_testkit::certs::Ca;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

async fn handshake(
    ca_trusted: &Ca,
    issuer: &Ca,
    names: &[&str],
    dialled: &'static str,
) -> std::io::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let issued = issuer.issue(names).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_trusted.pem().as_bytes()).unwrap())
        .unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let accept = tokio::spawn(async move { TlsAcceptor::from(Arc::new(server)).accept(far).await.map(drop) });
    let name = ServerName::try_from(dialled).unwrap();
    let dial = TlsConnector::from(Arc::new(client))
        .connect(name, near)
        .await
        .map(drop);
    let _ = accept.await.unwrap();
    dial
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_accepts_its_names_and_no_others() {
    let (ca, stranger) = (Ca::new("tenant").unwrap(), Ca::new("stranger").unwrap());
    let names = ["localhost", "127.0.0.1"];
    handshake(&ca, &ca, &names, "localhost").await.unwrap();
    handshake(&ca, &ca, &names, "127.0.0.1").await.unwrap();
    handshake(&ca, &ca, &names, "other.example").await.unwrap_err();
    handshake(&ca, &stranger, &names, "localhost").await.unwrap_err();
}
