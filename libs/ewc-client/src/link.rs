//! A tenant's link: what all of its chats share.

mod breaker;
mod gate;
mod pass;
mod status;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use pass::Pass;
pub use status::{Counts, LinkHealth, LinkState, LinkStatus, Wait, Which};

use crate::dial::Dialer;
use crate::error::DialError;
use crate::queue::{QueueError, currentqueue};
use crate::rate::ConnectRate;
use crate::target::Target;
use breaker::Limits;
use gate::{Gate, Permit};

/// How a link meets failures.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// So many failures in a row on one endpoint, over all chats, and nobody dials it for a while. A failure is a dial that
    /// failed, or a socket that was lost or given up before its chat was in. Default 5; at least 1.
    pub threshold: u32,
    /// The while: a random time between zero and `open_base × 2^round`, at most `open_cap`. Defaults 1 s and 30 s.
    pub open_base: Duration,
    pub open_cap: Duration,
    /// A probe without an outcome has failed after this long. Longer than a dial and a login together. Default 60 s.
    pub probe_patience: Duration,
    /// While dials go to the secondary, the primary is looked at this often. Default 30 s.
    pub failback_probe: Duration,
    /// So many good looks in a row, and new dials go to the primary again. Default 3; at least 1.
    pub failback_after: u32,
}

impl Default for LinkConfig {
    fn default() -> Self {
        LinkConfig {
            threshold: 5,
            open_base: Duration::from_secs(1),
            open_cap: Duration::from_secs(30),
            probe_patience: Duration::from_secs(60),
            failback_probe: Duration::from_secs(30),
            failback_after: 3,
        }
    }
}

/// A tenant's way to its AACC, shared by all of its chats: endpoints, connect rate, circuit breaker. Cheap to clone.
///
/// * **Connect rate.** Chats that want to dial stand in one line, first come, first served; whatever happens, no more than
///   the rate's dials + 1 begin in any second, those to the other endpoint and the link's own probes included.
/// * **Breaker.** Failures in a row are counted over all chats. At [`LinkConfig::threshold`] nobody dials for a while. Then
///   the first in line is the probe: it asks for `currentqueue`, and if the endpoint can be dialled at all, its chat alone
///   is let through. (What is answered does not matter: reverse proxies need not publish `currentqueue`. The chat decides.)
///   If it gets in, all others follow at the connect rate; if not, the wait begins anew, and longer. A probe that goes
///   away hands its role to the next.
/// * **Fail-over.** At the threshold the other endpoint is dialled, where there is one that is not down itself. While dials
///   go to the secondary, the primary is looked at; when it is well again, new dials go there. Live chats stay where they
///   are.
/// * **Hold.** [`Link::hold`] lets nobody dial: maintenance.
///
/// Chats report to their link by themselves.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

pub(crate) struct Shared {
    primary: Dialer,
    secondary: Option<Dialer>,
    rate: ConnectRate,
    config: LinkConfig,
    /// The line of who wants to dial. Only its head looks at the gate, so nobody polls and none overtakes.
    line: tokio::sync::Mutex<()>,
    gate: Mutex<Gate>,
    /// Looks at the primary while the secondary is active.
    lookout: Mutex<Option<AbortOnDropHandle<()>>>,
    /// The gate may answer otherwise now.
    changed: Notify,
    health: watch::Sender<LinkHealth>,
    waiting: AtomicUsize,
    sockets: AtomicUsize,
    dials: AtomicU64,
}

impl Link {
    /// Reads authorities and checks addresses of both endpoints; opens nothing. A new link over the same AACC (its settings
    /// have changed) takes a clone of the same rate, or both together would dial faster. `seed` is for the waits' jitter.
    pub fn new(
        primary: &Target,
        secondary: Option<&Target>,
        rate: ConnectRate,
        config: LinkConfig,
        seed: u64,
    ) -> Result<Self, DialError> {
        let limits = Limits {
            threshold: config.threshold.max(1),
            open_base: config.open_base,
            open_cap: config.open_cap,
            probe_patience: config.probe_patience,
        };
        let health = LinkHealth {
            state: LinkState::Unknown,
            active: Which::Primary,
            certificate: None,
        };
        Ok(Link(Arc::new(Shared {
            primary: Dialer::new(primary)?,
            secondary: secondary.map(Dialer::new).transpose()?,
            rate,
            line: tokio::sync::Mutex::new(()),
            gate: Mutex::new(Gate::new(limits, secondary.is_some(), seed)),
            lookout: Mutex::new(None),
            changed: Notify::new(),
            health: watch::Sender::new(health),
            waiting: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            dials: AtomicU64::new(0),
            config,
        })))
    }

    /// The primary endpoint.
    pub fn primary(&self) -> &Dialer {
        &self.0.primary
    }

    pub fn secondary(&self) -> Option<&Dialer> {
        self.0.secondary.as_ref()
    }

    /// Where new dials go: for [`currentqueue`], which does not stand in line.
    pub fn active(&self) -> &Dialer {
        let active = self.0.gate().active();
        self.0.dialer(active)
    }

    /// The connect rate; shared by clones.
    pub fn rate(&self) -> &ConnectRate {
        &self.0.rate
    }

    /// Begins (`true`) or ends planned maintenance: while a link is held nobody dials it. Open sockets stay.
    pub fn hold(&self, held: bool) {
        self.0.change(|gate| gate.hold(held));
    }

