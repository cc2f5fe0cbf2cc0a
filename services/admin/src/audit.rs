//! Who changed what: a tenant's settings, and the platform's own users and keys.
#![allow(unused_qualifications, reason = "utoipa's macros write some here")]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    audit_verdict::{AuditVerdict, VerifyQuery, hex, verify},
    path::TenantPath,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, header},
};
use ccm_db::{AccessDb, AuditFilter, AuditHead, AuditRow, DbError};
use ccm_model::TenantId;
use ccm_web::{Cursor, Json, Page, Platform, Query, TenantScope, may};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt::Write, net::IpAddr};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How many rows are read at once.
pub(crate) const BATCH: i64 = 500;

/// One change.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts the chain's entries from 1 on, without gaps.
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    actor: AuditActor,
    /// `created`, `changed`, `removed`, or `read` (of kind `texts`).
    #[schema(example = "changed")]
    action: String,
    /// What was changed, such as `tenant`, `link`, `number`, `auth_key`, `routing`, `doctor_report` (its sharing) or `dead_letter` (its
    /// end); `texts` is somebody's look at what people wrote.
    #[schema(example = "link")]
    kind: String,
    id: Uuid,
    /// Its name, slug or number, if it has one. `null` of `texts`.
    #[schema(required, example = "AACC Dublin")]
    name: Option<String>,
    /// The members that were changed, as they were; all of them for what was removed; `null` for what was created. Secrets and
    /// lists of customers stand there as `(secret)`.
    #[schema(value_type = Option<Object>, required)]
    before: Option<Value>,
    /// As they are; `null` for what was removed. Of `texts`, `what` was read.
    #[schema(value_type = Option<Object>, required)]
    after: Option<Value>,
}

/// Who.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditActor {
    /// Whom the token named, the user's address (or name, without one), or the API key's name.
    #[schema(example = "mary@example.com")]
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "engineer")]
    role: Option<String>,
    /// `token`, `oidc` or `api_key`. `deletion` (a tenant's rows that go for good, for whoever asked for it) and `timer` (what was
    /// planned for that time, with the role `system`) name the deletion or the plan in `request`. `database`: a service of the
    /// platform, or somebody with access to the database.
    #[schema(example = "oidc")]
    via: String,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    key: Option<Uuid>,
    /// The user, with `oidc`. Names and addresses may be given anew; by this id the entries of kind `user` tell whom the issuer
    /// means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    user: Option<Uuid>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    from: Option<IpAddr>,
    /// The request, as in the logs and in its answer's `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    request: Option<Uuid>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only changes of this kind of thing.
    #[param(example = "link")]
    kind: Option<String>,
    /// Only changes of this thing.
    object: Option<Uuid>,
    /// Only changes by this one.
    actor: Option<String>,
    /// Only from this time on.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<OffsetDateTime>,
    /// Only before this time.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<OffsetDateTime>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// Only entries with a larger `seq`: what came since the last export.
    #[param(minimum = 0, default = 0)]
    after: Option<i64>,
}

impl AuditEntry {
    fn read(row: &AuditRow) -> Result<Self, DbError> {
        serde_json::from_value(row.read()?).map_err(|e| DbError::Corrupt(format!("audit {}: {e}", row.seq)))
    }
}

async fn list(db: AccessDb<'_>, query: &AuditQuery) -> Result<Json<Page<AuditEntry>>, Failure> {
    let filter = AuditFilter {
        kind: query.kind.as_deref(),
        object: query.object,
        actor: query.actor.as_deref(),
        from: query.from,
        until: query.until,
    };
    let limit = crate::query::limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let rows = db.audit(filter, before, limit as i64 + 1).await?;
    let items = rows.iter().map(AuditEntry::read).collect::<Result<_, _>>()?;
    Ok(Json(Page::cut(items, limit, |entry: &AuditEntry| entry.seq)))
}

