//! The life of a process: running, draining, over.

use crate::{Health, config::ShutdownConfig};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::AbortHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The life of this process, as every part of it sees it. Cheap to clone.
///
/// *Running* until SIGTERM, SIGINT or [`Lifecycle::drain`]; then *draining*: parts stop taking new work, hand over and
/// return; *over* when all have returned, when the grace is used up, or at a second signal.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    config: ShutdownConfig,
    health: Health,
    draining: CancellationToken,
    over: CancellationToken,
    tasks: Mutex<Tasks>,
    ended: mpsc::UnboundedSender<Ended>,
    reports: tokio::sync::Mutex<mpsc::UnboundedReceiver<Ended>>,
}

#[derive(Default)]
struct Tasks {
    workers: Vec<Running>,
    companions: Vec<Running>,
}

struct Running {
    name: &'static str,
    handle: AbortHandle,
}

struct Ended {
    name: &'static str,
    how: How,
}

enum How {
    Returned,
    Failed(String),
    Panicked,
    Aborted,
}

/// How a process ended; its exit code is 0 for [`Ending::Clean`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Asked to end, and every task returned in time.
    Clean,
    /// A task failed, panicked, or returned although nobody had asked it to.
    Failed {
        /// Which.
        task: &'static str,
    },
    /// The grace was over, or a second signal came, before these had returned.
    Aborted {
        /// Which.
        tasks: Vec<&'static str>,
    },
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Clean => Self::SUCCESS,
            Ending::Failed { .. } | Ending::Aborted { .. } => Self::FAILURE,
        }
    }
}

