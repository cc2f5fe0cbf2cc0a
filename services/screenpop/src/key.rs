use crate::{Deps, failure::Failure};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use ccm_auth::AuthKey;
use ccm_model::TenantId;
use ccm_web::Problem;
use ipnet::IpNet;
use std::net::IpAddr;

/// Somebody with a good screen-pop key: what a handler asks for that serves agents' pages.
#[derive(Debug, Clone, Copy)]
pub struct KeyHolder {
    /// Whose key it is.
    pub tenant: TenantId,
}

impl FromRequestParts<Deps> for KeyHolder {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, deps: &Deps) -> Result<Self, Failure> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let key = header
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .ok_or_else(|| Problem::key_needed("the request carries no key"))?;
        let key = AuthKey::parse(key).map_err(|_| unknown())?;
        let hash = key.lookup_hash(&deps.lookup_key);
        let now = deps.ids.clock().now();
        let owner = deps.db.operator().auth_key_owner(&hash, now).await?;
        let owner = owner.ok_or_else(unknown)?;
        let from = deps.proxies.caller(&parts.extensions, &parts.headers);
        if !owner.networks.is_empty() && !within(&owner.networks, from) {
            return Err(elsewhere().into());
        }
        let db = deps.db.tenant(owner.tenant);
        if db.tenant().await?.state == "suspended" {
            return Err(suspended().into());
        }
        db.auth_key_used(owner.key, now).await?;
        Ok(Self { tenant: owner.tenant })
    }
}

/// What cannot be read lets nobody in.
fn within(networks: &[String], from: Option<IpAddr>) -> bool {
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
