//! Customers of the platform.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InDeletion, InTenant, Made, Making, Taking},
    patch::given,
    path::TenantPath,
    query, schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, TenantChange, TenantFilter, TenantRow};
use ccm_model::TenantId;
use ccm_web::{Cursor, Json, Page, Platform, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slug": "acme-bank", "name": "Acme Bank"}))]
pub struct NewTenant {
    /// Unique on the platform, for addresses and people: lower-case letters, digits and single dashes between them. A UUID is none: it
    /// could be another tenant's id.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9](-?[a-z0-9])*$")]
    slug: String,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// What is to change of a tenant; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Bank plc"}))]
pub struct TenantPatch {
    /// Whoever has the old one in an address or a script must be told; ids stay. A UUID is none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 63, pattern = "^[a-z0-9](-?[a-z0-9])*$")]
    slug: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// Which tenants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TenantQuery {
    /// Those in this state: `active` or `suspended`.
    #[param(example = "suspended")]
    state: Option<String>,
    /// The one of this slug.
    slug: Option<String>,
    /// Those with this in their name or slug, in upper or lower case.
    q: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
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

fn check_name(name: &str) -> Result<(), Refused> {
    valid::name("name", name, 200)
}

fn check_slug(slug: &str) -> Result<(), Refused> {
    let parts_fit = slug
        .split('-')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    if !parts_fit || slug.len() > 63 {
        return Err(Refused::new(
            "slug",
            "is not 1 to 63 lower-case letters and digits with single dashes between them",
            "write it like acme-bank",
        ));
    }
    if Uuid::try_parse(slug).is_ok() {
        return Err(Refused::new(
            "slug",
            "is written like an id, and could be the id of another tenant",
            "write it like acme-bank",
        ));
    }
    Ok(())
}

fn slug_taken() -> Failure {
    Failure::exists("tenant", "slug", None::<TenantId>)
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
    check_slug(&new.slug)?;
    check_name(&new.name)?;
    let row = match deps
        .db
        .operator()
        .by(&by.actor)
        .create_tenant(deps.ids.next(), &new.slug, &new.name)
        .await
    {
        Err(DbError::Conflict { .. }) => return Err(slug_taken()),
        made => made?,
    };
    deps.made(row.id, "tenant", row.id, &by.bearer.sub);
    Ok(Made(row.into()))
}

/// List tenants, the oldest first
///
/// For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(TenantQuery),
    responses((status = 200, description = "One page.", body = Page<Tenant>), Always))]
pub async fn list_tenants(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(query): Query<TenantQuery>,
) -> Result<Json<Page<Tenant>>, Failure> {
    let limit = query::limit(query.limit)?;
    let after = query.cursor.as_ref().map(Cursor::position).transpose()?;
    if let Some(state) = &query.state
        && !schema::TENANT_STATES.contains(&state.as_str())
    {
        return Err(Problem::invalid_field("state", "is not a state of a tenant")
            .remedy(format!("give one of {}", schema::TENANT_STATES.join(", ")))
            .into());
    }
    let filter = TenantFilter {
        state: query.state,
        slug: query.slug,
        part: query.q,
    };
    let rows = deps
        .db
        .operator()
        .tenants_of(&filter, after, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(Tenant::from).collect();
    Ok(Json(Page::cut(items, limit, |tenant: &Tenant| tenant.id)))
}

fn answer(row: TenantRow) -> Tagged<Tenant> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

fn tag(row: &TenantRow) -> String {
    content_tag(&Tenant::from(row.clone()))
}

/// Read a tenant
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath),
    responses((status = 200, description = "The tenant.", body = Tenant,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_tenant(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<Tenant>, Failure> {
    Ok(answer(deps.rows(&scope).tenant().await?))
}

/// Change what a tenant is called
///
/// A merge patch (RFC 7396). For the roles platform-admin and engineer.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(TenantPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Tenant,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_tenant(
    State(deps): State<Deps>,
    scope: TenantScope<may::CreateTenants>,
    unless: IfMatch,
    Json(patch): Json<TenantPatch>,
) -> Result<Tagged<Tenant>, Failure> {
    let changed = deps
        .db
        .operator()
        .by(&scope.actor)
        .change_tenant(scope.tenant, |was| {
            unless.check("tenant", &tag(was))?;
            let new = TenantChange {
                slug: patch.slug.clone().unwrap_or_else(|| was.slug.clone()),
                name: patch.name.clone().unwrap_or_else(|| was.name.clone()),
            };
            // One that was good when it was given stays.
            if new.slug != was.slug {
                check_slug(&new.slug)?;
            }
            check_name(&new.name)?;
            Ok::<_, Failure>(new)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { .. })) => return Err(slug_taken()),
        changed => changed?,
    };
    deps.changed(scope.tenant, "tenant", row.id, &scope.bearer.sub);
    Ok(answer(row))
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
    let by = &scope.bearer.sub;
    let to = ccm_db::StateChange {
        active: new.state == TenantState::Active,
        reason: &new.reason,
        by,
        at: deps.ids.clock().now(),
    };
    if deps.rows(&scope).tenant().await?.closing_since.is_some() {
        return Err(in_deletion().into());
    }
    let row = deps
        .db
        .operator()
        .by(&scope.actor)
        .set_tenant_state(scope.tenant, to)
        .await?;
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
        for good in ["a", "7", "acme-bank", "a-1-b", &"a".repeat(63)] {
            assert_eq!(check_slug(good), Ok(()), "{good}");
        }
        let ids = [
            "019331f0-7a00-7000-8000-000000000001",
            "019331f07a0070008000000000000001",
        ];
        for bad in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "Acme",
            "a_b",
            "ä",
            &"a".repeat(64),
            ids[0],
            ids[1],
        ] {
            assert_eq!(check_slug(bad).unwrap_err().field, "slug", "{bad}");
        }
    }
}
