//! The way to a message centre: TCP, or TLS whose certificate is always verified.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A message centre.
#[derive(Debug, Clone)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tls: Option<Tls>,
}

/// What a message centre's certificate is verified with.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Why there is no connection. It names no address.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the host's name has no address; check host in the account's settings")]
    Name(#[source] io::Error),
    #[error(
        "its address is a private one, and the operator of the platform has not allowed it (egress.private_networks)"
    )]
    Private,
    #[error(
        "it cannot be connected to ({0}); check host and port, its firewall, and whether it expects this address"
    )]
    Connect(io::Error),
    #[error("TLS failed ({0}); check that this port speaks TLS, and its certificate and name")]
    Tls(io::Error),
    #[error("the host is no name that a certificate can have")]
    ServerName(#[from] InvalidDnsNameError),
    #[error("it did not accept the connection within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthorities {
    #[error("the authority is no certificate in PEM: {0}")]
    Pem(String),
    #[error("this machine has no certificate authorities; install the package ca-certificates")]
    NoSystemRoots,
}

impl Tls {
    /// Verifies with the authorities in `pem`, or with the system's.
    pub fn new(pem: Option<&str>) -> Result<Self, BadAuthorities> {
        let roots = match pem {
            Some(pem) => Arc::new(private_roots(pem)?),
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

fn private_roots(pem: &str) -> Result<RootCertStore, BadAuthorities> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| BadAuthorities::Pem(e.to_string()))?;
        roots
            .add(certificate)
            .map_err(|e| BadAuthorities::Pem(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(BadAuthorities::Pem("no certificate in it".into()));
    }
    Ok(roots)
}

/// Read once.
fn system_roots() -> Result<Arc<RootCertStore>, BadAuthorities> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(BadAuthorities::NoSystemRoots);
    }
    Ok(roots.clone())
}

/// A connection's octets, whichever way they take.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to one of the target's addresses that `allowed` lets through: tenants name their message centres, and must not
/// reach with that what only this machine reaches. A name is looked up once, and that very address is dialled.
pub async fn dial(
    target: &Target,
    allowed: impl Fn(IpAddr) -> bool,
    within: Duration,
) -> Result<Box<dyn Stream>, DialError> {
    timeout(within, connect(target, allowed))
        .await
        .unwrap_or(Err(DialError::TimedOut(within)))
}

async fn connect(target: &Target, allowed: impl Fn(IpAddr) -> bool) -> Result<Box<dyn Stream>, DialError> {
    let found = lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(DialError::Name)?;
    let found: Vec<SocketAddr> = found.filter(|to| allowed(to.ip())).collect();
    if found.is_empty() {
        return Err(DialError::Private);
    }
    let stream = TcpStream::connect(found.as_slice())
        .await
        .map_err(DialError::Connect)?;
    stream.set_nodelay(true).map_err(DialError::Connect)?;
    let Some(tls) = &target.tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(target.host.clone())?;
    let stream = TlsConnector::from(tls.0.clone())
        .connect(name, stream)
        .await
        .map_err(DialError::Tls)?;
    Ok(Box::new(stream))
}
