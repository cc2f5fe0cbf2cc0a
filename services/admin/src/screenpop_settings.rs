//! What a tenant decides about its agents' page: one document, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    screenpop_document::ScreenpopSettings as Shape,
    tagged::{Tagged, precondition, tagged},
    valid::{self, Refused},
};
use axum::{extract::State, http::HeaderMap};
use ccm_db::TenantDb;
use ccm_model::{Address, ScreenpopSettings};
use ccm_web::{Document, Problem, TenantScope, may};

const WHAT: &str = "screen-pop settings";

/// Texts leave from the tenant's own numbers alone.
async fn own_senders(db: &TenantDb<'_>, new: &ScreenpopSettings) -> Result<(), Failure> {
    if new.senders.is_empty() {
        return Ok(());
    }
    let numbers = db.numbers().await?;
    let strange = |sender: &Address| numbers.iter().all(|number| number.address != *sender);
    match new.senders.iter().find(|(_, sender)| strange(sender)) {
        None => Ok(()),
        Some((skillset, _)) => Err(Refused::new(
            format!("senders.{skillset}"),
            "is none of the tenant's numbers",
            "give one that GET …/numbers lists",
        )
        .into()),
    }
}

/// Read what the agents' page is like
///
/// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/screenpop-settings", tag = "screenpop",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = Shape,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_screenpop_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<ScreenpopSettings>, Failure> {
    let (settings, changed) = deps.tenant(&scope).await?.screenpop_settings().await?;
    Ok(tagged(settings, changed))
}

/// Replace what the agents' page is like
///
/// What is left out takes its default. Pages that are open have the new settings when they are next loaded; they end when they
/// would have ended. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/screenpop-settings", tag = "screenpop",
    params(TenantPath, ("If-Match" = Option<String>, Header,
        description = "The `ETag` of what was read: then nothing is replaced that somebody has changed since.")),
    request_body = Shape,
    responses((status = 200, description = "Replaced.", body = Shape,
        headers(("ETag" = String, description = "Of what is stored now."))),
        (status = 412, description = "They were changed since `If-Match` was read. Nothing was replaced.",
            body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn put_screenpop_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Document(new): Document<ScreenpopSettings>,
) -> Result<Tagged<ScreenpopSettings>, Failure> {
    new.check().map_err(Refused::from)?;
    valid::region(new.region.as_deref())?;
    let db = deps.tenant(&scope).await?;
    own_senders(&db, &new).await?;
    let stored = async { Ok(db.screenpop_settings().await?.1) };
    let unless = precondition(&headers, WHAT, stored).await?;
    let changed = db.put_screenpop_settings(&new, unless).await?;
    let changed = changed.ok_or(Failure::Changed { what: WHAT })?;
    deps.changed(scope.tenant, WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(new, Some(changed)))
}
