//! Keys for the screen-pop page.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    patch::given,
    path::{AuthKeyPath, TenantPath},
    query, schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_auth::secure_random;
use ccm_db::{AuthKeyChange, AuthKeyRow, DbError, Successor, TenantDb};
use ccm_model::{AuthKeyId, KeyUse};
use ccm_web::{Cursor, Json, Page, Path, Problem, Query, TenantScope, may};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

const WHAT: &str = "key";
const MOST_NETWORKS: usize = 50;
const LONGEST_OVERLAP_S: i64 = 90 * 24 * 3600;

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
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// CIDR blocks from which it may be used, such as those of the agents' offices. Left out or empty: from anywhere.
    #[serde(default)]
    #[schema(max_items = 50, default = json!([]), example = json!(["192.0.2.0/24", "2001:db8::/32"]))]
    networks: Vec<String>,
    /// What it opens. A key that stands in an address is best for that page alone. Left out or `null`: everything.
    #[serde(default)]
    #[schema(schema_with = schema::optional_key_uses, required = false)]
    uses: Option<Vec<KeyUse>>,
}

/// What is to change of a key; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"expires_at": null, "networks": ["192.0.2.0/24"]}))]
pub struct AuthKeyPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<String>,
    /// `null`: never.
    #[serde(default, deserialize_with = "crate::moment::given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<OffsetDateTime>>,
    /// Replaces all of them; `null`: from anywhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    networks: Option<Option<Vec<String>>>,
    /// Replaces all of them; `null`: everything.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schema::optional_key_uses, required = false)]
    uses: Option<Option<Vec<KeyUse>>>,
}

/// How a key is to be replaced by a new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_s": 604_800, "expires_at": "2027-12-31T00:00:00Z"}))]
pub struct Rotation {
    /// For how many seconds the old key goes on beside the new one: 0 to 7776000 (90 days). It is not made to last longer than it
    /// did.
    #[schema(minimum = 0, maximum = 7_776_000)]
    overlap_s: i64,
    /// From when on the new key is refused. Left out: never.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

/// Which keys, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuthKeyQuery {
    /// Those of this name: the one in use and those before it.
    name: Option<String>,
    /// `true`: those that open something now; `false`: those that have expired or were revoked.
    active: Option<bool>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
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
    /// CIDR blocks from which it may be used; none: from anywhere.
    #[schema(example = json!(["192.0.2.0/24"]))]
    networks: Vec<String>,
    /// What it opens.
    #[schema(schema_with = schema::key_uses)]
    uses: Vec<KeyUse>,
    /// The key that takes its place, as long as both are good; `null`: none does.
    #[schema(value_type = Option<Uuid>, required)]
    replaced_by: Option<AuthKeyId>,
    /// When it opened something last, to the minute; `null`: it never did.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<OffsetDateTime>,
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
            networks: row.networks,
            uses: row.uses,
            replaced_by: row.replaced_by,
            last_used_at: row.last_used_at,
        }
    }
}

