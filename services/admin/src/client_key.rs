//! A link's client certificate: a key that is made here and never leaves, the request for the tenant's authority, and the
//! certificate that comes back.

#![allow(unused_qualifications, reason = "utoipa's macro qualifies the types of paths")]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, List, Made, Making, Taking},
    certificate::Certificate,
    certificates::client_chain,
    client_cert,
    path::LinkPath,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{ClientKeyRow, DbError, Scheme};
use ccm_doctor::PeerCertificate;
use ccm_web::{Json, Path, Problem, TenantScope, may};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::DnsName;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// What the request for a client certificate is to say. The authority may put something else into the certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"common_name": "ccm.acme.example.com", "organization": "Acme Bank", "country": "IE"}))]
pub struct NewClientKey {
    /// Who we are to the server.
    #[schema(min_length = 1, max_length = 64)]
    common_name: String,
    #[schema(min_length = 1, max_length = 64)]
    organization: Option<String>,
    /// Two capital letters (ISO 3166).
    #[schema(min_length = 2, max_length = 2)]
    country: Option<String>,
    /// DNS names for the subject alternative name.
    #[serde(default)]
    #[schema(max_items = 10, default = json!([]))]
    names: Vec<String>,
}

/// A client key that waits for its certificate. The key itself is sealed and never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientKey {
    /// What the authority is to sign (PKCS#10): the file that it is usually given as `.csr`.
    #[schema(example = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB…\n-----END CERTIFICATE REQUEST-----\n")]
    csr_pem: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// A certificate for a key that is here, or with its key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"client_certificate_pem": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"}))]
pub struct NewClientCertificate {
    /// The certificate, then its intermediates, each followed by the one that issued it: PEM, at most 65536 bytes.
    client_certificate_pem: String,
    /// Its private key, as a link has it. Left out: the key that waits, else the one in use.
    #[serde(default, deserialize_with = "valid::unrepeated")]
    #[schema(value_type = Option<String>, format = Password, write_only)]
    client_key_pem: Option<SecretString>,
}

impl From<ClientKeyRow> for ClientKey {
    fn from(row: ClientKeyRow) -> Self {
        Self {
            csr_pem: row.csr_pem,
            created_at: row.created_at,
        }
    }
}

impl NewClientKey {
    fn params(&self) -> Result<CertificateParams, Refused> {
        valid::name("common_name", &self.common_name, 64)?;
        if self.names.len() > 10 {
            return Err(Refused::new("names", "holds more than 10", "leave some out"));
        }
        for (at, name) in self.names.iter().enumerate() {
            if DnsName::try_from(name.as_str()).is_err() {
                return Err(Refused::new(
                    format!("names[{at}]"),
                    "is not a DNS name",
                    "write it like ccm.acme.example.com",
                ));
            }
        }
        let mut params = CertificateParams::new(self.names.clone()).map_err(|_| {
            Refused::new(
                "names",
                "holds what is no DNS name",
                "write them like ccm.acme.example.com",
            )
        })?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let mut subject = |kind, text: &str| params.distinguished_name.push(kind, text);
        if let Some(country) = &self.country {
            if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                return Err(Refused::new(
                    "country",
                    "is not two capital letters",
                    "write it like IE",
                ));
            }
            subject(DnType::CountryName, country);
        }
        if let Some(organization) = &self.organization {
            valid::name("organization", organization, 64)?;
            subject(DnType::OrganizationName, organization);
        }
        subject(DnType::CommonName, &self.common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params)
    }
}

/// Make a client key and the request for its certificate
///
/// A key on P-256 is made here, sealed, and waits beside the one in use until its certificate is uploaded. The answer is for the
/// authority that the server trusts. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links/{link}/client-key", tag = "certificates",
    params(LinkPath),
    responses((status = 201, description = "Made.", body = ClientKey), Always, InTenant, Making, Taking))]
pub async fn create_client_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Json(new): Json<NewClientKey>,
) -> Result<Made<ClientKey>, Failure> {
    let params = new.params()?;
    let db = deps.tenant(&scope).await?;
    db.link(path.link).await?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Problem::internal)?;
    let request = params.serialize_request(&key).map_err(Problem::internal)?;
    let row = ClientKeyRow {
        csr_pem: request.pem().map_err(Problem::internal)?,
        created_at: deps.ids.clock().now(),
    };
    let key = Zeroizing::new(key.serialize_pem());
    match db.create_client_key(path.link, &key, &row).await {
        Err(DbError::Conflict { missing: false, .. }) => {
            return Err(
                Problem::conflict("a client key of this link waits for its certificate already")
                    .remedy("GET …/client-key has its request again; DELETE …/client-key throws it away, its certificate with it")
                    .into(),
            );
        }
        made => made?,
    }
    deps.made(scope.tenant, "client key", path.link, &scope.bearer.sub);
    Ok(Made(row.into()))
}

/// Read the request of the client key that waits
///
/// 404 if none waits. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/client-key", tag = "certificates",
    params(LinkPath),
    responses((status = 200, description = "It waits.", body = ClientKey), Always, InTenant))]
pub async fn get_client_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Json<ClientKey>, Failure> {
    let db = deps.tenant(&scope).await?;
    let row = db.client_key(path.link).await?;
    Ok(Json(
        row.ok_or(DbError::NotFound("client key that waits"))?.into(),
    ))
}

/// Throw the client key that waits away
///
/// A certificate that is issued for it later is of no use. The one in use stays. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/links/{link}/client-key", tag = "certificates",
    params(LinkPath),
    responses((status = 204, description = "It is gone."), Always, InTenant))]
