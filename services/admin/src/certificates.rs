//! A link's certificates, and the authorities that it trusts, one by one.

#![allow(unused_qualifications, reason = "utoipa's macro qualifies the types of paths")]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, List, Made, Making, Taking},
    ca,
    certificate::{Certificate, Role},
    client_key::ClientKey,
    path::{LinkPath, TrustedCaPath},
    valid::Refused,
};
use axum::extract::State;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_db::{LinkRow, Scheme, TenantDb};
use ccm_doctor::PeerCertificate;
use ccm_model::LinkId;
use ccm_web::{Json, Path, Problem, TenantScope, may};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Authorities of one link at the most, when they are added one by one: enough for the old and the new one of a chain.
const MOST: usize = 10;

/// How often a change is tried when others change the same link meanwhile.
const TRIES: usize = 5;

/// All certificates that a link has to do with.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkCertificates {
    /// Whether the public authorities are trusted, because the link has none of its own. Otherwise `trusted_cas` alone are.
    trusts_public_cas: bool,
    /// The authorities that may sign the server's certificate.
    trusted_cas: Vec<Certificate>,
    /// What is shown to a server that asks for a client certificate: the certificate, then its intermediates. Empty: none.
    client_certificate: Vec<Certificate>,
    /// The key that waits for its certificate.
    #[schema(required)]
    client_key: Option<ClientKey>,
    /// What the server showed last, as the pod that carries the tenant saw it; `null` if none was seen.
    #[schema(required)]
    server_certificate: Option<Certificate>,
}

/// Authorities to be trusted besides those that are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ca_pem": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"}))]
pub struct NewTrustedCas {
    /// One or several certificates in PEM, at most 262144 bytes. A link trusts at most 10 that are added so.
    ca_pem: String,
}

/// Show a link's certificates
///
/// Whom it trusts, what it shows, and what the server showed last, with warnings 30, 14 and 3 days before an end. For the roles
/// platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/certificates", tag = "certificates",
    params(LinkPath),
    responses((status = 200, description = "All of them.", body = LinkCertificates), Always, InTenant))]
pub async fn get_certificates(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Json<LinkCertificates>, Failure> {
    let db = deps.tenant(&scope).await?;
    let now = deps.ids.clock().now();
    let row = db.link(path.link).await?;
    let mut states = db.link_states().await?.into_iter();
    let server = states
        .find(|state| state.link == path.link)
        .and_then(|state| serde_json::from_value(state.certificate?).ok());
    Ok(Json(LinkCertificates {
        trusts_public_cas: row.scheme == Scheme::Wss && row.ca_pem.is_none(),
        trusted_cas: trusted(&row, now),
        client_certificate: client_chain(&row, now),
        client_key: db.client_key(path.link).await?.map(ClientKey::from),
        server_certificate: server.map(|facts| Certificate::of(facts, Role::Server, now)),
    }))
}

/// List the authorities that a link trusts
///
/// Without any the public ones are trusted. For the roles platform-admin, engineer and support; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/trusted-cas", tag = "certificates",
    params(LinkPath),
    responses((status = 200, description = "All of them.", body = List<Certificate>), Always, InTenant))]
pub async fn list_trusted_cas(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Json<List<Certificate>>, Failure> {
    let db = deps.tenant(&scope).await?;
    let row = db.link(path.link).await?;
    Ok(Json(List {
        items: trusted(&row, deps.ids.clock().now()),
    }))
}

/// Trust further authorities
///
/// Those that are trusted stay, so that an authority can be replaced without a gap: add the new one, have the server's
/// certificate changed, remove the old one. The first one ends the trust in the public authorities. Chats that are up stay as
/// they are; those that dial take it up. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links/{link}/trusted-cas", tag = "certificates",
    params(LinkPath),
    responses((status = 201, description = "All that are trusted now.", body = List<Certificate>), Always, InTenant, Making,
        Taking))]
