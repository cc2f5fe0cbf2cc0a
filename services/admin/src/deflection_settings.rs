//! What a tenant decides about call deflection: one document, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    deflection_document::DeflectionSettings as Shape,
    path::TenantPath,
    tagged::{Tagged, precondition, tagged},
    valid::{self, Refused},
};
use axum::{extract::State, http::HeaderMap};
use ccm_db::{DbError, TenantDb};
use ccm_model::{Address, DeflectionSettings};
use ccm_web::{Document, Problem, TenantScope, may};

const WHAT: &str = "deflection settings";

/// What is named must be there.
async fn holds(db: &TenantDb<'_>, new: &DeflectionSettings) -> Result<(), Failure> {
    let (numbers, skillsets) = (db.numbers().await?, db.skillsets().await?);
    let senders = new
        .senders
        .iter()
        .map(|(dialled, number)| (format!("senders.{dialled}"), number));
    let mut senders = senders.chain(new.sender.iter().map(|number| ("sender".to_owned(), number)));
    let is_ours = |address: &Address| numbers.iter().any(|number| number.address == *address);
    if let Some((field, _)) = senders.find(|(_, number)| !is_ours(number)) {
        return Err(Refused::new(
            field,
            "is not a number of this tenant",
            "write one of those that GET …/numbers lists, or make it first",
        )
        .into());
    }
    let mapped = new
        .skillsets
        .iter()
        .map(|(voice, chat)| (format!("skillsets.{voice}"), chat));
    let own = new.priorities.iter().enumerate();
    let own =
        own.filter_map(|(n, entry)| Some((format!("priorities[{n}].skillset"), entry.skillset.as_ref()?)));
    let mut named = mapped.chain(own);
    if let Some((field, name)) = named.find(|(_, name)| skillsets.iter().all(|s| s.name != **name)) {
        return Err(Refused::new(
            field,
            format!("names {name}, which is not a skillset of this tenant"),
            "write one of those that GET …/skillsets lists, or make it first",
        )
        .into());
    }
    Ok(())
}

/// Read when and how waiting callers are offered a chat
///
/// A tenant that has set nothing has the defaults, and offers nothing. For the roles platform-admin, engineer and support; tenant-admin
/// and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/deflection-settings", tag = "deflection",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = Shape,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_deflection_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<DeflectionSettings>, Failure> {
    let (settings, changed) = deps.tenant(&scope).await?.deflection_settings().await?;
    Ok(tagged(settings, changed))
}

/// Replace when and how waiting callers are offered a chat
///
/// What is left out takes its default. Numbers and skillsets that are named must be there. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/deflection-settings", tag = "deflection",
    params(TenantPath, ("If-Match" = Option<String>, Header,
        description = "The `ETag` of what was read: then nothing is replaced that somebody has changed since.")),
    request_body = Shape,
    responses((status = 200, description = "Replaced.", body = Shape,
        headers(("ETag" = String, description = "Of what is stored now."))),
        (status = 412, description = "They were changed since `If-Match` was read. Nothing was replaced.",
            body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn put_deflection_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Document(new): Document<DeflectionSettings>,
) -> Result<Tagged<DeflectionSettings>, Failure> {
    new.check().map_err(Refused::from)?;
    valid::region(new.region.as_deref())?;
    let db = deps.tenant(&scope).await?;
    holds(&db, &new).await?;
    let stored = async { Ok::<_, DbError>(db.deflection_settings().await?.1) };
    let unless = precondition(&headers, WHAT, stored).await?;
    let changed = db.put_deflection_settings(&new, unless).await?;
    let changed = changed.ok_or(Failure::Changed { what: WHAT })?;
    deps.changed(scope.tenant, WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(new, Some(changed)))
}
