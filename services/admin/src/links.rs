//! A tenant's AACC, as reached over EWC.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Made, Making, Taking},
    ca,
    ewc_url::EwcUrl,
    patch::given,
    path::{LinkPath, TenantPath},
    query,
    reach::{self, Reach, Stored},
    removal::{Asked, RemovalQuery, Removing},
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::{extract::State, response::Response};
use ccm_db::{DbError, LinkRow, LinkSecrets, TenantDb};
use ccm_model::{Id, LinkId};
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const WHAT: &str = "link";

/// An AACC to be reached, or what one is to become.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "AACC Dublin",
    "url": "wss://aacc.example.com:8445/CustomerControllerWeb/chat",
    "ca_pem": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"
}))]
pub struct NewLink {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// `wss://HOST[:PORT][/PATH]`; `ws://` is unencrypted, for test systems. Without a port 443 (80), as in every such
    /// address; AACC itself listens on 8445 (8081). Without a path `/CustomerControllerWeb/chat`.
    url: String,
    /// Certificates of the authorities that may sign the server's certificate: PEM, one after the other, at most
    /// 262144 bytes. Left out: the public ones. The certificate is checked either way.
    ca_pem: Option<String>,
    /// AACC does not carry `<` and `>`: with `true` customers' reach the agent as the look-alikes `‹` and `›`.
    #[serde(default = "yes")]
    #[schema(default = true)]
    swap_angle_brackets: bool,
    /// Sockets opened a second at most, over all of the tenant's chats.
    #[serde(default = "ten")]
    #[schema(default = 10.0, minimum = 0.01, maximum = 1000)]
    connects_per_second: f32,
    /// The name that the server's certificate must carry, that is asked for in TLS (SNI) and in the `Host` header.
    /// Left out: the host of the address that is dialled.
    #[schema(min_length = 1, max_length = 253, example = "aacc.example.com")]
    pub(crate) server_name: Option<String>,
    /// IP addresses to dial, in this order, instead of looking the host up.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 16, default = json!([]), example = json!(["192.0.2.10"]))]
    pub(crate) addresses: Vec<IpAddr>,
    /// The other server of a high-availability pair, dialled when the first does not answer. Begins as `url` does; host and
    /// port are used, the path is that of `url`.
    #[schema(example = "wss://aacc2.example.com:8445")]
    pub(crate) secondary_url: Option<String>,
    /// For a server that asks for a client certificate (with `wss://`): the certificate, then its intermediates, PEM, at
    /// most 65536 bytes.
    pub(crate) client_certificate_pem: Option<String>,
    /// The private key of the certificate: PEM in PKCS#8, PKCS#1 or SEC1, not encrypted. Sealed at rest; no answer shows it.
    /// Needed with a new certificate; left out while the certificate is unchanged, the stored one is kept.
    #[serde(default, deserialize_with = "valid::unrepeated")]
    #[schema(value_type = Option<String>, format = Password, write_only)]
    pub(crate) client_key_pem: Option<SecretString>,
    /// An HTTP proxy that is asked to CONNECT: `http://[USER:PASSWORD@]HOST:PORT`. User and password are sealed at rest, and
    /// shown as `***`; sent back like that, with the same host and port, they are kept.
    #[serde(default, deserialize_with = "valid::unrepeated")]
    #[schema(value_type = Option<String>, example = "http://proxy.example.com:3128")]
    pub(crate) proxy_url: Option<SecretString>,
}

/// What is to change of a link; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"connects_per_second": 5, "secondary_url": "wss://aacc2.example.com:8445"}))]
pub struct LinkPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    url: Option<String>,
    /// `null`: the public authorities.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    ca_pem: Option<Option<String>>,
    /// `null`: `true`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    swap_angle_brackets: Option<Option<bool>>,
    /// `null`: 10.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f32>, minimum = 0.01, maximum = 1000)]
    connects_per_second: Option<Option<f32>>,
    /// `null`: the host of the address that is dialled.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 253)]
    server_name: Option<Option<String>>,
    /// Replaces all of them; `null`: none, the host is looked up.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, max_items = 16)]
    addresses: Option<Option<Vec<IpAddr>>>,
    /// `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    secondary_url: Option<Option<String>>,
    /// A new one comes with its key; `null`: neither is kept.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    client_certificate_pem: Option<Option<String>>,
    /// The private key of the certificate, if that is new, or another one of it.
    #[serde(default, deserialize_with = "valid::unrepeated")]
    #[schema(value_type = Option<String>, format = Password, write_only)]
    client_key_pem: Option<SecretString>,
    /// With `***` for user and password they are kept; `null`: no proxy.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    proxy_url: Option<Nullable>,
}

