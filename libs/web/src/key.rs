use crate::{Problem, TrustedProxies, identify::token};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use ccm_auth::{AuthKey, LookupKey};
use ccm_db::Db;
use ccm_model::{AuthKeyId, IdSource, TenantId};
use ipnet::IpNet;
use std::net::IpAddr;

/// What a role checks screen-pop keys with.
pub trait KeyCheck: Send + Sync {
    fn db(&self) -> &Db;
    /// The clock that keys expire by.
    fn ids(&self) -> &IdSource;
    /// Keys are stored as hashes under it.
    fn lookup_key(&self) -> &LookupKey;
    /// Proxies that are believed when they say for whom they ask: keys can be bound to networks.
    fn proxies(&self) -> &TrustedProxies;
}

/// Somebody with a good screen-pop key: what a handler asks for that serves a tenant's agents or scripts.
#[derive(Debug, Clone, Copy)]
pub struct KeyHolder {
    /// Whose key it is.
    pub tenant: TenantId,
    pub key: AuthKeyId,
}

impl KeyHolder {
    /// For a key that came in another place than `Authorization`; `parts` say from where.
    pub async fn admit<S: KeyCheck>(key: Option<&str>, parts: &Parts, check: &S) -> Result<Self, Problem> {
        let key = key.ok_or_else(|| Problem::key_needed("the request carries no key"))?;
        let key = AuthKey::parse(key).map_err(|_| unknown())?;
        let hash = key.lookup_hash(check.lookup_key());
        let now = check.ids().clock().now();
        let owner = check.db().operator().auth_key_owner(&hash, now).await?;
        let owner = owner.ok_or_else(unknown)?;
        let from = check.proxies().caller(&parts.extensions, &parts.headers);
        if !owner.networks.is_empty() && !within(&owner.networks, from) {
            return Err(elsewhere());
        }
        let db = check.db().tenant(owner.tenant);
        if db.tenant().await?.state == "suspended" {
            return Err(suspended());
        }
        db.auth_key_used(owner.key, now).await?;
        Ok(Self {
            tenant: owner.tenant,
            key: owner.key,
        })
    }
}

impl<S: KeyCheck> FromRequestParts<S> for KeyHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, check: &S) -> Result<Self, Problem> {
        Self::admit(token(&parts.headers), parts, check).await
    }
}

/// Whether somebody comes from one of these networks. What cannot be read lets nobody in.
pub fn within(networks: &[String], from: Option<IpAddr>) -> bool {
    let mut networks = networks.iter().filter_map(|raw| raw.parse::<IpNet>().ok());
    from.is_some_and(|ip| networks.any(|network| network.contains(&ip)))
}

fn elsewhere() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "wrong-network",
        "The key may not be used from here",
    )
    .detail("the key's tenant lets it be used from some networks only, and this is none of them")
    .remedy("add the network that the request comes from to the key's networks: PATCH …/auth-keys/{key}")
}

fn unknown() -> Problem {
    Problem::key_needed("the key is none of ours, has expired, or was revoked")
}

fn suspended() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "suspended", "The tenant is suspended")
        .detail("nothing is sent for a tenant that is suspended, and nobody is asked about numbers")
        .remedy("ask whoever runs the platform")
}
