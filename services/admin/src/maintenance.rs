//! When a link is meant to be away.

#![allow(unused_qualifications, reason = "utoipa's macro qualifies the types of paths")]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, List, Made, Taking},
    path::{LinkPath, WindowPath},
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::DbError;
use ccm_web::{Json, Path, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, UtcOffset};
use utoipa::ToSchema;
use uuid::Uuid;

/// Longer than any maintenance: a slip of the year or the month would hold texts until they are too old.
const LONGEST: Duration = Duration::days(14);

/// A planned absence of an AACC: texts are held, the customer is told once (the notice `maintenance`), nobody is woken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "begins_at": "2099-03-01T22:00:00Z", "ends_at": "2099-03-02T02:00:00Z", "reason": "AACC patch 4711"
}))]
pub struct NewMaintenanceWindow {
    /// May have passed: then it begins at once.
    #[serde(with = "crate::moment")]
    #[schema(value_type = String, format = DateTime)]
    begins_at: OffsetDateTime,
    /// In the future, after `begins_at`, and at most 14 days after it.
    #[serde(with = "crate::moment")]
    #[schema(value_type = String, format = DateTime)]
    ends_at: OffsetDateTime,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// A planned absence of an AACC.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaintenanceWindow {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    begins_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    ends_at: OffsetDateTime,
    #[schema(example = "AACC patch 4711")]
    reason: String,
}

impl From<ccm_db::MaintenanceWindow> for MaintenanceWindow {
    fn from(row: ccm_db::MaintenanceWindow) -> Self {
        Self {
            id: row.id,
            begins_at: row.begins_at,
            ends_at: row.ends_at,
            reason: row.reason,
        }
    }
}

impl NewMaintenanceWindow {
    fn check(&self, now: OffsetDateTime) -> Result<(), Refused> {
        valid::name("reason", &self.reason, 200)?;
        let refused = |problem, remedy| Err(Refused::new("ends_at", problem, remedy));
        if self.ends_at <= self.begins_at {
            return refused(
                "is not after begins_at",
                "give an end that follows the begin, and mind the offsets: 22:00+01:00 is 21:00Z",
            );
        }
        if self.ends_at <= now {
            return refused("is not in the future", "give the moment when AACC is back");
        }
        if self.ends_at - self.begins_at > LONGEST {
            return refused(
                "is more than 14 days after begins_at",
                "give the end of this maintenance; plan another window when it takes longer",
            );
        }
        Ok(())
    }
}

/// Plan an absence of a link's AACC
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links/{link}/maintenance-windows", tag = "links",
    params(LinkPath),
    responses((status = 201, description = "Planned.", body = MaintenanceWindow), Always, InTenant, Taking))]
pub async fn create_maintenance_window(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Json(new): Json<NewMaintenanceWindow>,
) -> Result<Made<MaintenanceWindow>, Failure> {
    new.check(deps.ids.clock().now())?;
    let db = deps.tenant(&scope).await?;
    db.link(path.link).await?;
    let row = ccm_db::MaintenanceWindow {
        id: deps.ids.next(),
        tenant: scope.tenant,
        link: path.link,
        begins_at: new.begins_at.to_offset(UtcOffset::UTC),
        ends_at: new.ends_at.to_offset(UtcOffset::UTC),
        reason: new.reason,
    };
    db.create_maintenance_window(&row).await?;
    deps.made(scope.tenant, "maintenance window", row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

/// List a link's planned absences that have not ended, by begin
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/maintenance-windows", tag = "links",
    params(LinkPath),
    responses((status = 200, description = "All of them.", body = List<MaintenanceWindow>), Always, InTenant))]
pub async fn list_maintenance_windows(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Json<List<MaintenanceWindow>>, Failure> {
    let db = deps.tenant(&scope).await?;
    db.link(path.link).await?;
    let rows = db.windows_of_link(path.link, deps.ids.clock().now()).await?;
    Ok(List::of(rows, MaintenanceWindow::from))
}

/// Take a planned absence back
///
/// Also one that is under way: texts go on at once. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/links/{link}/maintenance-windows/{window}", tag = "links",
    params(WindowPath),
    responses((status = 204, description = "It is gone."), Always, InTenant))]
pub async fn delete_maintenance_window(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WindowPath>,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    if !db.delete_maintenance_window(path.link, path.window).await? {
        return Err(DbError::NotFound("maintenance window").into());
    }
    deps.removed(scope.tenant, "maintenance window", path.window, &scope.bearer.sub);
    Ok(Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn windows_end_in_the_future_and_within_14_days() {
        let now = datetime!(2026-03-01 12:00 UTC);
        let hours = Duration::hours;
        let field = |begin: Duration, end: Duration, reason: &str| {
            let new = NewMaintenanceWindow {
                begins_at: now + begin,
                ends_at: now + end,
                reason: reason.to_owned(),
            };
            new.check(now).map_err(|refused| refused.field.into_owned())
        };
        assert_eq!(field(hours(1), hours(2), "patch"), Ok(()));
        assert_eq!(field(hours(-1), hours(1), "patch"), Ok(()), "under way already");
        assert_eq!(field(hours(1), hours(1) + LONGEST, "patch"), Ok(()));
        for (begin, end) in [
            (hours(2), hours(1)),
            (hours(1), hours(1)),
            (hours(-2), hours(-1)),
            (hours(-2), hours(0)),
            (hours(1), hours(2) + LONGEST),
        ] {
            assert_eq!(field(begin, end, "patch"), Err("ends_at".to_owned()));
        }
        for reason in ["", &"x".repeat(201)] {
            assert_eq!(field(hours(1), hours(2), reason), Err("reason".to_owned()));
        }
        assert_eq!(field(hours(1), hours(2), &"x".repeat(200)), Ok(()));
    }
}
