//! Skillsets of a tenant's AACC.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Made, Making, Taking},
    named::Named,
    patch::given,
    path::{SkillsetPath, TenantPath},
    query,
    removal::{Asked, RemovalQuery, Removing, told},
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid,
};
use axum::{extract::State, response::Response};
use ccm_db::{DbError, SkillsetChange, SkillsetFilter, SkillsetRow, TenantDb};
use ccm_model::{LinkId, SkillsetId};
use ccm_web::{Cursor, Json, Page, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

const WHAT: &str = "skillset";

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

/// What is to change of a skillset; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "WC_Sales"}))]
pub struct SkillsetPatch {
    /// As AACC spells it. Refused as long as routing, deflection settings or screen-pop settings name the skillset: they do so by this name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<String>,
    /// Chats that begin from now on go over this link.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Uuid, required = false)]
    link_id: Option<LinkId>,
}

/// Which skillsets, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SkillsetQuery {
    /// The one of this name.
    name: Option<String>,
    /// Those of this link.
    #[param(value_type = Option<Uuid>)]
    link: Option<LinkId>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
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
        Err(DbError::Conflict { missing, .. }) => return Err(conflict(&db, &new.name, missing).await?),
        made => made?,
    };
    deps.made(scope.tenant, "skillset", row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

async fn conflict(db: &TenantDb<'_>, name: &str, missing: bool) -> Result<Failure, DbError> {
    if missing {
        return Ok(Failure::unknown("link_id", "link", "GET …/links lists them"));
    }
    let taken = db.skillsets().await?.into_iter().find(|row| row.name == name);
    Ok(Failure::exists(WHAT, "name", taken.map(|row| row.id)))
}

fn answer(row: SkillsetRow) -> Tagged<Skillset> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

fn tag(row: &SkillsetRow) -> String {
    content_tag(&(&row.name, row.link))
}

/// List the skillsets, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/skillsets", tag = "skillsets",
    params(TenantPath, SkillsetQuery),
    responses((status = 200, description = "One page.", body = Page<Skillset>), Always, InTenant))]
pub async fn list_skillsets(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<SkillsetQuery>,
) -> Result<Json<Page<Skillset>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let filter = SkillsetFilter {
        name: query.name,
        link: query.link,
    };
    let rows = deps.tenant(&scope).await?.skillsets_part(&filter, &part).await?;
    let items = rows.into_iter().map(Skillset::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &Skillset| {
        (one.name.clone(), one.id)
    })))
}

/// Read a skillset
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/skillsets/{skillset}", tag = "skillsets",
    params(SkillsetPath),
    responses((status = 200, description = "The skillset.", body = Skillset,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_skillset(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<SkillsetPath>,
) -> Result<Tagged<Skillset>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.skillset(path.skillset).await?))
}

/// Change a skillset
///
/// A merge patch (RFC 7396). Nothing is changed in AACC. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/skillsets/{skillset}", tag = "skillsets",
    params(SkillsetPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Skillset,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_skillset(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<SkillsetPath>,
    unless: IfMatch,
    Json(patch): Json<SkillsetPatch>,
) -> Result<Tagged<Skillset>, Failure> {
    if let Some(name) = &patch.name {
        valid::name("name", name, 100)?;
    }
    let db = deps.tenant(&scope).await?;
    let named = Named::read(&db).await?;
    let changed = db
        .change_skillset(path.skillset, named.state, |was| {
            unless.check(WHAT, &tag(was))?;
            patch.apply(was, &named)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { missing, .. })) => {
            return Err(conflict(&db, patch.name.as_deref().unwrap_or_default(), missing).await?);
        }
        changed => changed?,
    };
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

impl SkillsetPatch {
    fn apply(&self, was: &SkillsetRow, named: &Named) -> Result<SkillsetChange, Failure> {
        let name = self.name.as_ref().unwrap_or(&was.name);
        let places = named.skillset(&was.name);
        if *name != was.name && !places.is_empty() {
            let places: Vec<String> = places.iter().map(told).collect();
            let detail = format!("the skillset is named in {}", places.join("; "));
            return Err(Problem::conflict(detail)
                .field("name")
                .remedy("make another skillset of the new name, have those name that, then delete this one")
                .into());
        }
        Ok(SkillsetChange {
            link: self.link_id.unwrap_or(was.link),
            name: name.clone(),
        })
    }
}

/// Forget a skillset
///
/// Refused as long as numbers, templates, routing or other settings need it. Nothing is changed in AACC. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/skillsets/{skillset}", tag = "skillsets",
    params(SkillsetPath, RemovalQuery, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Removing, Always, InTenant, Guarded))]
pub async fn delete_skillset(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<SkillsetPath>,
    Query(query): Query<RemovalQuery>,
    unless: IfMatch,
) -> Result<Response, Failure> {
    let asked = Asked {
        what: WHAT,
        dry_run: query.dry_run,
    };
    let db = deps.tenant(&scope).await?;
    let name = db.skillset(path.skillset).await?.name;
    let named = Named::read(&db).await?;
    let removal = asked.removal_of_named(named.state, named.skillset(&name));
    let in_the_way = db
        .remove_skillset(path.skillset, removal, |was| unless.check(WHAT, &tag(was)))
        .await?;
    asked.answer(in_the_way, || {
        deps.removed(scope.tenant, WHAT, path.skillset, &scope.bearer.sub);
    })
}
