//! What all chats of a link share, with an AACC that goes and comes back.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccm_ewc_client::*;
use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;
use ccm_testkit::certs::Ca;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::AbortOnDropHandle;

use crate::peer::{Owner, config, link, link_config, server_config, soon};

/// An AACC that takes every chat while it runs.
#[derive(Clone)]
struct Aacc(Arc<Inner>);

struct Inner {
    port: u16,
    tls: Option<TlsAcceptor>,
    log: Mutex<Vec<Seen>>,
    running: Mutex<Option<AbortOnDropHandle<()>>>,
    /// What `currentqueue` is answered with; 0: silence.
    queue_status: AtomicU64,
    /// So many questions are met with silence before that.
    silent_questions: AtomicUsize,
    /// So many logins are not answered.
    silent_logins: AtomicUsize,
    guids: AtomicU64,
    resumed: AtomicUsize,
    cut: watch::Sender<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Queue,
    Chat,
    In,
}

impl Aacc {
    fn stopped(tls: Option<TlsAcceptor>) -> Self {
        Aacc(Arc::new(Inner {
            port: ccm_testkit::ports::free_port(),
            tls,
            log: Mutex::default(),
            running: Mutex::default(),
            queue_status: AtomicU64::new(200),
            silent_questions: AtomicUsize::new(0),
            silent_logins: AtomicUsize::new(0),
            guids: AtomicU64::new(0),
            resumed: AtomicUsize::new(0),
            cut: watch::Sender::new(0),
        }))
    }

    async fn started() -> Self {
        let aacc = Aacc::stopped(None);
        aacc.start().await;
        aacc
    }

    async fn start(&self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.0.port))
            .await
            .unwrap();
        let aacc = self.clone();
        let serving = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (aacc, mut cut) = (aacc.clone(), aacc.0.cut.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = aacc.accept(tcp) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        *self.0.running.lock().unwrap() = Some(AbortOnDropHandle::new(serving));
    }

    /// Breaks all connections.
    fn cut(&self) {
        self.0.cut.send_modify(|n| *n += 1);
    }

    /// Refuses connections, and breaks those that there are.
    async fn stop(&self) {
        let serving = self.0.running.lock().unwrap().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
        self.cut();
    }

    fn target(&self) -> Target {
        Target::ws("127.0.0.1", self.0.port)
    }

    fn log(&self) -> Vec<Seen> {
        self.0.log.lock().unwrap().clone()
    }

    fn saw(&self, what: Seen) -> usize {
        self.log().iter().filter(|seen| **seen == what).count()
    }

    fn note(&self, what: Seen) {
        self.0.log.lock().unwrap().push(what);
    }

    async fn accept(self, tcp: TcpStream) -> Option<()> {
        match &self.0.tls {
            None => self.serve(tcp).await,
            Some(tls) => {
                let tls = tls.accept(tcp).await.ok()?;
                if tls.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
                    self.0.resumed.fetch_add(1, SeqCst);
                }
                self.serve(tls).await
            }
        }
    }

    async fn serve(&self, mut io: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(io.read_u8().await.ok()?.into());
        }
        if head.starts_with("POST") {
            self.note(Seen::Queue);
            let silent = &self.0.silent_questions;
            let status = self.0.queue_status.load(SeqCst);
            if status == 0 || silent.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok() {
                std::future::pending::<()>().await;
            }
            let body = r#"{"body":{"metrics":[]}}"#;
            let answer = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            io.write_all(answer.as_bytes()).await.ok()?;
            return io.shutdown().await.ok();
        }
        self.note(Seen::Chat);
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
        })?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        io.write_all(answer.as_bytes()).await.ok()?;
        self.talk(WebSocketStream::from_raw_socket(io, Role::Server, None).await)
            .await
    }

    async fn talk(&self, mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) -> Option<()> {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let answer = match ClientFrame::parse(&text).unwrap() {
                ClientFrame::Ping => ServerFrame::Ping,
                ClientFrame::RequestChat(login) => {
                    let silent = &self.0.silent_logins;
                    if silent.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok() {
                        continue;
                    }
                    self.note(Seen::In);
                    let new = || Guid::number(self.0.guids.fetch_add(1, SeqCst));
                    ServerFrame::RequestChat(ChatAccepted {
                        guid: Some(login.guid.unwrap_or_else(new)),
                        authentication_key: Some(AuthKey::new("key")),
                        ..Default::default()
                    })
                }
                _ => continue,
            };
            socket.send(Message::text(answer.encode())).await.ok()?;
        }
        Some(())
    }
}

fn is_in(event: &Event) -> bool {
    matches!(event, Event::ChatOpened { .. } | Event::Resumed { .. })
}