/// A secret text, or `null`; nothing else is repeated in an error.
#[derive(Debug, Clone, Deserialize)]
struct Nullable(#[serde(deserialize_with = "valid::unrepeated")] Option<SecretString>);

/// Which links, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LinkQuery {
    /// The one of this name.
    name: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

fn yes() -> bool {
    true
}

fn ten() -> f32 {
    10.0
}

/// An AACC that is reached over EWC.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    #[schema(value_type = Uuid)]
    id: LinkId,
    #[schema(example = "AACC Dublin")]
    name: String,
    /// In full, with port and path.
    #[schema(example = "wss://aacc.example.com:8445/CustomerControllerWeb/chat")]
    url: String,
    /// PEM; `null` means the public authorities.
    #[schema(required)]
    ca_pem: Option<String>,
    swap_angle_brackets: bool,
    /// Sockets opened a second at most, over all of the tenant's chats.
    #[schema(example = 10.0)]
    connects_per_second: f32,
    /// The name that the server's certificate must carry; `null`: the host of the address that is dialled.
    #[schema(required)]
    server_name: Option<String>,
    /// Dialled in this order instead of looking the host up.
    #[schema(value_type = Vec<String>, example = json!(["192.0.2.10"]))]
    addresses: Vec<IpAddr>,
    /// The other server of a high-availability pair, in full.
    #[schema(required, example = "wss://aacc2.example.com:8445/CustomerControllerWeb/chat")]
    secondary_url: Option<String>,
    /// What is shown to a server that asks for a client certificate.
    #[schema(required)]
    client_certificate_pem: Option<String>,
    /// Whether the key of that certificate is stored. It is never shown.
    has_client_key: bool,
    /// With `***` for a user and a password.
    #[schema(required, example = "http://***@proxy.example.com:3128")]
    proxy_url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When it was made or replaced last.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

impl From<LinkRow> for Link {
    fn from(row: LinkRow) -> Self {
        Self {
            url: EwcUrl::from(&row).to_string(),
            secondary_url: reach::secondary_url(&row),
            proxy_url: reach::proxy_url(&row),
            id: row.id,
            name: row.name,
            ca_pem: row.ca_pem,
            swap_angle_brackets: row.swap_angle_brackets,
            connects_per_second: row.connects_per_second,
            server_name: row.server_name,
            addresses: row.addresses,
            // The database takes a certificate with its key only.
            has_client_key: row.client_cert_pem.is_some(),
            client_certificate_pem: row.client_cert_pem,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl NewLink {
    fn check(&self) -> Result<EwcUrl, Refused> {
        valid::name("name", &self.name, 100)?;
        let url = EwcUrl::parse("url", &self.url)?;
        if let Some(pem) = &self.ca_pem {
            if url.scheme == ccm_db::Scheme::Ws {
                return Err(Refused::new(
                    "ca_pem",
                    "has no use with ws://, which shows no certificate",
                    "leave it out, or write wss://",
                ));
            }
            ca::check(pem).map_err(|error| Refused::new("ca_pem", error.to_string(), error.remedy()))?;
        }
        valid::rate("connects_per_second", self.connects_per_second)?;
        Ok(url)
    }
}

impl NewLink {
    fn to_store<'a>(&'a self, id: LinkId, url: &'a EwcUrl, reach: &'a Reach) -> ccm_db::NewLink<'a> {
        ccm_db::NewLink {
            id,
            name: &self.name,
            scheme: url.scheme,
            host: &url.host,
            port: url.port,
            path: &url.path,
            ca_pem: self.ca_pem.as_deref(),
            swap_angle_brackets: self.swap_angle_brackets,
            connects_per_second: self.connects_per_second,
            reach: reach.to_store(),
        }
    }
}

impl NewLink {
    /// The link as it would be stored, with its secrets.
    pub(crate) fn unsaved(&self, now: OffsetDateTime) -> Result<(LinkRow, LinkSecrets), Refused> {
        let url = self.check()?;
        let reach = Reach::check(self, &url, None)?;
        let row = LinkRow {
            id: LinkId::from_uuid(Uuid::nil()),
            name: self.name.clone(),
            scheme: url.scheme,
            host: url.host,
            port: url.port,
            path: url.path,
            ca_pem: self.ca_pem.clone(),
            swap_angle_brackets: self.swap_angle_brackets,
            connects_per_second: self.connects_per_second,
            server_name: self.server_name.clone(),
            addresses: self.addresses.clone(),
            secondary: reach.secondary(),
            client_cert_pem: self.client_certificate_pem.clone(),
            proxy: reach.proxy(),
            proxy_has_auth: false,
            created_at: now,
            updated_at: now,
        };
        Ok((row, reach.into_secrets()))
    }
}

/// Make a link to an AACC
///
/// The client's key and the proxy's password are sealed at rest and no answer shows them. For the roles platform-admin and
/// engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links", tag = "links",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Link), Always, InTenant, Making, Taking))]
pub async fn create_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewLink>,
) -> Result<Made<Link>, Failure> {
    let url = new.check()?;
    let reach = Reach::check(&new, &url, None)?;
    let db = deps.tenant(&scope).await?;
    let row = match db.create_link(new.to_store(deps.ids.next(), &url, &reach)).await {
        Err(DbError::Conflict { .. }) => return Err(name_taken(&db, &new.name).await?),
        made => made?,
    };
    deps.made(scope.tenant, "link", row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

/// Replace a link
///
/// What is left out takes its default; the client's key and the proxy's password are kept as their fields say. Chats that
/// are up stay as they are; those that dial take it up. For the roles platform-admin and engineer; tenant-admin in their
/// own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/links/{link}", tag = "links",
    params(LinkPath, IfMatchHeader),
    responses((status = 200, description = "Replaced.", body = Link,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn replace_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    unless: IfMatch,
    Json(new): Json<NewLink>,
) -> Result<Tagged<Link>, Failure> {
    let db = deps.tenant(&scope).await?;
    let row = rewrite(&db, path.link, &unless, |_| new.clone()).await?;
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

/// Change a link
///
/// A merge patch (RFC 7396): what is left out stays, `null` gives a field its default. The same checks as when one is made. Chats
/// that are up stay as they are; those that dial take it up. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/links/{link}", tag = "links",
    params(LinkPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Link,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    unless: IfMatch,
    Json(patch): Json<LinkPatch>,
) -> Result<Tagged<Link>, Failure> {
    let db = deps.tenant(&scope).await?;
    let row = rewrite(&db, path.link, &unless, |was| patch.apply(was)).await?;
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

/// How often a link is read again that somebody else changes at the same time.
const TRIES: usize = 5;

/// Has the link become what `make` makes of it. It is checked without a lock, and stored if nobody was faster.
async fn rewrite(
    db: &TenantDb<'_>,
    id: LinkId,
    unless: &IfMatch,
    make: impl Fn(&LinkRow) -> NewLink,
) -> Result<LinkRow, Failure> {
    for _ in 0..TRIES {
        let old = Stored {
            row: db.link(id).await?,
            secrets: db.link_secrets(id).await?,
        };
        unless.check(WHAT, &tag(&old.row))?;
        let new = make(&old.row);
        let url = new.check()?;
        let reach = Reach::check(&new, &url, Some(&old))?;
        let of = Some(old.row.updated_at);
        match db.replace_link(new.to_store(id, &url, &reach), of).await {
            Err(DbError::Conflict { .. }) => return Err(name_taken(db, &new.name).await?),
            Ok(Some(row)) => return Ok(row),
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Changed { what: WHAT })
}

impl LinkPatch {
    fn apply(&self, was: &LinkRow) -> NewLink {
        fn kept<T: Clone>(new: &Option<T>, was: T) -> T {
            new.clone().unwrap_or(was)
        }
        NewLink {
            name: kept(&self.name, was.name.clone()),
            url: kept(&self.url, EwcUrl::from(was).to_string()),
            ca_pem: kept(&self.ca_pem, was.ca_pem.clone()),
            swap_angle_brackets: match self.swap_angle_brackets {
                Some(swap) => swap.unwrap_or(yes()),
                None => was.swap_angle_brackets,
            },
            connects_per_second: match self.connects_per_second {
                Some(rate) => rate.unwrap_or(ten()),
                None => was.connects_per_second,
            },
            server_name: kept(&self.server_name, was.server_name.clone()),
            addresses: match &self.addresses {
                Some(addresses) => addresses.clone().unwrap_or_default(),
                None => was.addresses.clone(),
            },
            // Without its path: that of a new `url` is the secondary's too.
            secondary_url: kept(&self.secondary_url, reach::secondary_origin(was)),
            client_certificate_pem: kept(&self.client_certificate_pem, was.client_cert_pem.clone()),
            client_key_pem: self.client_key_pem.clone(),
            proxy_url: match &self.proxy_url {
                Some(Nullable(url)) => url.clone(),
                None => reach::proxy_url(was).map(SecretString::from),
            },
        }
    }
}

/// Forget a link
///
/// With its planned absences; what happened to it stays among the tenant's events, and so do its conversations. Refused as long as
/// skillsets or open chats need it. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/links/{link}", tag = "links",
    params(LinkPath, RemovalQuery, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Removing, Always, InTenant, Guarded))]
pub async fn delete_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Query(query): Query<RemovalQuery>,
    unless: IfMatch,
) -> Result<Response, Failure> {
    let asked = Asked {
        what: WHAT,
        dry_run: query.dry_run,
    };
    let db = deps.tenant(&scope).await?;
    let removal = asked.removal(Vec::new());
    let in_the_way = db
        .remove_link(path.link, removal, |was| unless.check(WHAT, &tag(was)))
        .await?;
    asked.answer(in_the_way, || {
        deps.removed(scope.tenant, WHAT, path.link, &scope.bearer.sub);
    })
}

fn answer(row: LinkRow) -> Tagged<Link> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

/// The moment tells of its secrets too.
fn tag(row: &LinkRow) -> String {
    content_tag(&Link::from(row.clone()))
}

async fn name_taken(db: &TenantDb<'_>, name: &str) -> Result<Failure, DbError> {
    let taken = db.links().await?.into_iter().find(|link| link.name == name);
    Ok(Failure::exists(WHAT, "name", taken.map(|link| link.id)))
}

/// List the links, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links", tag = "links",
    params(TenantPath, LinkQuery),
    responses((status = 200, description = "One page.", body = Page<Link>), Always, InTenant))]
pub async fn list_links(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<LinkQuery>,
) -> Result<Json<Page<Link>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let db = deps.tenant(&scope).await?;
    let rows = db.links_part(query.name.as_deref(), &part).await?;
    let items = rows.into_iter().map(Link::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &Link| {
        (one.name.clone(), one.id)
    })))
}

/// Read a link
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}", tag = "links",
    params(LinkPath),
    responses((status = 200, description = "The link.", body = Link,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Tagged<Link>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.link(path.link).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_for_wss_only() {
        let link = |url: &str, ca_pem: &str| NewLink {
            name: "x".to_owned(),
            url: url.to_owned(),
            ca_pem: Some(ca_pem.to_owned()),
            swap_angle_brackets: true,
            connects_per_second: 1.0,
            server_name: None,
            addresses: Vec::new(),
            secondary_url: None,
            client_certificate_pem: None,
            client_key_pem: None,
            proxy_url: None,
        };
        let ca = ccm_testkit::certs::Ca::new("Test CA").unwrap();
        assert!(link("wss://aacc", ca.pem()).check().is_ok());
        assert_eq!(link("ws://aacc", ca.pem()).check().unwrap_err().field, "ca_pem");
        assert_eq!(link("wss://aacc", "x").check().unwrap_err().field, "ca_pem");
    }
}
