//! Carries retention and erasures out, step by step. Any number of pods may do it at the same time, and any of them may be killed at any
//! instant: each step is committed, and the next one who looks goes on from there.

use super::retention::before;
use ccm_db::{Db, DbError, ErasureState};
use ccm_model::{IdSource, RetentionSettings, TenantId};
use ccm_runtime::Lifecycle;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval, sleep};

const LOOK: Duration = Duration::from_secs(1);
/// Longer than one turn takes; who dies is followed after it.
const HOLD: Duration = Duration::from_secs(120);
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// How often a conversation is looked at that an erasure waits for.
const OPEN_LOOK: Duration = Duration::from_secs(5);
/// How often a tenant is looked at that has nothing old.
const REST: Duration = Duration::from_secs(3600);
/// Conversations that go with one transaction: locks are short.
const AT_ONCE: i64 = 50;
/// Transactions of one turn; then other tenants have theirs.
const TURN: usize = 200;
/// Between two transactions, so that texts go before.
const PAUSE: Duration = Duration::from_millis(20);

/// How often months are looked after.
const MONTHS_EVERY: Duration = Duration::from_secs(6 * 3600);
/// As many as `ccm migrate` makes.
const MONTHS_AHEAD: u32 = 12;

/// What carries retention and erasures out.
#[derive(Clone)]
pub struct Keeping {
    pub db: Db,
    pub ids: IdSource,
}

impl Keeping {
    /// Works until the process drains.
    pub(crate) async fn run(self, life: Lifecycle) {
        tokio::join!(self.keep_texts(life.clone()), self.keep_months(life));
    }

    /// Months come and go by themselves. The owner's `ccm migrate` makes them too.
    async fn keep_months(&self, life: Lifecycle) {
        let mut ticks = interval(MONTHS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                ticks.tick().await;
                if let Err(error) = self.months().await {
                    tracing::warn!(%error, "months of texts could not be looked after; it is tried again");
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = life.draining() => {}
        }
    }

    async fn months(&self) -> Result<(), DbError> {
        let operator = self.db.operator();
        let made = operator.keep_months(MONTHS_AHEAD).await?;
        if made > 0 {
            tracing::info!(months = made, "months of texts were made");
        }
        while let Some(month) = operator.drop_empty_month().await? {
            metrics::counter!("ccm_admin_months_dropped_total").increment(1);
            tracing::info!(month, "a month without texts was dropped");
        }
        Ok(())
    }

    async fn keep_texts(&self, life: Lifecycle) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                ticks.tick().await;
                // Said by the health page while the database is away.
                while let Ok(true) = self.next_erasure().await {}
                while let Ok(true) = self.next_retention().await {}
            }
        };
        tokio::select! {
            () = work => {}
            () = life.draining() => {}
        }
    }

    /// Makes one step of one erasure, if one is due. Returns whether it did.
    pub async fn next_erasure(&self) -> Result<bool, DbError> {
        let Some((tenant, erasure)) = self.db.operator().claim_erasure(HOLD).await? else {
            return Ok(false);
        };
        let db = self.db.tenant(tenant);
        loop {
            let mut pause = AFTER_FAILURE;
            let why = match db.erase_some(erasure, self.ids.clock().now()).await {
                Ok(None) => {
                    sleep(PAUSE).await;
                    continue;
                }
                Ok(Some(ErasureState::Erased)) => {
                    metrics::counter!("ccm_admin_erasures_total").increment(1);
                    tracing::info!(tenant.id = %tenant, erasure.id = %erasure, "nothing of a person is left");
                    return Ok(true);
                }
                Ok(Some(ErasureState::Erasing)) => {
                    pause = OPEN_LOOK;
                    "a conversation is open; it goes on when that has ended".to_owned()
                }
                // Somebody else was faster, or the tenant is gone.
                Err(DbError::NotFound(_)) => return Ok(true),
                Err(error @ DbError::Held(_)) => error.to_string(),
                Err(error) => {
                    tracing::error!(
                        tenant.id = %tenant, erasure.id = %erasure, %error,
                        "a step of a person's erasure failed; it is made again in a minute"
                    );
                    metrics::counter!("ccm_admin_erasure_failures_total").increment(1);
                    error.to_string()
                }
            };
            db.erasure_waits(erasure, &why, pause).await?;
            return Ok(true);
        }
    }

    /// Gives one tenant whose retention is due a turn, if there is one. Returns whether there was.
    pub async fn next_retention(&self) -> Result<bool, DbError> {
        let Some(tenant) = self.db.operator().claim_retention(HOLD).await? else {
            return Ok(false);
        };
        let now = self.ids.clock().now();
        let db = self.db.tenant(tenant);
        match self.retain(tenant, now).await {
            Ok(caught_up) => {
                let (pause, since) = match caught_up {
                    true => (REST, Some(now)),
                    false => (Duration::ZERO, None),
                };
                db.retention_rests(pause, since, None).await?;
            }
            Err(error) => {
                tracing::error!(tenant.id = %tenant, %error, "a step of retention failed; it is made again in a minute");
                metrics::counter!("ccm_admin_retention_failures_total").increment(1);
                db.retention_rests(AFTER_FAILURE, None, Some(&error.to_string()))
                    .await?;
            }
        }
        Ok(true)
    }

    /// Whether nothing was left to do at the end.
    async fn retain(&self, tenant: TenantId, now: OffsetDateTime) -> Result<bool, DbError> {
        let db = self.db.tenant(tenant);
        let (settings, _) = db.settings::<RetentionSettings>().await?;
        let RetentionSettings {
            bodies_days,
            metadata_days,
        } = settings;
        if let Some(before) = before(bodies_days.or(metadata_days), now) {
            // What no number of the tenant's was found for has nothing but its words.
            while db.remove_unrouted(before, AT_ONCE).await? > 0 {
                sleep(PAUSE).await;
            }
        }
        let mut turn = TURN;
        for (days, way) in [(metadata_days, Way::Gone), (bodies_days, Way::Erased)] {
            let Some(before) = before(days, now) else {
                continue;
            };
            let mut after = None;
            loop {
                if turn == 0 {
                    return Ok(false);
                }
                turn -= 1;
                let kept = match way {
                    Way::Gone => db.remove_conversations(before, after, AT_ONCE).await?,
                    Way::Erased => db.erase_bodies(before, after, AT_ONCE, now).await?,
                };
                if kept.last.is_none() {
                    break;
                }
                after = kept.last;
                metrics::counter!("ccm_admin_retention_texts_total", "how" => way.as_str())
                    .increment(kept.texts);
                sleep(PAUSE).await;
            }
        }
        Ok(true)
    }
}

/// What becomes of texts whose time is over.
#[derive(Debug, Clone, Copy)]
enum Way {
    Gone,
    Erased,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Erased => "erased",
        }
    }
}
