//! What a certificate says, for people.

use std::fmt;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

/// The facts of one X.509 certificate. What is in it is the peer's word: verify before you believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCertificate {
    /// As RFC 4514 writes it: `CN=aacc.example.com, O=Example`.
    pub subject: String,
    pub issuer: String,
    /// Lower-case hex with colons, as `openssl x509 -serial` has it without.
    pub serial: String,
    /// DNS names and IP addresses of the subject alternative name; nothing else is looked at when the name is checked.
    pub names: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Of the whole certificate (DER), lower-case hex: what browsers and `openssl x509 -fingerprint -sha256` show.
    pub sha256: String,
    /// `RSA 2048`, `EC 256`, `Ed25519`, or the algorithm's number.
    pub key: String,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// Whether a client may show it: it says so, or says nothing of what it is for.
    pub for_clients: bool,
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
            serial: certificate.raw_serial_as_string(),
            names,
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            sha256,
            key: key(&certificate),
            is_ca: certificate.is_ca(),
            for_clients: for_clients(&certificate),
        })
    }

    /// Reads every certificate of a text in PEM, and passes over what is none.
    pub fn all_of_pem(pem: &str) -> Vec<Self> {
        let all = CertificateDer::pem_slice_iter(pem.as_bytes());
        all.filter_map(|der| Self::from_der(&der.ok()?).ok()).collect()
    }

    /// How near its end is, if that is near enough to be warned of.
    pub fn ending(&self, now: OffsetDateTime) -> Option<Ending> {
        Ending::of(self.not_after, now)
    }

    /// Whether it signed itself, by its names: a root, or a certificate that nobody vouches for.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// How near a certificate's end is. Each is worth one warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    Within30Days,
    Within14Days,
    Within3Days,
    Past,
}

impl Ending {
    fn of(until: OffsetDateTime, now: OffsetDateTime) -> Option<Self> {
        let left = until - now;
        let within = |days| left <= time::Duration::days(days);
        match () {
            () if within(0) => Some(Ending::Past),
            () if within(3) => Some(Ending::Within3Days),
            () if within(14) => Some(Ending::Within14Days),
            () if within(30) => Some(Ending::Within30Days),
            () => None,
        }
    }

    /// Within so many days.
    pub fn days(self) -> u8 {
        match self {
            Ending::Within30Days => 30,
            Ending::Within14Days => 14,
            Ending::Within3Days => 3,
            Ending::Past => 0,
        }
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

fn key(certificate: &X509Certificate<'_>) -> String {
    const ED25519: &str = "1.3.101.112";
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(key)) => format!("EC {}", key.key_size()),
        _ => match certificate.public_key().algorithm.algorithm.to_id_string() {
            id if id == ED25519 => "Ed25519".to_owned(),
            id => id,
        },
    }
}

fn for_clients(certificate: &X509Certificate<'_>) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.client_auth || usage.value.any,
        Ok(None) => true,
        Err(_) => false,
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
        assert_eq!(facts.key, "EC 256");
        assert!(!facts.is_ca && !facts.for_clients && !facts.serial.is_empty());
        let root = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
        let root = PeerCertificate::from_der(&root).unwrap();
        assert!(root.is_self_issued() && root.is_ca);
        let client = ca.issue_client("gateway").unwrap();
        let client = CertificateDer::from_pem_slice(client.cert_pem.as_bytes()).unwrap();
        assert!(PeerCertificate::from_der(&client).unwrap().for_clients);
    }

    #[test]
    fn the_end_is_warned_of_in_steps() {
        let until = datetime!(2026-03-31 12:00 UTC);
        for (now, ending) in [
            (datetime!(2026-03-01 11:59 UTC), None),
            (datetime!(2026-03-01 12:00 UTC), Some(Ending::Within30Days)),
            (datetime!(2026-03-17 11:59 UTC), Some(Ending::Within30Days)),
            (datetime!(2026-03-17 12:00 UTC), Some(Ending::Within14Days)),
            (datetime!(2026-03-28 12:00 UTC), Some(Ending::Within3Days)),
            (datetime!(2026-03-31 11:59 UTC), Some(Ending::Within3Days)),
            (until, Some(Ending::Past)),
        ] {
            assert_eq!(Ending::of(until, now), ending, "{now}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----"] {
            assert_eq!(PeerCertificate::from_der(bytes), Err(NotACertificate));
        }
    }
}
