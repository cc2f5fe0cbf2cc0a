//! People whom an OIDC issuer knows, and what they are here: in a tenant, or on the platform.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    api_keys::not_more_than_own,
    owner::Owner,
    path::{PlatformUserPath, TenantPath, UserPath},
    schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_auth::Role;
use ccm_db::{DbError, UserChange, UserRow};
use ccm_model::{TenantId, UserId};
use ccm_web::{Json, Page, PageQuery, Path, Platform, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A user to be made. Named by `email` or by `subject`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Mary Byrne", "issuer": "https://login.example.com/realms/ccm", "email": "mary@example.com",
                          "role": "tenant-admin"}))]
pub struct NewUser {
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Who knows them: an issuer that this platform takes tokens of, as their tokens' `iss` has it.
    #[schema(min_length = 1, max_length = 500)]
    issuer: String,
    /// Their e-mail address at the issuer, which must have verified it. When they come for the first time, they are known by the
    /// token's `sub` for ever after.
    #[serde(default)]
    #[schema(min_length = 3, max_length = 320)]
    email: Option<String>,
    /// What the issuer's tokens call them: `sub`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 300)]
    subject: Option<String>,
    #[schema(schema_with = schema::role)]
    role: Role,
}

/// What is to become of a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"disabled": true}))]
pub struct ChangeUser {
    /// For people.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    #[serde(default)]
    #[schema(schema_with = schema::role)]
    role: Option<Role>,
    /// Whether their tokens are refused, from the next request on.
    #[serde(default)]
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// Somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[schema(value_type = Uuid)]
    id: UserId,
    #[schema(example = "Mary Byrne")]
    name: String,
    #[schema(example = "https://login.example.com/realms/ccm")]
    issuer: String,
    /// What the issuer calls them; `null` until they come for the first time.
    #[schema(required, example = "248289761001")]
    subject: Option<String>,
    #[schema(required, example = "mary@example.com")]
    email: Option<String>,
    #[schema(schema_with = schema::role)]
    role: String,
    /// Since when their tokens are refused; `null`: they are taken.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    disabled_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
    /// To the minute; `null`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_seen_at: Option<OffsetDateTime>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            issuer: row.issuer,
            subject: row.subject,
            email: row.email,
            role: row.role,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_seen_at: row.last_seen_at,
        }
    }
}

/// Users of an owner.
struct Users<'a>(Owner<'a>);

