//! Dialling, stage by stage: look up, connect, TLS, upgrade.
//!
//! ```text
//! let deadline = dialer.deadline();
//! let addresses = dialer.resolve(deadline).await?;
//! let connection = dialer.connect(&addresses, deadline).await?;
//! let Secured { stream, evidence } = dialer.secure(connection, deadline).await;
//! let socket = dialer.upgrade(stream?, deadline).await?;
//! ```
//!
//! Chats, `currentqueue` and the link doctor all go this way, so that what the doctor sees is what a chat meets.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};

use crate::answer::HttpAnswer;
use crate::certificate::PeerCertificate;
use crate::error::{ClientAuth, DialError, ProxyProblem, Stage, TlsProblem};
use crate::proxy;
use crate::target::{Scheme, Target, authority};
use crate::tickets::{Counted, Tickets};
use crate::tls::{self, TlsEvidence};

pub(crate) type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The largest frame or message taken: the body limit of the reverse proxy before AACC.
const MAX_MESSAGE: usize = 5 << 20;

/// How long an address has for itself before the next one is tried besides it (RFC 8305 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// Dials one endpoint. Cheap to clone; the TLS configuration and its session cache are made once and shared.
///
/// A peer's certificate is always verified; there is no switch for it.
#[derive(Clone)]
pub struct Dialer(Arc<Endpoint>);

struct Endpoint {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    tickets: Arc<Tickets>,
    peer: Mutex<Option<Known>>,
}

/// The certificate of the last handshake, read once however many sockets show it.
struct Known {
    der: Vec<u8>,
    facts: Option<Arc<PeerCertificate>>,
}

/// A TCP connection to the peer, or to the proxy that carries on to it.
#[derive(Debug)]
pub struct Connection {
    tcp: TcpStream,
    /// Who answered: the peer, or the proxy.
    pub address: SocketAddr,
    /// Where the proxy was asked to carry us.
    pub tunnel: Option<String>,
}

impl Connection {
    /// Where we dial from, as this machine sees it: behind address translation the peer sees another one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }
}

/// What [`Dialer::secure`] made of a connection, and what it saw in doing so.
#[derive(Debug)]
pub struct Secured {
    pub stream: Result<Stream, DialError>,
    /// Empty on a link without TLS.
    pub evidence: TlsEvidence,
}

/// A byte stream to the peer: with TLS, if the link has it.
pub struct Stream {
    pub(crate) io: MaybeTlsStream<TcpStream>,
    /// To understand what the peer says of it later.
    pub(crate) client_auth: ClientAuth,
}

/// An open WebSocket, for who wants to speak EWC by hand. [`Chat`](crate::Chat) is the one for customers.
pub struct Socket(pub(crate) WebSocket);

/// What came over a [`Socket`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Text(String),
    /// Closed by the peer with this code, or broken (`None`).
    Closed(Option<u16>),
}

impl Dialer {
    /// Reads authorities and identity and checks names; opens nothing.
    pub fn new(target: &Target) -> Result<Self, DialError> {
        if !target.path.starts_with('/') {
            return Err(DialError::BadPath(target.path.clone()));
        }
        request(target)?;
        check_host(&target.host)?;
        if let Some(proxy) = &target.proxy
            && check_host(&proxy.host).is_err()
        {
            return Err(DialError::BadProxy(proxy.host.clone()));
        }
        let tickets = Tickets::new();
        let tls = match target.scheme {
            Scheme::Ws => None,
            Scheme::Wss => {
                let name = ServerName::try_from(target.name().to_owned())
                    .map_err(|_| DialError::BadHost(target.name().to_owned()))?;
                Some((TlsConnector::from(tls::config(target, tickets.clone())?), name))
            }
        };
        Ok(Dialer(Arc::new(Endpoint {
            target: target.clone(),
            tls,
            tickets,
            peer: Mutex::new(None),
        })))
    }

    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// The certificate of the last handshake that succeeded; of what else was shown, [`TlsEvidence`] tells.
    pub fn peer_certificate(&self) -> Option<Arc<PeerCertificate>> {
        let peer = self.0.peer.lock().expect("nothing panics under this lock");
        peer.as_ref().and_then(|known| known.facts.clone())
    }

    /// Counts a socket while the value lives, from the beginning of its dial: so many sessions are worth keeping.
    pub(crate) fn count_socket(&self) -> Counted {
        self.0.tickets.count()
    }

    /// Opens the link's WebSocket and closes it again: says whether the link could carry a chat. No chat is asked for.
    pub async fn probe(&self) -> Result<(), DialError> {
        self.dial().await?.close().await;
        Ok(())
    }

    /// Opens a WebSocket within the target's time: all stages in one. The future is large: run it boxed, in a task of its
    /// own.
    pub async fn dial(&self) -> Result<Socket, DialError> {
        let deadline = self.deadline();
        let stream = self.stream(deadline).await?;
        self.upgrade(stream, deadline).await
    }

