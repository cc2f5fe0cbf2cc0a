//! Carries deletions out, step by step. Any number of pods may do it at the same time, and any of them may be killed at any instant:
//! each step is committed, and the next one who looks goes on from there.

use ccm_auth::Role;
use ccm_bus::{Bus, Wake};
use ccm_db::{Closing, Db, DbError, DeletionRow, DeletionState};
use ccm_model::{Actor, IdSource};
use ccm_runtime::Lifecycle;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

const LOOK: Duration = Duration::from_secs(1);
/// Longer than one statement runs; who dies is followed after it.
const HOLD: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Rows that go with one statement: locks are short.
const AT_ONCE: i64 = 2000;
/// Between two statements, so that other tenants' texts go before.
const PAUSE: Duration = Duration::from_millis(20);

const CLOSING: Closing = Closing {
    least: Duration::from_secs(3),
    most: Duration::from_secs(120),
};

/// What carries deletions out.
#[derive(Clone)]
pub struct Deletions {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
}

impl Deletions {
    /// Works until the process drains.
    pub(crate) async fn run(self, life: Lifecycle) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                ticks.tick().await;
                // Said by the health page while the database is away.
                while let Ok(true) = self.next_step().await {}
            }
        };
        tokio::select! {
            () = work => {}
            () = life.draining() => {}
        }
    }

    /// Makes one step of one deletion, if one is due. Returns whether it did.
    pub async fn next_step(&self) -> Result<bool, DbError> {
        let now = self.ids.clock().now();
        let operator = self.db.operator();
        let Some(deletion) = operator.claim_deletion(CLOSING, HOLD, now).await? else {
            return Ok(false);
        };
        let step = match deletion.state {
            DeletionState::Closing => self.close(&deletion).await,
            DeletionState::Grace => self.begin_purge(&deletion).await,
            DeletionState::Purging => self.purge(&deletion).await,
            DeletionState::Purged | DeletionState::Restored => Ok(true),
        };
        match step {
            Ok(done) => Ok(done),
            Err(error) => {
                tracing::error!(
                    tenant.id = %deletion.tenant, deletion.id = %deletion.id, deletion.state = deletion.state.as_str(), %error,
                    "a step of a tenant's deletion failed; it is made again in a minute"
                );
                metrics::counter!("ccm_admin_deletion_failures_total").increment(1);
                operator
                    .deletion_failed(deletion.id, &error.to_string(), AFTER_FAILURE)
                    .await?;
                Ok(true)
            }
        }
    }

    /// Waits for agents' chats to end and for what agents wrote to leave, within limits.
    async fn close(&self, deletion: &DeletionRow) -> Result<bool, DbError> {
        let operator = self.db.operator();
        let under_way = self.db.tenant(deletion.tenant).under_way().await?;
        let now = self.ids.clock().now();
        let may_wait = under_way.carried && now - deletion.requested_at < CLOSING.most;
        if may_wait && (under_way.chats > 0 || under_way.texts) {
            operator.wait_for_closing(deletion.id).await?;
            return Ok(false);
        }
        let actor = actor(deletion);
        operator
            .by(&actor)
            .deletion_closed(deletion, under_way.chats, now)
            .await?;
        self.bus.publish(Wake::TenantChanged {
            tenant: deletion.tenant,
        });
        tracing::info!(
            tenant.id = %deletion.tenant, deletion.id = %deletion.id, chats.left = under_way.chats,
            "a tenant that is being deleted is closed"
        );
        Ok(true)
    }

    async fn begin_purge(&self, deletion: &DeletionRow) -> Result<bool, DbError> {
        let counts = self.db.tenant(deletion.tenant).count_rows().await?;
        let now = self.ids.clock().now();
        // A hold that was placed in the meantime is an error; the deletion goes on when it is released.
        if !self.db.operator().purge_begins(deletion, &counts, now).await? {
            return Ok(true);
        }
        let rows: i64 = counts.iter().map(|table| table.rows).sum();
        tracing::info!(
            tenant.id = %deletion.tenant, deletion.id = %deletion.id, rows,
            "a tenant's rows are being deleted"
        );
        self.purge(deletion).await
    }

    async fn purge(&self, deletion: &DeletionRow) -> Result<bool, DbError> {
        let operator = self.db.operator();
        let actor = actor(deletion);
        let db = self.db.tenant(deletion.tenant).by(&actor);
        let mut purge = db.purge().await?;
        while let Some(batch) = db.purge_some(&mut purge, AT_ONCE).await? {
            metrics::counter!("ccm_admin_purged_rows_total").increment(batch.rows);
            operator.purge_goes_on(deletion.id, batch.rows, HOLD).await?;
            sleep(PAUSE).await;
        }
        let after = db.count_rows().await?;
        let now = self.ids.clock().now();
        let purged = operator.purged(deletion, &after, now).await?;
        tracing::info!(
            tenant.id = %deletion.tenant, deletion.id = %deletion.id, rows = purged.rows_gone,
            certificate.sha256 = purged.certificate_sha256.as_deref().unwrap_or_default(),
            "nothing of a tenant is left"
        );
        Ok(true)
    }
}

/// Whoever asked for it, as the audit names them for what is done later.
fn actor(deletion: &DeletionRow) -> Actor {
    Actor {
        sub: deletion.requested_by.clone(),
        role: Role::PlatformAdmin.as_str(),
        via: "deletion",
        key: None,
        user: None,
        from: None,
        request: deletion.id,
    }
}