impl Users<'_> {
    async fn create(&self, new: NewUser) -> Result<Made<User>, Failure> {
        valid::name("name", &new.name, 200)?;
        if !self.0.deps.oidc.knows(&new.issuer) {
            return Err(Refused::new(
                "issuer",
                match self.0.deps.oidc.names().as_str() {
                    "" => "is unknown: this platform takes no issuer's tokens (oidc.issuers)".to_owned(),
                    names => format!("is none of those whose tokens are taken: {names}"),
                },
                "name one of them exactly, or have the operator of the platform add yours to oidc.issuers",
            )
            .into());
        }
        valid::role_of("role", new.role, self.0.owner)?;
        let email = new.email.as_deref().map(email).transpose()?;
        if let Some(subject) = &new.subject {
            valid::name("subject", subject, 300)?;
        }
        if email.is_none() && new.subject.is_none() {
            return Err(Refused::new(
                "email",
                "is missing, and so is subject",
                "name the user by one of them",
            )
            .into());
        }
        not_more_than_own(self.0.bearer, new.role, None)?;
        let row = ccm_db::NewUser {
            id: self.0.deps.ids.next(),
            name: &new.name,
            issuer: &new.issuer,
            subject: new.subject.as_deref(),
            email: email.as_deref(),
            role: new.role.as_str(),
        };
        match self.0.db.create_user(row).await {
            Err(DbError::Conflict { constraint, .. }) => {
                let field = if constraint.contains("email") {
                    "email"
                } else {
                    "subject"
                };
                Err(self
                    .taken(field, &new.issuer, new.subject.as_deref(), email.as_deref())
                    .await?)
            }
            made => Ok(Made(made?.into())),
        }
    }

    /// 409. Whose the other one is, is told to those who see all tenants.
    async fn taken(
        &self,
        field: &'static str,
        issuer: &str,
        subject: Option<&str>,
        email: Option<&str>,
    ) -> Result<Failure, DbError> {
        if self.0.bearer.role.is_of_tenant() {
            return Ok(Failure::exists("user", field, None::<UserId>));
        }
        let operator = self.0.deps.db.operator();
        let other = operator
            .find_user(issuer, subject.unwrap_or_default(), email)
            .await?;
        let place = other.map(|other| match other.owner {
            TenantId::PLATFORM => format!("{} of the platform", other.id),
            tenant => format!("{} of tenant {tenant}", other.id),
        });
        Ok(Failure::exists("user", field, place))
    }

    async fn list(&self, page: &PageQuery) -> Result<Json<Page<User>>, Failure> {
        let limit = page.limit()?;
        let rows = self.0.db.users(page.position()?, limit as i64 + 1).await?;
        let items = rows.into_iter().map(User::from).collect();
        Ok(Json(Page::cut(items, limit, |user: &User| user.id)))
    }

    async fn get(&self, id: UserId) -> Result<Tagged<User>, Failure> {
        Ok(answer(self.0.db.user(id).await?))
    }

    async fn change(
        &self,
        id: UserId,
        unless: &IfMatch,
        change: ChangeUser,
    ) -> Result<Tagged<User>, Failure> {
        if let Some(name) = &change.name {
            valid::name("name", name, 200)?;
        }
        if let Some(role) = change.role {
            valid::role_of("role", role, self.0.owner)?;
        }
        let becomes = |user: &UserRow| -> Result<UserChange, Failure> {
            unless.check("user", &tag(user))?;
            let role: Role = match change.role {
                Some(role) => role,
                None => user.role.parse().map_err(DbError::Corrupt)?,
            };
            let disabled = change.disabled.unwrap_or(user.disabled_at.is_some());
            if !disabled {
                not_more_than_own(self.0.bearer, role, None)?;
            }
            Ok(UserChange {
                name: change.name.clone().unwrap_or_else(|| user.name.clone()),
                role: role.to_string(),
                disabled,
            })
        };
        let now = self.0.deps.ids.clock().now();
        Ok(answer(self.0.db.change_user(id, now, becomes).await?))
    }

    async fn delete(&self, id: UserId) -> Result<Gone, Failure> {
        self.0.db.delete_user(id).await?;
        Ok(Gone)
    }
}

fn answer(row: UserRow) -> Tagged<User> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

/// Not of what comes by itself.
fn tag(row: &UserRow) -> String {
    content_tag(&(
        &row.name,
        &row.role,
        row.disabled_at.map(|at| at.unix_timestamp_nanos()),
    ))
}

/// An e-mail address as it is compared.
fn email(raw: &str) -> Result<String, Refused> {
    let fits = (3..=320).contains(&raw.len())
        && raw
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !raw.chars().any(|c| c.is_control() || c.is_whitespace());
    match fits {
        true => Ok(raw.to_lowercase()),
        false => Err(Refused::new(
            "email",
            "is not an e-mail address",
            "write it like mary@example.com",
        )),
    }
}

/// Make a user of the platform
///
/// They sign in with a token of their issuer. For the role platform-admin.
#[utoipa::path(post, path = "/v1/users", tag = "users",
    responses((status = 201, description = "Made.", body = User), Always, Making, Taking))]
pub async fn create_platform_user(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Json(new): Json<NewUser>,
) -> Result<Made<User>, Failure> {
    Users(Owner::platform(&deps, &by)).create(new).await
}

