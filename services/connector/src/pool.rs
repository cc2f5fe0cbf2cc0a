//! All chats of the tenants that this pod owns: one actor each, started, nudged and stopped here.

use crate::{
    actor::{Actor, Deps, Ended},
    lease::{LeaseKeeper, Ownership},
};
use ccm_bus::{Subscription, Wake};
use ccm_db::{DbError, Fence, OwnedTenant, ToServe};
use ccm_model::{ConversationId, PodId, TenantId};
use ccm_runtime::Lifecycle;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
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
    tenant: TenantId,
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
/// How often every open chat is looked up, actors or not: nothing should need it.
const SWEEP: Duration = Duration::from_secs(30);
/// Tenants that are handed over at the same time when pods come or go.
const LEAVING_AT_ONCE: usize = 8;

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
    /// Running actors of each tenant.
    actors_of: HashMap<TenantId, usize>,
    /// Tenants that are on their way to another pod: their actors end, then the lease is let go.
    leaving: HashMap<TenantId, OwnedTenant>,
    /// Tenants whose open chats have not been looked up since they were taken.
    unswept: HashSet<TenantId>,
    swept_at: Option<Instant>,
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
            actors_of: HashMap::new(),
            leaving: HashMap::new(),
            unswept: HashSet::new(),
            swept_at: None,
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
        // What pods are added and taken away by: it is there from the beginning.
        metrics::gauge!("ccm_connector_actors").set(0.0);
        loop {
            tokio::select! {
                () = life.draining() => break,
                _ = ticks.tick() => {
                    self.deps.tenants.look_again(self.deps.ids.clock().now());
                    self.let_go().await;
                    self.poll().await;
                }
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
                Some(ended) = self.actors.join_next() => {
                    if self.ended(ended) {
                        self.let_go().await;
                    }
                }
            }
        }
        self.drain().await
    }

    /// Stops actors whose tenant was lost, taken anew, or should be another pod's. Returns whether there are new tenants to
    /// look at.
    fn reconcile(&mut self) -> bool {
        let (now, surplus, closing) = {
            let current = self.ownership.borrow_and_update();
            (
                current.epochs.clone(),
                current.surplus.clone(),
                current.closing.clone(),
            )
        };
        let stays = self
            .leaving
            .extract_if(|tenant, owned| now.get(tenant) != Some(&owned.epoch) || !surplus.contains(tenant));
        self.unswept.extend(stays.map(|(tenant, _)| tenant));
        let room = LEAVING_AT_ONCE.saturating_sub(self.leaving.len());
        let next = surplus
            .iter()
            .filter(|t| !self.leaving.contains_key(t))
            .take(room);
        let next: Vec<_> = next
            .filter_map(|t| {
                let epoch = *now.get(t)?;
                Some((*t, OwnedTenant { tenant: *t, epoch }))
            })
            .collect();
        if !next.is_empty() {
            tracing::info!(tenants.leaving = next.len(), "handing tenants over to other pods");
        }
        self.leaving.extend(next);
        for running in self.running.values() {
            let tenant = running.owned.tenant;
            if now.get(&tenant) != Some(&running.owned.epoch) || self.leaving.contains_key(&tenant) {
                running.stop.cancel();
            }
            if closing.contains(&tenant) {
                running.nudge.notify_one();
            }
        }
        let before = std::mem::replace(&mut self.owned, now);
        let taken = self
            .owned
            .iter()
            .filter(|(tenant, epoch)| before.get(*tenant) != Some(*epoch));
        let taken: Vec<_> = taken.map(|(tenant, _)| *tenant).collect();
        self.unswept.extend(&taken);
        self.unswept.retain(|t| self.owned.contains_key(t));
        self.deps.tenants.keep_only(&self.owned);
        !taken.is_empty()
    }

    /// Lets go of tenants on their way whose last actor has ended.
    async fn let_go(&mut self) {
        let ready = self
            .leaving
            .iter()
            .filter(|(t, _)| !self.actors_of.contains_key(t));
        let ready: Vec<OwnedTenant> = ready.map(|(_, owned)| *owned).collect();
        for owned in ready {
            // Where it fails, the next tick tries again.
            if self.keeper.release(owned).await.is_ok() {
                metrics::counter!("ccm_connector_tenants_handed_over_total").increment(1);
                self.leaving.remove(&owned.tenant);
            }
        }
    }

    async fn poll(&mut self) {
        let tenants: Vec<TenantId> = self.ownership.borrow().epochs.keys().copied().collect();
        if tenants.is_empty() {
            return;
        }
        let now = Instant::now();
        let all = self.swept_at.is_none_or(|at| at + SWEEP <= now);
        let swept: Vec<TenantId> = match all {
            true => tenants.clone(),
            false => self
                .unswept
                .iter()
                .filter(|t| self.owned.contains_key(t))
                .copied()
                .collect(),
        };
        let found = self
            .deps
            .db
            .batch()
            .conversations_to_serve(&tenants, &swept)
            .await;
        match found {
            Ok(found) => {
                if all {
                    self.swept_at = Some(now);
                }
                self.unswept.clear();
                metrics::gauge!("ccm_connector_conversations_waiting")
                    .set(found.iter().filter(|f| f.newest_seq > 0).count() as f64);
                for work in found {
                    self.serve(work);
                }
            }
            // Said once by the heartbeats and on the health page.
            Err(_) => metrics::counter!("ccm_connector_polls_failed_total").increment(1),
        }
        let rested = self
            .cooling
            .iter()
            .filter(|(c, cooling)| cooling.until <= now && !self.running.contains_key(c));
        let rested: Vec<_> = rested.map(|(c, cooling)| (cooling.tenant, *c)).collect();
        for (tenant, conversation) in rested {
            self.start(tenant, conversation, 0);
        }
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
        if self.fenced.get(&tenant) == Some(&epoch) || self.leaving.contains_key(&tenant) {
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
        *self.actors_of.entry(tenant).or_default() += 1;
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
    }

    /// Whether it was its tenant's last.
    fn ended(&mut self, ended: Result<(ConversationId, Result<Ended, DbError>), JoinError>) -> bool {
        let (conversation, result) = match ended {
            Ok((conversation, result)) => (conversation, result.map_err(Failure::Database)),
            Err(panic) => {
                // The task's id is all that a panic leaves.
                let found = self.running.iter().find(|(_, r)| r.task == panic.id());
                let Some((conversation, _)) = found else {
                    return false;
                };
                (*conversation, Err(Failure::Panic(panic)))
            }
        };
        let owned = self.running.remove(&conversation).map(|r| r.owned);
        let mut was_last = false;
        if let Some(tenant) = owned.map(|o| o.tenant)
            && let Some(actors) = self.actors_of.get_mut(&tenant)
        {
            *actors -= 1;
            was_last = *actors == 0;
            if was_last {
                self.actors_of.remove(&tenant);
            }
        }
        metrics::gauge!("ccm_connector_actors").set(self.running.len() as f64);
        match result {
            Ok(ended) => {
                self.cooling.remove(&conversation);
                // Where the tenant is ours again by now, the chat wants another actor.
                if ended == Ended::HandedOver {
                    self.unswept.extend(owned.map(|o| o.tenant));
                }
            }
            Err(Failure::Database(DbError::Fenced)) => {
                self.cooling.remove(&conversation);
                self.fenced.extend(owned.map(|o| (o.tenant, o.epoch)));
            }
            // Its customer was erased, and nobody had waited for the chat's end any more.
            Err(Failure::Database(DbError::NotFound("conversation"))) => {
                self.cooling.remove(&conversation);
                tracing::info!(conversation.id = %conversation, "a conversation is gone");
            }
            Err(e) => {
                if let Some(owned) = owned {
                    self.cool(owned.tenant, conversation, &e);
                }
            }
        }
        was_last
    }

    fn cool(&mut self, tenant: TenantId, conversation: ConversationId, error: &Failure) {
        let failures = self.cooling.get(&conversation).map_or(0, |c| c.failures) + 1;
        let pause = (COOLING_BASE * 2u32.saturating_pow(failures - 1)).min(COOLING_CAP);
        self.cooling.insert(
            conversation,
            Cooling {
                tenant,
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
        // So that other pods count without us. Where it fails, the heartbeats say it soon; and the chats do not wait for it.
        let _ = self.keeper.beat(true).await;
        let owned = self.ownership.borrow().epochs.clone();
        let owned = owned.iter().map(|(tenant, epoch)| {
            (
                *tenant,
                OwnedTenant {
                    tenant: *tenant,
                    epoch: *epoch,
                },
            )
        });
        self.leaving.extend(owned);
        // A tenant goes with its last chat, not before: nobody else speaks for it while ours still do. And not later: an
        // acknowledgement that stays away keeps no other tenant.
        self.let_go().await;
        while let Some(ended) = self.actors.join_next().await {
            if self.ended(ended) {
                self.let_go().await;
            }
        }
        self.keeper.release_all().await
    }
}