impl Lifecycle {
    /// A running process; `health` turns to not ready when it drains.
    pub fn new(config: ShutdownConfig, health: Health) -> Self {
        let (ended, reports) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            config,
            health,
            draining: CancellationToken::new(),
            over: CancellationToken::new(),
            tasks: Mutex::default(),
            ended,
            reports: tokio::sync::Mutex::new(reports),
        }))
    }

    /// From now on the first SIGTERM or SIGINT drains and the second one aborts.
    pub fn watch_signals(&self) -> io::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let life = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = term.recv() => "SIGTERM",
                    _ = int.recv() => "SIGINT",
                }
            };
            let name = next().await;
            tracing::info!(
                signal = name,
                "draining; a second signal ends the process at once"
            );
            life.drain();
            let name = next().await;
            tracing::warn!(signal = name, "second signal: ending at once");
            life.0.over.cancel();
        });
        Ok(())
    }

    /// Begins the end, as SIGTERM does.
    pub fn drain(&self) {
        self.0.health.draining();
        self.0.draining.cancel();
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// Returns when the end has begun. Cancel-safe.
    pub async fn draining(&self) {
        self.0.draining.cancelled().await;
    }

    /// Returns when there is no time left even to hand over. Cancel-safe.
    pub async fn over(&self) {
        self.0.over.cancelled().await;
    }

    /// Starts a task that the process cannot do without. It is to return soon after [`Lifecycle::draining`].
    ///
    /// Should it fail, panic, or return earlier, the process drains and ends with a failure. The error's text is logged.
    pub fn spawn<E: fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        // Under the lock: the task may end before this returns.
        let mut tasks = self.tasks();
        let handle = self.start(name, task);
        tasks.workers.push(Running { name, handle });
    }

    /// Starts a task that others need to the very end (health pages, heartbeats). It never returns by itself; it is
    /// dropped when all other tasks have returned.
    pub fn spawn_companion<E: fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        // Under the lock: the task may end before this returns.
        let mut tasks = self.tasks();
        let handle = self.start(name, task);
        tasks.companions.push(Running { name, handle });
    }

    fn start<E: fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> AbortHandle {
        let ended = self.0.ended.clone();
        let running = tokio::spawn(task);
        let handle = running.abort_handle();
        tokio::spawn(async move {
            let how = match running.await {
                Ok(Ok(())) => How::Returned,
                Ok(Err(e)) => How::Failed(e.to_string()),
                Err(e) if e.is_panic() => How::Panicked,
                Err(_) => How::Aborted,
            };
            let _ = ended.send(Ended { name, how });
        });
        handle
    }

    /// Waits for the end of the process: until it drains, then until every task has returned or the grace is over.
    ///
    /// To be called once, by `main`. Says on the log why the process ends if it is not because it was asked to.
    pub async fn finish(&self) -> Ending {
        let mut reports = self.0.reports.lock().await;
        let mut failed = None;
        let grace = async {
            self.draining().await;
            sleep(self.0.config.grace).await;
        };
        tokio::pin!(grace);
        while !(self.is_draining() && self.tasks().workers.is_empty()) {
            tokio::select! {
                Some(ended) = reports.recv() => {
                    if let Some(task) = self.note(&ended) {
                        failed.get_or_insert(task);
                        self.drain();
                    }
                }
                () = self.draining(), if !self.is_draining() => {}
                () = &mut grace => {
                    tracing::error!(
                        grace_ms = self.0.config.grace.as_millis() as u64,
                        tasks = ?names(&self.tasks().workers),
                        "the grace is over before everything was handed over"
                    );
                    break;
                }
                () = self.over() => break,
            }
        }
        self.0.over.cancel();
        let mut tasks = self.tasks();
        let left = names(&tasks.workers);
        for task in tasks.workers.drain(..).collect::<Vec<_>>() {
            task.handle.abort();
        }
        for task in tasks.companions.drain(..).collect::<Vec<_>>() {
            task.handle.abort();
        }
        match failed {
            Some(task) => Ending::Failed { task },
            None if left.is_empty() => Ending::Clean,
            None => Ending::Aborted { tasks: left },
        }
    }

    /// Takes the task off the list; its name, if the process has failed with it.
    fn note(&self, ended: &Ended) -> Option<&'static str> {
        let name = ended.name;
        let companion = {
            let mut tasks = self.tasks();
            remove(&mut tasks.companions, name) || {
                remove(&mut tasks.workers, name);
                false
            }
        };
        match &ended.how {
            How::Returned if self.is_draining() && !companion => None,
            How::Aborted => None,
            How::Returned => {
                tracing::error!(
                    task = name,
                    "task returned although nobody asked it to; the process ends"
                );
                Some(name)
            }
            How::Failed(error) => {
                tracing::error!(task = name, error, "task failed; the process ends");
                Some(name)
            }
            How::Panicked => {
                tracing::error!(task = name, "task panicked; the process ends");
                Some(name)
            }
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.0.tasks.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn notice(&self) -> Duration {
        self.0.config.notice
    }
}

fn names(tasks: &[Running]) -> Vec<&'static str> {
    tasks.iter().map(|t| t.name).collect()
}

fn remove(tasks: &mut Vec<Running>, name: &str) -> bool {
    let at = tasks.iter().position(|t| t.name == name);
    at.map(|at| tasks.swap_remove(at)).is_some()
}

/// Serves `router` until the process drains: for `shutdown.notice_ms` longer it still accepts, then it finishes the
/// requests under way. Who is answered meanwhile is told that the connection ends: an idle one that is closed may meet a request
/// that is on its way, and whoever sent it cannot know what became of it. To be given to [`Lifecycle::spawn`].
pub async fn serve(listener: TcpListener, router: Router, life: Lifecycle) -> io::Result<()> {
    let until = life.clone();
    let router = router.layer(from_fn_with_state(life.clone(), parting));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(async move {
        until.draining().await;
        sleep(until.notice()).await;
    });
    tokio::select! {
        result = served => result,
        () = life.over() => Ok(()),
    }
}

async fn parting(State(life): State<Lifecycle>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if life.is_draining() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Serves `router` as long as the process lives; for the pages that show it draining. To be given to
/// [`Lifecycle::spawn_companion`].
pub async fn serve_to_the_end(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(listener, router).await
}
