//! A scripted AACC on a real port, and an owner for a chat.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ccm_ewc_client::{Chat, ConnectRate, Dialer, Link, LinkConfig, Target};
use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;
use ccm_testkit::certs::Ca;
use futures::{SinkExt, StreamExt};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

/// Quick enough for tests in real time.
pub fn config() -> Config {
    Config {
        ping_every: Duration::from_millis(50),
        pong_timeout: Duration::from_millis(200),
        backoff_base: Duration::from_millis(20),
        backoff_cap: Duration::from_millis(100),
        ..Config::default()
    }
}

pub fn link(primary: &Target, secondary: Option<&Target>, rate: ConnectRate) -> Link {
    Link::new(primary, secondary, rate, link_config(), 7).unwrap()
}

/// Quick enough for tests in real time.
pub fn link_config() -> LinkConfig {
    LinkConfig {
        threshold: 3,
        open_base: Duration::from_millis(20),
        open_cap: Duration::from_millis(100),
        failback_probe: Duration::from_millis(20),
        ..LinkConfig::default()
    }
}

pub fn session(login: Login) -> Session {
    Session::new(config(), Profile::default(), login, 5)
}

pub fn server_config(
    ca: &Ca,
    name: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let cert = ca.issue(&[name]).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(cert.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// AACC: what it does is the test's to say.
pub struct Peer {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    target: Target,
}

impl Peer {
    pub async fn ws() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::ws("127.0.0.1", listener.local_addr().unwrap().port());
        Peer {
            listener,
            tls: None,
            target,
        }
    }

    pub async fn wss() -> Self {
        let ca = Ca::new("tenant").unwrap();
        let tls = server_config(&ca, "localhost", rustls::ALL_VERSIONS);
        Peer::with_tls(tls, Some(ca.pem().to_owned())).await
    }

    pub async fn with_tls(tls: ServerConfig, ca_pem: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target {
            ca_pem,
            ..Target::wss("localhost", port)
        };
        Peer {
            listener,
            tls: Some(Arc::new(tls).into()),
            target,
        }
    }

    pub fn target(&self) -> Target {
        self.target.clone()
    }

    pub fn dialer(&self) -> Dialer {
        Dialer::new(&self.target).unwrap()
    }

    pub async fn tcp(&self) -> TcpStream {
        soon(self.listener.accept()).await.unwrap().0
    }

    /// A link to this peer alone, as fast as it goes.
    pub fn link(&self) -> Link {
        link(&self.target, None, ConnectRate::unlimited())
    }

    /// Takes the next socket.
    pub async fn accept(&self) -> Conn {
        let tcp = self.tcp().await;
        let linger = socket_of(&tcp);
        let stream: Box<dyn Io> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => Box::new(soon(tls.accept(tcp)).await.unwrap()),
        };
        Conn {
            ws: soon(tokio_tungstenite::accept_async(stream)).await.unwrap(),
            linger,
        }
    }

    /// Takes the next socket and its login.
    pub async fn login(&self) -> (Conn, RequestChat) {
        let mut conn = self.accept().await;
        match conn.recv().await {
            ClientFrame::RequestChat(login) => (conn, login),
            other => panic!("{other:?}"),
        }
    }
}

/// A second handle to the connection, to make its end a reset.
fn socket_of(tcp: &TcpStream) -> std::os::fd::OwnedFd {
    use std::os::fd::AsFd;
    tcp.as_fd().try_clone_to_owned().unwrap()
}

/// One socket, on AACC's side.
pub struct Conn {
    ws: WebSocketStream<Box<dyn Io>>,
    linger: std::os::fd::OwnedFd,
}

impl Conn {
    pub async fn send(&mut self, frame: ServerFrame) {
        self.ws.send(Message::text(frame.encode())).await.unwrap();
    }

    /// The next frame but pings, which are answered.
    pub async fn recv(&mut self) -> ClientFrame {
        loop {
            match soon(self.ws.next()).await.expect("open").unwrap() {
                Message::Text(text) => match ClientFrame::parse(&text).unwrap() {
                    ClientFrame::Ping => self.send(ServerFrame::Ping).await,
                    frame => return frame,
                },
                other => panic!("{other:?}"),
            }
        }
    }

