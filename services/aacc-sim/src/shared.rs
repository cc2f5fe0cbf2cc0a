//! What all tasks share, and the way to the book.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{Book, Effect};
use crate::chaos::{self, Chaos};
use crate::config::WallClock;
use crate::error::SimError;
use crate::player;
use crate::stats::{Counts, Stats, StatsView};
use crate::tls::{Identity, Serving, TlsSetup};
use crate::views::Event;

/// How often idle customers are looked for: ten times within the time that they have, within these bounds.
const IDLE_CHECK_LEAST: Duration = Duration::from_millis(10);
const IDLE_CHECK_MOST: Duration = Duration::from_secs(1);

/// What all tasks share.
pub(crate) struct Shared {
    pub book: Mutex<Book>,
    pub changed: Notify,
    pub stats: Mutex<Stats>,
    pub events: broadcast::Sender<Event>,
    pub now_ns: WallClock,
    pub runtime: tokio::runtime::Handle,
    pub tls: Option<TlsSide>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

/// Who the server is, and what it serves at the moment.
pub(crate) struct TlsSide {
    pub identity: Identity,
    pub serving: Mutex<Serving>,
}

impl Shared {
    /// Changes the book: stamps the time, wakes who waits, and starts what the change asks for.
    pub fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut Book) -> R) -> R {
        let (result, effects) = {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            book.now_ms = (self.now_ns)() / 1_000_000;
            let result = change(&mut book);
            (result, std::mem::take(&mut book.effects))
        };
        self.changed.notify_waiters();
        for effect in effects {
            self.start(effect);
        }
        result
    }

    /// Looks at the book.
    pub fn look<R>(&self, look: impl FnOnce(&Book) -> R) -> R {
        look(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn start(self: &Arc<Self>, effect: Effect) {
        let shared = self.clone();
        let work = async move {
            let stop = shared.stop.clone();
            let work = async {
                match effect {
                    Effect::Survive { guid, loss, within } => {
                        sleep(within).await;
                        shared.with(|book| book.end_if_still_lost(guid, loss));
                    }
                    Effect::Close { guid, socket, within } => {
                        sleep(within).await;
                        shared.with(|book| book.confirm_close(guid, socket));
                    }
                    Effect::Play { guid, rule, heard } => player::play(shared, guid, rule, heard).await,
                }
            };
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// A text frame came in.
    pub fn receive(self: &Arc<Self>, socket: u64, text: &str) {
        if self.with(|book| book.receive(socket, text)) {
            let now_ns = (self.now_ns)();
            self.stats
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .text(text, now_ns);
        }
    }

    /// Waits until a look at the book finds something.
    pub async fn until<R>(&self, mut find: impl FnMut(&Book) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.look(&mut find) {
                return found;
            }
            changed.await;
        }
    }

    pub fn stats(&self) -> StatsView {
        self.look(|book| {
            let (sockets, chats) = (book.sockets.len(), book.open_count());
            let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
            stats.view(sockets, chats, &book.counts)
        })
    }

    pub fn reset_stats(self: &Arc<Self>) {
        self.with(|book| book.counts = Counts::default());
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = Stats::new();
    }

    /// Begins chaos anew.
    pub fn begin_chaos(self: &Arc<Self>, plan: Chaos) {
        let run = self.with(|book| book.begin_chaos(plan.clone()));
        let (shared, stop) = (self.clone(), self.stop.clone());
        let work = async move {
            tokio::select! {
                () = chaos::run(shared, plan, run) => {}
                () = stop.cancelled() => {}
            }
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Ends chats whose customers are silent for too long, for as long as the simulator runs.
    pub async fn check_idle(self: Arc<Self>) {
        loop {
            let after = self.look(|book| book.settings.force_idle_after);
            let pause = match after.is_zero() {
                true => IDLE_CHECK_MOST,
                false => (after / 10).clamp(IDLE_CHECK_LEAST, IDLE_CHECK_MOST),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
            if after.is_zero() {
                continue;
            }
            let idle = self.look(|book| book.idle_chats(Instant::now()));
            for guid in idle {
                self.with(|book| book.end_idle(guid));
            }
        }
    }

    pub fn reset(self: &Arc<Self>) {
        self.with(Book::reset);
        self.reset_stats();
    }

    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub fn now_ns(&self) -> u64 {
        (self.now_ns)()
    }

    /// What new connections meet; `None` for plain ws.
    pub fn serving(&self) -> Option<Serving> {
        let tls = self.tls.as_ref()?;
        Some(tls.serving.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub fn set_tls(&self, setup: TlsSetup) -> Result<(), SimError> {
        let tls = self.tls.as_ref().ok_or(SimError::NoTls)?;
        let serving = tls.identity.serving(setup, self.now_ns())?;
        *tls.serving.lock().unwrap_or_else(PoisonError::into_inner) = serving;
        Ok(())
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.tls.as_ref().map(|tls| &tls.identity)
    }
}
