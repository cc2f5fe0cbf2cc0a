//! A certificate authority of one's own, as a tenant with a private one has.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use std::fmt;
use x509_parser::{certification_request::X509CertificationRequest, pem::parse_x509_pem, prelude::FromDer};

/// A private certificate authority.
pub struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's or client's certificate and its key. `Debug` shows neither.
#[derive(Clone)]
pub struct ServerCert {
    /// The certificate, PEM.
    pub cert_pem: String,
    /// The private key, PKCS#8 in PEM.
    pub key_pem: String,
}

impl Ca {
    /// A new authority named `name`, valid from 1975 to 4096 (the generator's defaults: tests move their clocks).
    pub fn new(name: &str) -> Result<Self> {
        let params = authority(name)?;
        let key = KeyPair::generate().context("making the authority's key")?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// What clients are told to trust, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// An authority below this one. Its [`Ca::pem`] is the intermediate that a server sends after its own certificate.
    pub fn subordinate(&self, name: &str) -> Result<Self> {
        let params = authority(name)?;
        let key = KeyPair::generate().context("making the authority's key")?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// A server certificate for DNS names and IP addresses, such as `localhost` and `127.0.0.1`.
    pub fn issue(&self, names: &[&str]) -> Result<ServerCert> {
        self.sign(server(names)?)
    }

    /// A server certificate that is valid from the first to the second day only (year, month, day; UTC).
    pub fn issue_valid(
        &self,
        names: &[&str],
        (from, until): ((i32, u8, u8), (i32, u8, u8)),
    ) -> Result<ServerCert> {
        let mut params = server(names)?;
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        self.sign(params)
    }

    /// A client certificate, for mutual TLS.
    pub fn issue_client(&self, name: &str) -> Result<ServerCert> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A client certificate for the P-256 key of a request in PEM, with its organization and these DNS names.
    pub fn sign_request(&self, csr_pem: &str, names: &[&str]) -> Result<String> {
        let (_, pem) = parse_x509_pem(csr_pem.as_bytes()).context("this is no PEM")?;
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).context("this is no request")?;
        let info = &request.certification_request_info;
        let key = Requested(info.subject_pki.subject_public_key.data.to_vec());
        let mut params = server(names)?;
        for part in info.subject.iter_organization() {
            params
                .distinguished_name
                .push(DnType::OrganizationName, part.as_str()?);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&key, &self.issuer)?.pem())
    }

    fn sign(&self, mut params: CertificateParams) -> Result<ServerCert> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("making a certificate's key")?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(ServerCert {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// The public key of a request.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server(names: &[&str]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, *first);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ca(..)")
    }
}

impl fmt::Debug for ServerCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCert(..)")
    }
}