pub async fn add_trusted_cas(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Json(new): Json<NewTrustedCas>,
) -> Result<Made<List<Certificate>>, Failure> {
    let refused = |problem: String, remedy| Refused::new("ca_pem", problem, remedy);
    let given = ca::certificates(&new.ca_pem).map_err(|e| refused(e.to_string(), e.remedy()))?;
    if let Some(bad) = given
        .iter()
        .position(|der| PeerCertificate::from_der(der).is_err())
    {
        let problem = format!("block {} cannot be read as an X.509 certificate", bad + 1);
        return Err(refused(problem, "have it issued anew, or give another one").into());
    }
    let db = deps.tenant(&scope).await?;
    let row = change(&db, path.link, |row| {
        if row.scheme == Scheme::Ws {
            return Err(refused(
                "has no use with ws://, which shows no certificate".to_owned(),
                "change the link's url to wss:// first",
            )
            .into());
        }
        let mut all = stored(row);
        let before = all.len();
        for der in &given {
            if !all.contains(der) {
                all.push(der.clone());
            }
        }
        if all.len() == before {
            return Err(Problem::conflict("the link trusts all of these already")
                .field("ca_pem")
                .remedy("nothing is left to do; GET …/trusted-cas lists them")
                .into());
        }
        if all.len() > MOST {
            return Err(refused(
                format!("would make more than {MOST} authorities that the link trusts"),
                "remove those that are not needed any more first",
            )
            .into());
        }
        Ok(all)
    })
    .await?;
    deps.changed(scope.tenant, "link", row.id, &scope.bearer.sub);
    Ok(Made(List {
        items: trusted(&row, deps.ids.clock().now()),
    }))
}

/// Trust an authority no longer
///
/// The last one stays: a link without any trusts the public ones, which is said by replacing the link without `ca_pem`. For the
/// roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/links/{link}/trusted-cas/{sha256}", tag = "certificates",
    params(TrustedCaPath),
    responses((status = 204, description = "It is not trusted any more."), Always, InTenant, LastOne))]
pub async fn delete_trusted_ca(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<TrustedCaPath>,
) -> Result<Gone, Failure> {
    let wanted = path.sha256.replace(':', "").to_ascii_lowercase();
    let is_it = |der: &CertificateDer<'_>| PeerCertificate::from_der(der).is_ok_and(|c| c.sha256 == wanted);
    let db = deps.tenant(&scope).await?;
    let row = change(&db, path.link, |row| {
        let mut all = stored(row);
        let before = all.len();
        all.retain(|der| !is_it(der));
        match all.len() {
            left if left == before => Err(Problem::not_found("trusted authority")
                .remedy("take the fingerprint (sha256) from GET …/trusted-cas")
                .into()),
            0 => Err(
                Problem::conflict("it is the last authority that the link trusts; without any, the public ones are trusted")
                    .field("sha256")
                    .remedy("add the new authority first; or replace the link without ca_pem, if the public ones are meant")
                    .into(),
            ),
            _ => Ok(all),
        }
    })
    .await?;
    deps.changed(scope.tenant, "link", row.id, &scope.bearer.sub);
    Ok(Gone)
}

/// How the removal of an authority can fail, besides [`Always`].
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum LastOne {
    /// It is the last one. Nothing was changed.
    #[response(status = 409, content_type = "application/problem+json")]
    Last(Problem),
}

/// Changes whom a link trusts. Asked anew when somebody else changes it meanwhile.
async fn change(
    db: &TenantDb<'_>,
    link: LinkId,
    to: impl Fn(&LinkRow) -> Result<Vec<CertificateDer<'static>>, Failure>,
) -> Result<LinkRow, Failure> {
    for _ in 0..TRIES {
        let row = db.link(link).await?;
        let pem: String = to(&row)?.iter().map(|der| pem(der)).collect();
        if let Some(row) = db.set_link_ca(link, row.ca_pem.as_deref(), Some(&pem)).await? {
            return Ok(row);
        }
    }
    Err(Problem::unavailable("a link's authorities are changed by others all the time").into())
}

/// The authorities of a link, as they are stored. What is stored was checked.
fn stored(row: &LinkRow) -> Vec<CertificateDer<'static>> {
    let pem = row.ca_pem.as_deref();
    pem.and_then(|pem| ca::certificates(pem).ok()).unwrap_or_default()
}

fn trusted(row: &LinkRow, now: OffsetDateTime) -> Vec<Certificate> {
    let all = row.ca_pem.as_deref().map(PeerCertificate::all_of_pem);
    let shown = |facts| Certificate::of(facts, Role::TrustedCa, now);
    all.unwrap_or_default().into_iter().map(shown).collect()
}

/// What a link shows, its own certificate first.
pub fn client_chain(row: &LinkRow, now: OffsetDateTime) -> Vec<Certificate> {
    let all = row.client_cert_pem.as_deref().map(PeerCertificate::all_of_pem);
    let all = all.unwrap_or_default().into_iter().enumerate();
    all.map(|(at, facts)| {
        let role = if at == 0 { Role::Client } else { Role::Intermediate };
        Certificate::of(facts, role, now)
    })
    .collect()
}

fn pem(der: &CertificateDer<'_>) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(64)
        .map(|at| &base64[at..base64.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_reads_back() {
        let ca = ccm_testkit::certs::Ca::new("Test CA").unwrap();
        let all = ca::certificates(ca.pem()).unwrap();
        assert_eq!(ca::certificates(&pem(&all[0])), Ok(all));
    }
}
