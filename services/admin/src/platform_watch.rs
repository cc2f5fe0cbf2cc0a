//! What waits over all tenants, and who owns them, as metrics: what the platform's page says, for whoever is asleep. Every pod of the
//! role says the same.

use crate::{Deps, overview::platform::QUEUES};
use ccm_db::{DbError, LeaseState, LifeRow};
use ccm_runtime::Lifecycle;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(15);

pub(crate) async fn run(deps: Deps, life: Lifecycle) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = tell(&deps).await {
                // What was said last stays, and would not be true.
                metrics::counter!("ccm_platform_failures_total").increment(1);
                tracing::warn!(%error, "what waits on the platform could not be read; it is tried again");
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = life.draining() => {}
    }
}

async fn tell(deps: &Deps) -> Result<(), DbError> {
    let now = deps.ids.clock().now();
    let operator = deps.db.operator();
    let age = |since: Option<OffsetDateTime>| since.map_or(0.0, |at| (now - at).as_seconds_f64().max(0.0));
    let counted = operator.queues(now).await?;
    let delivery = operator.oldest_due_delivery(now).await?;
    for known in &QUEUES {
        let queue = known.read(&counted, delivery, now);
        if let Some(waiting) = queue.waiting {
            metrics::gauge!("ccm_platform_queue_waiting", "queue" => known.name).set(waiting as f64);
        }
        metrics::gauge!("ccm_platform_queue_oldest_seconds", "queue" => known.name).set(age(queue.oldest_at));
    }
    let leases = operator.lease_states(deps.lease_times, 1).await?;
    for (state, count) in [
        (LeaseState::Owned, leases.owned),
        (LeaseState::Overdue, leases.overdue),
        (LeaseState::Nobodys, leases.nobodys),
    ] {
        metrics::gauge!("ccm_platform_leases", "state" => state.as_str()).set(count as f64);
    }
    let open = operator.lives(None, 1).await?.iter().any(LifeRow::is_open);
    metrics::gauge!("ccm_database_life_open").set(f64::from(u8::from(open)));
    let unsent = operator.oldest_unsent().await?;
    metrics::gauge!("ccm_platform_oldest_unsent_seconds").set(age(unsent.map(|text| text.since)));
    Ok(())
}