/// List the platform's users, the oldest first
///
/// For the role platform-admin.
#[utoipa::path(get, path = "/v1/users", tag = "users", params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<User>), Always))]
pub async fn list_platform_users(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<User>>, Failure> {
    Users(Owner::platform(&deps, &by)).list(&page).await
}

/// Read a user of the platform
///
/// For the role platform-admin.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "users", params(PlatformUserPath),
    responses((status = 200, description = "The user.", body = User,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_platform_user(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformUserPath>,
) -> Result<Tagged<User>, Failure> {
    Users(Owner::platform(&deps, &by)).get(path.user).await
}

/// Change a user of the platform
///
/// Another role, and being disabled, hold from the next request on. For the role platform-admin.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "users", params(PlatformUserPath, IfMatchHeader),
    responses((status = 200, description = "The user.", body = User,
        headers(("ETag" = String, description = "Of what is stored now."))), Always, InTenant, Taking, Guarded))]
pub async fn change_platform_user(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformUserPath>,
    unless: IfMatch,
    Json(change): Json<ChangeUser>,
) -> Result<Tagged<User>, Failure> {
    Users(Owner::platform(&deps, &by))
        .change(path.user, &unless, change)
        .await
}

/// Take a user of the platform away
///
/// For the role platform-admin.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "users", params(PlatformUserPath),
    responses((status = 204, description = "Gone."), Always, InTenant))]
pub async fn delete_platform_user(
    State(deps): State<Deps>,
    by: Platform<may::ManagePlatformAccess>,
    Path(path): Path<PlatformUserPath>,
) -> Result<Gone, Failure> {
    Users(Owner::platform(&deps, &by)).delete(path.user).await
}

/// Make a user of a tenant
///
/// They sign in with a token of their issuer. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/users", tag = "users", params(TenantPath),
    responses((status = 201, description = "Made.", body = User), Always, InTenant, Making, Taking))]
pub async fn create_user(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Json(new): Json<NewUser>,
) -> Result<Made<User>, Failure> {
    Users(Owner::tenant(&deps, &scope).await?).create(new).await
}

/// List a tenant's users, the oldest first
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users", tag = "users", params(TenantPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<User>), Always, InTenant))]
pub async fn list_users(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<User>>, Failure> {
    Users(Owner::tenant(&deps, &scope).await?).list(&page).await
}

/// Read a user of a tenant
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/users/{user}", tag = "users", params(UserPath),
    responses((status = 200, description = "The user.", body = User,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_user(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<UserPath>,
) -> Result<Tagged<User>, Failure> {
    Users(Owner::tenant(&deps, &scope).await?).get(path.user).await
}

/// Change a user of a tenant
///
/// Another role, and being disabled, hold from the next request on. For the roles platform-admin and engineer; tenant-admin in their
/// own tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/users/{user}", tag = "users", params(UserPath, IfMatchHeader),
    responses((status = 200, description = "The user.", body = User,
        headers(("ETag" = String, description = "Of what is stored now."))), Always, InTenant, Taking, Guarded))]
pub async fn change_user(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<UserPath>,
    unless: IfMatch,
    Json(change): Json<ChangeUser>,
) -> Result<Tagged<User>, Failure> {
    Users(Owner::tenant(&deps, &scope).await?)
        .change(path.user, &unless, change)
        .await
}

/// Take a user of a tenant away
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/users/{user}", tag = "users", params(UserPath),
    responses((status = 204, description = "Gone."), Always, InTenant))]
pub async fn delete_user(
    State(deps): State<Deps>,
    scope: TenantScope<may::ManageAccess>,
    Path(path): Path<UserPath>,
) -> Result<Gone, Failure> {
    Users(Owner::tenant(&deps, &scope).await?).delete(path.user).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_compared_in_lower_case() {
        assert_eq!(email("Mary@Example.COM").unwrap(), "mary@example.com");
        for bad in [
            "",
            "mary",
            "@example.com",
            "mary@",
            "mary @example.com",
            "mary@example.com\n",
        ] {
            assert_eq!(email(bad).unwrap_err().field, "email", "{bad:?}");
        }
    }
}
