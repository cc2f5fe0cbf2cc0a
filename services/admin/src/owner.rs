use crate::{Deps, answer::Failure};
use ccm_auth::Bearer;
use ccm_db::AccessDb;
use ccm_model::TenantId;
use ccm_web::{Platform, TenantScope};

/// Whose keys and users a request is about, a tenant's or the platform's own, and who deals with them.
pub struct Owner<'a> {
    pub deps: &'a Deps,
    pub db: AccessDb<'a>,
    pub owner: TenantId,
    pub bearer: &'a Bearer,
}

impl<'a> Owner<'a> {
    pub fn platform<P>(deps: &'a Deps, by: &'a Platform<P>) -> Self {
        Self {
            deps,
            db: deps.db.access(TenantId::PLATFORM).by(&by.actor),
            owner: TenantId::PLATFORM,
            bearer: &by.bearer,
        }
    }

    /// If there is such a tenant.
    pub async fn tenant<P>(deps: &'a Deps, scope: &'a TenantScope<P>) -> Result<Self, Failure> {
        deps.tenant(scope).await?;
        Ok(Self {
            deps,
            db: deps.db.access(scope.tenant).by(&scope.actor),
            owner: scope.tenant,
            bearer: &scope.bearer,
        })
    }
}
