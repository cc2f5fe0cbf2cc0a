//! What the link doctor found, kept for 90 days.

use super::schema::{Report, report_outcome};
use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::{DoctorReportPath, TenantPath},
    query,
};
use axum::extract::State;
use ccm_db::DoctorReportRow;
use ccm_model::LinkId;
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A report, without its steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoctorReportSummary {
    id: Uuid,
    /// `null`: a link that was not saved.
    #[schema(value_type = Option<Uuid>, required)]
    link_id: Option<LinkId>,
    #[schema(schema_with = report_outcome)]
    outcome: String,
    /// What was examined.
    #[schema(example = "wss://aacc.example.com:8445/CustomerControllerWeb/chat")]
    address: String,
    /// The `sub` of the token that asked for it.
    made_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    made_at: OffsetDateTime,
    /// Until when its shared address is good; `null`: it is not shared, or no longer.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    shared_until: Option<OffsetDateTime>,
}

/// A report.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoctorReport {
    id: Uuid,
    /// `null`: a link that was not saved.
    #[schema(value_type = Option<Uuid>, required)]
    link_id: Option<LinkId>,
    /// The `sub` of the token that asked for it.
    made_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    made_at: OffsetDateTime,
    /// Until when its shared address is good; `null`: it is not shared, or no longer.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    shared_until: Option<OffsetDateTime>,
    #[schema(value_type = Report)]
    report: Value,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DoctorReportsQuery {
    /// Only those of this link.
    #[param(value_type = Option<Uuid>)]
    link_id: Option<LinkId>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

fn shared(row: &DoctorReportRow, now: OffsetDateTime) -> Option<OffsetDateTime> {
    row.shared_until.filter(|until| *until > now)
}

impl DoctorReportSummary {
    fn of(row: DoctorReportRow, now: OffsetDateTime) -> Self {
        Self {
            shared_until: shared(&row, now),
            address: row.report["primary"].as_str().unwrap_or_default().to_owned(),
            id: row.id,
            link_id: row.link,
            outcome: row.outcome,
            made_by: row.made_by,
            made_at: row.made_at,
        }
    }
}

impl DoctorReport {
    fn of(row: DoctorReportRow, now: OffsetDateTime) -> Self {
        Self {
            shared_until: shared(&row, now),
            id: row.id,
            link_id: row.link,
            made_by: row.made_by,
            made_at: row.made_at,
            report: row.report,
        }
    }
}

/// List the link doctor's reports, the newest first
///
/// They are kept for 90 days. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own
/// tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/doctor-reports", tag = "doctor",
    params(TenantPath, DoctorReportsQuery),
    responses((status = 200, description = "One page.", body = Page<DoctorReportSummary>), Always, InTenant))]
pub async fn list_doctor_reports(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<DoctorReportsQuery>,
) -> Result<Json<Page<DoctorReportSummary>>, Failure> {
    let limit = query::limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let rows = db.doctor_reports(query.link_id, before, limit as i64 + 1).await?;
    let items = rows
        .into_iter()
        .map(|row| DoctorReportSummary::of(row, now))
        .collect();
    Ok(Json(Page::cut(items, limit, |report: &DoctorReportSummary| {
        report.id
    })))
}

/// Read a report of the link doctor
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/doctor-reports/{report}", tag = "doctor",
    params(DoctorReportPath),
    responses((status = 200, description = "The report.", body = DoctorReport), Always, InTenant))]
pub async fn get_doctor_report(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<DoctorReportPath>,
) -> Result<Json<DoctorReport>, Failure> {
    let row = deps.tenant(&scope).await?.doctor_report(path.report).await?;
    Ok(Json(DoctorReport::of(row, deps.ids.clock().now())))
}
