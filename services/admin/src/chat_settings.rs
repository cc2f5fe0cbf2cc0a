//! What a tenant decides about its chats: one document, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    chat_document::ChatSettings as Shape,
    path::TenantPath,
    valid::Refused,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, header},
};
use ccm_db::TenantDb;
use ccm_model::{ChatSettings, settings::SettingRefused};
use ccm_web::{Document, Json, Problem, TenantScope, may};
use time::OffsetDateTime;

/// The document with its ETag.
type Tagged = ([(HeaderName, String); 1], Json<ChatSettings>);

fn tagged(settings: ChatSettings, changed: Option<OffsetDateTime>) -> Tagged {
    ([(header::ETAG, tag(changed))], Json(settings))
}

/// Postgres keeps microseconds; settings that were never set have a tag too.
fn tag(changed: Option<OffsetDateTime>) -> String {
    match changed {
        Some(at) => format!("\"{}\"", at.unix_timestamp_nanos() / 1000),
        None => "\"none\"".to_owned(),
    }
}

impl From<SettingRefused> for Refused {
    fn from(refused: SettingRefused) -> Self {
        Self::new(refused.field, refused.problem, refused.remedy)
    }
}

/// Of which moment the settings must still be, if the caller has said so (RFC 9110, 13.1.1).
async fn precondition(
    db: &TenantDb<'_>,
    headers: &HeaderMap,
) -> Result<Option<Option<OffsetDateTime>>, Failure> {
    let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
    if asked.peek().is_none() {
        return Ok(None);
    }
    let asked: Vec<&str> = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    // There always are settings.
    if asked.contains(&"*") {
        return Ok(None);
    }
    let (_, changed) = db.chat_settings().await?;
    match asked.contains(&tag(changed).as_str()) {
        true => Ok(Some(changed)),
        false => Err(CHANGED),
    }
}

const CHANGED: Failure = Failure::Changed {
    what: "chat settings",
};

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
) -> Result<Tagged, Failure> {
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
) -> Result<Tagged, Failure> {
    new.check().map_err(Refused::from)?;
    let db = deps.tenant(&scope).await?;
    let unless = precondition(&db, &headers).await?;
    let changed = db.put_chat_settings(&new, unless).await?.ok_or(CHANGED)?;
    deps.changed(scope.tenant, "chat settings", scope.tenant, &scope.claims.sub);
    Ok(tagged(new, Some(changed)))
}
