//! The connector: per-tenant pools of EWC sockets.
//!
//! A pod owns tenants by lease ([`lease`]); every conversation of theirs that has something to do gets an actor
//! ([`actor`]), which owns one EWC chat at a time, holds the customer's texts until an agent is in, and stores what the agent
//! writes for dispatch. Postgres says what there is to do; the bus only says "look again".

mod actor;
mod admission;
mod certificates;
mod customer;
mod lease;
mod links;
mod policy;
mod pool;
mod rendezvous;
mod tenants;
mod translate;
mod waits;
mod watch;
mod webhooks;

pub use ccm_ewc_client::{Guard, LinkConfig};
pub use ccm_ewc_proto::session::Config as SessionConfig;
pub use links::targets;

use ccm_bus::{Bus, Topic};
use ccm_db::{Db, DbError, LeaseTimes};
use ccm_egress::Egress;
use ccm_model::{IdSource, PodId};
use ccm_runtime::Lifecycle;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

/// How a connector pod works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What this process is in the database: leases are its.
    pub pod: PodId,
    /// How it is called on pages and in logs.
    pub pod_name: String,
    /// How often the database is looked at when no wake-up comes. 1 s.
    pub poll: Duration,
    /// 5 s and 1 s.
    pub times: LeaseTimes,
    /// The pace and patience of every chat.
    pub session: SessionConfig,
    /// How links meet failures: circuit breaker, fail-over, fail-back.
    pub link: LinkConfig,
    /// Which addresses links may lead to. `None`: any.
    pub guard: Option<Guard>,
}

/// A connector pod.
pub struct Connector {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    /// The way to tenants' own programs.
    pub egress: Egress,
    pub settings: Settings,
}

impl Connector {
    /// Runs until the process drains. Ends with an error only when the hand-over could not be written down: other pods then
    /// take over when the lease runs out.
    pub async fn run(self, life: Lifecycle) -> Result<(), DbError> {
        let pod = self.settings.pod;
        let times = self.settings.times;
        let keeper = Arc::new(lease::LeaseKeeper::new(
            self.db.clone(),
            pod,
            self.settings.pod_name,
            times,
        ));
        // Not one beat more than the pool lives, however it ends: a lease that nobody acts on would go on and on.
        let _heart = AbortOnDropHandle::new(tokio::spawn(keep_alive(keeper.clone(), times, life.clone())));
        let wakes = self.bus.subscribe(&Topic::all_inbound());
        let deps = Arc::new(actor::Deps {
            tenants: tenants::Tenants::new(
                &self.settings.session,
                links::Links::new(self.settings.link, self.settings.guard, self.ids.clone()),
            ),
            waits: Arc::default(),
            webhooks: webhooks::Webhooks::new(self.egress),
            db: self.db,
            bus: self.bus,
            ids: self.ids,
            session: Arc::new(self.settings.session),
        });
        let watcher = watch::Watcher::new(deps.clone(), pod, keeper.watch());
        let _watch = AbortOnDropHandle::new(tokio::spawn(watcher.run()));
        tracing::info!(pod.id = %pod, "connector pod is up");
        pool::Pool::new(deps, pod, keeper)
            .run(wakes, self.settings.poll, life)
            .await
    }
}

/// The longest between two heartbeats, however long a lease is: what another pod lets go of waits for one.
const BEAT: Duration = Duration::from_secs(1);

/// Heartbeats until it is aborted. A failed one is tried again soon: the lease is short.
async fn keep_alive(keeper: Arc<lease::LeaseKeeper>, times: LeaseTimes, life: Lifecycle) {
    let mut ticks = interval((times.lease / 5).min(BEAT));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match keeper.beat(life.is_draining()).await {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("heartbeats reach the database again");
                }
            }
            Err(e) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(error = %e, "heartbeats do not reach the database; leases will run out");
                }
            }
        }
    }
}