impl NewAuthKey {
    /// The key to be stored: the one that came, or a new one.
    fn check(&self, now: OffsetDateTime) -> Result<ccm_auth::AuthKey, Refused> {
        valid::name("name", &self.name, 100)?;
        to_come(self.expires_at, now)?;
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

fn to_come(expires_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Refused> {
    if expires_at.is_none_or(|at| at > now) {
        return Ok(());
    }
    Err(Refused::new(
        "expires_at",
        "has passed",
        "give a time to come, or leave it out",
    ))
}

/// The blocks as they are kept: without what stands behind their prefix.
fn blocks(networks: &[String]) -> Result<Vec<String>, Refused> {
    if networks.len() > MOST_NETWORKS {
        return Err(Refused::new(
            "networks",
            format!("has more than {MOST_NETWORKS} blocks"),
            "join neighbours into larger blocks",
        ));
    }
    let block = |(n, raw): (usize, &String)| {
        let net: IpNet = raw.parse().map_err(|_| {
            Refused::new(
                format!("networks[{n}]"),
                "is not a CIDR block",
                "write it like 192.0.2.0/24, and a single address like 192.0.2.7/32",
            )
        })?;
        Ok(net.trunc().to_string())
    };
    networks.iter().enumerate().map(block).collect()
}

/// What a key is to open, each once; `None`: everything.
fn uses(wanted: Option<&[KeyUse]>) -> Result<Vec<KeyUse>, Refused> {
    let mut all = KeyUse::ALL.to_vec();
    let Some(wanted) = wanted else { return Ok(all) };
    if wanted.is_empty() {
        return Err(Refused::new(
            "uses",
            "is empty: the key would open nothing",
            "name what it is for, leave it out for everything, or revoke the key",
        ));
    }
    all.retain(|one| wanted.contains(one));
    Ok(all)
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
    let networks = blocks(&new.networks)?;
    let uses = uses(new.uses.as_deref())?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewAuthKey {
        id: deps.ids.next(),
        name: &new.name,
        prefix: key.prefix(),
        lookup_hash: &key.lookup_hash(&deps.lookup_key),
        expires_at: new.expires_at,
        networks: &networks,
        uses: &uses,
    };
    let row = match db.create_auth_key(row).await {
        Err(DbError::Conflict { constraint, .. }) => return Err(conflict(&db, &new.name, &constraint).await?),
        made => made?,
    };
    deps.made(scope.tenant, "auth_key", row.id, &scope.bearer.sub);
    let shown = new.key.is_none().then(|| key.expose().to_owned());
    Ok(Made(MadeAuthKey {
        about: row.into(),
        key: shown,
    }))
}

async fn conflict(db: &TenantDb<'_>, name: &str, constraint: &str) -> Result<Failure, DbError> {
    if constraint == "auth_key_lookup_hash_key" {
        // It may be another tenant's: which one has it is not for the caller to know.
        return Ok(Failure::exists(WHAT, "key", None::<AuthKeyId>));
    }
    let mut keys = db.auth_keys().await?.into_iter();
    let taken = keys.find(|key| key.name == name && key.revoked_at.is_none() && key.replaced_by.is_none());
    Ok(Failure::exists(WHAT, "name", taken.map(|key| key.id)))
}

fn answer(row: AuthKeyRow) -> Tagged<AuthKey> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

/// Not of when it was used.
fn tag(row: &AuthKeyRow) -> String {
    let replaced_by = row.replaced_by;
    let moments = [row.expires_at, row.revoked_at].map(|at| at.map(OffsetDateTime::unix_timestamp_nanos));
    content_tag(&(&row.name, &row.networks, &row.uses, moments, replaced_by))
}

/// List the screen-pop keys, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/auth-keys", tag = "auth-keys",
    params(TenantPath, AuthKeyQuery),
    responses((status = 200, description = "One page.", body = Page<AuthKey>), Always, InTenant))]
pub async fn list_auth_keys(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<AuthKeyQuery>,
) -> Result<Json<Page<AuthKey>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let rows = db
        .auth_keys_part(query.active, query.name.as_deref(), now, &part)
        .await?;
    let items = rows.into_iter().map(AuthKey::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &AuthKey| {
        (one.name.clone(), one.id)
    })))
}

/// Read what is known of a screen-pop key
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/auth-keys/{key}", tag = "auth-keys",
    params(AuthKeyPath),
    responses((status = 200, description = "All but the key itself.", body = AuthKey,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_auth_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<AuthKeyPath>,
) -> Result<Tagged<AuthKey>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.auth_key(path.key).await?))
}

/// Change a screen-pop key
///
/// A merge patch (RFC 7396) of its name, its end, its networks and its uses; the key itself stays. In force on every pod at once. For the
/// roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/auth-keys/{key}", tag = "auth-keys",
    params(AuthKeyPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = AuthKey,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_auth_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<AuthKeyPath>,
    unless: IfMatch,
    Json(patch): Json<AuthKeyPatch>,
) -> Result<Tagged<AuthKey>, Failure> {
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let changed = db
        .change_auth_key(path.key, |was| {
            unless.check(WHAT, &tag(was))?;
            patch.apply(was, now)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { constraint, .. })) => {
            return Err(conflict(&db, patch.name.as_deref().unwrap_or_default(), &constraint).await?);
        }
        changed => changed?,
    };
    deps.changed(scope.tenant, "auth_key", row.id, &scope.bearer.sub);
    Ok(answer(row))
}

impl AuthKeyPatch {
    fn apply(&self, was: &AuthKeyRow, now: OffsetDateTime) -> Result<AuthKeyChange, Failure> {
        still_there(was)?;
        if let Some(name) = &self.name {
            valid::name("name", name, 100)?;
        }
        if let Some(at) = self.expires_at {
            to_come(at, now)?;
            not_revived(was, at, now)?;
        }
        Ok(AuthKeyChange {
            name: self.name.clone().unwrap_or_else(|| was.name.clone()),
            expires_at: self.expires_at.unwrap_or(was.expires_at),
            networks: match &self.networks {
                Some(networks) => blocks(networks.as_deref().unwrap_or_default())?,
                None => was.networks.clone(),
            },
            uses: match &self.uses {
                Some(wanted) => uses(wanted.as_deref())?,
                None => was.uses.clone(),
            },
        })
    }
}