/// A chat that comes back quickly, and takes no slow machine for a dead link.
fn chat(link: &Link) -> Chat {
    let calm = Config {
        backoff_base: config().backoff_base,
        backoff_cap: config().backoff_cap,
        ..Config::default()
    };
    Chat::new(
        Session::new(calm, Profile::default(), Login::New, 5),
        link.clone(),
    )
}

fn owners(link: &Link, n: usize) -> Vec<Owner> {
    (0..n).map(|_| Owner::of(chat(link))).collect()
}

async fn all_in(owners: &mut [Owner]) {
    for owner in owners {
        owner.until(is_in).await;
    }
}

async fn health(link: &Link, wanted: impl Fn(&LinkHealth) -> bool) -> LinkHealth {
    let mut watch = link.watch();
    soon(watch.wait_for(wanted)).await.unwrap().clone()
}

fn alone(aacc: &Aacc) -> Link {
    link(&aacc.target(), None, ConnectRate::unlimited())
}

/// The breaker opens, and when AACC is back one chat alone goes first.
async fn recovers(aacc: &Aacc, target: &Target) {
    let link = link(target, None, ConnectRate::unlimited());
    let mut owners = owners(&link, 8);
    let down = health(&link, |h| matches!(h.state, LinkState::Down { .. })).await;
    match &down.state {
        LinkState::Down { why, remedy, .. } => {
            assert!(why.contains("no connection") && !remedy.is_empty(), "{why}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(aacc.log(), [], "it is not there");
    aacc.start().await;
    all_in(&mut owners).await;
    assert_eq!(aacc.log()[..3], [Seen::Queue, Seen::Chat, Seen::In]);
    let status = link.status();
    assert_eq!(
        (status.health.state, status.sockets, status.waiting),
        (LinkState::Up, 8, 0)
    );
    assert!(status.counts.failures >= 3, "{:?}", status.counts);
}

#[tokio::test]
async fn a_link_that_fails_opens_half_opens_and_closes_by_itself() {
    let aacc = Aacc::stopped(None);
    recovers(&aacc, &aacc.target()).await;
}

#[tokio::test]
async fn a_proxy_that_does_not_publish_currentqueue_blocks_no_recovery() {
    for status in [404, 405, 403, 502] {
        let aacc = Aacc::stopped(None);
        aacc.0.queue_status.store(status, SeqCst);
        recovers(&aacc, &aacc.target()).await;
    }
}

#[tokio::test]
async fn nor_does_one_that_swallows_it() {
    let aacc = Aacc::stopped(None);
    aacc.0.queue_status.store(0, SeqCst);
    let target = Target {
        connect_timeout: Duration::from_millis(200),
        ..aacc.target()
    };
    recovers(&aacc, &target).await;
}

#[tokio::test]
async fn sockets_that_give_no_chat_open_the_breaker_too() {
    let aacc = Aacc::started().await;
    aacc.0.silent_logins.store(3, SeqCst);
    let quick = Config {
        login_timeout: Duration::from_millis(50),
        ..config()
    };
    let config = LinkConfig {
        open_base: Duration::from_secs(3600),
        open_cap: Duration::from_secs(3600),
        ..link_config()
    };
    let link = Link::new(&aacc.target(), None, ConnectRate::unlimited(), config, 7).unwrap();
    let mut chat = Chat::new(
        Session::new(quick, Profile::default(), Login::New, 5),
        link.clone(),
    );
    assert_eq!(chat.waiting_for(), None);
    for _ in 0..3 {
        let lost = soon(chat.next()).await;
        assert_eq!(
            lost,
            Event::LinkLost {
                why: Loss::LoginTimeout
            }
        );
    }
    let status = link.status();
    match &status.health.state {
        LinkState::Down { why, .. } => assert!(why.contains("no answer to the login"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((status.counts.failures, status.counts.dials), (3, 3));
    // It waits in line now, and says so.
    let waits = tokio::time::timeout(Duration::from_millis(300), chat.next()).await;
    assert!(waits.is_err(), "{waits:?}");
    assert_eq!(chat.waiting_for(), Some(Wait::Breaker));
    assert_eq!(link.status().waiting, 1);
    link.hold(true);
    assert_eq!(chat.waiting_for(), Some(Wait::Held));
    assert_eq!(aacc.saw(Seen::Chat), 3, "nobody dials");
    drop(chat);
    tokio::task::yield_now().await;
    assert_eq!(link.status().waiting, 0);
}

#[tokio::test]
async fn the_role_of_a_prober_that_goes_away_is_taken_over() {
    let aacc = Aacc::stopped(None);
    aacc.0.silent_questions.store(1, SeqCst);
    let link = alone(&aacc);
    let mut chats: Vec<_> = (0..3).map(|_| chat(&link)).collect();
    let mut first = chats.remove(0);
    for _ in 0..3 {
        assert!(matches!(soon(first.next()).await, Event::ConnectFailed { .. }));
    }
    aacc.start().await;
    // Alone in line it becomes the prober, and its question is never answered.
    let prober = tokio::spawn(async move { first.next().await });
    health(&link, |h| matches!(h.state, LinkState::HalfOpen { .. })).await;
    while aacc.saw(Seen::Queue) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut owners: Vec<_> = chats.into_iter().map(Owner::of).collect();
    while link.status().waiting < 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(aacc.log(), [Seen::Queue]);
    prober.abort();
    all_in(&mut owners).await;
    assert_eq!(aacc.log()[..4], [Seen::Queue, Seen::Queue, Seen::Chat, Seen::In]);
    assert_eq!(link.status().health.state, LinkState::Up);
}

#[tokio::test]
async fn dials_go_to_the_secondary_and_back_again() {
    let (first, second) = (Aacc::started().await, Aacc::started().await);
    let link = link(&first.target(), Some(&second.target()), ConnectRate::unlimited());
    let mut watch = link.watch();
    let mut chats = owners(&link, 6);
    all_in(&mut chats).await;
    assert_eq!(second.log(), [], "the primary works");
    first.stop().await;
    all_in(&mut chats).await;
    let status = link.status();
    assert_eq!(status.health.active, Which::Secondary);
    assert_eq!((status.health.state, status.counts.failovers), (LinkState::Up, 1));
    assert_eq!(second.saw(Seen::In), 6);
    assert!(watch.borrow_and_update().active == Which::Secondary);
    assert_eq!(link.active().target(), &second.target());

    // Not published there: an HTTP answer is enough.
    first.0.queue_status.store(404, SeqCst);
    first.start().await;
    health(&link, |h| h.active == Which::Primary).await;
    assert_eq!(link.status().counts.failbacks, 1);
    assert_eq!(first.log()[first.log().len() - 3..], [Seen::Queue; 3]);
    let mut new = owners(&link, 1);
    all_in(&mut new).await;
    assert_eq!(first.saw(Seen::In), 7);
    assert_eq!(
        (second.saw(Seen::In), link.status().sockets),
        (6, 7),
        "live chats stayed"
    );
}

#[tokio::test]
async fn with_both_down_the_one_that_comes_back_is_found() {
    let (first, second) = (Aacc::stopped(None), Aacc::stopped(None));
    let link = link(&first.target(), Some(&second.target()), ConnectRate::unlimited());
    let mut chats = owners(&link, 6);
    health(&link, |h| h.state.is_down()).await;
    second.start().await;
    all_in(&mut chats).await;
    assert_eq!(link.status().health.active, Which::Secondary);
    first.start().await;
    health(&link, |h| h.active == Which::Primary).await;
}

#[tokio::test]
async fn a_held_link_keeps_its_sockets_and_opens_none() {
    let aacc = Aacc::started().await;
    let link = alone(&aacc);
    let mut chats = owners(&link, 2);
    all_in(&mut chats).await;
    link.hold(true);
    let mut more = owners(&link, 2);
    while link.status().waiting < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!((link.status().sockets, aacc.saw(Seen::Chat)), (2, 2));
    link.hold(false);
    all_in(&mut more).await;
    assert_eq!(link.status().health.state, LinkState::Up);
}

/// Many more than the eight that rustls keeps for a server.
const SOCKETS: usize = 60;

#[tokio::test]
async fn sockets_that_come_back_together_all_resume_their_sessions() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let ca = Ca::new("tenant").unwrap();
        let mut tls = server_config(&ca, "localhost", &[version]);
        tls.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let aacc = Aacc::stopped(Some(Arc::new(tls).into()));
        aacc.start().await;
        let target = Target {
            ca_pem: Some(ca.pem().to_owned()),
            ..Target::wss("localhost", aacc.0.port)
        };
        let link = link(&target, None, ConnectRate::unlimited());
        let mut chats = owners(&link, SOCKETS);
        all_in(&mut chats).await;
        let status = link.status();
        assert_eq!(status.sockets, SOCKETS);
        assert_eq!(status.health.certificate.expect("facts").names, ["localhost"]);
        let before = aacc.0.resumed.load(SeqCst);
        aacc.cut();
        all_in(&mut chats).await;
        let resumed = aacc.0.resumed.load(SeqCst) - before;
        assert!(resumed >= SOCKETS, "{resumed} of {SOCKETS} with {version:?}");
    }
}