pub async fn delete_client_key(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    if !db.delete_client_key(path.link).await? {
        return Err(DbError::NotFound("client key that waits").into());
    }
    deps.removed(scope.tenant, "client key", path.link, &scope.bearer.sub);
    Ok(Gone)
}

/// Give a link its client certificate
///
/// It must belong to the key that waits, to the one in use, or to the key that comes with it, and it replaces the one in use.
/// Chats that are up stay as they are; those that dial take it up. For the roles platform-admin and engineer; tenant-admin in
/// their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/links/{link}/client-certificate", tag = "certificates",
    params(LinkPath),
    responses((status = 200, description = "The chain that is shown from now on.", body = List<Certificate>), Always, InTenant,
        Taking))]
pub async fn put_client_certificate(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    Json(new): Json<NewClientCertificate>,
) -> Result<Json<List<Certificate>>, Failure> {
    let now = deps.ids.clock().now();
    let db = deps.tenant(&scope).await?;
    let row = db.link(path.link).await?;
    if row.scheme == Scheme::Ws {
        return Err(Refused::new(
            client_cert::CERTIFICATE,
            "has no use with ws://, which asks for none",
            "change the link's url to wss:// first",
        )
        .into());
    }
    let waiting = db.client_key_secret(path.link).await?;
    let (key, takes_waiting) = match &new.client_key_pem {
        Some(given) => {
            let given = Zeroizing::new(given.expose_secret().to_owned());
            client_cert::check(&new.client_certificate_pem, &given)?;
            (given, false)
        }
        None => {
            let in_use = db.link_secrets(path.link).await?.client_key_pem;
            client_cert::key_of(&new.client_certificate_pem, waiting, in_use)?
        }
    };
    in_order(&PeerCertificate::all_of_pem(&new.client_certificate_pem), now)?;
    let client = Some((new.client_certificate_pem.as_str(), key.as_str()));
    let row = db.set_link_client(path.link, client, takes_waiting).await?;
    deps.changed(scope.tenant, "link", row.id, &scope.bearer.sub);
    Ok(Json(List {
        items: client_chain(&row, now),
    }))
}

/// Take a link's client certificate and its key away
///
/// A key that waits stays. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/links/{link}/client-certificate", tag = "certificates",
    params(LinkPath),
    responses((status = 204, description = "It is gone."), Always, InTenant))]
pub async fn delete_client_certificate(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    let row = db.link(path.link).await?;
    if row.client_cert_pem.is_none() {
        return Err(DbError::NotFound("client certificate").into());
    }
    db.set_link_client(path.link, None, false).await?;
    deps.changed(scope.tenant, "link", row.id, &scope.bearer.sub);
    Ok(Gone)
}

/// Each certificate is followed by the one that issued it, and none has ended.
fn in_order(chain: &[PeerCertificate], now: OffsetDateTime) -> Result<(), Refused> {
    let refused = |problem: String, remedy| Err(Refused::new(client_cert::CERTIFICATE, problem, remedy));
    if let Some(at) = chain.iter().position(|certificate| certificate.not_after <= now) {
        return refused(
            format!("holds a certificate that has ended (number {})", at + 1),
            "have it issued anew, and upload the new chain",
        );
    }
    if let Some(at) = chain.windows(2).position(|two| two[0].issuer != two[1].subject) {
        return refused(
            format!(
                "is out of order: certificate {} is not the one that issued certificate {}",
                at + 2,
                at + 1
            ),
            "put our own certificate first, then the intermediate that issued it, then the one above; leave out what is not in between",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_testkit::certs::Ca;
    use time::macros::datetime;

    #[test]
    fn a_chain_goes_upwards_and_has_not_ended() {
        let root = Ca::new("Root").unwrap();
        let issuing = root.subordinate("Issuing").unwrap();
        let ours = issuing.issue_client("ccm").unwrap();
        let read = |pems: &[&str]| PeerCertificate::all_of_pem(&pems.concat());
        let now = datetime!(2026-03-01 0:00 UTC);
        let check = |pems: &[&str]| in_order(&read(pems), now);
        check(&[&ours.cert_pem]).unwrap();
        check(&[&ours.cert_pem, issuing.pem(), root.pem()]).unwrap();
        let problem = check(&[&ours.cert_pem, root.pem(), issuing.pem()])
            .unwrap_err()
            .problem;
        assert!(
            problem.contains("certificate 2 is not the one that issued certificate 1"),
            "{problem}"
        );
        let ended = root.issue_valid(&["ccm"], ((2025, 1, 1), (2026, 2, 1))).unwrap();
        let problem = check(&[&ended.cert_pem]).unwrap_err().problem;
        assert!(problem.contains("has ended (number 1)"), "{problem}");
    }

    #[test]
    fn a_request_says_what_it_was_told() {
        let new = |common_name: &str, country: Option<&str>, names: &[&str]| NewClientKey {
            common_name: common_name.to_owned(),
            organization: Some("Acme Bank".to_owned()),
            country: country.map(str::to_owned),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(new("ccm", Some("IE"), &["ccm.example.com"]).params().is_ok());
        for (new, field) in [
            (new("", None, &[]), "common_name"),
            (new(&"x".repeat(65), None, &[]), "common_name"),
            (new("ccm", Some("Ireland"), &[]), "country"),
            (new("ccm", None, &["good.example.com", "not a name"]), "names[1]"),
            (new("ccm", None, &["a.example.com"; 11]), "names"),
        ] {
            assert_eq!(new.params().unwrap_err().field, field);
        }
    }
}
