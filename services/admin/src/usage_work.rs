//! Counts what tenants use, again and again until nothing changes any more. Any number of pods may do it at the same time.

use ccm_db::Db;
use ccm_model::IdSource;
use ccm_runtime::Lifecycle;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

const LOOK: Duration = Duration::from_secs(30);
/// How old the current day's count may grow: with the look and the counting itself, no older than 5 minutes.
const EVERY: Duration = Duration::from_secs(240);

pub(crate) async fn run(db: Db, ids: IdSource, life: Lifecycle) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = count(&db, &ids).await {
                tracing::warn!(%error, "tenants' usage could not be counted; it is tried again");
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = life.draining() => {}
    }
}

async fn count(db: &Db, ids: &IdSource) -> Result<(), ccm_db::DbError> {
    let operator = db.operator();
    for day in operator.usage_due(ids.clock().now(), EVERY).await? {
        let began = Instant::now();
        if operator.count_usage(day, ids.clock().now()).await? {
            metrics::histogram!("ccm_admin_usage_count_seconds").record(began.elapsed().as_secs_f64());
        }
    }
    Ok(())
}
