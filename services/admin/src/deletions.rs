//! A tenant that goes.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InDeletion, InTenant, Taking},
    path::{DeletionPath, TenantPath},
    removal::RemovalQuery,
    schema,
    valid::{self, Refused},
};
use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_db::{DbError, DeletionRow, NewDeletion, TableRows};
use ccm_model::TenantId;
use ccm_web::{Json, Page, PageQuery, Path, Platform, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A tenant's deletion to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "contract has ended, ticket 4711", "grace_days": 30}))]
pub struct DeletionRequest {
    /// On one line; it stands in the certificate.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// For how many days of 24 hours it can be taken back.
    #[serde(default = "thirty")]
    #[schema(minimum = 0, maximum = 90, default = 30)]
    grace_days: u8,
    /// The tenant's slug: needed when `grace_days` is 0, as nothing can be taken back then.
    #[schema(example = "acme-bank")]
    confirm: Option<String>,
}

fn thirty() -> u8 {
    30
}

/// A tenant's way out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deletion {
    id: Uuid,
    /// The tenant's id; after `purged` there is no such tenant.
    #[schema(value_type = Uuid)]
    tenant_id: TenantId,
    #[schema(example = "acme-bank")]
    slug: String,
    #[schema(example = "Acme Bank")]
    name: String,
    #[schema(schema_with = schema::deletion_state)]
    state: &'static str,
    #[schema(example = "contract has ended, ticket 4711")]
    reason: String,
    #[schema(example = "mary")]
    requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    requested_at: OffsetDateTime,
    grace_days: i16,
    /// Until when it can be taken back.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    grace_until: OffsetDateTime,
    /// When closing was over.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    closed_at: Option<OffsetDateTime>,
    /// Chats that could not be ended while it closed: their AACC ends them when their customers are silent.
    #[schema(required)]
    chats_left: Option<i32>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    purge_began_at: Option<OffsetDateTime>,
    /// Rows that have been deleted so far.
    rows_gone: i64,
    /// Rows that there were when the purge began, over all tables.
    #[schema(required)]
    rows_before: Option<i64>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    purged_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    restored_at: Option<OffsetDateTime>,
    /// Whose token took it back.
    #[schema(required)]
    restored_by: Option<String>,
    /// Lower-case hex: the SHA-256 of the certificate's bytes.
    #[schema(required)]
    certificate_sha256: Option<String>,
    /// Why the last step failed; it is made again every minute.
    #[schema(required)]
    last_error: Option<String>,
}

impl From<DeletionRow> for Deletion {
    fn from(row: DeletionRow) -> Self {
        let rows_before = row
            .counts_before
            .and_then(|counts| serde_json::from_value::<Vec<TableRows>>(counts).ok())
            .map(|counts| counts.iter().map(|table| table.rows).sum());
        Self {
            id: row.id,
            tenant_id: row.tenant,
            slug: row.slug,
            name: row.name,
            state: row.state.as_str(),
            reason: row.reason,
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            grace_days: row.grace_days,
            grace_until: row.grace_until,
            closed_at: row.closed_at,
            chats_left: row.chats_left,
            purge_began_at: row.purge_began_at,
            rows_gone: row.rows_gone,
            rows_before,
            purged_at: row.purged_at,
            restored_at: row.restored_at,
            restored_by: row.restored_by,
            certificate_sha256: row.certificate_sha256,
            last_error: row.last_error,
        }
    }
}

/// What would go. Nothing has been changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletionDryRun {
    /// `true`.
    dry_run: bool,
    #[schema(example = "acme-bank")]
    slug: String,
    /// Until when it could be taken back, if it were begun now.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    grace_until: OffsetDateTime,
    /// Chats with agents that would be ended.
    open_chats: i64,
    /// Rows that would go, by table; those without any are left out.
    tables: Vec<TableCount>,
    /// Tables that keep what they have of the tenant.
    kept: Vec<&'static str>,
}

/// How many rows of the tenant a table has.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableCount {
    #[schema(example = "message")]
    pub table: String,
    pub rows: i64,
}

impl DeletionRequest {
    fn check(&self, slug: &str) -> Result<(), Refused> {
        valid::reason("reason", &self.reason, 500)?;
        if self.grace_days > 90 {
            return Err(Refused::new(
                "grace_days",
                "is more than 90",
                "give 0 to 90 days in which it can be taken back",
            ));
        }
        match &self.confirm {
            Some(confirm) if confirm != slug => Err(Refused::new(
                "confirm",
                "is not the tenant's slug",
                "read the tenant, make sure that it is the one, and give its slug",
            )),
            None if self.grace_days == 0 => Err(Refused::new(
                "confirm",
                "is missing: without days of grace nothing can be taken back",
                "give the tenant's slug, or some days of grace",
            )),
            _ => Ok(()),
        }
    }
}

/// Delete a tenant
///
/// Begins at once: its webhooks and keys are unknown, agents' chats are told and ended, and after that nothing is carried. Until
/// `grace_until` it can be taken back; then all its rows go, for good, and a certificate says so (docs/deletion.md). With
/// `?dry_run=true` it is only said what would go. For the role platform-admin.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/deletion", tag = "deletions",
    params(TenantPath, RemovalQuery),
    responses((status = 200, description = "With `dry_run`: what would go.", body = DeletionDryRun),
        (status = 201, description = "It has begun.", body = Deletion), Always, InTenant, InDeletion, Taking))]
