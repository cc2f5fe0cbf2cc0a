//! Keys for programs that use this API: a tenant's, and the platform's own.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    owner::Owner,
    path::{ApiKeyPath, PlatformApiKeyPath, TenantPath},
    schema,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_auth::{Bearer, Permission, Role, Via, secure_random};
use ccm_db::{ApiKeyRow, DbError};
use ccm_model::ApiKeyId;
use ccm_web::{Json, Page, PageQuery, Path, Platform, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "CRM", "role": "tenant-viewer", "scopes": ["read-texts"], "expires_at": "2027-12-31T00:00:00Z"}))]
pub struct NewApiKey {
    /// For people; unique among the keys in use.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(schema_with = schema::role)]
    role: Role,
    /// Which of the role's permissions it has. Left out or `null`: all of them.
    #[serde(default)]
    #[schema(schema_with = schema::scopes)]
    scopes: Option<BTreeSet<Scope>>,
    /// From when on it is refused. Left out: never.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

/// A permission by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Scope(Permission);

impl TryFrom<String> for Scope {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        name.parse().map(Self)
    }
}

/// A key that is to take another one's place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_s": 86400}))]
pub struct RotateApiKey {
    /// For how many seconds the old key goes on, until everybody has the new one: 0 to 2592000 (30 days).
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    overlap_s: u32,
    /// From when on the new key is refused. Left out: it holds for as long as the old one was made to.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

const MAX_OVERLAP_S: u32 = 30 * 86_400;

fn a_day() -> u32 {
    86_400
}

/// A key, without the key itself: that is stored nowhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKey {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    #[schema(example = "CRM")]
    name: String,
    /// The key's first characters, to tell keys apart.
    #[schema(example = "ccm_kV3xT0")]
    prefix: String,
    #[schema(schema_with = schema::role)]
    role: String,
    /// Which of the role's permissions it has; `null`: all of them.
    #[schema(schema_with = schema::scopes_of)]
    scopes: Option<Vec<String>>,
    /// Who made it.
    #[schema(example = "mary")]
    created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// From when on it is refused; `null`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<OffsetDateTime>,
    /// To the minute; `null`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<OffsetDateTime>,
    /// Since when it is refused although it has not expired; `null`: it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    revoked_at: Option<OffsetDateTime>,
    /// The key that takes its place; `null`: none.
    #[schema(value_type = Option<Uuid>, required)]
    replaced_by: Option<ApiKeyId>,
}

/// A key that was made: the only answer that ever shows it. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeApiKey {
    #[serde(flatten)]
    about: ApiKey,
    /// The key, to be sent as `Authorization: Bearer KEY`. Shown this once.
    #[schema(example = "ccm_kV3xT0q_Zr8-bW2mkV3xT0q_Zr8-bW2mkV3xT0q_Zr8")]
    key: String,
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            role: row.role,
            scopes: row.scopes,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            replaced_by: row.replaced_by,
        }
    }
}

/// Keys of an owner.
struct Keys<'a>(Owner<'a>);

