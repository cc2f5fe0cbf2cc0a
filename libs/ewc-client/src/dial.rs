//! Dialling: look up, connect, TLS, upgrade.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};

use crate::error::{DialError, Stage, TlsProblem};
use crate::target::{Scheme, Target};

pub(crate) type Stream = MaybeTlsStream<TcpStream>;
pub(crate) type Socket = WebSocketStream<Stream>;

/// The largest frame or message taken: the body limit of the reverse proxy before AACC.
const MAX_MESSAGE: usize = 5 << 20;

/// Dials one link. Cheap to clone; the TLS configuration and its session cache are made once and shared.
///
/// A peer's certificate is always verified; there is no switch for it.
#[derive(Clone)]
pub struct Dialer(Arc<Link>);

struct Link {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    /// Reads the authorities and checks the address; opens nothing.
    pub fn new(target: &Target) -> Result<Self, DialError> {
        if !target.path.starts_with('/') {
            return Err(DialError::BadPath(target.path.clone()));
        }
        request(target)?;
        let tls = match target.scheme {
            Scheme::Ws => None,
            Scheme::Wss => {
                let name = ServerName::try_from(target.host.clone())
                    .map_err(|_| DialError::BadHost(target.host.clone()))?;
                Some((TlsConnector::from(tls_config(target.ca_pem.as_deref())?), name))
            }
        };
        Ok(Dialer(Arc::new(Link {
            target: target.clone(),
            tls,
        })))
    }

    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// Opens the link's WebSocket and closes it again: says whether the link could carry a chat. No chat is asked for.
    pub async fn probe(&self) -> Result<(), DialError> {
        let mut socket = self.dial().await?;
        // The answer to the close frame is of no interest.
        let _ = socket.close(None).await;
        Ok(())
    }

    /// Opens a WebSocket within the target's time. The future is large: run it boxed, in a task of its own.
    pub(crate) async fn dial(&self) -> Result<Socket, DialError> {
        let deadline = self.deadline();
        let stream = self.stream(deadline).await?;
        let config = WebSocketConfig::default()
            // The default of 128 KiB costs 145 KB a socket; 4 KiB costs 17 KB, 24 KB with TLS (measured).
            .read_buffer_size(4 * 1024)
            // A frame goes out when it is written: none is worth waiting for another.
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let upgrade = client_async_with_config(request(&self.0.target)?, stream, Some(config));
        let (socket, _) = timeout_at(deadline, upgrade)
            .await
            .map_err(|_| DialError::Timeout(Stage::Upgrade))?
            .map_err(upgrade_error)?;
        Ok(socket)
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.target.connect_timeout
    }

    /// Opens a TCP connection, with TLS if the link has it.
    pub(crate) async fn stream(&self, deadline: Instant) -> Result<Stream, DialError> {
        let Link { target, tls } = &*self.0;
        let addresses = timeout_at(
            deadline,
            tokio::net::lookup_host((target.host.as_str(), target.port)),
        )
        .await
        .map_err(|_| DialError::Timeout(Stage::Dns))?
        .map_err(|source| DialError::Dns {
            host: target.host.clone(),
            source,
        })?;
        let tcp = timeout_at(deadline, connect(addresses.collect()))
            .await
            .map_err(|_| DialError::Timeout(Stage::Tcp))?
            .map_err(DialError::Tcp)?;
        tcp.set_nodelay(true).map_err(DialError::Tcp)?;
        let Some((connector, name)) = tls else {
            return Ok(MaybeTlsStream::Plain(tcp));
        };
        let tls = timeout_at(deadline, connector.connect(name.clone(), tcp))
            .await
            .map_err(|_| DialError::Timeout(Stage::Tls))?
            .map_err(|e| DialError::Tls(TlsProblem::of(&e)))?;
        Ok(MaybeTlsStream::Rustls(tls))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialer({:?})", self.0.target)
    }
}

/// The first of the addresses that answers, in their order.
async fn connect(addresses: Vec<std::net::SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(target: &Target) -> Result<tungstenite::handshake::client::Request, DialError> {
    let bad = |e: tungstenite::Error| match target.host.parse::<std::net::IpAddr>() {
        Err(_) if e.to_string().contains("authority") => DialError::BadHost(target.host.clone()),
        _ => DialError::BadPath(e.to_string()),
    };
    target.url().into_client_request().map_err(bad)
}

fn upgrade_error(error: tungstenite::Error) -> DialError {
    match error {
        tungstenite::Error::Http(response) => DialError::Upgrade {
            status: response.status().as_u16(),
        },
        // A server that misses a client certificate says so only after the TLS 1.3 handshake.
        tungstenite::Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            DialError::Tls(TlsProblem::of(&e))
        }
        other => DialError::NotWebSocket(other.to_string()),
    }
}

fn tls_config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, DialError> {
    let roots = match ca_pem {
        Some(pem) => Arc::new(private_roots(pem)?),
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // One server a link: eight is what rustls keeps for one (TLS 1.3 tickets, each used once; every connection brings new
    // ones), and a single session of TLS 1.2 serves any number of connections.
    config.resumption = Resumption::in_memory_sessions(8);
    Ok(Arc::new(config))
}

fn private_roots(pem: &str) -> Result<RootCertStore, DialError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| DialError::BadCa(e.to_string()))?;
        roots
            .add(certificate)
            .map_err(|e| DialError::BadCa(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(DialError::BadCa("no certificate in it".into()));
    }
    Ok(roots)
}

/// Read once: parsing the system's bundle for each link would take longer than the handshake.
fn system_roots() -> Result<Arc<RootCertStore>, DialError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(DialError::NoSystemRoots);
    }
    Ok(roots.clone())
}
