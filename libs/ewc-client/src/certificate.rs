//! What a certificate says, for people.

use std::fmt;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The facts of one X.509 certificate. What is in it is the peer's word: verify before you believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// As RFC 4514 writes it: `CN=aacc.example.com, O=Example`.
    pub subject: String,
    pub issuer: String,
    /// DNS names and IP addresses of the subject alternative name; nothing else is looked at when the name is checked.
    pub names: Vec<String>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// Of the whole certificate (DER), lower-case hex: what browsers and `openssl x509 -fingerprint -sha256` show.
    pub sha256: String,
}

/// The bytes are no X.509 certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no X.509 certificate")]
pub struct NotACertificate;

impl PeerCertificate {
    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, NotACertificate> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| NotACertificate)?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name).collect(),
            _ => Vec::new(),
        };
        let sha256 = Sha256::digest(der)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(PeerCertificate {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names,
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            sha256,
        })
    }

    /// Whether it signed itself, by its names: a root, or a certificate that nobody vouches for.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

impl fmt::Display for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {:?}, issued by {}, valid until {}",
            self.subject, self.names, self.issuer, self.not_after
        )
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_testkit::certs::Ca;
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    use time::macros::datetime;

    #[test]
    fn the_facts_are_read() {
        let ca = Ca::new("tenant").unwrap();
        let issued = ca.issue(&["aacc.example.com", "10.0.0.5", "::1"]).unwrap();
        let der = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
        let facts = PeerCertificate::from_der(&der).unwrap();
        assert!(facts.subject.contains("CN=aacc.example.com"), "{facts}");
        assert!(facts.issuer.contains("CN=tenant"), "{facts}");
        assert_eq!(facts.names, ["aacc.example.com", "10.0.0.5", "::1"]);
        assert_eq!(facts.not_before, datetime!(1975-01-01 0:00 UTC));
        assert_eq!(facts.not_after, datetime!(4096-01-01 0:00 UTC));
        assert_eq!(facts.sha256.len(), 64);
        assert!(!facts.is_self_issued());
        let root = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
        assert!(PeerCertificate::from_der(&root).unwrap().is_self_issued());
    }

    #[test]
    fn what_is_none_is_refused() {
        for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----"] {
            assert_eq!(PeerCertificate::from_der(bytes), Err(NotACertificate));
        }
    }
}