    /// All stages but the last, for other HTTP requests.
    pub(crate) async fn stream(&self, deadline: Instant) -> Result<Stream, DialError> {
        let addresses = self.resolve(deadline).await?;
        let connection = self.connect(&addresses, deadline).await?;
        self.secure(connection, deadline).await.stream
    }

    /// When a dial that begins now must be through: [`Target::connect_timeout`] counts for all its stages together.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.0.target.connect_timeout
    }

    /// First stage: where to connect to. The proxy's addresses if there is one (it looks the host up), else the pinned
    /// ones, else what DNS says of the host; of these, those that the target's guard lets through. Never empty.
    pub async fn resolve(&self, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
        let found = self.found(deadline).await?;
        let target = &self.0.target;
        let Some(guard) = &target.guard else {
            return Ok(found);
        };
        let refused = |host: &str| {
            let host = host.to_owned();
            Err(DialError::NotAllowed { host })
        };
        // Nobody looks these up: the proxy is told them as they are.
        let for_the_proxy = target.proxy.as_ref().and_then(|_| ends_by_address(target));
        if for_the_proxy.is_some_and(|ends| !ends.iter().all(|ip| guard.allows(*ip))) {
            return refused(&target.host);
        }
        let allowed: Vec<_> = found.into_iter().filter(|to| guard.allows(to.ip())).collect();
        match allowed.as_slice() {
            [] => refused(target.proxy.as_ref().map_or(&target.host, |proxy| &proxy.host)),
            _ => Ok(allowed),
        }
    }

    async fn found(&self, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
        let target = &self.0.target;
        if let Some(proxy) = &target.proxy {
            let found = timeout_at(deadline, look_up(&proxy.host, proxy.port)).await;
            return found
                .map_err(|_| DialError::Timeout(Stage::Proxy))?
                .map_err(|source| {
                    let host = proxy.host.clone();
                    DialError::Proxy(ProxyProblem::Dns { host, source })
                });
        }
        if !target.addresses.is_empty() {
            let pinned = target.addresses.iter();
            return Ok(pinned.map(|ip| SocketAddr::new(*ip, target.port)).collect());
        }
        let found = timeout_at(deadline, look_up(&target.host, target.port)).await;
        found
            .map_err(|_| DialError::Timeout(Stage::Dns))?
            .map_err(|source| DialError::Dns {
                host: target.host.clone(),
                source,
            })
    }

    /// Second stage: TCP to the first of `addresses` that answers, in their order, each with a head start of 250 ms; and
    /// on through the proxy, if there is one.
    pub async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Connection, DialError> {
        let target = &self.0.target;
        let Some(proxy) = &target.proxy else {
            let connected = timeout_at(deadline, connect(addresses)).await;
            let (tcp, address) = connected
                .map_err(|_| DialError::Timeout(Stage::Tcp))?
                .map_err(DialError::Tcp)?;
            return Ok(Connection {
                tcp,
                address,
                tunnel: None,
            });
        };
        let through = async {
            let mut outcome = None;
            for host in tunnel_ends(target) {
                let (tcp, address) = connect(addresses).await.map_err(ProxyProblem::Tcp)?;
                let tunnelled = proxy::tunnel(proxy, tcp, &host).await.map(|tcp| Connection {
                    tcp,
                    address,
                    tunnel: Some(host),
                });
                // Only where the proxy tried and failed may another address do better.
                let go_on = matches!(&tunnelled, Err(ProxyProblem::Refused(a)) if a.status >= 500);
                outcome = Some(tunnelled);
                if !go_on {
                    break;
                }
            }
            outcome.expect("a tunnel has an end")
        };
        timeout_at(deadline, Box::pin(through))
            .await
            .map_err(|_| DialError::Timeout(Stage::Proxy))?
            .map_err(DialError::Proxy)
    }

    /// Third stage: TLS, if the link has it.
    pub async fn secure(&self, connection: Connection, deadline: Instant) -> Secured {
        let Connection { tcp, .. } = connection;
        let Some((connector, name)) = &self.0.tls else {
            return Secured {
                stream: Ok(Stream {
                    io: MaybeTlsStream::Plain(tcp),
                    client_auth: ClientAuth::default(),
                }),
                evidence: TlsEvidence::default(),
            };
        };
        let handshake = timeout_at(deadline, connector.connect(name.clone(), tcp));
        let (outcome, mut evidence) = tls::observed(handshake).await;
        let client_auth = ClientAuth {
            asked: evidence.client_certificate_asked,
            given: self.0.target.client_identity.is_some(),
        };
        let stream = match outcome {
            Err(_) => Err(DialError::Timeout(Stage::Tls)),
            Ok(Err(error)) => Err(DialError::Tls(TlsProblem::of(&error, client_auth))),
            Ok(Ok(tls)) => {
                evidence.complete(tls.get_ref().1);
                self.note_certificate(&evidence);
                Ok(Stream {
                    io: MaybeTlsStream::Rustls(tls),
                    client_auth,
                })
            }
        };
        Secured { stream, evidence }
    }

    /// Last stage: the WebSocket upgrade.
    pub async fn upgrade(&self, stream: Stream, deadline: Instant) -> Result<Socket, DialError> {
        let Stream { io, client_auth } = stream;
        let config = WebSocketConfig::default()
            // The default of 128 KiB costs 145 KB a socket; 4 KiB costs 17 KB, 24 KB with TLS (measured).
            .read_buffer_size(4 * 1024)
            // A frame goes out when it is written: none is worth waiting for another.
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let upgrade = client_async_with_config(request(&self.0.target)?, io, Some(config));
        let (socket, _) = timeout_at(deadline, upgrade)
            .await
            .map_err(|_| DialError::Timeout(Stage::Upgrade))?
            .map_err(|e| upgrade_error(e, client_auth))?;
        Ok(Socket(socket))
    }

    fn note_certificate(&self, evidence: &TlsEvidence) {
        let Some(leaf) = evidence.chain.first() else {
            return;
        };
        let mut peer = self.0.peer.lock().expect("nothing panics under this lock");
        if peer.as_ref().is_none_or(|known| known.der != *leaf) {
            *peer = Some(Known {
                der: leaf.clone(),
                facts: PeerCertificate::from_der(leaf).ok().map(Arc::new),
            });
        }
    }
}

