//! Whether a skillset is open, by the tenant's routing. Its document can list many numbers, so it is made ready once.

use ccm_db::{Db, DbError};
use ccm_model::{Address, TenantId};
use ccm_routing::{Router, RoutingSettings};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use time::OffsetDateTime;

/// Tenants' routing by revision.
#[derive(Default)]
pub struct Hours(Mutex<HashMap<TenantId, (i64, Arc<Router>)>>);

impl Hours {
    /// Whether agents of `skillset` answer texts to `ours` now. A document that cannot be read closes nobody.
    pub async fn are_open(
        &self,
        db: &Db,
        tenant: TenantId,
        ours: &Address,
        skillset: &str,
        now: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let known = self.known().get(&tenant).cloned();
        let (revision, router) = known.unwrap_or_default();
        let Some(row) = db.tenant(tenant).routing_other_than(revision).await? else {
            return Ok(router.is_open(ours, skillset, now));
        };
        let read = serde_json::from_value::<RoutingSettings>(row.settings).map_err(|e| e.to_string());
        let made = read.and_then(|settings| Router::new(&settings).map_err(|e| e.to_string()));
        let router = Arc::new(made.unwrap_or_else(|error| {
            tracing::error!(tenant.id = %tenant, %error, "a tenant's routing cannot be used as it is stored: its callers are offered chats at any hour");
            Router::default()
        }));
        let open = router.is_open(ours, skillset, now);
        self.known().insert(tenant, (row.revision, router));
        Ok(open)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TenantId, (i64, Arc<Router>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
