//! How much a tenant may send.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    tagged::{Guarded, IfMatchHeader, Tagged, precondition, tagged},
    valid::Refused,
};
use axum::{extract::State, http::HeaderMap};
use ccm_db::CapsRow;
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const WHAT: &str = "caps";
const MOST: i64 = 1_000_000_000;

/// What a tenant may send; left out or `null`: as much as it wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"daily_mt_segments": 5000, "monthly_mt_segments": 100_000}))]
pub struct NewCaps {
    /// Segments in a day (UTC), 0 to 1,000,000,000.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    daily_mt_segments: Option<i64>,
    /// Segments in a month (UTC), 0 to 1,000,000,000.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    monthly_mt_segments: Option<i64>,
}

/// What a tenant may send, and what it has sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Caps {
    /// Segments in a day (UTC); `null`: as many as it wants.
    #[schema(required)]
    daily_mt_segments: Option<i64>,
    /// Segments in a month (UTC); `null`: as many as it wants.
    #[schema(required)]
    monthly_mt_segments: Option<i64>,
    /// Segments of today, as they are counted for the caps: of texts that a provider was asked to take. `null`: there is no cap.
    #[schema(required)]
    segments_today: Option<i64>,
    /// Segments of this month. `null`: there is no cap.
    #[schema(required)]
    segments_this_month: Option<i64>,
}

impl From<Option<&CapsRow>> for Caps {
    fn from(row: Option<&CapsRow>) -> Self {
        let counted =
            row.filter(|row| row.caps.daily_segments.is_some() || row.caps.monthly_segments.is_some());
        Self {
            daily_mt_segments: row.and_then(|row| row.caps.daily_segments),
            monthly_mt_segments: row.and_then(|row| row.caps.monthly_segments),
            segments_today: counted.map(|row| row.day_segments),
            segments_this_month: counted.map(|row| row.month_segments),
        }
    }
}

impl NewCaps {
    fn check(&self) -> Result<(), Refused> {
        for (field, cap) in [
            ("daily_mt_segments", self.daily_mt_segments),
            ("monthly_mt_segments", self.monthly_mt_segments),
        ] {
            if cap.is_some_and(|cap| !(0..=MOST).contains(&cap)) {
                return Err(Refused::new(
                    field,
                    "is not between 0 and 1000000000",
                    "give a number of segments, or null for none",
                ));
            }
        }
        Ok(())
    }
}

/// Read how much a tenant may send
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/caps", tag = "usage",
    params(TenantPath),
    responses((status = 200, description = "The caps.", body = Caps,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_caps(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<Caps>, Failure> {
    let row = deps.tenant(&scope).await?.caps(deps.ids.clock().now()).await?;
    Ok(tagged(Caps::from(row.as_ref()), row.map(|row| row.updated_at)))
}

/// Say how much a tenant may send
///
/// Counted from the beginning of the day and of the month. A text beyond a cap is not sent: its agent is told, and it becomes a dead letter
/// with the code `ccm:cap`. Replies to STOP, START and HELP are always sent. Events tell of 80 % and of 100 % (docs/usage.md). For the
/// roles platform-admin and engineer.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/caps", tag = "usage",
    params(TenantPath, IfMatchHeader),
    request_body = NewCaps,
    responses((status = 200, description = "The caps.", body = Caps,
        headers(("ETag" = String, description = "Of what is stored now."))), Always, InTenant, Guarded, Taking))]
pub async fn put_caps(
    State(deps): State<Deps>,
    scope: TenantScope<may::SuspendTenants>,
    headers: HeaderMap,
    Json(new): Json<NewCaps>,
) -> Result<Tagged<Caps>, Failure> {
    new.check()?;
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let stored = async { Ok(db.caps(now).await?.map(|row| row.updated_at)) };
    let unless = precondition(&headers, WHAT, stored).await?;
    let caps = ccm_db::Caps {
        daily_segments: new.daily_mt_segments,
        monthly_segments: new.monthly_mt_segments,
    };
    let row = db.put_caps(caps, unless, now).await?;
    let row = row.ok_or(Failure::Changed { what: WHAT })?;
    deps.changed(scope.tenant, WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(Caps::from(Some(&row)), Some(row.updated_at)))
}