    /// The customer's next text, acknowledged.
    pub async fn text(&mut self) -> String {
        let text = self.text_unanswered().await;
        self.send(ServerFrame::Acknowledgement {
            method: "newMessage".into(),
            result: true,
        })
        .await;
        text
    }

    pub async fn text_unanswered(&mut self) -> String {
        match self.recv().await {
            ClientFrame::NewMessage { message } => message.into_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The code that the customer's side closes with.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match soon(self.ws.next()).await.expect("a close frame").unwrap() {
                Message::Close(frame) => return frame.expect("a code").code.into(),
                Message::Text(text) => assert_eq!(ClientFrame::parse(&text).unwrap(), ClientFrame::Ping),
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn accept_chat(&mut self, guid: u64) {
        self.send(ServerFrame::RequestChat(ChatAccepted {
            guid: Some(Guid::number(guid)),
            authentication_key: Some(AuthKey::new(format!("key {guid}"))),
            ..Default::default()
        }))
        .await;
    }

    pub async fn agent_joins(&mut self) {
        let agent = Participant {
            id: Some(AgentId::string("7000")),
            ..Default::default()
        };
        self.send(ServerFrame::NewParticipant(NewParticipant {
            agent_id: agent.id.clone(),
            display_name: "Russell".into(),
            participants: vec![agent],
            ..Default::default()
        }))
        .await;
    }

    pub async fn say(&mut self, text: &str) {
        self.send(ServerFrame::NewMessage(AgentMessage {
            message: text.into(),
            display_name: "Russell".into(),
            timestamp_ms: Some(1),
            sender_type: None,
        }))
        .await;
    }

    pub async fn expire(&mut self) {
        self.send(ServerFrame::Error(AaccError {
            method: "requestChat".into(),
            code: Some(2),
            text: "Unable to reconnect, session key is invalid or expired".into(),
        }))
        .await;
    }

    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.ws.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = soon(self.ws.next()).await {}
    }

    /// Breaks the connection with a TCP reset.
    pub fn reset(self) {
        let tcp = std::net::TcpStream::from(self.linger);
        let tcp = TcpStream::from_std(tcp).unwrap();
        tcp.set_zero_linger().unwrap();
    }
}

/// Owns a chat as the connector does: a line of texts, sent when the chat is ready for them.
pub struct Owner {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
}

enum Command {
    Text(u64),
    Leave,
    Detach,
}

impl Owner {
    pub fn start(link: Link, login: Login) -> Self {
        Owner::of(Chat::new(session(login), link))
    }

    pub fn of(mut chat: Chat) -> Self {
        let (commands, mut orders) = mpsc::unbounded_channel();
        let (tell, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut line = VecDeque::new();
            loop {
                if chat.ready_for_text()
                    && let Some(token) = line.front()
                {
                    chat.send_text(*token, &format!("text {token}")).unwrap();
                }
                tokio::select! {
                    event = chat.next() => {
                        if let Event::TextDelivered { .. } = event {
                            line.pop_front();
                        }
                        let closed = matches!(event, Event::Closed(_));
                        if tell.send(event).is_err() || closed {
                            return;
                        }
                    }
                    Some(order) = orders.recv() => match order {
                        Command::Text(token) => line.push_back(token),
                        Command::Leave => chat.leave(),
                        Command::Detach => chat.detach(),
                    },
                    // Whoever owns a chat does other things too: `next` is dropped and called again.
                    () = tokio::time::sleep(Duration::from_millis(3)) => {}
                }
            }
        });
        Owner { commands, events }
    }

    pub fn text(&self, token: u64) {
        let _ = self.commands.send(Command::Text(token));
    }

    pub fn leave(&self) {
        let _ = self.commands.send(Command::Leave);
    }

    pub fn detach(&self) {
        let _ = self.commands.send(Command::Detach);
    }

    /// Events up to the one that is waited for.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = soon(self.events.recv())
                .await
                .unwrap_or_else(|| panic!("ended after {seen:?}"));
            let found = wanted(&event);
            seen.push(event);
            if found {
                return seen;
            }
        }
    }
}
