use crate::{Problem, Rate, TrustedProxies};
use axum::http::{StatusCode, request::Parts};
use ccm_auth::{AuthKey, LookupKey};
use ccm_db::Db;
use ccm_model::{AuthKeyId, IdSource, KeyUse, TenantId};
use ipnet::IpNet;
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

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
    /// Whoever has this key, if it opens what it is used for; `parts` say from where. Whose wrong keys are not bounded elsewhere calls
    /// [`WrongKeys::bound`] too.
    pub async fn admit<S: KeyCheck>(
        key: Option<&str>,
        parts: &Parts,
        wanted: KeyUse,
        check: &S,
    ) -> Result<Self, Problem> {
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
        if !owner.uses.contains(&wanted) {
            return Err(other_use(wanted));
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

/// How often wrong keys may come from one network address. Each pod counts for itself. Cheap to clone.
#[derive(Clone)]
pub struct WrongKeys(Rate<IpAddr>);

impl Default for WrongKeys {
    /// Twenty at once, then ten a minute.
    fn default() -> Self {
        const A_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
        const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).unwrap();
        Self(Rate::new(A_MINUTE, AT_ONCE))
    }
}

impl WrongKeys {
    /// Counts a wrong key. `Err`: there were too many, and for how long no more is looked at.
    pub fn count(&self, from: Option<IpAddr>) -> Result<(), Duration> {
        from.map_or(Ok(()), |from| self.0.take(&from).map(drop))
    }

    /// What a request gets that was not let in: who has a good key is not held up by somebody who has a wrong one.
    pub fn bound<S: KeyCheck>(&self, refused: Problem, parts: &Parts, check: &S) -> Problem {
        if refused.status() != StatusCode::UNAUTHORIZED {
            return refused;
        }
        let from = check.proxies().caller(&parts.extensions, &parts.headers);
        self.count(from).map_or_else(too_many, |()| refused)
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

fn other_use(wanted: KeyUse) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "wrong-use", "The key does not open this")
        .detail(format!(
            "the key's tenant lets it be used for other things than {wanted}"
        ))
        .remedy(format!(
            "use a key of its own, or add {wanted} to the key's uses: PATCH …/auth-keys/{{key}}"
        ))
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-wrong-keys",
        "Too many wrong keys",
    )
    .detail("too many requests with wrong keys came from this network address")
    .remedy(format!(
        "use a key that is in use, and ask again in {seconds} seconds"
    ))
}

fn unknown() -> Problem {
    Problem::key_needed("the key is none of ours, has expired, or was revoked")
}

fn suspended() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "suspended", "The tenant is suspended")
        .detail("nothing is sent for a tenant that is suspended, and nobody is asked about numbers")
        .remedy("ask whoever runs the platform")
}
