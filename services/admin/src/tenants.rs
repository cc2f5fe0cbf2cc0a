//! Customers of the platform.

use crate::{
    Deps,
    answer::{Always, Failure, InDeletion, InTenant, Made, Making, Taking},
    path::TenantPath,
    schema,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, TenantRow};
use ccm_model::TenantId;
use ccm_web::{Json, Page, PageQuery, Platform, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slug": "acme-bank", "name": "Acme Bank"}))]
pub struct NewTenant {
    /// Unique on the platform, for addresses and people: lower-case letters, digits and single dashes between them.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9](-?[a-z0-9])*$")]
    slug: String,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// A customer of the platform: one contact center.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tenant {
    #[schema(value_type = Uuid)]
    id: TenantId,
    #[schema(example = "acme-bank")]
    slug: String,
    #[schema(example = "Acme Bank")]
    name: String,
    #[schema(schema_with = schema::tenant_state)]
    state: String,
    /// Why, as it was said last; `null` while nobody has said anything.
    #[schema(required, example = "contract begins on 1 March")]
    state_reason: Option<String>,
    /// Since when it is `active` or `suspended`; `null`: since it was made.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    state_since: Option<OffsetDateTime>,
    /// Whose token said so.
    #[schema(required, example = "mary")]
    state_by: Option<String>,
    /// Since when it is being deleted (`GET /v1/tenants/{tenant}/deletion` says how far that is); `null`: it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    closing_since: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// What a tenant is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state": "suspended", "reason": "moves to another AACC, ticket 4711"}))]
pub struct NewState {
    #[schema(schema_with = schema::tenant_state)]
    state: TenantState,
    /// On one line; whoever may read the tenant reads it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TenantState {
    Active,
    Suspended,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            name: row.name,
            state: row.state,
            state_reason: row.state_reason,
            state_since: row.state_since,
            state_by: row.state_by,
            closing_since: row.closing_since,
            created_at: row.created_at,
        }
    }
}

impl NewTenant {
    fn check(&self) -> Result<(), Refused> {
        valid::name("name", &self.name, 200)?;
        let parts_fit = self.slug.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if parts_fit && self.slug.len() <= 63 {
            return Ok(());
        }
        Err(Refused::new(
            "slug",
            "is not 1 to 63 lower-case letters and digits with single dashes between them",
            "write it like acme-bank",
        ))
    }
}

/// Make a tenant
///
/// For the roles platform-admin and engineer.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants",
    responses((status = 201, description = "Made.", body = Tenant), Always, Making, Taking))]
pub async fn create_tenant(
    State(deps): State<Deps>,
    by: Platform<may::CreateTenants>,
    Json(new): Json<NewTenant>,
) -> Result<Made<Tenant>, Failure> {
    new.check()?;
    let row = match deps
        .db
        .operator()
        .create_tenant(deps.ids.next(), &new.slug, &new.name)
        .await
    {
        Err(DbError::Conflict { .. }) => return Err(Failure::exists("tenant", "slug", None::<TenantId>)),
        made => made?,
    };
    deps.made(row.id, "tenant", row.id, &by.claims.sub);
    Ok(Made(row.into()))
}

/// List tenants, the oldest first
///
/// For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<Tenant>), Always))]
pub async fn list_tenants(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Tenant>>, Failure> {
    let limit = page.limit()?;
    let rows = deps
        .db
        .operator()
        .tenants(page.position()?, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(Tenant::from).collect();
    Ok(Json(Page::cut(items, limit, |tenant: &Tenant| tenant.id)))
}

/// Read a tenant
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath),
    responses((status = 200, description = "The tenant.", body = Tenant), Always, InTenant))]
pub async fn get_tenant(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<Tenant>, Failure> {
    let row = deps.db.tenant(scope.tenant).tenant().await?;
    Ok(Json(row.into()))
}

/// Suspend a tenant, or let it go on
///
/// While it is suspended, texts are taken and stored and words of opt-out are heeded, but nobody is answered and no agent gets
/// anything; chats that are open stay open at AACC until that ends them. What was stored goes its way when it is active
/// again. For the roles platform-admin and engineer.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/state", tag = "tenants",
    params(TenantPath),
    responses((status = 200, description = "The tenant.", body = Tenant), Always, InTenant, InDeletion, Taking))]
pub async fn put_tenant_state(
    State(deps): State<Deps>,
    scope: TenantScope<may::SuspendTenants>,
    Json(new): Json<NewState>,
) -> Result<Json<Tenant>, Failure> {
    valid::reason("reason", &new.reason, 500)?;
    let by = &scope.claims.sub;
    let to = ccm_db::StateChange {
        active: new.state == TenantState::Active,
        reason: &new.reason,
        by,
        at: deps.ids.clock().now(),
    };
    if deps
        .db
        .tenant(scope.tenant)
        .tenant()
        .await?
        .closing_since
        .is_some()
    {
        return Err(in_deletion().into());
    }
    let row = deps.db.operator().set_tenant_state(scope.tenant, to).await?;
    deps.changed(scope.tenant, "tenant state", &row.state, by);
    Ok(Json(row.into()))
}

fn in_deletion() -> Problem {
    Problem::conflict("the tenant is being deleted")
        .remedy("take the deletion back first: DELETE /v1/tenants/{tenant}/deletion")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_the_schema_takes() {
        let check = |slug: &str| {
            NewTenant {
                slug: slug.to_owned(),
                name: "Acme".to_owned(),
            }
            .check()
        };
        for good in ["a", "7", "acme-bank", "a-1-b", &"a".repeat(63)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "Acme", "a_b", "ä", &"a".repeat(64)] {
            assert_eq!(check(bad).unwrap_err().field, "slug", "{bad}");
        }
    }
}
