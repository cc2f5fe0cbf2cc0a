//! A person who is to be forgotten.

use super::holds::number;
use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    deletions::TableCount,
    path::{ErasurePath, TenantPath},
    removal::{Obstacle, RemovalQuery, told},
    schema,
    valid::{self, Refused},
};
use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_db::{Begin, DbError, ErasureRow, ErasureState, NewErasure, TableRows};
use ccm_model::Address;
use ccm_web::{Json, Page, PageQuery, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoResponses, ToSchema, openapi::schema::Object};
use uuid::Uuid;

/// Whom to forget.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "+353861234567", "reason": "asked for it, ticket 4712", "close": true}))]
pub struct ErasureRequest {
    /// The customer's number.
    #[schema(example = "+353861234567")]
    number: String,
    /// On one line; it stands in the certificate, so the number must not be in it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Close open conversations with the number: agents read a note and their chats end, and texts that wait for either side fail. Else an
    /// open conversation is in the way.
    #[serde(default)]
    #[schema(default = false, required = false)]
    close: bool,
}

fn state() -> Object {
    schema::one_of(
        "`erasing`: rows are going. `erased`: nothing is left, and the certificate says so.",
        ErasureState::ALL.iter().map(|state| state.as_str()),
    )
}

/// A person's erasure. It does not say whose.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erasure {
    id: Uuid,
    #[schema(schema_with = state)]
    state: &'static str,
    #[schema(example = "asked for it, ticket 4712")]
    reason: String,
    #[schema(example = "mary")]
    requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    requested_at: OffsetDateTime,
    /// Whether open conversations are closed for it.
    closes: bool,
    /// Rows that there were when it began, over all tables.
    rows_before: i64,
    /// Rows that have gone so far.
    rows_gone: i64,
    /// Of how many of the tenant's numbers the person still gets no texts: that is kept, under a keyed hash.
    opt_outs_kept: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    erased_at: Option<OffsetDateTime>,
    /// Lower-case hex: the SHA-256 of the certificate's bytes.
    #[schema(required)]
    certificate_sha256: Option<String>,
    /// Why it does not go on; it is tried again each minute.
    #[schema(required)]
    last_error: Option<String>,
}

impl From<ErasureRow> for Erasure {
    fn from(row: ErasureRow) -> Self {
        let counts = serde_json::from_value::<Vec<TableRows>>(row.counts_before).unwrap_or_default();
        Self {
            id: row.id,
            state: row.state.as_str(),
            reason: row.reason,
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            closes: row.closes,
            rows_before: counts.iter().map(|table| table.rows).sum(),
            rows_gone: row.rows_gone,
            opt_outs_kept: row.opt_outs_kept,
            erased_at: row.erased_at,
            certificate_sha256: row.certificate_sha256,
            last_error: row.last_error,
        }
    }
}

/// What would go. Nothing has been changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureDryRun {
    /// `true`.
    dry_run: bool,
    /// What would keep it from being begun.
    in_the_way: Vec<Obstacle>,
    /// Open conversations that would be closed.
    closes: usize,
    /// Rows that would go, by table; those without any are left out.
    tables: Vec<TableCount>,
}

/// How an erasure can fail to begin.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Erasing {
    /// A legal hold, an open conversation (without `close`), a routing list with the number, or an erasure that is under way; `detail` says which.
    #[response(status = 409, content_type = "application/problem+json")]
    InTheWay(Problem),
}

impl ErasureRequest {
    fn check(&self) -> Result<Address, Refused> {
        let customer = number("number", &self.number)?;
        valid::reason_about("reason", &self.reason, 500, &customer)?;
        Ok(customer)
    }
}

/// Forget a person
///
/// Everything that names the number goes: conversations, texts, opt-outs and their ledger, dead letters, look-ups. That the person opted out is
/// kept under a keyed hash. It is done within seconds, and a certificate says so (docs/message-store.md). An open conversation is in the way, unless
/// `close` has it closed; that takes two minutes at most. With `?dry_run=true` it is only said
/// what would go. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/erasures", tag = "message-store",
    params(TenantPath, RemovalQuery), request_body = ErasureRequest,
    responses((status = 200, description = "With `dry_run`: what would go.", body = ErasureDryRun),
        (status = 201, description = "It has begun.", body = Erasure), Erasing, Always, InTenant, Taking))]
