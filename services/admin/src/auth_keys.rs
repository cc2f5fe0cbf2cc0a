//! Keys for the screen-pop page.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making, Taking},
    path::TenantPath,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_auth::secure_random;
use ccm_db::{AuthKeyRow, DbError, TenantDb};
use ccm_model::AuthKeyId;
use ccm_web::{Json, TenantScope, may};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A key to be made or imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "agents Dublin", "expires_at": "2027-12-31T00:00:00Z"}))]
pub struct NewAuthKey {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// A key that agents have already, to be imported: 16 visible ASCII characters. Left out: a new one is made.
    #[serde(default, deserialize_with = "valid::unrepeated")]
    #[schema(value_type = Option<String>, format = Password, min_length = 16, max_length = 16)]
    key: Option<SecretString>,
    /// From when on it is refused. Left out: never.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

/// A key for the screen-pop page, without the key itself: that is stored nowhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthKey {
    #[schema(value_type = Uuid)]
    id: AuthKeyId,
    #[schema(example = "agents Dublin")]
    name: String,
    /// The key's first characters, to tell keys apart.
    #[schema(example = "kV3x")]
    prefix: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// From when on it is refused; `null`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<OffsetDateTime>,
    /// Since when it is refused although it has not expired; `null`: it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    revoked_at: Option<OffsetDateTime>,
}

/// A key that was made: the only answer that ever shows it. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeAuthKey {
    #[serde(flatten)]
    about: AuthKey,
    /// The key, 16 characters, shown this once; left out for an imported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "kV3xT0q_Zr8-bW2m")]
    key: Option<String>,
}

impl From<AuthKeyRow> for AuthKey {
    fn from(row: AuthKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

impl NewAuthKey {
    /// The key to be stored: the one that came, or a new one.
    fn check(&self, now: OffsetDateTime) -> Result<ccm_auth::AuthKey, Refused> {
        valid::name("name", &self.name, 100)?;
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Refused::new(
                "expires_at",
                "has passed",
                "give a time to come, or leave it out",
            ));
        }
        match &self.key {
            None => Ok(ccm_auth::AuthKey::generate(secure_random)),
            Some(key) => ccm_auth::AuthKey::parse(key.expose_secret()).map_err(|error| {
                Refused::new(
                    "key",
                    format!("is not a key: {error}"),
                    "copy it again from where it is in use",
                )
            }),
        }
    }
}

/// Make or import a screen-pop key
///
/// A new key is shown in this answer and never again. For the roles platform-admin and engineer; tenant-admin in their
/// own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/auth-keys", tag = "auth-keys",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = MadeAuthKey), Always, InTenant, Making, Taking))]
pub async fn create_auth_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewAuthKey>,
) -> Result<Made<MadeAuthKey>, Failure> {
    let key = new.check(deps.ids.clock().now())?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewAuthKey {
        id: deps.ids.next(),
        name: &new.name,
        prefix: key.prefix(),
        lookup_hash: &key.lookup_hash(&deps.lookup_key),
        expires_at: new.expires_at,
    };
    let row = match db.create_auth_key(row).await {
        Err(DbError::Conflict { constraint, .. }) => return Err(conflict(&db, &new, &constraint).await?),
        made => made?,
    };
    deps.made(scope.tenant, "auth_key", row.id, &scope.bearer.sub);
    let shown = new.key.is_none().then(|| key.expose().to_owned());
    Ok(Made(MadeAuthKey {
        about: row.into(),
        key: shown,
    }))
}

async fn conflict(db: &TenantDb<'_>, new: &NewAuthKey, constraint: &str) -> Result<Failure, DbError> {
    if constraint == "auth_key_lookup_hash_key" {
        // It may be another tenant's: which one has it is not for the caller to know.
        return Ok(Failure::exists("key", "key", None::<AuthKeyId>));
    }
    let taken = db.auth_keys().await?.into_iter().find(|key| key.name == new.name);
    Ok(Failure::exists("key", "name", taken.map(|key| key.id)))
}

/// List the screen-pop keys, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/auth-keys", tag = "auth-keys",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<AuthKey>), Always, InTenant))]
pub async fn list_auth_keys(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<AuthKey>>, Failure> {
    let rows = deps.tenant(&scope).await?.auth_keys().await?;
    Ok(List::of(rows, AuthKey::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-23 08:00 UTC);

    fn read(json: &str) -> Result<NewAuthKey, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_key_is_imported_or_made_and_never_printed() {
        let new = read(r#"{"name": "x", "key": "0123456789abcdef"}"#).unwrap();
        assert_eq!(new.check(NOW).unwrap().expose(), "0123456789abcdef");
        assert!(!format!("{new:?}").contains("0123456789abcdef"));
        let new = read(r#"{"name": "x", "key": null}"#).unwrap();
        assert_ne!(new.check(NOW).unwrap().expose(), new.check(NOW).unwrap().expose());
    }

    #[test]
    fn refusals_name_the_field_and_hide_the_key() {
        for (json, field) in [
            (r#"{"name": ""}"#, "name"),
            (r#"{"name": "x", "key": "0123456789abcdeXY"}"#, "key"),
            (r#"{"name": "x", "key": "0123456789 bcdef"}"#, "key"),
            (
                r#"{"name": "x", "expires_at": "2026-11-23T08:00:00Z"}"#,
                "expires_at",
            ),
        ] {
            let refused = read(json).unwrap().check(NOW).unwrap_err();
            assert_eq!(refused.field, field);
            assert!(!refused.to_string().contains("0123456789"));
        }
        let error = read(r#"{"name": "x", "key": 1234567890123456}"#).unwrap_err();
        assert!(
            error.contains("quotes") && !error.contains("1234567890123456"),
            "{error}"
        );
    }
}
