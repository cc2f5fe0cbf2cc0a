//! For how long a tenant keeps what was written.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
};
use axum::extract::State;
use ccm_db::{RetentionPlan, RetentionProgress};
use ccm_model::RetentionSettings;
use ccm_web::{Document, Json, TenantScope, may};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// The shape of [`RetentionSettings`]: days after a conversation's last text.
#[derive(ToSchema)]
#[schema(as = RetentionSettings, example = json!({"bodies_days": 90, "metadata_days": 400}))]
#[allow(dead_code, reason = "the document is made of it")]
pub struct Shape {
    /// Then what was written goes, and that it was stays. `null`: never.
    #[schema(minimum = 1, maximum = 3653, default = json!(null))]
    bodies_days: Option<u32>,
    /// Then conversations go as a whole; no less than `bodies_days`. `null`: never.
    #[schema(minimum = 1, maximum = 3653, default = json!(null))]
    metadata_days: Option<u32>,
}

/// What these settings would take away now; nothing has been changed. More than 100,000 of each are not counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionDryRun {
    /// Conversations whose words would go.
    bodies: i64,
    /// Conversations that would go as a whole.
    conversations: i64,
    /// Conversations that are old enough for either and stay, because of a legal hold.
    held: i64,
}

/// How far retention is carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionState {
    /// Texts whose words are gone, since retention was first set.
    texts_erased: i64,
    /// Texts that are gone.
    texts_gone: i64,
    conversations_gone: i64,
    /// When nothing was left to do; `null` while there is.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    caught_up_at: Option<OffsetDateTime>,
    /// Why the last step failed; it is made again in a minute.
    #[schema(required)]
    last_error: Option<String>,
}

impl From<RetentionPlan> for RetentionDryRun {
    fn from(plan: RetentionPlan) -> Self {
        Self {
            bodies: plan.bodies,
            conversations: plan.conversations,
            held: plan.held,
        }
    }
}

impl From<RetentionProgress> for RetentionState {
    fn from(progress: RetentionProgress) -> Self {
        Self {
            texts_erased: progress.texts_erased,
            texts_gone: progress.texts_gone,
            conversations_gone: progress.conversations_gone,
            caught_up_at: progress.caught_up_at,
            last_error: progress.last_error,
        }
    }
}

/// What is older goes.
pub(super) fn before(days: Option<u32>, now: OffsetDateTime) -> Option<OffsetDateTime> {
    days.map(|days| now - Duration::days(days.into()))
}

/// Say what such settings would take away
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/retention-settings/dry-run", tag = "message-store",
    params(TenantPath), request_body = Shape,
    responses((status = 200, description = "What would go now.", body = RetentionDryRun), Always, InTenant, Taking))]
pub async fn plan_retention(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Document(new): Document<RetentionSettings>,
) -> Result<Json<RetentionDryRun>, Failure> {
    new.check().map_err(crate::valid::Refused::from)?;
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let plan = db.plan_retention(before(new.bodies_days, now), before(new.metadata_days, now));
    Ok(Json(plan.await?.into()))
}

/// Read how far retention is carried out
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/retention", tag = "message-store",
    params(TenantPath),
    responses((status = 200, description = "How far.", body = RetentionState), Always, InTenant))]
pub async fn get_retention(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<RetentionState>, Failure> {
    let progress = deps.tenant(&scope).await?.retention_progress().await?;
    let nothing = RetentionProgress {
        texts_erased: 0,
        texts_gone: 0,
        conversations_gone: 0,
        caught_up_at: None,
        last_error: None,
    };
    Ok(Json(progress.unwrap_or(nothing).into()))
}
