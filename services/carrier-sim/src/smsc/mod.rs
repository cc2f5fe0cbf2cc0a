//! A message centre that speaks SMPP: phones behind it, and everything that goes wrong with real ones.
//!
//! It shares the session with `ccm-smpp`, since the protocol is one; that this is SMPP as others speak it is what the tests with
//! other peers show (`deploy/dev/check-smpp`).

mod book;
mod manners;
mod serve;

pub use book::SmscText;
pub use manners::{Answering, Receipts, SmscManners};

use crate::WaitError;
use book::Book;
use ccm_smpp::{
    CommandStatus, Pdu,
    link::{self, Handle},
    message::{Addr, Numbering, Style, split},
    session::{Limits, Outcome, Session, Version},
};
use manners::Mood;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a message centre is set up.
#[derive(Debug, Clone)]
pub struct SmscConfig {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub system_id: String,
    pub password: String,
    /// The newest version that it speaks.
    pub version: Version,
    pub style: Style,
    pub limits: Limits,
    pub manners: SmscManners,
}

impl Default for SmscConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            system_id: "ccm".into(),
            password: "secret".into(),
            version: Version::V50,
            style: Style::default(),
            limits: Limits {
                rate: 1000,
                ..Limits::default()
            },
            manners: SmscManners::default(),
        }
    }
}

/// How long a text from a phone waits before it is tried again, with a bind that is there.
const AGAIN: Duration = Duration::from_millis(50);

struct Shared {
    config: SmscConfig,
    mood: Mutex<Mood>,
    book: Mutex<Book>,
    /// Sessions that are bound, and may be.
    links: Mutex<Vec<(Handle, CancellationToken)>>,
    changed: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic while the book is locked")
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().expect("no panic while the mood is locked")
    }

    fn links(&self) -> MutexGuard<'_, Vec<(Handle, CancellationToken)>> {
        self.links.lock().expect("no panic while the links are locked")
    }

    /// Tries each session in turn until one takes it.
    async fn deliver(&self, pdu: &Pdu) -> CommandStatus {
        loop {
            let handles: Vec<Handle> = self.links().iter().map(|(handle, _)| handle.clone()).collect();
            for handle in handles {
                match handle.submit(pdu.clone()).await {
                    Outcome::Answered(answer)
                        if ccm_smpp::status::meaning(answer.status).kind.retry().is_none() =>
                    {
                        return answer.status;
                    }
                    Outcome::Answered(_) | Outcome::NotSent | Outcome::InDoubt => {}
                }
            }
            sleep(AGAIN).await;
        }
    }
}

/// A running message centre. It ends when it is dropped.
pub struct Smsc {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Smsc {
    pub async fn start(config: SmscConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::new(config.manners.clone())),
            config,
            book: Mutex::default(),
            links: Mutex::default(),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        shared.tasks.spawn(accept(Arc::clone(&shared), listener));
        Ok(Self { shared, addr })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn set_manners(&self, manners: SmscManners) {
        *self.shared.mood() = Mood::new(manners);
    }

    /// What phones have received, in the order in which it was whole.
    pub fn received(&self) -> Vec<SmscText> {
        self.shared.book().whole().to_vec()
    }

    /// The same, once there are so many.
    pub async fn wait_received(&self, count: usize, within: Duration) -> Result<Vec<SmscText>, WaitError> {
        let look = || {
            let book = self.shared.book();
            (book.whole().len() >= count).then(|| book.whole().to_vec())
        };
        self.wait(look, within, || format!("{} texts", self.received().len()))
            .await
    }

    /// Returns when so many sessions are bound.
    pub async fn wait_bound(&self, count: usize, within: Duration) -> Result<(), WaitError> {
        let look = || (self.shared.links().len() == count).then_some(());
        self.wait(look, within, || format!("{} binds", self.shared.links().len()))
            .await
    }

    async fn wait<T>(
        &self,
        look: impl Fn() -> Option<T>,
        within: Duration,
        so_far: impl Fn() -> String,
    ) -> Result<T, WaitError> {
        let waited = async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        timeout(within, waited).await.map_err(|_| WaitError {
            waited: within,
            so_far: so_far(),
        })
    }

    /// A phone texts: its parts are sent one after the other until an ESME has taken each. What the last one was answered.
    /// `None` if a text or an address does not fit.
    pub async fn text(&self, from: &str, to: &str, body: &str, reference: u16) -> Option<CommandStatus> {
        let (from, to) = (addr(from)?, addr(to)?);
        let mut status = None;
        for part in split(body, &self.shared.config.style, reference).ok()? {
            status = Some(self.shared.deliver(&part.deliver(&from, &to)).await);
        }
        status
    }

    /// Every connection breaks.
    pub fn drop_all(&self) {
        for (_, stop) in self.shared.links().iter() {
            stop.cancel();
        }
    }

    /// Ends every session in order.
    pub fn unbind_all(&self) {
        for (link, _) in self.shared.links().iter() {
            link.unbind();
        }
    }
}

fn addr(text: &str) -> Option<Addr> {
    Addr::new(text, Numbering::default())
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.tasks.spawn(serve(Arc::clone(&shared), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(AGAIN).await;
                }
            },
            () = shared.stop.cancelled() => return,
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let now = tokio::time::Instant::now().into_std();
    let session = Session::smsc(shared.config.version, shared.config.limits, now);
    let (handle, driver) = link::link();
    let stop = shared.stop.child_token();
    let server = serve::Server {
        shared: Arc::clone(&shared),
        handle,
        stop: stop.clone(),
    };
    let run = link::run(stream, session, server, driver);
    tokio::select! {
        closed = run => tracing::info!(%closed, "a session ended"),
        () = stop.cancelled() => tracing::info!("a connection is dropped"),
    }
    stop.cancel();
    shared.links().retain(|(_, of)| !of.is_cancelled());
    shared.changed.notify_waiters();
}
