//! Moves deflections on. Any number of pods may do it at the same time, and any of them may be killed at any instant: each step is
//! one transaction, and what is due stays due.

use crate::{
    Deps,
    step::{Asked, Tenant, step},
};
use ccm_bus::Wake;
use ccm_db::{DbError, DeflectionMoved, DueDeflection};
use ccm_model::{DeflectionState, TenantId};
use ccm_runtime::Lifecycle;
use futures::{StreamExt, stream};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

const AT_ONCE: i64 = 200;
/// Steps of one pod at a time: the rest of its connections are for scripts.
const SIDE_BY_SIDE: usize = 4;
/// Longer than all steps of a claim take; who dies is followed after it.
const HOLD: Duration = Duration::from_secs(15);

pub async fn run(deps: Deps, life: Lifecycle) {
    let mut ticks = interval(deps.settings.poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    let work = async {
        loop {
            ticks.tick().await;
            match deps.move_on().await {
                Ok(()) => told = false,
                Err(error) if !std::mem::replace(&mut told, true) => {
                    metrics::counter!("ccm_deflection_failures_total").increment(1);
                    tracing::error!(%error, "deflections are not moved on; it is tried again");
                }
                Err(_) => metrics::counter!("ccm_deflection_failures_total").increment(1),
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = life.draining() => {}
    }
}

impl Deps {
    /// Looks at all that is due now.
    pub async fn move_on(&self) -> Result<(), DbError> {
        loop {
            let now = self.ids.clock().now();
            let due = self.db.operator().claim_deflections(AT_ONCE, HOLD, now).await?;
            let tenants = self.tenants(&due).await?;
            let steps: Vec<_> = due
                .iter()
                .filter_map(|due| Some((*due, tenants.get(&due.tenant)?.clone())))
                .collect();
            let mut steps = stream::iter(steps)
                .map(|(due, tenant)| self.look(due, tenant))
                .buffer_unordered(SIDE_BY_SIDE);
            let mut failed = None;
            while let Some(looked) = steps.next().await {
                failed = looked.err().or(failed);
            }
            match failed {
                Some(error) => return Err(error),
                None if (due.len() as i64) < AT_ONCE => return Ok(()),
                None => {}
            }
        }
    }

    async fn tenants(&self, due: &[DueDeflection]) -> Result<HashMap<TenantId, Arc<Tenant>>, DbError> {
        let mut tenants = HashMap::new();
        for DueDeflection { tenant, .. } in due {
            if !tenants.contains_key(tenant) {
                let read = Tenant::read(&self.db.tenant(*tenant)).await?;
                tenants.insert(*tenant, Arc::new(read));
            }
        }
        Ok(tenants)
    }

    async fn look(&self, due: DueDeflection, tenant: Arc<Tenant>) -> Result<(), DbError> {
        let now = self.ids.clock().now();
        let db = self.db.tenant(due.tenant);
        let moved = db
            .advance_deflection(due.id, now, |seen| step(seen, &tenant, Asked::Look, now))
            .await;
        match moved {
            // Its tenant is deleted meanwhile.
            Err(DbError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(moved) => {
                self.has_moved(due.tenant, moved);
                Ok(())
            }
        }
    }

    /// What follows from a step that is committed.
    pub(crate) fn has_moved(&self, tenant: TenantId, moved: Option<DeflectionMoved>) {
        let Some(moved) = moved else { return };
        if moved.from != moved.to {
            came_to(moved.to);
        }
        if let Some(conversation) = moved.texted {
            self.bus.publish(Wake::Outbound { tenant, conversation });
        }
    }
}

pub(crate) fn came_to(state: DeflectionState) {
    metrics::counter!("ccm_deflection_states_total", "state" => state.as_str()).increment(1);
}
