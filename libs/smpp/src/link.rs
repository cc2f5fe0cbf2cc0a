//! A session on its socket: [`run`] drives it, a [`Handle`] asks it.

use crate::session::{BindRequest, Closed, Event, NotNow, Outcome, Session, State, Ticket};
use bytes::{Buf, BytesMut};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rusmpp::{CommandStatus, Pdu};
use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant as Clock, sleep_until, timeout},
};

/// How long the last octets of a session that ends may take to leave.
const FLUSH: Duration = Duration::from_secs(2);
/// Octets that are read, and gathered for one write.
const CHUNK: usize = 16 * 1024;
/// Requests that wait for room, beside those of the window.
const WAITING: usize = 64;

/// What a peer's request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: CommandStatus,
    /// Where the response has room for one.
    pub message_id: String,
}

impl Reply {
    pub fn status(status: CommandStatus) -> Self {
        Self {
            status,
            message_id: String::new(),
        }
    }
}

/// Whoever serves what the peer asks.
pub trait Serve: Send + 'static {
    /// A request's answer. It is called in the order in which requests came; the futures run side by side.
    fn request(&mut self, pdu: Pdu) -> BoxFuture<'static, Reply>;

    /// Whether an ESME may bind, and what a message centre calls itself. Only a message centre is asked.
    fn bind(&mut self, request: BindRequest) -> Result<String, CommandStatus> {
        drop(request);
        Err(CommandStatus::EsmeRinvcmdid)
    }
}

struct Ask(Box<Pdu>, oneshot::Sender<Outcome>);

/// Asks a running session. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    unbind: Arc<Notify>,
    state: watch::Receiver<State>,
}

/// The other end of a [`Handle`].
pub struct Driver {
    asks: mpsc::Receiver<Ask>,
    unbind: Arc<Notify>,
    state: watch::Sender<State>,
}

/// A session's handle, and what [`run`] needs.
pub fn link() -> (Handle, Driver) {
    let (asks, asked) = mpsc::channel(WAITING);
    let unbind = Arc::new(Notify::new());
    let (told, state) = watch::channel(State::Opening);
    (
        Handle {
            asks,
            unbind: unbind.clone(),
            state,
        },
        Driver {
            asks: asked,
            unbind,
            state: told,
        },
    )
}

impl Handle {
    /// Sends a request once there is room for it, and returns what became of it. Dropped while it waits, it is not sent.
    pub async fn submit(&self, pdu: Pdu) -> Outcome {
        let (answer, answered) = oneshot::channel();
        if self.asks.send(Ask(Box::new(pdu), answer)).await.is_err() {
            return Outcome::NotSent;
        }
        // A driver that was dropped in the midst of it has told nobody.
        answered.await.unwrap_or(Outcome::InDoubt)
    }

    /// Ends the session in order.
    pub fn unbind(&self) {
        self.unbind.notify_one();
    }

    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Returns when the session is in this state, or has ended.
    pub async fn reached(&mut self, wanted: State) -> State {
        let reached = self
            .state
            .wait_for(|state| *state == wanted || *state == State::Closed)
            .await
            .map(|state| *state);
        reached.unwrap_or(State::Closed)
    }
}

struct Link<S, P> {
    session: Session,
    serve: P,
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    out: BytesMut,
    waiting: VecDeque<(Box<Pdu>, oneshot::Sender<Outcome>)>,
    asked: HashMap<Ticket, oneshot::Sender<Outcome>>,
    replies: FuturesUnordered<BoxFuture<'static, (u32, Reply)>>,
    closed: Option<Closed>,
    /// Whether anybody can ask still.
    handled: bool,
}

/// Runs a session until it ends, and says why it did. Every request gets its [`Outcome`].
pub async fn run<S>(stream: S, session: Session, serve: impl Serve, mut driver: Driver) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (read, write) = split(stream);
    let mut link = Link {
        session,
        serve,
        read,
        write,
        out: BytesMut::new(),
        waiting: VecDeque::new(),
        asked: HashMap::new(),
        replies: FuturesUnordered::new(),
        closed: None,
        handled: true,
    };
    link.session.connected(now());
    loop {
        let wakes = link.settle();
        let state = link.session.state();
        driver
            .state
            .send_if_modified(|told| std::mem::replace(told, state) != state);
        if let Some(closed) = link.closed {
            return link.end(closed, driver).await;
        }
        link.step(&mut driver, wakes).await;
    }
}

