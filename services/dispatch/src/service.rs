//! The loop: claim what is due, for as long as there is room; else wait for a wake-up, a due line, a free slot.

use crate::{Settings, backoff, line::Worker, slots::Slots};
use ccm_bus::Subscription;
use ccm_db::DbError;
use ccm_model::TenantId;
use ccm_runtime::Lifecycle;
use futures::FutureExt;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// A line may be due and yet not to be had, in another pod's hands at this instant: no reason to ask without a break.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// After an outage nothing is claimed for so long: whoever has a provider's answer to record, in this pod or another, goes
/// first. A text whose claim ran out meanwhile would be sent twice. Longer than the steps in which a pool looks for the
/// database.
const RECORD_FIRST: Duration = Duration::from_secs(2);

/// Rounds of claims begin so far apart at least, so that a busy pod asks for many lines at once. After a rest a
/// wake-up is heeded at once.
const GATHER: Duration = Duration::from_millis(5);

/// What the loop waits for.
enum WaitFor {
    /// All room is taken, or a tenant has its share: a slot that becomes free is a reason to look.
    Room,
    /// Nothing is due for so long.
    Work(Duration),
    /// The database is away, or was until just now.
    Database(Duration),
}

struct Pool {
    worker: Arc<Worker>,
    slots: Slots,
    tasks: JoinSet<()>,
    tenants: HashMap<Id, TenantId>,
    poll: Duration,
    database: Database,
}

/// How the database has answered lately.
enum Database {
    Up,
    /// That many calls in a row went without an answer.
    Away {
        failures: u32,
    },
    /// It answers again, since then.
    Back {
        since: Instant,
    },
}

pub(crate) async fn run(worker: Worker, mut wakes: Subscription, settings: &Settings, life: Lifecycle) {
    let mut pool = Pool {
        worker: Arc::new(worker),
        slots: Slots::new(settings.concurrency),
        tasks: JoinSet::new(),
        tenants: HashMap::new(),
        poll: settings.poll,
        database: Database::Up,
    };
    while !life.is_draining() {
        let began = Instant::now();
        let wait_for = pool.claim(&life).await;
        tokio::select! {
            () = pool.wait(wait_for) => {}
            _ = wakes.next() => {}
            () = life.draining() => continue,
        }
        sleep_until(began + GATHER).await;
        while wakes.next().now_or_never().is_some() {}
    }
    pool.finish().await;
}

impl Pool {
    /// Claims and starts until nothing more is due or there is no room.
    async fn claim(&mut self, life: &Lifecycle) -> WaitFor {
        if let Err(wait) = self.may_claim().await {
            return WaitFor::Database(wait);
        }
        loop {
            self.reap();
            let room = self.slots.room();
            if room == 0 || life.is_draining() {
                return WaitFor::Room;
            }
            let full = self.slots.full();
            let claims = match self.worker.claim(room, &full).await {
                Ok(claims) => claims,
                Err(e) => return WaitFor::Database(self.database_failed(&e)),
            };
            // Tenants take turns: as long as some were claimed, others may be due.
            let more = !claims.is_empty();
            for claim in claims {
                self.slots.take(claim.tenant);
                let task = self.worker.clone().work(claim, life.clone());
                self.tenants.insert(self.tasks.spawn(task).id(), claim.tenant);
            }
            metrics::gauge!("ccm_dispatch_under_way").set(self.slots.taken() as f64);
            if more {
                continue;
            }
            if !full.is_empty() {
                return WaitFor::Room;
            }
            return match self.worker.next_due().await {
                Ok(next) => {
                    WaitFor::Work(next.map_or(self.poll, |next| next.min(self.poll).max(SHORTEST_WAIT)))
                }
                Err(e) => WaitFor::Database(self.database_failed(&e)),
            };
        }
    }

    /// Cancel-safe.
    async fn wait(&mut self, wait_for: WaitFor) {
        match wait_for {
            WaitFor::Room => tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep(self.poll) => {}
            },
            WaitFor::Work(time) | WaitFor::Database(time) => sleep(time).await,
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
    }

    /// A task that panicked has been logged by the hook; its claim expires.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|e| e.id(), |(id, ())| id);
        if let Some(tenant) = self.tenants.remove(&id) {
            self.slots.give_back(tenant);
        }
        metrics::gauge!("ccm_dispatch_under_way").set(self.slots.taken() as f64);
    }

    /// Says how long to leave it alone.
    fn database_failed(&mut self, error: &DbError) -> Duration {
        let failures = match self.database {
            Database::Away { failures } => failures.saturating_add(1),
            Database::Up | Database::Back { .. } => {
                tracing::error!(%error, "the outbox cannot be read; texts wait in it until the database is back");
                1
            }
        };
        self.database = Database::Away { failures };
        backoff::pause(failures.min(3), None, self.worker.random())
    }

    /// After an outage: looks whether it is over, and leaves time to record what it kept from being recorded. Says how long
    /// to wait before asking again.
    async fn may_claim(&mut self) -> Result<(), Duration> {
        if let Database::Away { .. } = self.database {
            if let Err(e) = self.worker.next_due().await {
                return Err(self.database_failed(&e));
            }
            tracing::info!("the outbox can be read again");
            self.database = Database::Back {
                since: Instant::now(),
            };
        }
        if let Database::Back { since } = self.database {
            match RECORD_FIRST.checked_sub(since.elapsed()) {
                Some(rest) => return Err(rest),
                None => self.database = Database::Up,
            }
        }
        Ok(())
    }

    async fn finish(mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }
}