pub async fn create_deletion(
    State(deps): State<Deps>,
    scope: TenantScope<may::DeleteTenants>,
    Query(RemovalQuery { dry_run }): Query<RemovalQuery>,
    Json(new): Json<DeletionRequest>,
) -> Result<Response, Failure> {
    let db = deps.rows(&scope);
    let tenant = db.tenant().await?;
    new.check(&tenant.slug)?;
    let at = deps.ids.clock().now();
    if let Some(hold) = deps.db.operator().standing_hold(scope.tenant).await? {
        return Err(DbError::Held(hold).into());
    }
    if dry_run {
        let grace_until = at + time::Duration::days(new.grace_days.into());
        return Ok(Json(would_go(&deps, scope.tenant, tenant.slug, grace_until).await?).into_response());
    }
    let by = &scope.bearer.sub;
    let deletion = NewDeletion {
        id: deps.ids.next(),
        reason: &new.reason,
        by,
        grace_days: new.grace_days,
        at,
    };
    let row = match deps
        .db
        .operator()
        .by(&scope.actor)
        .begin_deletion(scope.tenant, deletion)
        .await
    {
        Err(DbError::Conflict { .. }) => return Err(under_way().into()),
        begun => begun?,
    };
    deps.changed(scope.tenant, "tenant deletion", row.id, by);
    Ok((StatusCode::CREATED, Json(Deletion::from(row))).into_response())
}

async fn would_go(
    deps: &Deps,
    tenant: TenantId,
    slug: String,
    grace_until: OffsetDateTime,
) -> Result<DeletionDryRun, DbError> {
    let db = deps.db.tenant(tenant);
    let counts = db.count_rows().await?;
    let tables = counts.into_iter().filter(|table| table.rows > 0);
    Ok(DeletionDryRun {
        dry_run: true,
        slug,
        grace_until,
        open_chats: db.under_way().await?.chats,
        tables: tables
            .map(|TableRows { table, rows }| TableCount { table, rows })
            .collect(),
        kept: ccm_db::KEPT.to_vec(),
    })
}

/// Read how far a tenant's deletion is
///
/// The newest one, even if it was taken back. For the roles platform-admin, engineer and support, even when the tenant is gone;
/// tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/deletion", tag = "deletions",
    params(TenantPath),
    responses((status = 200, description = "The deletion.", body = Deletion), Always, InTenant))]
pub async fn get_deletion(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<Deletion>, Failure> {
    let row = deps.rows(&scope).newest_deletion().await?;
    Ok(Json(row.ok_or(DbError::NotFound("deletion"))?.into()))
}

/// Take a tenant's deletion back
///
/// As long as it is `closing` or in `grace`: the tenant is what it was before, active or suspended, and what waits goes on its way. Texts
/// that came meanwhile were refused to their providers, and chats that were ended stay ended. For the role platform-admin.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/deletion", tag = "deletions",
    params(TenantPath),
    responses((status = 204, description = "It is taken back."), Always, InTenant, InDeletion))]
pub async fn delete_deletion(
    State(deps): State<Deps>,
    scope: TenantScope<may::DeleteTenants>,
) -> Result<Gone, Failure> {
    let at = deps.ids.clock().now();
    let by = &scope.bearer.sub;
    let row = match deps
        .db
        .operator()
        .by(&scope.actor)
        .restore_tenant(scope.tenant, by, at)
        .await
    {
        Err(DbError::NotFound(_)) => return Err(nothing_to_take_back(&deps, scope.tenant).await?),
        restored => restored?,
    };
    deps.changed(scope.tenant, "tenant deletion", row.id, by);
    Ok(Gone)
}

async fn nothing_to_take_back(deps: &Deps, tenant: TenantId) -> Result<Failure, Failure> {
    let deletion = deps.db.tenant(tenant).newest_deletion().await?;
    let state = deletion.ok_or(DbError::NotFound("deletion"))?.state.as_str();
    let problem = Problem::conflict(format!(
        "the tenant's deletion is {state}, and only one that is closing or in grace can be taken back"
    ));
    Ok(problem
        .remedy("what has been deleted is gone; make a new tenant if it is to come back")
        .into())
}

fn under_way() -> Problem {
    Problem::conflict("the tenant is being deleted already")
        .remedy("GET /v1/tenants/{tenant}/deletion says how far that is; take it back to begin another one")
}

/// List deletions of tenants, the newest first
///
/// Those under way, those taken back, and those done. For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/deletions", tag = "deletions", params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<Deletion>), Always))]
pub async fn list_deletions(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Deletion>>, Failure> {
    let limit = page.limit()?;
    let rows = deps
        .db
        .operator()
        .deletions(page.position()?, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(Deletion::from).collect();
    Ok(Json(Page::cut(items, limit, |deletion: &Deletion| deletion.id)))
}

/// Read a tenant's deletion by its own id
///
/// For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/deletions/{deletion}", tag = "deletions", params(DeletionPath),
    responses((status = 200, description = "The deletion.", body = Deletion), Always, InTenant))]
pub async fn get_deletion_by_id(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Path(path): Path<DeletionPath>,
) -> Result<Json<Deletion>, Failure> {
    Ok(Json(deps.db.operator().deletion(path.deletion).await?.into()))
}

/// Read the certificate of a tenant's deletion
///
/// Which tables there were, how many rows of the tenant each had before, and that none has any now; by whom and when. The bytes are
/// always the same: their SHA-256 is the deletion's `certificate_sha256`. For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/deletions/{deletion}/certificate", tag = "deletions", params(DeletionPath),
    responses((status = 200, description = "The certificate.", body = serde_json::Value), Always, InTenant))]
pub async fn get_certificate(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Path(path): Path<DeletionPath>,
) -> Result<([(HeaderName, &'static str); 1], String), Failure> {
    let row = deps.db.operator().deletion(path.deletion).await?;
    let text = row.certificate.ok_or(DbError::NotFound("certificate"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