/// A chain's entries in batches, each with the entry's hash. An answer that is all there ends with the last one's place and hash.
fn export(deps: Deps, owner: TenantId, query: &ExportQuery) -> ([(HeaderName, &'static str); 1], Body) {
    let begins = Some((query.after.unwrap_or(0), None));
    let batches = stream::try_unfold(begins, move |place| {
        let deps = deps.clone();
        async move {
            let Some((after, last)) = place else {
                return Ok(None);
            };
            let db = deps.db.access(owner);
            let rows = db.audit_chain(after, BATCH).await?;
            let mut lines = String::new();
            for row in &rows {
                let line = serde_json::json!({"seq": row.seq, "hash": hex(&row.hash), "record": row.record});
                let _ = writeln!(lines, "{line}");
            }
            if let Some(last) = rows.last() {
                return Ok(Some((lines, Some((last.seq, Some(last.head()))))));
            }
            let end = match last {
                Some(end) => end,
                None => newest(db).await?,
            };
            let line = serde_json::json!({"end": true, "seq": end.seq, "hash": hex(&end.hash)});
            Ok(Some((format!("{line}\n"), None)))
        }
    });
    let batches = batches
        .map_err(|error: DbError| {
            // The answer has begun: it breaks off, which the client sees.
            tracing::error!(%error, "an export of the audit broke off");
            error
        })
        .boxed();
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(batches),
    )
}

/// The end of a chain of which nothing is to be exported.
async fn newest(db: AccessDb<'_>) -> Result<AuditHead, DbError> {
    let rows = db.audit(AuditFilter::default(), None, 1).await?;
    Ok(rows.first().map_or(AuditHead::BEGINS, AuditRow::head))
}

/// List the changes of the platform's own users and keys, the newest first
///
/// For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "One page.", body = Page<AuditEntry>), Always))]
pub async fn list_platform_audit(
    State(deps): State<Deps>,
    _: Platform<may::ReadAudit>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Failure> {
    list(deps.db.access(TenantId::PLATFORM), &query).await
}

/// Export the changes of the platform's own users and keys, the oldest first
///
/// One JSON object a line: `seq`, `record` (the entry, JSON in a string) and `hash`, the hex of SHA-256 over the hash of the entry
/// before (32 zero bytes before the first) and the bytes of `record`. The last line has no `record`, but `end`, and `seq` and `hash` of
/// the last entry: keep them, to give them to the check later. For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "All of it.", body = String, content_type = "application/x-ndjson"), Always))]
pub async fn export_platform_audit(
    State(deps): State<Deps>,
    _: Platform<may::ReadAudit>,
    Query(query): Query<ExportQuery>,
) -> ([(HeaderName, &'static str); 1], Body) {
    export(deps, TenantId::PLATFORM, &query)
}

/// Check the chain of the platform's own changes
///
/// Looked for are entries that were changed, that are not found by what they say, or that are missing: in between, or at the end up to
/// where the chain has been. Whoever rewrites all of it, that mark too, is found out by a `seq` and `hash` that were kept elsewhere. For
/// the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit", params(VerifyQuery),
    responses((status = 200, description = "Whether it is whole.", body = AuditVerdict), Always))]
pub async fn verify_platform_audit(
    State(deps): State<Deps>,
    _: Platform<may::ReadAudit>,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<AuditVerdict>, Failure> {
    let db = deps.db.access(TenantId::PLATFORM);
    Ok(Json(verify(db, &query, false).await?))
}

/// List the changes of a tenant, the newest first
///
/// They outlive the tenant. For the roles platform-admin, engineer and support; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit", tag = "audit", params(TenantPath, AuditQuery),
    responses((status = 200, description = "One page.", body = Page<AuditEntry>), Always, InTenant))]
pub async fn list_audit(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadAudit>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Failure> {
    list(chain(&deps, &scope).await?, &query).await
}

/// Export the changes of a tenant, the oldest first
///
/// One JSON object a line: `seq`, `record` (the entry, JSON in a string) and `hash`, the hex of SHA-256 over the hash of the entry
/// before (32 zero bytes before the first) and the bytes of `record`. The last line has no `record`, but `end`, and `seq` and `hash` of
/// the last entry: keep them, to give them to the check later. For the roles platform-admin, engineer and support;
/// tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit/export", tag = "audit", params(TenantPath, ExportQuery),
    responses((status = 200, description = "All of it.", body = String, content_type = "application/x-ndjson"),
        Always, InTenant))]
pub async fn export_audit(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadAudit>,
    Query(query): Query<ExportQuery>,
) -> Result<([(HeaderName, &'static str); 1], Body), Failure> {
    chain(&deps, &scope).await?;
    Ok(export(deps.clone(), scope.tenant, &query))
}

/// Check the chain of a tenant's changes
///
/// Looked for are entries that were changed, that are not found by what they say, or that are missing: in between, or at the end up to
/// where the chain has been. Whoever rewrites all of it, that mark too, is found out by a `seq` and `hash` that were kept elsewhere. For
/// the roles platform-admin, engineer and support; tenant-admin in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit/verify", tag = "audit", params(TenantPath, VerifyQuery),
    responses((status = 200, description = "Whether it is whole.", body = AuditVerdict), Always, InTenant))]
pub async fn verify_audit(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadAudit>,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<AuditVerdict>, Failure> {
    // That a tenant was made is its first entry.
    Ok(Json(verify(chain(&deps, &scope).await?, &query, true).await?))
}

/// The chain of a tenant that is there, or was; even if nothing is left of the chain.
async fn chain<'a, P>(deps: &'a Deps, scope: &TenantScope<P>) -> Result<AccessDb<'a>, Failure> {
    let db = deps.db.access(scope.tenant);
    if db.audit_chain(0, 1).await?.is_empty() && db.audit_head().await?.is_none() {
        deps.rows(scope).tenant().await?;
    }
    Ok(db)
}
