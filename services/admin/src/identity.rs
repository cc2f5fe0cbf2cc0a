//! Who asks: by a token of ours, by a token of an OIDC issuer, by an API key, or by the session that one of these has begun.
//!
//! Keys, users and sessions are looked up for each request: whoever is revoked or disabled is out with the next one, on every pod, whether
//! or not Redis is there.

use crate::oidc::Oidc;
use ccm_auth::{
    ApiKey, Bearer, Identity, LookupKey, Permission, Role, SessionKey, TokenError, TokenVerifier, Via,
};
use ccm_db::{ApiKeyRow, Db, DbError, SessionRow, SignedIn, UserRow};
use ccm_model::{Clock, TenantId};
use ccm_web::{Gatekeeper, Problem};

/// Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    pub db: Db,
    pub tokens: TokenVerifier,
    pub oidc: Oidc,
    pub lookup_key: LookupKey,
    /// How long a session lasts that is not used.
    pub session_idle: std::time::Duration,
    pub clock: Clock,
}

impl Gatekeeper for Gate {
    async fn admit(&self, token: &str) -> Result<Bearer, Problem> {
        let bearer = if ApiKey::looks_like(token) {
            self.key(token).await
        } else if SessionKey::looks_like(token) {
            self.session(token).await
        } else if let Some(issuer) = self.oidc.issuer_of(token) {
            self.person(issuer.identify(token, self.clock.now()).await?).await
        } else {
            Ok(self.tokens.verify(token))
        };
        match bearer {
            Ok(Ok(bearer)) => Ok(bearer),
            Ok(Err(error)) => Err(Problem::unauthorised(Some(error))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Or what the bearer is told.
type Admitted = Result<Result<Bearer, TokenError>, DbError>;

impl Gate {
    async fn key(&self, text: &str) -> Admitted {
        let refused = Ok(Err(TokenError::ApiKey));
        let Some(key) = ApiKey::parse(text) else {
            return refused;
        };
        let now = self.clock.now();
        let hash = key.lookup_hash(&self.lookup_key);
        let Some(row) = self.db.operator().find_api_key(&hash, now).await? else {
            return refused;
        };
        if row
            .last_used_at
            .is_none_or(|last| now - last >= time::Duration::MINUTE)
        {
            self.db.access(row.owner).api_key_used(row.id, now).await?;
        }
        Ok(Ok(bearer_of_key(row)?))
    }

    async fn session(&self, text: &str) -> Admitted {
        let refused = Ok(Err(TokenError::Session));
        let Some(key) = SessionKey::parse(text) else {
            return refused;
        };
        let now = self.clock.now();
        let hash = key.lookup_hash(&self.lookup_key);
        let idle_since = now - self.session_idle;
        let Some(row) = self.db.operator().find_session(&hash, now, idle_since).await? else {
            return refused;
        };
        if now - row.last_used_at >= time::Duration::MINUTE {
            self.db.access(row.owner).session_used(row.id, now).await?;
        }
        Ok(Ok(bearer_of_session(row)?))
    }

    async fn person(&self, identity: Identity) -> Admitted {
        let Identity {
            issuer,
            subject,
            email,
        } = identity;
        let db = self.db.operator();
        let Some(user) = db.find_user(&issuer, &subject, email.as_deref()).await? else {
            return Ok(Err(TokenError::NoUser));
        };
        if user.disabled_at.is_some() {
            return Ok(Err(TokenError::Disabled));
        }
        let now = self.clock.now();
        let fresh = user
            .last_seen_at
            .is_some_and(|last| now - last < time::Duration::MINUTE);
        if !fresh || user.subject.is_none() {
            self.db
                .access(user.owner)
                .user_seen(user.id, &subject, now)
                .await?;
        }
        Ok(Ok(bearer_of_user(user)?))
    }
}

fn bearer_of_key(row: ApiKeyRow) -> Result<Bearer, DbError> {
    let (role, tenant) = standing(&row.role, row.owner)?;
    Ok(Bearer {
        sub: row.name,
        role,
        tenant,
        scopes: row.scopes.map(|names| scopes(&names)),
        via: Via::ApiKey(row.id),
        until: row.expires_at,
        session: None,
    })
}

/// A scope that a newer version has made means nothing here.
fn scopes(names: &[String]) -> Vec<Permission> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

fn bearer_of_session(row: SessionRow) -> Result<Bearer, DbError> {
    let (role, tenant) = standing(&row.role, row.owner)?;
    Ok(Bearer {
        sub: row.subject,
        role,
        tenant,
        scopes: row.scopes.map(|names| scopes(&names)),
        via: match row.by {
            SignedIn::User(user) => Via::Oidc(user),
            SignedIn::ApiKey(key) => Via::ApiKey(key),
            SignedIn::Token => Via::Token,
        },
        until: Some(row.expires_at),
        session: Some(row.id),
    })
}

fn bearer_of_user(row: UserRow) -> Result<Bearer, DbError> {
    let (role, tenant) = standing(&row.role, row.owner)?;
    Ok(Bearer {
        sub: row.email.unwrap_or(row.name),
        role,
        tenant,
        scopes: None,
        via: Via::Oidc(row.id),
        until: None,
        session: None,
    })
}

/// A tenant's role is worth nothing on the platform, nor a platform's role in a tenant's hands.
fn standing(role: &str, owner: TenantId) -> Result<(Role, Option<TenantId>), DbError> {
    let role: Role = role.parse().map_err(DbError::Corrupt)?;
    let tenant = (owner != TenantId::PLATFORM).then_some(owner);
    match role.is_of_tenant() == tenant.is_some() {
        true => Ok((role, tenant)),
        false => Err(DbError::Corrupt(format!(
            "the role {role} is not one of its owner's kind"
        ))),
    }
}
