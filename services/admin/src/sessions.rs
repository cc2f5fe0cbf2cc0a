//! Who asks, and their stay at the console.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, Made},
    schema,
};
use axum::extract::State;
use ccm_auth::{Bearer, Permission, Role, SessionKey, Via, secure_random};
use ccm_db::{NewSession, SignedIn};
use ccm_model::{SessionId, TenantId};
use ccm_web::{Authenticated, Json, Problem};
use serde::Serialize;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::{IntoResponses, ToSchema};

/// How long somebody stays signed in.
#[derive(Debug, Clone, Copy)]
pub struct SessionTimes {
    /// At most.
    pub at_most: Duration,
    /// Without asking anything.
    pub idle: Duration,
}

/// Whoever asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// As the audit has them.
    #[schema(example = "mary@example.com")]
    subject: String,
    #[schema(schema_with = schema::role)]
    role: Role,
    /// In which they are what they are; `null`: on the platform.
    #[schema(value_type = Option<Uuid>, required)]
    tenant: Option<TenantId>,
    /// What they may do.
    #[schema(example = json!(["list-tenants", "read-settings", "read-audit"]))]
    permissions: Vec<String>,
    /// By what they are known.
    #[schema(value_type = String, pattern = "^(token|oidc|api_key)$", example = "oidc")]
    via: &'static str,
    /// The session that they are in; `null`: the token or key itself was shown.
    #[schema(value_type = Option<Uuid>, required)]
    session: Option<SessionId>,
    /// From when on what they have shown is refused; `null`: it does not say.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<OffsetDateTime>,
}

impl From<Bearer> for Me {
    fn from(bearer: Bearer) -> Self {
        let held = Permission::ALL
            .iter()
            .filter(|permission| bearer.holds(**permission));
        Self {
            permissions: held.map(ToString::to_string).collect(),
            subject: bearer.sub,
            role: bearer.role,
            tenant: bearer.tenant,
            via: bearer.via.as_str(),
            session: bearer.session,
            expires_at: bearer.until,
        }
    }
}

/// A session that was begun. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeSession {
    #[schema(value_type = Uuid)]
    id: SessionId,
    /// The session's key, to be sent as `Authorization: Bearer KEY`. Shown this once.
    #[schema(example = "ccms_kV3xT0q_Zr8-bW2mkV3xT0q_Zr8-bW2mkV3xT0q_Zr8")]
    key: String,
    /// When it ends at the latest.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

/// How beginning and ending a session can fail, besides [`Always`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum InSession {
    /// A session was shown where a token or key is wanted, or the other way round.
    #[response(status = 409, content_type = "application/problem+json")]
    WrongKind(Problem),
}

/// Who asks
///
/// What the token, key or session of this request is good for. For every role: platform-admin, engineer, support, tenant-admin and tenant-viewer.
#[utoipa::path(get, path = "/v1/me", tag = "sessions",
    responses((status = 200, description = "Who asks.", body = Me), Always))]
pub async fn get_me(by: Authenticated) -> Json<Me> {
    Json(by.bearer.into())
}

/// Sign in: begin a session
///
/// Its key is good in place of the token or API key that this request shows, until it is signed out, is not used for an hour, or is
/// twelve hours old (`admin.session_idle_ms`, `admin.session_ms`); it ends with an API key, or a token that was issued here, that ends before that, and with the user's
/// being disabled or the key's being revoked. A user's role counts as it is at each request.
/// For every role: platform-admin, engineer, support, tenant-admin and tenant-viewer.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions",
    responses((status = 201, description = "Begun.", body = MadeSession), Always, InSession))]
pub async fn create_session(
    State(deps): State<Deps>,
    by: Authenticated,
) -> Result<Made<MadeSession>, Failure> {
    let bearer = &by.bearer;
    if bearer.session.is_some() {
        return Err(Problem::conflict("a session makes no other session")
            .remedy("show the token or API key itself")
            .into());
    }
    let now = deps.ids.clock().now();
    let latest = now + deps.sessions.at_most;
    let expires_at = bearer.until.map_or(latest, |until| until.min(latest));
    let scopes = bearer
        .scopes
        .as_ref()
        .map(|scopes| scopes.iter().map(ToString::to_string).collect::<Vec<_>>());
    let key = SessionKey::generate(secure_random);
    let new = NewSession {
        id: deps.ids.next(),
        lookup_hash: &key.lookup_hash(&deps.lookup_key),
        by: match bearer.via {
            Via::Token => SignedIn::Token,
            Via::Oidc(user) => SignedIn::User(user),
            Via::ApiKey(key) => SignedIn::ApiKey(key),
        },
        subject: &bearer.sub,
        role: bearer.role.as_str(),
        scopes: scopes.as_deref(),
        now,
        expires_at,
    };
    let id = new.id;
    let owner = bearer.tenant.unwrap_or(TenantId::PLATFORM);
    deps.db.access(owner).by(&by.actor).create_session(new).await?;
    Ok(Made(MadeSession {
        id,
        key: key.expose().to_owned(),
        expires_at,
    }))
}

/// Sign out: end the session
///
/// From the next request on its key is refused, on every pod. For every role: platform-admin, engineer, support, tenant-admin and tenant-viewer.
#[utoipa::path(delete, path = "/v1/me/session", tag = "sessions",
    responses((status = 204, description = "It is over."), Always, InSession))]
pub async fn delete_session(State(deps): State<Deps>, by: Authenticated) -> Result<Gone, Failure> {
    let Some(session) = by.bearer.session else {
        return Err(
            Problem::conflict("this request shows a token or an API key, which is no session")
                .remedy("show the key of the session that is to end")
                .into(),
        );
    };
    let owner = by.bearer.tenant.unwrap_or(TenantId::PLATFORM);
    let access = deps.db.access(owner).by(&by.actor);
    access.end_session(session, deps.ids.clock().now()).await?;
    Ok(Gone)
}
