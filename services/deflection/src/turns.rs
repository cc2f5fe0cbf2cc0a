//! One offer of a tenant at a time in a pod: the database makes a tenant's offers one after the other, and a flood of one tenant's
//! shall not wait there with all of the pod's connections.

use ccm_model::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// By tenant; there are few of them.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<TenantId, Arc<Turn<()>>>>);

impl Turns {
    /// Waits until it is this request's turn.
    pub async fn take(&self, tenant: TenantId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(tenant).or_default().clone()
        };
        turn.lock_owned().await
    }
}
