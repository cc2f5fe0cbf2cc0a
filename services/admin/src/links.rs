//! A tenant's AACC, as reached over EWC.

#![allow(unused_qualifications, reason = "utoipa's macro qualifies the types of paths")]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making, Taking},
    ca,
    ewc_url::EwcUrl,
    path::{LinkPath, TenantPath},
    reach::{self, Reach, Stored},
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, LinkRow, LinkSecrets, TenantDb};
use ccm_model::{Id, LinkId};
use ccm_web::{Json, Path, TenantScope, may};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An AACC to be reached, or what one is to become.
#[derive(Debug, Deserialize, ToSchema)]
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
    deps.made(scope.tenant, "link", row.id, &scope.claims.sub);
    Ok(Made(row.into()))
}

/// Replace a link
///
/// What is left out takes its default; the client's key and the proxy's password are kept as their fields say. Chats that
/// are up stay as they are; those that dial take it up. For the roles platform-admin and engineer; tenant-admin in their
/// own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/links/{link}", tag = "links",
    params(LinkPath),
    responses((status = 200, description = "Replaced.", body = Link), Always, InTenant, Making, Taking))]
pub async fn replace_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Json(new): Json<NewLink>,
) -> Result<Json<Link>, Failure> {
    let url = new.check()?;
    let db = deps.tenant(&scope).await?;
    let old = Stored {
        row: of_tenant(&db, path.link).await?,
        secrets: db.link_secrets(path.link).await?,
    };
    let reach = Reach::check(&new, &url, Some(&old))?;
    let row = match db.replace_link(new.to_store(path.link, &url, &reach)).await {
        Err(DbError::Conflict { .. }) => return Err(name_taken(&db, &new.name).await?),
        replaced => replaced?,
    };
    deps.changed(scope.tenant, "link", row.id, &scope.claims.sub);
    Ok(Json(row.into()))
}

/// The link, if it is the tenant's.
pub async fn of_tenant(db: &TenantDb<'_>, id: LinkId) -> Result<LinkRow, DbError> {
    let mut links = db.links().await?.into_iter();
    links.find(|link| link.id == id).ok_or(DbError::NotFound("link"))
}

async fn name_taken(db: &TenantDb<'_>, name: &str) -> Result<Failure, DbError> {
    let taken = db.links().await?.into_iter().find(|link| link.name == name);
    Ok(Failure::exists("link", "name", taken.map(|link| link.id)))
}

/// List the links, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links", tag = "links",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<Link>), Always, InTenant))]
pub async fn list_links(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<Link>>, Failure> {
    let rows = deps.tenant(&scope).await?.links().await?;
    Ok(List::of(rows, Link::from))
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
