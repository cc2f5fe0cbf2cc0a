//! Baselines: the least that the work takes, with the same crates, in processes of their own.

pub mod api;
pub mod chats;
pub mod connector;

use anyhow::Result;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{future::Future, sync::Arc};
use tokio_rustls::TlsConnector;

/// TLS as a client that trusts this CA alone.
fn tls(ca_pem: &str) -> Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Runs a baseline on as many threads as the machine has cores, as `ccm` does.
pub fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
