//! A tenant's AACC, as reached over EWC.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making},
    ca,
    ewc_url::EwcUrl,
    path::TenantPath,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, LinkRow, TenantDb};
use ccm_model::LinkId;
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An AACC to be reached.
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
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl From<LinkRow> for Link {
    fn from(row: LinkRow) -> Self {
        Self {
            url: EwcUrl::from(&row).to_string(),
            id: row.id,
            name: row.name,
            ca_pem: row.ca_pem,
            swap_angle_brackets: row.swap_angle_brackets,
            connects_per_second: row.connects_per_second,
            created_at: row.created_at,
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

/// Make a link to an AACC
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links", tag = "links",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Link), Always, InTenant, Making))]
pub async fn create_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewLink>,
) -> Result<Made<Link>, Failure> {
    let url = new.check()?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewLink {
        id: deps.ids.next(),
        name: &new.name,
        scheme: url.scheme,
        host: &url.host,
        port: url.port,
        path: &url.path,
        ca_pem: new.ca_pem.as_deref(),
        swap_angle_brackets: new.swap_angle_brackets,
        connects_per_second: new.connects_per_second,
        reach: Default::default(),
    };
    let row = match db.create_link(row).await {
        Err(DbError::Conflict { .. }) => return Err(name_taken(&db, &new.name).await?),
        made => made?,
    };
    deps.made(scope.tenant, "link", row.id, &scope.claims.sub);
    Ok(Made(row.into()))
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
        };
        let ca = ccm_testkit::certs::Ca::new("Test CA").unwrap();
        assert!(link("wss://aacc", ca.pem()).check().is_ok());
        assert_eq!(link("ws://aacc", ca.pem()).check().unwrap_err().field, "ca_pem");
        assert_eq!(link("wss://aacc", "x").check().unwrap_err().field, "ca_pem");
    }
}