impl Socket {
    /// Sends a text frame. An error only says that the socket is broken.
    pub async fn send(&mut self, frame: impl Into<String>) -> io::Result<()> {
        let sent = self.0.send(Message::text(frame.into())).await;
        sent.map_err(io::Error::other)
    }

    /// The next text frame, or the end. WebSocket pings are answered. May be dropped and called again.
    pub async fn receive(&mut self) -> Received {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Received::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    // The answer to it waits in the write buffer.
                    let _ = self.0.flush().await;
                    return Received::Closed(frame.map(|f| f.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Closed(None),
            }
        }
    }

    /// Begins the goodbye; the answer to the close frame is of no interest.
    pub async fn close(&mut self) {
        let _ = self.0.close(None).await;
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket(..)")
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.io {
            MaybeTlsStream::Plain(_) => "Stream(tcp)",
            _ => "Stream(tls)",
        })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialer({:?})", self.0.target)
    }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// The first of the addresses that answers. One that is silent holds the next one up for a moment only.
async fn connect(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut rest = addresses.iter().copied();
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address to connect to");
    loop {
        match rest.next() {
            Some(address) => {
                tries.push(async move { TcpStream::connect(address).await.map(|tcp| (tcp, address)) })
            }
            None if tries.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(tried) = tries.next() => match tried {
                Ok((tcp, address)) => {
                    tcp.set_nodelay(true)?;
                    return Ok((tcp, address));
                }
                Err(error) => last = error,
            },
            () = sleep(HEAD_START), if rest.len() > 0 => {}
        }
    }
}

/// What the proxy is asked to connect to, one after the other.
fn tunnel_ends(target: &Target) -> Vec<String> {
    if target.addresses.is_empty() {
        return vec![authority(&target.host, target.port)];
    }
    let pinned = target.addresses.iter();
    pinned
        .map(|ip| SocketAddr::new(*ip, target.port).to_string())
        .collect()
}

/// The addresses that a proxy is asked to connect to, where it is asked by address.
fn ends_by_address(target: &Target) -> Option<Vec<IpAddr>> {
    match target.addresses.as_slice() {
        [] => target.host.parse().ok().map(|ip| vec![ip]),
        pinned => Some(pinned.to_vec()),
    }
}

fn check_host(host: &str) -> Result<(), DialError> {
    // Not only for TLS: what is no name cannot be looked up either.
    match ServerName::try_from(host) {
        Ok(_) => Ok(()),
        Err(_) => Err(DialError::BadHost(host.to_owned())),
    }
}

fn request(target: &Target) -> Result<tungstenite::handshake::client::Request, DialError> {
    let bad = |e: tungstenite::Error| match target.name().parse::<IpAddr>() {
        Err(_) if e.to_string().contains("authority") => DialError::BadHost(target.name().to_owned()),
        _ => DialError::BadPath(e.to_string()),
    };
    target.requested_url().into_client_request().map_err(bad)
}

fn upgrade_error(error: tungstenite::Error, client_auth: ClientAuth) -> DialError {
    match error {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let answer = HttpAnswer::new(response.status().as_u16(), response.headers(), body);
            DialError::Upgrade(Box::new(answer))
        }
        // A server that misses or refuses a client certificate says so only after the TLS 1.3 handshake.
        tungstenite::Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            DialError::Tls(TlsProblem::of(&e, client_auth))
        }
        other => DialError::NotWebSocket(other.to_string()),
    }
}
