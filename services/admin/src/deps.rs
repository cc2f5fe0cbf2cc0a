use crate::{
    doctor::DoctorDeps, identity::Gate, oidc::Oidc, pace::RequestRate, sessions::SessionTimes,
    store::StoreSlots,
};
use ccm_auth::{LookupKey, TokenVerifier};
use ccm_bus::{Bus, Wake};
use ccm_db::{Db, DbError, LeaseTimes, TenantDb};
use ccm_egress::Egress;
use ccm_model::{IdSource, TenantId};
use ccm_web::{TenantScope, TrustedProxies};
use std::{fmt, time::Duration};

/// What the API works with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub bus: Bus,
    /// Ids, and the clock that expiry dates are held against.
    pub ids: IdSource,
    pub tokens: TokenVerifier,
    /// Whose tokens are taken beside ours.
    pub oidc: Oidc,
    /// Proxies that are believed when they say for whom they ask.
    pub proxies: TrustedProxies,
    /// How much one caller may ask.
    pub rate: RequestRate,
    /// How long people stay signed in.
    pub sessions: SessionTimes,
    /// Screen-pop keys, API keys and sessions' keys are stored as hashes under it.
    pub lookup_key: LookupKey,
    /// How providers reach ingest, such as `https://sms.example.com`, without a slash at the end.
    pub webhook_base: String,
    /// How much is searched and read in bulk at a time.
    pub store: StoreSlots,
    /// How long connectors own tenants without being seen.
    pub lease_times: LeaseTimes,
    /// What examines links.
    pub doctor: DoctorDeps,
    /// What may be called: webhooks are looked at when they are made.
    pub egress: Egress,
    /// How long a webhook's test waits for what its receiver says.
    pub webhook_test_wait: Duration,
    /// Larger request bodies are refused.
    pub max_body_bytes: usize,
}

impl Deps {
    /// The rows of the scope's tenant, to be changed by its bearer. There need be no such tenant.
    pub(crate) fn rows<'a, P>(&'a self, scope: &'a TenantScope<P>) -> TenantDb<'a> {
        self.db.tenant(scope.tenant).by(&scope.actor)
    }

    /// As [`Deps::rows`], if there is such a tenant.
    pub(crate) async fn tenant<'a, P>(&'a self, scope: &'a TenantScope<P>) -> Result<TenantDb<'a>, DbError> {
        let db = self.rows(scope);
        db.tenant().await?;
        Ok(db)
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate {
            db: self.db.clone(),
            tokens: self.tokens.clone(),
            oidc: self.oidc.clone(),
            lookup_key: self.lookup_key.clone(),
            session_idle: self.sessions.idle,
            clock: self.ids.clock().clone(),
        }
    }

    /// Something of a tenant was made: tells the other pods, and leaves a line in the log. What was changed in it, the audit says.
    pub(crate) fn made(&self, tenant: TenantId, what: &'static str, id: impl fmt::Display, by: &str) {
        self.bus.publish(Wake::TenantChanged { tenant });
        tracing::info!(tenant.id = %tenant, made.kind = what, made.id = %id, actor = by, "made through the admin API");
    }

    /// As [`Deps::made`], for what was changed.
    pub(crate) fn changed(&self, tenant: TenantId, what: &'static str, id: impl fmt::Display, by: &str) {
        self.bus.publish(Wake::TenantChanged { tenant });
        tracing::info!(
            tenant.id = %tenant, changed.kind = what, changed.id = %id, actor = by, "changed through the admin API"
        );
    }

    /// Leaves a line in the log about what is no setting, and so in no audit: nobody has to hear of it.
    pub(crate) fn dealt_with(
        &self,
        tenant: TenantId,
        what: &'static str,
        id: impl fmt::Display,
        how: &'static str,
        by: &str,
    ) {
        tracing::info!(
            tenant.id = %tenant, changed.kind = what, changed.id = %id, changed.how = how, actor = by,
            "dealt with through the admin API"
        );
    }

    /// As [`Deps::made`], for what was removed.
    pub(crate) fn removed(&self, tenant: TenantId, what: &'static str, id: impl fmt::Display, by: &str) {
        self.bus.publish(Wake::TenantChanged { tenant });
        tracing::info!(
            tenant.id = %tenant, removed.kind = what, removed.id = %id, actor = by, "removed through the admin API"
        );
    }
}
