//! What a tenant signs links to its agents' page with.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, List, Made, Making, Taking},
    path::{SigningKeyPath, TenantPath},
    two_secrets::{self, secret_bytes},
    valid,
};
use axum::extract::State;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_db::SigningKeyRow;
use ccm_model::SigningKeyId;
use ccm_web::{Json, Path, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

const WHAT: &str = "signing key";

/// A signing key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "CRM 2026"}))]
pub struct NewSigningKey {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// A signing key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct SigningKey {
    /// A link's `kid`.
    #[schema(value_type = Uuid)]
    id: SigningKeyId,
    #[schema(example = "CRM 2026")]
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// A signing key that was made: the only answer that ever shows its secret. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeSigningKey {
    #[serde(flatten)]
    about: SigningKey,
    /// The secret of HS256, as these characters stand here: 43 of them. Shown this once.
    #[schema(example = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA")]
    secret: String,
}

impl From<SigningKeyRow> for SigningKey {
    fn from(row: SigningKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
        }
    }
}

fn generate() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&secret_bytes()[..])
}

/// Make a signing key for links to the agents' page
///
/// Its secret is shown in this answer and never again. A link that is signed with it opens one page, and nothing else. Two may be
/// valid at a time: make the second, teach it to your program, delete the first. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/screenpop-signing-keys", tag = "screenpop",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = MadeSigningKey), Always, InTenant, Making, Taking))]
pub async fn create_signing_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewSigningKey>,
) -> Result<Made<MadeSigningKey>, Failure> {
    valid::name("name", &new.name, 100)?;
    let db = deps.tenant(&scope).await?;
    let secret = generate();
    let made = db.create_signing_key(deps.ids.next(), &new.name, &secret).await;
    let remedy = "delete the one that no program signs with any more";
    let row = two_secrets::made(made, (WHAT, &new.name), remedy, db.signing_keys()).await?;
    deps.made(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(Made(MadeSigningKey {
        about: row.into(),
        secret,
    }))
}

/// List the signing keys for links to the agents' page, by name
///
/// Without their secrets. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/screenpop-signing-keys", tag = "screenpop",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<SigningKey>), Always, InTenant))]
pub async fn list_signing_keys(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<SigningKey>>, Failure> {
    let rows = deps.tenant(&scope).await?.signing_keys().await?;
    Ok(List::of(rows, SigningKey::from))
}

/// Delete a signing key for links to the agents' page
///
/// Links that are signed with it open nothing any more, and pages that they have opened end. For the roles platform-admin and
/// engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/screenpop-signing-keys/{signing_key}", tag = "screenpop",
    params(SigningKeyPath),
    responses((status = 204, description = "It is gone."), Always, InTenant))]
pub async fn delete_signing_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<SigningKeyPath>,
) -> Result<Gone, Failure> {
    let key = path.signing_key;
    deps.tenant(&scope).await?.delete_signing_key(key).await?;
    deps.removed(scope.tenant, WHAT, key, &scope.bearer.sub);
    Ok(Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
    }
}
