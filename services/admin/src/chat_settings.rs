//! What a tenant decides about its chats: one document, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    chat_document::ChatSettings as Shape,
    path::TenantPath,
    tagged::{Tagged, precondition, tagged},
    valid::Refused,
};
use axum::{extract::State, http::HeaderMap};
use ccm_model::ChatSettings;
use ccm_web::{Document, Problem, TenantScope, may};

const WHAT: &str = "chat settings";

/// Read how chats behave
///
/// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/chat-settings", tag = "chat-settings",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = Shape,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_chat_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<ChatSettings>, Failure> {
    let (settings, changed) = deps.tenant(&scope).await?.chat_settings().await?;
    Ok(tagged(settings, changed))
}

/// Replace how chats behave
///
/// What is left out takes its default. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/chat-settings", tag = "chat-settings",
    params(TenantPath, ("If-Match" = Option<String>, Header,
        description = "The `ETag` of what was read: then nothing is replaced that somebody has changed since.")),
    request_body = Shape,
    responses((status = 200, description = "Replaced.", body = Shape,
        headers(("ETag" = String, description = "Of what is stored now."))),
        (status = 412, description = "They were changed since `If-Match` was read. Nothing was replaced.",
            body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn put_chat_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Document(new): Document<ChatSettings>,
) -> Result<Tagged<ChatSettings>, Failure> {
    new.check().map_err(Refused::from)?;
    let db = deps.tenant(&scope).await?;
    let stored = async { Ok(db.chat_settings().await?.1) };
    let unless = precondition(&headers, WHAT, stored).await?;
    let changed = db.put_chat_settings(&new, unless).await?;
    let changed = changed.ok_or(Failure::Changed { what: WHAT })?;
    deps.changed(scope.tenant, WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(new, Some(changed)))
}
