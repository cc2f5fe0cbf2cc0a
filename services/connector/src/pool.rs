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
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// A running actor, as the pool holds it.
struct Running {
    owned: OwnedTenant,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    /// The newest text that it was told of by a poll.
    told: i64,
}

/// A conversation whose actor failed waits before it gets another.
struct Cooling {
    failures: u32,
    until: Instant,
}

const COOLING_BASE: Duration = Duration::from_secs(1);
const COOLING_CAP: Duration = Duration::from_secs(60);

pub(crate) struct Pool {
    deps: Arc<Deps>,
    pod: PodId,
    keeper: Arc<LeaseKeeper>,
    ownership: watch::Receiver<Ownership>,
    running: HashMap<ConversationId, Running>,
    actors: JoinSet<(ConversationId, Result<Ended, DbError>)>,
    cooling: HashMap<ConversationId, Cooling>,
}

impl Pool {
    pub fn new(deps: Arc<Deps>, pod: PodId, keeper: Arc<LeaseKeeper>) -> Self {
        let ownership = keeper.watch();
        Self {
            deps,
            pod,
            keeper,
            ownership,
            running: HashMap::new(),
            actors: JoinSet::new(),
            cooling: HashMap::new(),
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
        let now = self.ownership.borrow_and_update().clone();
        let mut known: std::collections::HashSet<TenantId> = std::collections::HashSet::new();
        for running in self.running.values() {
            known.insert(running.owned.tenant);
            if now.epoch(running.owned.tenant) != Some(running.owned.epoch) {
                running.stop.cancel();
            }
        }
        now.epochs.keys().any(|t| !known.contains(t))
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
        self.actors
            .spawn(async move { (conversation, actor.run().await) });
        self.running.insert(
            conversation,
            Running {
                owned,
                nudge,
                stop,
                told,
            },
        );
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
    }

    fn ended(&mut self, ended: Result<(ConversationId, Result<Ended, DbError>), tokio::task::JoinError>) {
        let (conversation, result) = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                // The task's id is all that a panic leaves: its conversation is found by its absence at the next poll.
                tracing::error!(error = %panic, "an actor panicked");
                metrics::counter!("ccm_connector_actor_failures_total", "why" => "panic").increment(1);
                self.running.retain(|_, r| Arc::strong_count(&r.nudge) > 1);
                return;
            }
        };
        self.running.remove(&conversation);
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
        match result {
            Ok(Ended::Done | Ended::HandedOver) | Err(DbError::Fenced) => {
                self.cooling.remove(&conversation);
            }
            Err(e) => self.cool(conversation, &e),
        }
    }

    fn cool(&mut self, conversation: ConversationId, error: &DbError) {
        let failures = self.cooling.get(&conversation).map_or(0, |c| c.failures) + 1;
        let pause = (COOLING_BASE * 2u32.saturating_pow(failures - 1)).min(COOLING_CAP);
        self.cooling.insert(
            conversation,
            Cooling {
                failures,
                until: Instant::now() + pause,
            },
        );
        metrics::counter!("ccm_connector_actor_failures_total", "why" => "database").increment(1);
        tracing::error!(
            conversation.id = %conversation,
            error = %error,
            retry_in_ms = pause.as_millis() as u64,
            "a chat's actor failed; it is started again"
        );
    }

    async fn drain(mut self) -> Result<(), DbError> {
        tracing::info!(chats = self.running.len(), "handing chats over");
        // Before the sockets close: nobody else starts while ours still speak, and we take nothing new.
        self.keeper.beat(true).await?;
        for running in self.running.values() {
            running.stop.cancel();
        }
        while let Some(ended) = self.actors.join_next().await {
            self.ended(ended);
        }
        self.keeper.release_all().await
    }
}
