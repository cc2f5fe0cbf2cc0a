//! Live chats over wss, with plain tokio-tungstenite: a text when an agent comes, a ping every 5 s, and a resume with guid and
//! key when the socket breaks. No tenant, no database, nothing stored, no acknowledgement awaited, no silence noticed.
//!
//! The bench says over HTTP how many chats there are to be, and reads what became of them.

use super::tls;
use anyhow::{Context, Result, bail};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use futures::{SinkExt, StreamExt};
use rustls::{HandshakeKind, pki_types::ServerName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    borrow::Cow,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What stands in front of the address that it prints.
pub const LISTENS: &str = "listens on ";
/// `POST`, with a number behind it: that many chats are to be open.
pub const OPEN: &str = "/open/";
/// `POST`, with a number behind it: so many chats send a text at each resume from now on.
pub const TEXTS: &str = "/texts/";
/// `GET`: [`Figures`].
pub const FIGURES: &str = "/figures";

const PING_EVERY: Duration = Duration::from_secs(5);
/// Handshakes at a time: more only wait for each other's CPU.
const HANDSHAKES: usize = 64;
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);

/// Counted since the start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Figures {
    /// Chats that have got an agent.
    pub live: u64,
    pub resumes: u64,
    /// TLS handshakes that were resumed.
    pub tls_resumed: u64,
    /// Errors of AACC, and connections that could not be had.
    pub errors: u64,
}

#[derive(Default)]
struct Counters {
    live: AtomicU64,
    resumes: AtomicU64,
    tls_resumed: AtomicU64,
    errors: AtomicU64,
}

struct Shared {
    port: u16,
    tls: TlsConnector,
    handshakes: Semaphore,
    asked_for: AtomicU64,
    texts_at_resume: AtomicU64,
    counters: Counters,
}

/// Serves the bench on a free loopback port, which it prints; chats are opened at the EWC server on `port` of localhost.
pub async fn run(port: u16, ca_pem: &str) -> Result<()> {
    let shared = Arc::new(Shared {
        port,
        tls: tls(ca_pem)?,
        handshakes: Semaphore::new(HANDSHAKES),
        asked_for: AtomicU64::new(0),
        texts_at_resume: AtomicU64::new(0),
        counters: Counters::default(),
    });
    let app = Router::new()
        .route(&format!("{OPEN}{{chats}}"), post(open))
        .route(&format!("{TEXTS}{{chats}}"), post(texts))
        .route(FIGURES, get(figures))
        .with_state(shared);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{LISTENS}{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn open(State(shared): State<Arc<Shared>>, Path(chats): Path<u64>) {
    let before = shared.asked_for.fetch_max(chats, Relaxed);
    for n in before..chats {
        tokio::spawn(Chat::new(n).live(shared.clone()));
    }
}

async fn texts(State(shared): State<Arc<Shared>>, Path(chats): Path<u64>) {
    shared.texts_at_resume.store(chats, Relaxed);
}

async fn figures(State(shared): State<Arc<Shared>>) -> Json<Figures> {
    let counters = &shared.counters;
    Json(Figures {
        live: counters.live.load(Relaxed),
        resumes: counters.resumes.load(Relaxed),
        tls_resumed: counters.tls_resumed.load(Relaxed),
        errors: counters.errors.load(Relaxed),
    })
}

/// What a resume needs.
struct Identity {
    guid: u64,
    key: Box<str>,
}

struct Chat {
    n: u64,
    identity: Option<Identity>,
    texts: u32,
}

/// What is read of a frame.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    guid: Option<u64>,
    #[serde(borrow)]
    authentication_key: Option<Cow<'a, str>>,
}

impl Chat {
    fn new(n: u64) -> Self {
        Self {
            n,
            identity: None,
            texts: 0,
        }
    }

    async fn live(mut self, shared: Arc<Shared>) {
        loop {
            let permit = shared.handshakes.acquire().await;
            // Boxed: the handshake's future is larger than all the rest of a chat.
            let socket = Box::pin(dial(&shared)).await;
            drop(permit);
            match socket {
                // Whatever ends the socket, the chat comes back.
                Ok(mut socket) => drop(self.serve(&shared, &mut socket).await),
                Err(_) => {
                    shared.counters.errors.fetch_add(1, Relaxed);
                    sleep(AFTER_A_FAILURE).await;
                }
            }
        }
    }

    /// One socket, from login to loss.
    async fn serve(&mut self, shared: &Shared, socket: &mut Socket) -> Result<()> {
        let resume = self.identity.is_some();
        socket.send(Message::text(self.login())).await?;
        let mut ping_at = Instant::now() + PING_EVERY;
        loop {
            tokio::select! {
                frame = socket.next() => match frame.context("the end")?? {
                    Message::Text(text) => {
                        let texts = self.takes(&text, resume, shared)?;
                        if texts {
                            socket.send(Message::text(self.text())).await?;
                        }
                    }
                    Message::Close(_) => bail!("closed"),
                    _ => {}
                },
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + PING_EVERY;
                    socket.send(Message::text(r#"{"apiVersion":"1.0","type":"request","body":{"method":"ping"}}"#)).await?;
                }
            }
        }
    }

    /// Takes a frame. Whether it is time for a text.
    fn takes(&mut self, text: &str, resume: bool, shared: &Shared) -> Result<bool> {
        let frame: Frame<'_> = serde_json::from_str(text)?;
        if frame.kind == "error" {
            shared.counters.errors.fetch_add(1, Relaxed);
        }
        match (
            &*frame.body.method,
            frame.body.guid,
            frame.body.authentication_key,
        ) {
            ("requestChat", Some(guid), Some(key)) => {
                self.identity = Some(Identity {
                    guid,
                    key: key.into(),
                });
                if !resume {
                    return Ok(false);
                }
                shared.counters.resumes.fetch_add(1, Relaxed);
                Ok(self.n < shared.texts_at_resume.load(Relaxed))
            }
            ("newParticipant", ..) if !resume => {
                shared.counters.live.fetch_add(1, Relaxed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn login(&self) -> String {
        let (guid, key) = self.identity.as_ref().map(|i| (i.guid, &i.key)).unzip();
        let customer = format!("+1888{:07}", self.n);
        let request = json!({"apiVersion": "1.0", "type": "request", "body": {
            "method": "requestChat", "guid": guid, "authenticationKey": key, "deviceType": "bare",
            "requestTranscript": guid.is_some(),
            "intrinsics": {"email": "", "name": "bare", "country": "", "area": "", "phoneNumber": customer,
                           "skillset": "WC_Default_Skillset", "customFields": [{"title": "from", "value": customer}]}}});
        request.to_string()
    }

    fn text(&mut self) -> String {
        self.texts += 1;
        let text = format!(
            "n-{} {}: could you tell me when somebody will come and look at the heating?",
            self.n, self.texts
        );
        json!({"apiVersion": "1.0", "type": "request", "body": {"method": "newMessage", "message": text}})
            .to_string()
    }
}

async fn dial(shared: &Shared) -> Result<Socket> {
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.port)).await?;
    tcp.set_nodelay(true)?;
    let stream = shared
        .tls
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?;
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        shared.counters.tls_resumed.fetch_add(1, Relaxed);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0);
    let address = format!("wss://localhost:{}/CustomerControllerWeb/chat", shared.port);
    Ok(client_async_with_config(address, stream, Some(config)).await?.0)
}
