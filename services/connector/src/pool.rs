//! All chats of the tenants that this pod owns: one actor each, started, nudged and stopped here.

use crate::{
    actor::{Actor, Deps, Ended},
    lease::{LeaseKeeper, Ownership},
};
use ccm_bus::{Subscription, Wake};
use ccm_db::{DbError, Fence, OwnedTenant, ToServe};
use ccm_model::{ConversationId, PodId, TenantId};
use ccm_runtime::Lifecycle;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::{self, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// A running actor, as the pool holds it.
struct Running {
    owned: OwnedTenant,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    task: task::Id,
    /// The newest text that it was told of by a poll.
    told: i64,
}

/// A conversation whose actor failed waits before it gets another.
struct Cooling {
    failures: u32,
    until: Instant,
}

/// Why an actor ended that should not have.
#[derive(thiserror::Error, Debug)]
enum Failure {
    #[error(transparent)]
    Database(DbError),
    /// A fault of ours; its message is on standard error, where the hook of the process puts it.
    #[error("it panicked")]
    Panic(JoinError),
}

const COOLING_BASE: Duration = Duration::from_secs(1);
const COOLING_CAP: Duration = Duration::from_secs(60);

pub(crate) struct Pool {
    deps: Arc<Deps>,
    pod: PodId,
    keeper: Arc<LeaseKeeper>,
    ownership: watch::Receiver<Ownership>,
    /// What was owned when ownership last changed.
    owned: Arc<HashMap<TenantId, i64>>,
    running: HashMap<ConversationId, Running>,
    actors: JoinSet<(ConversationId, Result<Ended, DbError>)>,
    cooling: HashMap<ConversationId, Cooling>,
    /// Epochs that a write was refused under: the tenant has gone to another pod, and the heartbeats do not know it yet.
    fenced: HashMap<TenantId, i64>,
}

impl Pool {
    pub fn new(deps: Arc<Deps>, pod: PodId, keeper: Arc<LeaseKeeper>) -> Self {
        let ownership = keeper.watch();
        Self {
            deps,
            pod,
            keeper,
            ownership,
            owned: Arc::default(),
            running: HashMap::new(),
            actors: JoinSet::new(),
            cooling: HashMap::new(),
            fenced: HashMap::new(),
        }
    }

    /// Serves until the process drains, then hands everything over: every chat's socket is closed (1001, the chat stays open
    /// at AACC), then the leases are released for other pods to take.
    pub async fn run(
        mut self,
        mut wakes: Subscription,
        poll: Duration,
        life: Lifecycle,
    ) -> Result<(), DbError> {
        let mut ticks = interval(poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = life.draining() => break,
                _ = ticks.tick() => self.poll().await,
                Ok(()) = self.ownership.changed() => {
                    if self.reconcile() {
                        self.poll().await;
                    }
                }
                wake = wakes.next() => match wake {
                    Wake::Inbound { tenant, conversation } => self.wake(tenant, conversation),
                    Wake::LookAgain => self.poll().await,
                    Wake::Outbound { .. } | Wake::TenantChanged { .. } => {}
                },
                Some(ended) = self.actors.join_next() => self.ended(ended),
            }
        }
        self.drain().await
    }

    /// Stops actors whose tenant was lost or taken anew. Returns whether there are new tenants to look at.
    fn reconcile(&mut self) -> bool {
        let now = self.ownership.borrow_and_update().epochs.clone();
        for running in self.running.values() {
            if now.get(&running.owned.tenant) != Some(&running.owned.epoch) {
                running.stop.cancel();
            }
        }
        let before = std::mem::replace(&mut self.owned, now);
        self.owned
            .iter()
            .any(|(tenant, epoch)| before.get(tenant) != Some(epoch))
    }

    async fn poll(&mut self) {
        let tenants: Vec<TenantId> = self.ownership.borrow().epochs.keys().copied().collect();
        if tenants.is_empty() {
            return;
        }
        match self.deps.db.batch().conversations_to_serve(&tenants).await {
            Ok(found) => {
                metrics::gauge!("ccm_connector_conversations_waiting")
                    .set(found.iter().filter(|f| f.newest_seq > 0).count() as f64);
                for work in found {
                    self.serve(work);
                }
            }
            // Said once by the heartbeats and on the health page.
            Err(_) => metrics::counter!("ccm_connector_polls_failed_total").increment(1),
        }
        let now = Instant::now();
        self.cooling.retain(|_, c| c.until + COOLING_CAP * 2 > now);
    }

    fn serve(&mut self, work: ToServe) {
        match self.running.get_mut(&work.conversation) {
            Some(running) if work.newest_seq > running.told => {
                running.told = work.newest_seq;
                running.nudge.notify_one();
            }
            Some(_) => {}
            None => self.start(work.tenant, work.conversation, work.newest_seq),
        }
    }

    fn wake(&mut self, tenant: TenantId, conversation: ConversationId) {
        match self.running.get(&conversation) {
            Some(running) => running.nudge.notify_one(),
            None => self.start(tenant, conversation, 0),
        }
    }

    fn start(&mut self, tenant: TenantId, conversation: ConversationId, told: i64) {
        let Some(epoch) = self.ownership.borrow().epoch(tenant) else {
            return;
        };
        if self.fenced.get(&tenant) == Some(&epoch) {
            return;
        }
        if self
            .cooling
            .get(&conversation)
            .is_some_and(|c| c.until > Instant::now())
        {
            return;
        }
        let owned = OwnedTenant { tenant, epoch };
        let (nudge, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let actor = Actor::new(
            self.deps.clone(),
            Fence { pod: self.pod, owned },
            conversation,
            self.ownership.clone(),
            nudge.clone(),
            stop.clone(),
        );
        let task = self
            .actors
            .spawn(async move { (conversation, actor.run().await) })
            .id();
        self.running.insert(
            conversation,
            Running {
                owned,
                nudge,
                stop,
                task,
                told,
            },
        );
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
    }

    fn ended(&mut self, ended: Result<(ConversationId, Result<Ended, DbError>), JoinError>) {
        let (conversation, result) = match ended {
            Ok((conversation, result)) => (conversation, result.map_err(Failure::Database)),
            Err(panic) => {
                // The task's id is all that a panic leaves.
                let found = self.running.iter().find(|(_, r)| r.task == panic.id());
                let Some((conversation, _)) = found else { return };
                (*conversation, Err(Failure::Panic(panic)))
            }
        };
        let owned = self.running.remove(&conversation).map(|r| r.owned);
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
        match result {
            Ok(Ended::Done | Ended::HandedOver) => {
                self.cooling.remove(&conversation);
            }
            Err(Failure::Database(DbError::Fenced)) => {
                self.cooling.remove(&conversation);
                self.fenced.extend(owned.map(|o| (o.tenant, o.epoch)));
            }
            Err(e) => self.cool(conversation, &e),
        }
    }

    fn cool(&mut self, conversation: ConversationId, error: &Failure) {
        let failures = self.cooling.get(&conversation).map_or(0, |c| c.failures) + 1;
        let pause = (COOLING_BASE * 2u32.saturating_pow(failures - 1)).min(COOLING_CAP);
        self.cooling.insert(
            conversation,
            Cooling {
                failures,
                until: Instant::now() + pause,
            },
        );
        let why = match error {
            Failure::Database(_) => "database",
            Failure::Panic(_) => "panic",
        };
        metrics::counter!("ccm_connector_actor_failures_total", "why" => why).increment(1);
        tracing::error!(
            conversation.id = %conversation,
            error = %error,
            retry_in_ms = pause.as_millis() as u64,
            "a chat's actor failed; it is started again"
        );
    }

    async fn drain(mut self) -> Result<(), DbError> {
        tracing::info!(chats = self.running.len(), "handing chats over");
        for running in self.running.values() {
            running.stop.cancel();
        }
        let keeper = self.keeper.clone();
        let hand_over = async {
            while let Some(ended) = self.actors.join_next().await {
                self.ended(ended);
            }
        };
        // So that other pods count without us. Where it fails, the heartbeats say it soon; and the chats do not wait for it.
        let (_, ()) = tokio::join!(keeper.beat(true), hand_over);
        // Only now: nobody else speaks while ours still do.
        keeper.release_all().await
    }
}
