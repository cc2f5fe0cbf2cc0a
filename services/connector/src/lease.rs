//! Ownership of tenants: a heartbeat in the database, judged here on a monotonic clock.

use crate::rendezvous;
use ccm_db::{Db, DbError, LeaseTimes, OwnedTenant, PodRow};
use ccm_model::{PodId, TenantId};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::{sync::watch, time::Instant};

/// What this pod owns, and until when it may act on it.
#[derive(Debug, Clone)]
pub(crate) struct Ownership {
    /// The end of the last heartbeat's lease less the margin. Past it nothing is written to a socket or to the database.
    pub valid_until: Instant,
    /// Each owned tenant's epoch.
    pub epochs: Arc<HashMap<TenantId, i64>>,
    /// Owned tenants that another pod should have, now that pods have come or gone: to be handed over.
    pub surplus: Arc<HashSet<TenantId>>,
    /// Owned tenants that are being deleted: their chats are to end.
    pub closing: Arc<HashSet<TenantId>>,
}

impl Ownership {
    pub fn epoch(&self, tenant: TenantId) -> Option<i64> {
        self.epochs.get(&tenant).copied()
    }
}

/// The pod's side of the leases.
pub(crate) struct LeaseKeeper {
    db: Db,
    pod: PodId,
    name: String,
    times: LeaseTimes,
    current: watch::Sender<Ownership>,
}

impl LeaseKeeper {
    pub fn new(db: Db, pod: PodId, name: String, times: LeaseTimes) -> Self {
        let nothing = Ownership {
            valid_until: Instant::now(),
            epochs: Arc::default(),
            surplus: Arc::default(),
            closing: Arc::default(),
        };
        Self {
            db,
            pod,
            name,
            times,
            current: watch::Sender::new(nothing),
        }
    }

    /// What is owned, as it changes.
    pub fn watch(&self) -> watch::Receiver<Ownership> {
        self.current.subscribe()
    }

    /// One heartbeat: extends what is owned, then takes what is free and prefers this pod, and finds what should be another
    /// pod's. `draining`: takes nothing new.
    pub async fn beat(&self, draining: bool) -> Result<(), DbError> {
        // Counted from before the heartbeat is sent: Postgres writes it later, so others wait longer than we act.
        let began = Instant::now();
        let operator = self.db.operator();
        operator.heartbeat(self.pod, &self.name, draining).await?;
        let mut owned = operator.leases_of(self.pod).await?;
        let mut surplus = HashSet::new();
        if !draining {
            let pods = operator.pods(self.times).await?;
            owned.extend(self.take_free(&pods).await?);
            let settled = self.live(&pods, |p| p.settled);
            surplus.extend(
                owned
                    .iter()
                    .map(|o| o.tenant)
                    .filter(|t| rendezvous::preferred(*t, &settled) != Some(self.pod)),
            );
        }
        let closing = operator.closing_tenants(self.pod).await?;
        let epochs: HashMap<TenantId, i64> = owned.into_iter().map(|o| (o.tenant, o.epoch)).collect();
        metrics::gauge!("ccm_connector_tenants_owned").set(epochs.len() as f64);
        self.current.send_replace(Ownership {
            valid_until: began + self.times.lease - self.times.margin,
            epochs: Arc::new(epochs),
            surplus: Arc::new(surplus),
            closing: Arc::new(closing.into_iter().collect()),
        });
        Ok(())
    }

    /// Pods that tenants may be at: this one, and others that live and stay.
    fn live(&self, pods: &[PodRow], counts: impl Fn(&PodRow) -> bool) -> Vec<PodId> {
        let stays = |p: &&PodRow| (p.alive && !p.draining && counts(p)) || p.id == self.pod;
        pods.iter().filter(stays).map(|p| p.id).collect()
    }

    async fn take_free(&self, pods: &[PodRow]) -> Result<Vec<OwnedTenant>, DbError> {
        let operator = self.db.operator();
        let live = self.live(pods, |_| true);
        let mine: Vec<TenantId> = operator
            .free_tenants(self.times)
            .await?
            .into_iter()
            .filter(|t| rendezvous::preferred(*t, &live) == Some(self.pod))
            .collect();
        if mine.is_empty() {
            return Ok(Vec::new());
        }
        let taken = operator.take_leases(self.pod, &mine, self.times).await?;
        if !taken.is_empty() {
            tracing::info!(tenants.taken = taken.len(), "took tenants");
        }
        Ok(taken)
    }

    /// Lets go of one tenant, whose chats have been handed over: another pod takes it at its next heartbeat.
    pub async fn release(&self, owned: OwnedTenant) -> Result<(), DbError> {
        self.db.operator().release_lease(self.pod, owned).await?;
        self.current.send_modify(|o| {
            let mut epochs = HashMap::clone(&o.epochs);
            if epochs.get(&owned.tenant) == Some(&owned.epoch) {
                epochs.remove(&owned.tenant);
                o.epochs = Arc::new(epochs);
            }
        });
        Ok(())
    }

    /// Lets go of everything, so that other pods take over at once, and takes the pod off the list.
    pub async fn release_all(&self) -> Result<(), DbError> {
        let operator = self.db.operator();
        for owned in operator.leases_of(self.pod).await? {
            operator.release_lease(self.pod, owned).await?;
        }
        operator.forget_pod(self.pod).await?;
        self.current.send_modify(|o| o.epochs = Arc::default());
        Ok(())
    }
}