pub async fn create_erasure(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Query(RemovalQuery { dry_run }): Query<RemovalQuery>,
    Json(new): Json<ErasureRequest>,
) -> Result<Response, Failure> {
    let customer = new.check()?;
    let by = &scope.bearer.sub;
    let erasure = NewErasure {
        id: deps.ids.next(),
        customer: &customer,
        reason: &new.reason,
        by,
        at: deps.ids.clock().now(),
        close: new.close,
        dry_run,
    };
    match deps.tenant(&scope).await?.begin_erasure(erasure).await {
        Ok(Begin::Begun(row)) => {
            deps.made(scope.tenant, "erasure", row.id, by);
            Ok((StatusCode::CREATED, Json(Erasure::from(row))).into_response())
        }
        Ok(Begin::Would { tables, closes }) => Ok(would(Vec::new(), closes, tables)),
        Ok(Begin::InTheWay(found)) if dry_run => {
            let in_the_way = found.into_iter().map(Obstacle::from);
            Ok(would(in_the_way.collect(), 0, Vec::new()))
        }
        Ok(Begin::InTheWay(found)) => {
            let list: Vec<String> = found.iter().map(told).collect();
            let problem = Problem::conflict(format!("in the way: {}", list.join("; ")));
            Err(problem
                .remedy(
                    "release the hold, take the number out of the list, wait until the conversation has ended or give \"close\": true; \
                     then ask again",
                )
                .into())
        }
        Err(DbError::Conflict { .. }) => Err(Problem::conflict("this person's erasure is under way already")
            .remedy("GET /v1/tenants/{tenant}/erasures says how far it is")
            .into()),
        Err(error) => Err(error.into()),
    }
}

fn would(in_the_way: Vec<Obstacle>, closes: usize, tables: Vec<TableRows>) -> Response {
    let tables = tables.into_iter().filter(|table| table.rows > 0);
    let tables = tables.map(|TableRows { table, rows }| TableCount { table, rows });
    let answer = ErasureDryRun {
        dry_run: true,
        in_the_way,
        closes,
        tables: tables.collect(),
    };
    Json(answer).into_response()
}

/// List erasures, the newest first
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/erasures", tag = "message-store",
    params(TenantPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<Erasure>), Always, InTenant))]
pub async fn list_erasures(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Erasure>>, Failure> {
    let limit = page.limit()?;
    let db = deps.tenant(&scope).await?;
    let rows = db.erasures(page.position()?, limit as i64 + 1).await?;
    let items = rows.into_iter().map(Erasure::from).collect();
    Ok(Json(Page::cut(items, limit, |erasure: &Erasure| erasure.id)))
}

/// Read how far an erasure is
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/erasures/{erasure}", tag = "message-store",
    params(ErasurePath),
    responses((status = 200, description = "The erasure.", body = Erasure), Always, InTenant))]
pub async fn get_erasure(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<ErasurePath>,
) -> Result<Json<Erasure>, Failure> {
    Ok(Json(
        deps.tenant(&scope).await?.erasure(path.erasure).await?.into(),
    ))
}

/// Read the certificate of an erasure
///
/// Which tables there were, how many rows of the person each had before, and that none has any now. The bytes are always the same: their
/// SHA-256 is the erasure's `certificate_sha256`. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their
/// own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/erasures/{erasure}/certificate", tag = "message-store",
    params(ErasurePath),
    responses((status = 200, description = "The certificate.", body = serde_json::Value), Always, InTenant))]
pub async fn get_erasure_certificate(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<ErasurePath>,
) -> Result<([(HeaderName, &'static str); 1], String), Failure> {
    let row = deps.tenant(&scope).await?.erasure(path.erasure).await?;
    let text = row.certificate.ok_or(DbError::NotFound("certificate"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
