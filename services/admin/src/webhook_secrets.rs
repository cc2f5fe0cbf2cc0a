//! What a tenant's own programs know CCM's calls by.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, List, Made, Making, Taking},
    path::{TenantPath, WebhookSecretPath},
    two_secrets::{self, secret_bytes},
    valid,
};
use axum::extract::State;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_db::WebhookSecretRow;
use ccm_model::WebhookSecretId;
use ccm_web::{Json, Path, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

const WHAT: &str = "webhook secret";

/// A signing secret to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "2026"}))]
pub struct NewWebhookSecret {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// A signing secret, without the secret itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookSecret {
    #[schema(value_type = Uuid)]
    id: WebhookSecretId,
    #[schema(example = "2026")]
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// A signing secret that was made: the only answer that ever shows it. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeWebhookSecret {
    #[serde(flatten)]
    about: WebhookSecret,
    /// As Standard Webhooks writes it: `whsec_` and the base64 of 32 bytes. Shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA=")]
    secret: String,
}

impl From<WebhookSecretRow> for WebhookSecret {
    fn from(row: WebhookSecretRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
        }
    }
}

fn generate() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(&secret_bytes()[..]))
}

/// Make a signing secret for webhooks
///
/// It is shown in this answer and never again. From then on calls of the tenant's webhooks are signed with it (Standard Webhooks,
/// `webhook-signature`), within seconds. Two may be valid at a time, and calls carry the signatures of both: make the second, teach it to
/// your programs, delete the first. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhook-secrets", tag = "routing",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = MadeWebhookSecret), Always, InTenant, Making, Taking))]
pub async fn create_webhook_secret(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewWebhookSecret>,
) -> Result<Made<MadeWebhookSecret>, Failure> {
    valid::name("name", &new.name, 100)?;
    let db = deps.tenant(&scope).await?;
    let secret = generate();
    let made = db
        .create_webhook_secret(deps.ids.next(), &new.name, &secret)
        .await;
    let remedy = "delete the one that no program knows any more";
    let row = two_secrets::made(made, (WHAT, &new.name), remedy, db.list_webhook_secrets()).await?;
    deps.made(scope.tenant, "webhook_secret", row.id, &scope.bearer.sub);
    Ok(Made(MadeWebhookSecret {
        about: row.into(),
        secret,
    }))
}

/// List the signing secrets for webhooks, by name
///
/// Without the secrets themselves. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own
/// tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/webhook-secrets", tag = "routing",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<WebhookSecret>), Always, InTenant))]
pub async fn list_webhook_secrets(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<WebhookSecret>>, Failure> {
    let rows = deps.tenant(&scope).await?.list_webhook_secrets().await?;
    Ok(List::of(rows, WebhookSecret::from))
}

/// Delete a signing secret for webhooks
///
/// Calls are not signed with it any more. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/webhook-secrets/{secret}", tag = "routing",
    params(WebhookSecretPath),
    responses((status = 204, description = "It is gone."), Always, InTenant))]
pub async fn delete_webhook_secret(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookSecretPath>,
) -> Result<Gone, Failure> {
    deps.tenant(&scope)
        .await?
        .delete_webhook_secret(path.secret)
        .await?;
    deps.removed(scope.tenant, WHAT, path.secret, &scope.bearer.sub);
    Ok(Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_as_the_standard_writes_them_and_no_two_are_alike() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        let encoded = one.strip_prefix("whsec_").unwrap();
        assert_eq!(BASE64_STANDARD.decode(encoded).unwrap().len(), 32);
    }
}