impl Keys<'_> {
    async fn create(&self, new: NewApiKey) -> Result<Made<MadeApiKey>, Failure> {
        let now = self.0.deps.ids.clock().now();
        valid::name("name", &new.name, 100)?;
        valid::role_of("role", new.role, self.0.owner)?;
        to_come(new.expires_at, now)?;
        let scopes: Option<Vec<Permission>> =
            new.scopes.map(|scopes| scopes.into_iter().map(|s| s.0).collect());
        check_scopes(new.role, scopes.as_deref())?;
        not_more_than_own(self.0.bearer, new.role, scopes.as_deref())?;
        self.not_longer_than_own(new.expires_at)?;
        let names: Option<Vec<String>> =
            scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect());
        let key = ccm_auth::ApiKey::generate(secure_random);
        let row = ccm_db::NewApiKey {
            id: self.0.deps.ids.next(),
            name: &new.name,
            prefix: key.prefix(),
            lookup_hash: &key.lookup_hash(&self.0.deps.lookup_key),
            role: new.role.as_str(),
            scopes: names.as_deref(),
            created_by: &self.0.bearer.sub,
            expires_at: new.expires_at,
        };
        match self.0.db.create_api_key(row).await {
            Err(DbError::Conflict { .. }) => Err(Failure::exists("API key in use", "name", None::<ApiKeyId>)),
            made => Ok(shown(made?, &key)),
        }
    }

    async fn rotate(&self, id: ApiKeyId, asked: RotateApiKey) -> Result<Made<MadeApiKey>, Failure> {
        let now = self.0.deps.ids.clock().now();
        if asked.overlap_s > MAX_OVERLAP_S {
            return Err(Refused::new(
                "overlap_s",
                "is more than 2592000 seconds, which are 30 days",
                "give the time that it takes to bring the new key everywhere",
            )
            .into());
        }
        to_come(asked.expires_at, now)?;
        let old = self.0.db.api_key(id).await?;
        let role: Role = old.role.parse().map_err(DbError::Corrupt)?;
        let scopes = old.scopes.as_ref().map(|names| {
            let known = names.iter().filter_map(|name| name.parse().ok());
            known.collect::<Vec<Permission>>()
        });
        not_more_than_own(self.0.bearer, role, scopes.as_deref())?;
        let key = ccm_auth::ApiKey::generate(secure_random);
        let as_long = old.expires_at.map(|end| now + (end - old.created_at));
        let new = ccm_db::NewApiKey {
            id: self.0.deps.ids.next(),
            name: &old.name,
            prefix: key.prefix(),
            lookup_hash: &key.lookup_hash(&self.0.deps.lookup_key),
            role: &old.role,
            scopes: old.scopes.as_deref(),
            created_by: &self.0.bearer.sub,
            expires_at: asked.expires_at.or(as_long),
        };
        if new.expires_at != as_long {
            self.not_longer_than_own(new.expires_at)?;
        }
        let old_until = now + Duration::seconds(asked.overlap_s.into());
        match self.0.db.rotate_api_key(id, old_until, now, new).await {
            Err(DbError::NotFound(_)) => Err(Problem::conflict(
                "the key is not in use: it has expired, was revoked, or has been replaced already",
            )
            .remedy("rotate the key that took its place (replaced_by), or make a new one")
            .into()),
            made => Ok(shown(made?, &key)),
        }
    }

    /// 403 when a key would make one that outlives it.
    fn not_longer_than_own(&self, expires_at: Option<OffsetDateTime>) -> Result<(), Failure> {
        let Via::ApiKey(_) = self.0.bearer.via else {
            return Ok(());
        };
        let end = self.0.bearer.until;
        if end.is_none_or(|end| expires_at.is_some_and(|at| at <= end)) {
            return Ok(());
        }
        Err(Problem::new(
            axum::http::StatusCode::FORBIDDEN,
            "forbidden",
            "The token does not allow this",
        )
        .detail("an API key makes no key that is good for longer than itself")
        .field("expires_at")
        .remedy("name a time before this key's own end, or have a person make it")
        .into())
    }

    async fn list(&self, page: &PageQuery) -> Result<Json<Page<ApiKey>>, Failure> {
        let limit = page.limit()?;
        let rows = self.0.db.api_keys(page.position()?, limit as i64 + 1).await?;
        let items = rows.into_iter().map(ApiKey::from).collect();
        Ok(Json(Page::cut(items, limit, |key: &ApiKey| key.id)))
    }

    async fn get(&self, id: ApiKeyId) -> Result<Json<ApiKey>, Failure> {
        Ok(Json(self.0.db.api_key(id).await?.into()))
    }

    async fn revoke(&self, id: ApiKeyId) -> Result<Gone, Failure> {
        self.0
            .db
            .revoke_api_key(id, self.0.deps.ids.clock().now())
            .await?;
        Ok(Gone)
    }
}

fn shown(row: ApiKeyRow, key: &ccm_auth::ApiKey) -> Made<MadeApiKey> {
    Made(MadeApiKey {
        about: row.into(),
        key: key.expose().to_owned(),
    })
}

fn to_come(expires_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Refused> {
    match expires_at.is_some_and(|at| at <= now) {
        true => Err(Refused::new(
            "expires_at",
            "has passed",
            "give a time to come, or leave it out",
        )),
        false => Ok(()),
    }
}

fn check_scopes(role: Role, scopes: Option<&[Permission]>) -> Result<(), Refused> {
    let Some(scopes) = scopes else {
        return Ok(());
    };
    let beyond = scopes.iter().find(|scope| !role.may(**scope));
    if let Some(beyond) = beyond {
        return Err(Refused::new(
            "scopes",
            format!("holds {beyond}, which the role {role} does not bring"),
            "leave it out, or choose a role that brings it; docs/api.md has the table",
        ));
    }
    match scopes.is_empty() {
        true => Err(Refused::new(
            "scopes",
            "is empty: the key could do nothing",
            "name some, or leave it out for all of the role's",
        )),
        false => Ok(()),
    }
}

/// 403 when somebody would give away more than they have.
pub fn not_more_than_own(bearer: &Bearer, role: Role, scopes: Option<&[Permission]>) -> Result<(), Problem> {
    match bearer.lacks(role, scopes) {
        None => Ok(()),
        Some(permission) => Err(Problem::new(
            axum::http::StatusCode::FORBIDDEN,
            "forbidden",
            "The token does not allow this",
        )
        .detail(format!(
            "it would give the permission {permission}, which you do not have yourself"
        ))
        .field("role")
        .remedy("choose a lesser role, or ask somebody who has the permission")),
    }
}

/// Make an API key of the platform
///
/// It is for a program that deals with all tenants. The key is shown in this answer and never again. Nobody can give a key more than
/// they may do themselves. For the role platform-admin.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api-keys",
    responses((status = 201, description = "Made.", body = MadeApiKey), Always, Making, Taking))]