fn now() -> Instant {
    Clock::now().into_std()
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Serve> Link<S, P> {
    /// Does all that can be done without waiting. When it is to be called again at the latest.
    fn settle(&mut self) -> Option<Instant> {
        let mut wakes = self.submit_waiting();
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Bound { .. } => {}
                Event::BindRequested(request) => match self.serve.bind(request) {
                    Ok(system_id) => self.session.accept_bind(&system_id),
                    Err(status) => self.session.refuse_bind(status),
                },
                Event::Request { sequence, pdu } => {
                    let reply = self.serve.request(*pdu);
                    self.replies
                        .push(reply.map(move |reply| (sequence, reply)).boxed());
                }
                Event::Done { ticket, outcome } => {
                    if let Some(answer) = self.asked.remove(&ticket) {
                        let _ = answer.send(outcome);
                    }
                }
                Event::Closed(closed) => self.closed = Some(closed),
            }
            wakes = self.submit_waiting();
        }
        if self.out.is_empty() {
            self.gather();
        }
        [wakes, self.session.next_timeout()].into_iter().flatten().min()
    }

    /// When the next may go, where it is only a matter of time.
    fn submit_waiting(&mut self) -> Option<Instant> {
        while let Some((pdu, answer)) = self.waiting.pop_front() {
            if answer.is_closed() {
                continue;
            }
            let now = now();
            match self.session.ready(now) {
                Ok(()) => {
                    let ticket = self.session.submit(*pdu, now).expect("it is ready");
                    self.asked.insert(ticket, answer);
                }
                Err(NotNow::WrongBind) => {
                    let _ = answer.send(Outcome::NotSent);
                }
                Err(not) => {
                    self.waiting.push_front((pdu, answer));
                    return match not {
                        NotNow::Until(at) => Some(at),
                        _ => None,
                    };
                }
            }
        }
        None
    }

    /// What is gathered counts as sent: no more than one write's worth.
    fn gather(&mut self) {
        while self.out.len() < CHUNK {
            match self.session.poll_transmit() {
                Some(octets) => self.out.extend_from_slice(&octets),
                None => return,
            }
        }
    }

    async fn step(&mut self, driver: &mut Driver, wakes: Option<Instant>) {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let timer = async {
            match wakes {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            read = self.read.read_buf(&mut chunk) => match read {
                Ok(1..) => self.session.received(&chunk, now()),
                Ok(0) | Err(_) => self.session.lost(),
            },
            written = self.write.write(&self.out), if !self.out.is_empty() => match written {
                Ok(octets @ 1..) => self.out.advance(octets),
                Ok(0) | Err(_) => self.session.lost(),
            },
            Some((sequence, reply)) = self.replies.next() => {
                self.session.answer(sequence, reply.status, &reply.message_id);
            }
            ask = driver.asks.recv(), if self.handled && self.waiting.len() < WAITING => match ask {
                Some(Ask(pdu, answer)) => self.waiting.push_back((pdu, answer)),
                None => {
                    self.handled = false;
                    self.session.unbind(now());
                }
            },
            () = driver.unbind.notified() => self.session.unbind(now()),
            () = timer => self.session.timeout(now()),
        }
    }

    /// Writes what is left to say, and tells those who wait that nothing comes any more.
    async fn end(mut self, closed: Closed, mut driver: Driver) -> Closed {
        driver.asks.close();
        while let Ok(Ask(pdu, answer)) = driver.asks.try_recv() {
            self.waiting.push_back((pdu, answer));
        }
        for (_, answer) in self.waiting.drain(..) {
            let _ = answer.send(Outcome::NotSent);
        }
        if closed != Closed::Lost {
            let flush = async {
                loop {
                    self.gather();
                    if self.out.is_empty() {
                        return self.write.shutdown().await;
                    }
                    self.write.write_all_buf(&mut self.out).await?;
                }
            };
            let _ = timeout(FLUSH, flush).await;
        }
        closed
    }
}
