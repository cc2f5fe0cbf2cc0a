//! How many of a tenant's questions are worked on at a time in a pod: a flood of one tenant's shall not wait in the database with all of
//! the pod's connections.

use ccm_model::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

const AT_ONCE: usize = 4;
/// Scripts wait no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// By tenant; there are few of them.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<TenantId, Arc<Semaphore>>>);

impl Turns {
    /// Waits until it is this question's turn; `None`: it does not come soon.
    pub async fn take(&self, tenant: TenantId) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(AT_ONCE));
            turns.entry(tenant).or_insert_with(new).clone()
        };
        timeout(LONGEST_WAIT, turns.acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::Id;

    #[tokio::test(start_paused = true)]
    async fn who_floods_waits_and_nobody_else_does() {
        let turns = Turns::default();
        let (one, other) = (TenantId::PLATFORM, TenantId::from_uuid(uuid::Uuid::max()));
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.take(one).await.unwrap());
        }
        assert!(turns.take(one).await.is_none());
        assert!(turns.take(other).await.is_some());
        taken.pop();
        assert!(turns.take(one).await.is_some());
    }
}
