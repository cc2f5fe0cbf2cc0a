//! Ends conversations that only we have written in, when the time for an answer is over.

use ccm_db::{Db, DbError};
use ccm_runtime::Lifecycle;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(15);
const AT_ONCE: i64 = 100;

/// Ends what is due until the process drains. Any number of pods may run it.
pub(crate) async fn run(db: Db, clock: ccm_model::Clock, life: Lifecycle) {
    let mut told = false;
    while !life.is_draining() {
        match end(&db, clock.now()).await {
            Ok(()) => told = false,
            Err(error) if !std::mem::replace(&mut told, true) => {
                tracing::error!(%error, "conversations in which nobody answers cannot be ended; they stay open");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = life.draining() => {}
        }
    }
}

async fn end(db: &Db, now: OffsetDateTime) -> Result<(), DbError> {
    for tenant in db.operator().tenants_with_unanswered(AT_ONCE).await? {
        let ended = db.tenant(tenant).close_unanswered(now, AT_ONCE).await?;
        metrics::counter!("ccm_ingest_unanswered_total").increment(ended.len() as u64);
    }
    Ok(())
}