    pub fn status(&self) -> LinkStatus {
        let gate = self.0.gate();
        let counts = Counts {
            dials: self.0.dials.load(Relaxed),
            ..gate.counts
        };
        let health = self.0.health_of(&gate);
        drop(gate);
        LinkStatus {
            health,
            sockets: self.0.sockets.load(Relaxed),
            waiting: self.0.waiting.load(Relaxed),
            counts,
        }
    }

    /// Follows what is worth an event. Changes with the link's state, active endpoint and certificate, not with each socket.
    pub fn watch(&self) -> watch::Receiver<LinkHealth> {
        self.0.health.subscribe()
    }

    /// What a chat that waits in line waits for.
    pub(crate) fn why_waiting(&self) -> Wait {
        let gate = self.0.gate();
        match () {
            () if gate.is_held() => Wait::Held,
            () if gate.is_blocked() => Wait::Breaker,
            () => Wait::ConnectRate,
        }
    }

    /// Stands in line, and returns when this chat may dial: it does so at once, and the pass says where.
    pub(crate) async fn admitted(&self) -> Pass {
        let _counted = Waiting::count(&self.0.waiting);
        let _head_of_the_line = self.0.line.lock().await;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let permit = self.0.gate().ask(Instant::now().into_std());
            let wait = match permit {
                Permit::Go(which) => match self.0.rate.try_admit() {
                    Ok(()) => return self.pass(which, None),
                    Err(at) => Some(at),
                },
                Permit::Probe(which, id) => {
                    let pass = self.pass(which, Some(id));
                    self.0.publish();
                    // Boxed: only one of thousands gets here.
                    match Box::pin(self.probe(pass)).await {
                        Some(pass) => return pass,
                        None => continue,
                    }
                }
                Permit::Wait(until) => {
                    // A probe may have been given up.
                    self.0.publish();
                    until.map(Instant::from_std)
                }
            };
            match wait {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// The first half of a probe. `None` if it has failed, or may not go on.
    async fn probe(&self, pass: Pass) -> Option<Pass> {
        self.0.rate.admitted().await;
        self.0.dials.fetch_add(1, Relaxed);
        if let Err(QueueError::Dial(error)) = currentqueue(pass.dialer(), "").await {
            pass.dial_failed(&error);
            return None;
        }
        self.0.rate.admitted().await;
        if self.0.gate().is_held() {
            // Held meanwhile: the role goes back with the pass.
            return None;
        }
        pass.goes_on();
        self.0.dials.fetch_add(1, Relaxed);
        Some(pass)
    }

    fn pass(&self, which: Which, probe: Option<breaker::ProbeId>) -> Pass {
        if probe.is_none() {
            self.0.dials.fetch_add(1, Relaxed);
        }
        Pass::new(self.0.clone(), which, probe)
    }
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect("nothing panics under this lock")
    }

    fn dialer(&self, which: Which) -> &Dialer {
        match (which, &self.secondary) {
            (Which::Secondary, Some(secondary)) => secondary,
            _ => &self.primary,
        }
    }

    /// Changes the gate, and lets all know who must.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Gate)) {
        change(&mut self.gate());
        self.publish();
        self.watch_primary();
        self.changed.notify_waiters();
    }

    /// The gate is locked within, never around: who follows the health may ask for the status meanwhile.
    fn publish(&self) {
        self.health.send_if_modified(|known| {
            let health = self.health_of(&self.gate());
            let modified = *known != health;
            *known = health;
            modified
        });
    }

    fn health_of(&self, gate: &Gate) -> LinkHealth {
        LinkHealth {
            state: gate.state(),
            active: gate.active(),
            certificate: self.dialer(gate.active()).peer_certificate(),
        }
    }

    fn watch_primary(self: &Arc<Self>) {
        let mut lookout = self.lookout.lock().expect("nothing panics under this lock");
        let active = self.gate().active();
        match active {
            Which::Primary => *lookout = None,
            Which::Secondary if lookout.is_some() => {}
            Which::Secondary => {
                *lookout = Some(AbortOnDropHandle::new(tokio::spawn(look_out(Arc::downgrade(
                    self,
                )))));
            }
        }
    }
}

/// Looks at the primary until it is well again. Stopped from outside, when the primary is active for another reason.
async fn look_out(link: Weak<Shared>) {
    let mut in_a_row = 0;
    loop {
        let Some(every) = link.upgrade().map(|link| link.config.failback_probe) else {
            return;
        };
        sleep(every).await;
        let Some(link) = link.upgrade() else { return };
        if link.gate().is_held() {
            continue;
        }
        link.rate.admitted().await;
        link.dials.fetch_add(1, Relaxed);
        let well = Box::pin(is_well(&link)).await;
        in_a_row = if well { in_a_row + 1 } else { 0 };
        if in_a_row >= link.config.failback_after.max(1) {
            // Ends this task.
            return link.change(Gate::fail_back);
        }
    }
}

/// Whether the primary serves HTTP; where it says that `currentqueue` does not work, whether it opens WebSockets.
async fn is_well(link: &Shared) -> bool {
    match currentqueue(&link.primary, "").await {
        Ok(_) | Err(QueueError::BadAnswer) => true,
        Err(QueueError::Status(status)) if status < 500 => true,
        Err(QueueError::Dial(_)) => false,
        Err(_) => {
            link.rate.admitted().await;
            link.dials.fetch_add(1, Relaxed);
            link.primary.probe().await.is_ok()
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?}", self.primary().target())?;
        if let Some(secondary) = self.secondary() {
            write!(f, " or {:?}", secondary.target())?;
        }
        f.write_str(")")
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
