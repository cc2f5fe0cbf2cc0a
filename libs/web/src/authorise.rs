use crate::Problem;
use axum::{
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::{header, request::Parts},
};
use ccm_auth::{Claims, Permission, TokenVerifier};
use ccm_model::TenantId;
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
    }
}

/// Somebody with a good token, whatever the role.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Claims);

/// Somebody who runs the platform.
#[derive(Debug, Clone)]
pub struct PlatformAdmin(pub Claims);

/// Somebody who may do `P` to the platform as a whole.
#[derive(Debug, Clone)]
pub struct Platform<P> {
    /// The bearer.
    pub claims: Claims,
    permission: PhantomData<P>,
}

/// Somebody who may do `P` to the tenant in the path's `{tenant}`.
#[derive(Debug, Clone)]
pub struct TenantScope<P> {
    /// The tenant in the path. It need not exist.
    pub tenant: TenantId,
    /// The bearer.
    pub claims: Claims,
    permission: PhantomData<P>,
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Problem::unauthorised(None))?;
        TokenVerifier::from_ref(state)
            .verify(token)
            .map(Self)
            .map_err(|error| Problem::unauthorised(Some(error)))
    }
}

impl<S> FromRequestParts<S> for PlatformAdmin
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(claims) = Authenticated::from_request_parts(parts, state).await?;
        claims
            .permit_platform_admin()
            .map_err(|d| Problem::forbidden(&d))?;
        Ok(Self(claims))
    }
}

impl<S, P> FromRequestParts<S> for Platform<P>
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
    P: Permit,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(claims) = Authenticated::from_request_parts(parts, state).await?;
        claims.permit(P::PERMISSION).map_err(|d| Problem::forbidden(&d))?;
        Ok(Self {
            claims,
            permission: PhantomData,
        })
    }
}

impl<S, P> FromRequestParts<S> for TenantScope<P>
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
    P: Permit,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(claims) = Authenticated::from_request_parts(parts, state).await?;
        let tenant = tenant_in_path(parts, state).await?;
        claims
            .permit_on(P::PERMISSION, tenant)
            .map_err(|d| Problem::forbidden(&d))?;
        Ok(Self {
            tenant,
            claims,
            permission: PhantomData,
        })
    }
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
    raw.parse().map_err(|_| {
        Problem::invalid_field("tenant", "the path's tenant is not a UUID")
            .remedy("use the tenant's id as the API gave it out")
    })
}
