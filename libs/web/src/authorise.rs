use crate::{Problem, RequestId, identify::Caller};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use ccm_auth::{Bearer, Denied, Permission, Via};
use ccm_model::{Actor, Id, TenantId};
use std::marker::PhantomData;

/// A permission as a type, so that it stands in a handler's signature. [`may`] has them all.
pub trait Permit: Send + Sync + 'static {
    /// Which.
    const PERMISSION: Permission;
}

/// The permissions as types.
pub mod may {
    use super::{Permission, Permit};

    macro_rules! permits {
        ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl Permit for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )*};
    }

    permits! {
        /// [`Permission::ListTenants`]
        ListTenants,
        /// [`Permission::CreateTenants`]
        CreateTenants,
        /// [`Permission::SuspendTenants`]
        SuspendTenants,
        /// [`Permission::DeleteTenants`]
        DeleteTenants,
        /// [`Permission::ReadSettings`]
        ReadSettings,
        /// [`Permission::WriteSettings`]
        WriteSettings,
        /// [`Permission::ReadTexts`]
        ReadTexts,
        /// [`Permission::ManageAccess`]
        ManageAccess,
        /// [`Permission::ManagePlatformAccess`]
        ManagePlatformAccess,
        /// [`Permission::ReadAudit`]
        ReadAudit,
        /// [`Permission::DeclareRestores`]
        DeclareRestores,
    }
}

/// Somebody who is known, whatever the role. The router must be behind [`crate::identify`].
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub bearer: Bearer,
    /// The same, for the audit.
    pub actor: Actor,
}

/// Somebody who may do `P` to the platform as a whole.
#[derive(Debug, Clone)]
pub struct Platform<P> {
    pub bearer: Bearer,
    /// The same, for the audit.
    pub actor: Actor,
    permission: PhantomData<P>,
}

/// Somebody who may do `P` to the tenant in the path's `{tenant}`.
#[derive(Debug, Clone)]
pub struct TenantScope<P> {
    /// The tenant in the path. It need not exist.
    pub tenant: TenantId,
    pub bearer: Bearer,
    /// The same, for the audit.
    pub actor: Actor,
    permission: PhantomData<P>,
}

impl<S: Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let RequestId(request) = RequestId::from_request_parts(parts, state).await?;
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.ok_or_else(|| Problem::internal("the router is not behind identify"))?;
        let bearer = caller.bearer.clone()?;
        let actor = Actor {
            sub: bearer.sub.clone(),
            role: bearer.role.as_str(),
            via: bearer.via.as_str(),
            key: match bearer.via {
                Via::ApiKey(id) => Some(id.uuid()),
                Via::Token | Via::Oidc(_) => None,
            },
            user: match bearer.via {
                Via::Oidc(id) => Some(id.uuid()),
                Via::Token | Via::ApiKey(_) => None,
            },
            from: caller.from,
            request,
        };
        Ok(Self { bearer, actor })
    }
}

impl<S: Send + Sync, P: Permit> FromRequestParts<S> for Platform<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated { bearer, actor } = Authenticated::from_request_parts(parts, state).await?;
        allowed(bearer.permit(P::PERMISSION))?;
        Ok(Self {
            bearer,
            actor,
            permission: PhantomData,
        })
    }
}

impl<S: Send + Sync, P: Permit> FromRequestParts<S> for TenantScope<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated { bearer, actor } = Authenticated::from_request_parts(parts, state).await?;
        let tenant = tenant_in_path(parts, state).await?;
        allowed(bearer.permit_on(P::PERMISSION, tenant))?;
        Ok(Self {
            tenant,
            bearer,
            actor,
            permission: PhantomData,
        })
    }
}

fn allowed(permitted: Result<(), Denied>) -> Result<(), Problem> {
    permitted.map_err(|denied| Problem::forbidden(&denied))
}

async fn tenant_in_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<TenantId, Problem> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::invalid_field("tenant", "the path is not UTF-8"))?;
    let Some((_, raw)) = params.iter().find(|(name, _)| *name == "tenant") else {
        return Err(Problem::internal(
            "a route with a TenantScope has no {tenant} in its path",
        ));
    };
    raw.parse()
        .ok()
        .filter(|tenant| *tenant != TenantId::PLATFORM)
        .ok_or_else(|| {
            Problem::invalid_field("tenant", "the path's tenant is not a UUID")
                .remedy("use the tenant's id as the API gave it out")
        })
}
