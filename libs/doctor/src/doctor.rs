//! The examination, from the settings to the advice.

use std::time::Duration;

use ccm_ewc_client::{Socket, Target};
use ccm_model::Clock;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::cause::Cause;
use crate::chat;
use crate::dialling;
use crate::explain::Patient;
use crate::log::{Log, Seen, shown};
use crate::plan::Plan;
use crate::queue;
use crate::report::{Endpoint, Finding, Progress, Report, StepKind};
use crate::settings;
use crate::socket;

/// Examines a link.
pub struct Doctor {
    plan: Plan,
    clock: Clock,
    tidying: TaskTracker,
}

impl Doctor {
    /// `clock` says which certificates are about to end.
    pub fn new(plan: Plan, clock: Clock) -> Self {
        Doctor {
            plan,
            clock,
            tidying: TaskTracker::new(),
        }
    }

    /// Takes all steps and tells of each as it begins and ends. Does not fail: what goes wrong is what the report is about.
    ///
    /// May be dropped: a test chat that is open then is closed in the background, see [`Doctor::tidied`].
    pub async fn run(&self, mut tell: impl FnMut(Progress<'_>) + Send) -> Report {
        let (started_at, began) = (self.clock.now(), Instant::now());
        let mut log = Log::new(&mut tell);
        let examined = self.endpoints(&mut log);
        match self.plan.time_limit {
            None => examined.await,
            Some(limit) => {
                if timeout(limit, examined).await.is_err() {
                    log.note(StepKind::TimeLimit, None, out_of_time(limit));
                }
            }
        }
        log.endpoint = Endpoint::Primary;
        for advice in settings::advice(&self.plan) {
            log.note(StepKind::Advice, None, advice);
        }
        Report {
            version: Report::VERSION,
            started_at,
            duration_ms: began.elapsed().as_millis() as u64,
            primary: self.plan.primary.url(),
            secondary: self.plan.secondary.as_ref().map(Target::url),
            outcome: log.outcome(),
            steps: log.steps,
        }
    }

    /// Returns when no test chat of a dropped [`Doctor::run`] is being closed any more: wait for it (not for ever) before the
    /// process ends.
    pub async fn tidied(&self) {
        self.tidying.close();
        self.tidying.wait().await;
        self.tidying.reopen();
    }

    async fn endpoints(&self, log: &mut Log<'_>) {
        self.endpoint(log, &self.plan.primary).await;
        if let Some(secondary) = &self.plan.secondary {
            log.endpoint = Endpoint::Secondary;
            self.endpoint(log, secondary).await;
        }
    }

    async fn endpoint(&self, log: &mut Log<'_>, target: &Target) {
        let now = self.clock.now();
        let checked = async { settings::check(target, now, self.plan.warn_days) };
        let Some(dialer) = log.step(StepKind::Settings, checked).await else {
            return self.skip(
                log,
                &[StepKind::Dns, StepKind::Tcp, StepKind::Tls, StepKind::Upgrade],
                "the settings",
            );
        };
        let patient = Patient {
            target,
            dialer: &dialer,
            now,
        };
        if let Some(socket) = self.dial(log, &patient).await {
            self.socket(log, &patient, socket).await;
        }
    }

    /// Up to the open WebSocket; says why all later steps are skipped where there is none.
    async fn dial(&self, log: &mut Log<'_>, patient: &Patient<'_>) -> Option<Socket> {
        use StepKind::*;
        let Some(addresses) = log.step(Dns, dialling::dns(patient)).await else {
            self.skip(log, &[Tcp, Tls, Upgrade], "DNS");
            return None;
        };
        let Some(connection) = log.step(Tcp, dialling::tcp(patient, &addresses)).await else {
            self.skip(log, &[Tls, Upgrade], "the TCP connection");
            return None;
        };
        let secured = dialling::tls(patient, connection, self.plan.warn_days);
        let stream = match dialling::has_tls(patient) {
            true => log.step(Tls, secured).await,
            false => {
                let (_, stream) = secured.await;
                log.note(
                    Tls,
                    None,
                    Seen::skipped("the address says ws: this link has no TLS"),
                );
                stream
            }
        };
        let Some(stream) = stream else {
            self.skip(log, &[Upgrade], "TLS");
            return None;
        };
        let socket = log.step(Upgrade, dialling::upgrade(patient, stream)).await;
        if socket.is_none() {
            self.skip(log, &[], "the WebSocket upgrade");
        }
        socket
    }

    async fn socket(&self, log: &mut Log<'_>, patient: &Patient<'_>, mut socket: Socket) {
        let plan = &self.plan;
        let (usable, answered) = log
            .step(StepKind::Ping, async {
                let (seen, usable) = socket::fresh_ping(&mut socket, plan).await;
                let answered = usable && seen.is_passed();
                (seen, (usable, answered))
            })
            .await;
        match (usable, answered) {
            (true, true) => {
                sleep(socket::BETWEEN_PINGS).await;
                let large = async { (socket::large_frame(&mut socket, plan).await, ()) };
                log.step(StepKind::LargeFrame, large).await;
            }
            _ => log.note(
                StepKind::LargeFrame,
                None,
                Seen::skipped("a small ping was not answered"),
            ),
        }
        socket.close().await;
        drop(socket);
        if plan.skillsets.is_empty() {
            log.step(StepKind::Queue, async { (queue::all(patient).await, ()) })
                .await;
        }
        for skillset in &plan.skillsets {
            let one = async { (queue::one(patient, skillset).await, ()) };
            log.step_about(StepKind::Queue, Some(skillset), one).await;
        }
        if let Some(watch) = plan.idle_watch {
            let idle = async {
                match dialling::again(patient).await {
                    Ok(socket) => (socket::idle(socket, watch, plan.ping_every).await, ()),
                    Err(seen) => (seen, ()),
                }
            };
            log.step(StepKind::Idle, idle).await;
        }
        if let Some(synthetic) = &plan.chat {
            chat::examine(log, patient, plan, synthetic, &self.tidying).await;
        }
    }

    /// Notes the steps that were planned and cannot be taken.
    fn skip(&self, log: &mut Log<'_>, stages: &[StepKind], because_of: &str) {
        let because = format!("{because_of} failed");
        let later = [StepKind::Ping, StepKind::LargeFrame];
        for kind in stages.iter().chain(&later) {
            log.note(*kind, None, Seen::skipped(&because));
        }
        if self.plan.skillsets.is_empty() {
            log.note(StepKind::Queue, None, Seen::skipped(&because));
        }
        for skillset in &self.plan.skillsets {
            log.note(StepKind::Queue, Some(skillset), Seen::skipped(&because));
        }
        if self.plan.idle_watch.is_some() {
            log.note(StepKind::Idle, None, Seen::skipped(&because));
        }
        if self.plan.chat.is_some() {
            chat::skip(log, &chat::STEPS, &because);
        }
    }
}

fn out_of_time(limit: Duration) -> Seen {
    let explanation = format!(
        "The examination was not through after {} and was cut short.",
        shown(limit)
    );
    Seen::failed(Finding::new(Cause::OutOfTime, explanation))
}

impl std::fmt::Debug for Doctor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doctor({:?})", self.plan)
    }
}
