//! Skillsets of a tenant's AACC.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making, Taking},
    path::TenantPath,
    valid,
};
use axum::extract::State;
use ccm_db::{DbError, SkillsetRow, TenantDb};
use ccm_model::{LinkId, SkillsetId};
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A skillset to be used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "WC_Default_Skillset", "link_id": "019331f0-7a00-7000-8000-000000000002"}))]
pub struct NewSkillset {
    /// As AACC spells it; web-chat skillsets begin with `WC_`. Unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The link to the AACC that has it.
    #[schema(value_type = Uuid)]
    link_id: LinkId,
}

/// A skillset of a tenant's AACC.
#[derive(Debug, Serialize, ToSchema)]
pub struct Skillset {
    #[schema(value_type = Uuid)]
    id: SkillsetId,
    #[schema(example = "WC_Default_Skillset")]
    name: String,
    #[schema(value_type = Uuid)]
    link_id: LinkId,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl From<SkillsetRow> for Skillset {
    fn from(row: SkillsetRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            link_id: row.link,
            created_at: row.created_at,
        }
    }
}

/// Make a skillset known
///
/// It must exist in AACC under this name; nothing is made there. For the roles platform-admin and engineer; tenant-admin
/// in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/skillsets", tag = "skillsets",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Skillset), Always, InTenant, Making, Taking))]
pub async fn create_skillset(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewSkillset>,
) -> Result<Made<Skillset>, Failure> {
    valid::name("name", &new.name, 100)?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewSkillset {
        id: deps.ids.next(),
        link: new.link_id,
        name: &new.name,
    };
    let row = match db.create_skillset(row).await {
        Err(DbError::Conflict { missing, .. }) => return Err(conflict(&db, &new, missing).await?),
        made => made?,
    };
    deps.made(scope.tenant, "skillset", row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

async fn conflict(db: &TenantDb<'_>, new: &NewSkillset, missing: bool) -> Result<Failure, DbError> {
    if missing {
        return Ok(Failure::unknown("link_id", "link", "GET …/links lists them"));
    }
    let taken = db
        .skillsets()
        .await?
        .into_iter()
        .find(|skillset| skillset.name == new.name);
    Ok(Failure::exists(
        "skillset",
        "name",
        taken.map(|skillset| skillset.id),
    ))
}

/// List the skillsets, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/skillsets", tag = "skillsets",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<Skillset>), Always, InTenant))]
pub async fn list_skillsets(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<Skillset>>, Failure> {
    let rows = deps.tenant(&scope).await?.skillsets().await?;
    Ok(List::of(rows, Skillset::from))
}