pub async fn create_platform_api_key(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Json(new): Json<NewApiKey>,
) -> Result<Made<MadeApiKey>, Failure> {
    Keys(Owner::platform(&deps, &by)).create(new).await
}

/// List the platform's API keys, the oldest first
///
/// For the role platform-admin.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api-keys", params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<ApiKey>), Always))]
pub async fn list_platform_api_keys(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Failure> {
    Keys(Owner::platform(&deps, &by)).list(&page).await
}

/// Read an API key of the platform
///
/// For the role platform-admin.
#[utoipa::path(get, path = "/v1/api-keys/{key}", tag = "api-keys", params(PlatformApiKeyPath),
    responses((status = 200, description = "The key.", body = ApiKey), Always, InTenant))]
pub async fn get_platform_api_key(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformApiKeyPath>,
) -> Result<Json<ApiKey>, Failure> {
    Keys(Owner::platform(&deps, &by)).get(path.key).await
}

/// Revoke an API key of the platform
///
/// It is refused from the next request on, on every pod. The row stays, for those who read the audit. For the role platform-admin.
#[utoipa::path(delete, path = "/v1/api-keys/{key}", tag = "api-keys", params(PlatformApiKeyPath),
    responses((status = 204, description = "It is revoked."), Always, InTenant))]
pub async fn revoke_platform_api_key(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformApiKeyPath>,
) -> Result<Gone, Failure> {
    Keys(Owner::platform(&deps, &by)).revoke(path.key).await
}

/// Put a new API key of the platform in an old one's place
///
/// Both are taken for as long as they overlap. The new key is shown in this answer and never again. For the role platform-admin.
#[utoipa::path(post, path = "/v1/api-keys/{key}/rotate", tag = "api-keys", params(PlatformApiKeyPath),
    responses((status = 201, description = "Made.", body = MadeApiKey), Always, InTenant, Making, Taking))]
pub async fn rotate_platform_api_key(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformApiKeyPath>,
    Json(asked): Json<RotateApiKey>,
) -> Result<Made<MadeApiKey>, Failure> {
    Keys(Owner::platform(&deps, &by)).rotate(path.key, asked).await
}

/// Make an API key of a tenant
///
/// It is for a program of the tenant's. The key is shown in this answer and never again. Nobody can give a key more than they may do
/// themselves. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/api-keys", tag = "api-keys", params(TenantPath),
    responses((status = 201, description = "Made.", body = MadeApiKey), Always, InTenant, Making, Taking))]
pub async fn create_api_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Json(new): Json<NewApiKey>,
) -> Result<Made<MadeApiKey>, Failure> {
    Keys(Owner::tenant(&deps, &scope).await?).create(new).await
}

/// List a tenant's API keys, the oldest first
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/api-keys", tag = "api-keys", params(TenantPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<ApiKey>), Always, InTenant))]
pub async fn list_api_keys(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Failure> {
    Keys(Owner::tenant(&deps, &scope).await?).list(&page).await
}

/// Read an API key of a tenant
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/api-keys/{key}", tag = "api-keys", params(ApiKeyPath),
    responses((status = 200, description = "The key.", body = ApiKey), Always, InTenant))]
pub async fn get_api_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<ApiKeyPath>,
) -> Result<Json<ApiKey>, Failure> {
    Keys(Owner::tenant(&deps, &scope).await?).get(path.key).await
}

/// Revoke an API key of a tenant
///
/// It is refused from the next request on, on every pod. The row stays, for those who read the audit. For the roles platform-admin
/// and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/api-keys/{key}", tag = "api-keys", params(ApiKeyPath),
    responses((status = 204, description = "It is revoked."), Always, InTenant))]
pub async fn revoke_api_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<ApiKeyPath>,
) -> Result<Gone, Failure> {
    Keys(Owner::tenant(&deps, &scope).await?).revoke(path.key).await
}

/// Put a new API key of a tenant in an old one's place
///
/// Both are taken for as long as they overlap. The new key is shown in this answer and never again. For the roles platform-admin and
/// engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/api-keys/{key}/rotate", tag = "api-keys", params(ApiKeyPath),
    responses((status = 201, description = "Made.", body = MadeApiKey), Always, InTenant, Making, Taking))]
pub async fn rotate_api_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<ApiKeyPath>,
    Json(asked): Json<RotateApiKey>,
) -> Result<Made<MadeApiKey>, Failure> {
    Keys(Owner::tenant(&deps, &scope).await?)
        .rotate(path.key, asked)
        .await
}
