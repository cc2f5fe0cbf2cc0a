//! A report's address for people who have no token: the customer's AACC team.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Taking},
    path::DoctorReportPath,
    valid::Refused,
};
use axum::extract::State;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_auth::secure_random;
use ccm_web::{Json, Path, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// 30 days, in seconds.
const LONGEST_S: u32 = 30 * 86_400;

/// Bytes of chance in an address.
pub const TOKEN: usize = 32;

/// For how long a report is to be shared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl_s": 604_800}))]
pub struct NewShare {
    /// In seconds: 60 (a minute) to 2592000 (30 days).
    #[schema(minimum = 60, maximum = 2_592_000)]
    ttl_s: u32,
}

/// Where a report can be read without a token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Share {
    /// Behind this API's host: a page, or JSON with `Accept: application/json`. Shown this once.
    #[schema(example = "/doctor/reports/MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA")]
    path: String,
    /// Until when it is good.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    until: OffsetDateTime,
}

/// Share a report of the link doctor
///
/// Whoever has the address can read this report, without a token, until it ends or is taken back. A report has one address at a
/// time: another one replaces it. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/doctor-reports/{report}/share", tag = "doctor",
    params(DoctorReportPath),
    responses((status = 201, description = "It is shared.", body = Share), Always, InTenant, Taking))]
pub async fn share_doctor_report(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<DoctorReportPath>,
    Json(new): Json<NewShare>,
) -> Result<Made<Share>, Failure> {
    if !(60..=LONGEST_S).contains(&new.ttl_s) {
        return Err(Refused::new(
            "ttl_s",
            "is not between 60 and 2592000 s",
            "give a minute to 30 days, in seconds: 604800 is a week",
        )
        .into());
    }
    let mut token = [0; TOKEN];
    secure_random(&mut token);
    let until = deps.ids.clock().now() + Duration::seconds(new.ttl_s.into());
    let db = deps.tenant(&scope).await?;
    db.share_doctor_report(path.report, &token, until, &scope.bearer.sub)
        .await?;
    deps.dealt_with(
        scope.tenant,
        "doctor report",
        path.report,
        "shared",
        &scope.bearer.sub,
    );
    Ok(Made(Share {
        path: format!("/doctor/reports/{}", BASE64_URL_SAFE_NO_PAD.encode(token)),
        until,
    }))
}

/// Take a report's address back
///
/// 404 if it is not shared. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/doctor-reports/{report}/share", tag = "doctor",
    params(DoctorReportPath),
    responses((status = 204, description = "Nobody can read it by the address any more."), Always, InTenant))]
pub async fn unshare_doctor_report(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<DoctorReportPath>,
) -> Result<Gone, Failure> {
    deps.tenant(&scope)
        .await?
        .unshare_doctor_report(path.report)
        .await?;
    deps.dealt_with(
        scope.tenant,
        "doctor report",
        path.report,
        "unshared",
        &scope.bearer.sub,
    );
    Ok(Gone)
}
