//! Forgets what is needed for a while only, now and then. Any number of pods may do it at the same time.

use ccm_db::{Db, Old};
use ccm_runtime::Lifecycle;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

const EVERY: Duration = Duration::from_secs(3600);
/// Between two statements, so that texts go before.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(db: Db, life: Lifecycle) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        loop {
            ticks.tick().await;
            for what in Old::ALL {
                forget(&db, what).await;
            }
        }
    };
    tokio::select! {
        () = rounds => {}
        () = life.draining() => {}
    }
}

async fn forget(db: &Db, what: Old) {
    loop {
        match db.operator().forget(what).await {
            Ok((gone, more)) => {
                metrics::counter!("ccm_ingest_forgotten_total", "table" => what.as_str()).increment(gone);
                if !more {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, table = what.as_str(), "old rows could not be forgotten; the next hour tries again");
                return;
            }
        }
        sleep(PAUSE).await;
    }
}