/// A key that has been replaced ends when it was to end, or earlier.
fn not_revived(key: &AuthKeyRow, until: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Failure> {
    let later = until.is_none_or(|until| key.expires_at.is_some_and(|end| until > end));
    match key.replaced_by {
        Some(by) if later || !key.is_active(now) => {
            Err(Problem::conflict(format!("the key has been replaced, by {by}"))
                .field("expires_at")
                .remedy("use that one, or make a new one")
                .into())
        }
        _ => Ok(()),
    }
}

/// What was revoked stays as it was.
fn still_there(key: &AuthKeyRow) -> Result<(), Failure> {
    match key.revoked_at {
        None => Ok(()),
        Some(_) => Err(Problem::conflict("the key was revoked")
            .remedy("make a new one")
            .into()),
    }
}

impl Rotation {
    fn check(&self, now: OffsetDateTime) -> Result<(), Refused> {
        if !(0..=LONGEST_OVERLAP_S).contains(&self.overlap_s) {
            return Err(Refused::new(
                "overlap_s",
                format!("is not from 0 to {LONGEST_OVERLAP_S} seconds"),
                "give the time that it takes to configure the new key on AACC, such as 604800 (a week)",
            ));
        }
        to_come(self.expires_at, now)
    }
}

/// Replace a screen-pop key by a new one
///
/// The new key has its name, its networks and its uses, and is shown in this answer and never again. The old one goes on for the overlap; put
/// the new one into AACC's configuration meanwhile. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/auth-keys/{key}/rotate", tag = "auth-keys",
    params(AuthKeyPath, IfMatchHeader),
    responses((status = 201, description = "The new key.", body = MadeAuthKey), Always, InTenant,
        (status = 409, description = "It was revoked, has expired, or is being replaced already. Nothing was made.",
            body = Problem, content_type = "application/problem+json"),
        Taking, Guarded))]
pub async fn rotate_auth_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<AuthKeyPath>,
    unless: IfMatch,
    Json(rotation): Json<Rotation>,
) -> Result<Made<MadeAuthKey>, Failure> {
    let now = deps.ids.clock().now();
    rotation.check(now)?;
    let key = ccm_auth::AuthKey::generate(secure_random);
    let new = Successor {
        id: deps.ids.next(),
        prefix: key.prefix(),
        lookup_hash: &key.lookup_hash(&deps.lookup_key),
        expires_at: rotation.expires_at,
        overlap_until: now + Duration::seconds(rotation.overlap_s),
    };
    let db = deps.tenant(&scope).await?;
    let row = db
        .rotate_auth_key(path.key, new, |was| {
            unless.check(WHAT, &tag(was))?;
            replaceable(was, now)
        })
        .await?;
    deps.made(scope.tenant, "auth_key", row.id, &scope.bearer.sub);
    Ok(Made(MadeAuthKey {
        about: row.into(),
        key: Some(key.expose().to_owned()),
    }))
}

fn replaceable(key: &AuthKeyRow, now: OffsetDateTime) -> Result<(), Failure> {
    still_there(key)?;
    if let Some(by) = key.replaced_by {
        return Err(
            Problem::conflict(format!("the key is being replaced already, by {by}"))
                .remedy("rotate that one")
                .into(),
        );
    }
    if !key.is_active(now) {
        return Err(Problem::conflict("the key has expired: nothing would overlap")
            .remedy("make a new one")
            .into());
    }
    Ok(())
}

/// Revoke a screen-pop key
///
/// It opens nothing any more, on no pod, at once; pages that are open are refused at their next request. It stays in the list, and its
/// name is free again. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/auth-keys/{key}", tag = "auth-keys",
    params(AuthKeyPath, IfMatchHeader),
    responses((status = 204, description = "Revoked."), Always, InTenant, Guarded))]
pub async fn revoke_auth_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<AuthKeyPath>,
    unless: IfMatch,
) -> Result<Gone, Failure> {
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    db.revoke_auth_key(path.key, now, |was| unless.check(WHAT, &tag(was)))
        .await?;
    deps.removed(scope.tenant, "auth_key", path.key, &scope.bearer.sub);
    Ok(Gone)
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
