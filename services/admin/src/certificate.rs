//! What is shown of a certificate, and what is to be done about it.

use ccm_doctor::{Ending, PeerCertificate};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What a certificate is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An authority that may sign the server's.
    TrustedCa,
    /// Ours, which is shown to a server that asks for one.
    Client,
    /// Above ours: an intermediate.
    Intermediate,
    /// The far side's.
    Server,
}

/// An X.509 certificate.
#[derive(Debug, Serialize, ToSchema)]
pub struct Certificate {
    /// The fingerprint: SHA-256 of the whole, as `openssl x509 -fingerprint -sha256` has it with colons.
    #[schema(example = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9")]
    sha256: String,
    #[schema(example = "CN=System Manager CA, O=AVAYA")]
    subject: String,
    #[schema(example = "CN=System Manager CA, O=AVAYA")]
    issuer: String,
    /// In hex.
    #[schema(example = "4d:2e:f0:01")]
    serial: String,
    /// DNS names and IP addresses that it is for.
    names: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    not_after: OffsetDateTime,
    /// Whole days until `not_after`; below 0 when it has passed.
    #[schema(example = 365)]
    expires_in_days: i64,
    /// Kind of key and its bits.
    #[schema(example = "RSA 2048")]
    key: String,
    /// Whether it may sign others.
    is_ca: bool,
    /// What is wrong with it, or will be soon.
    warnings: Vec<CertificateWarning>,
}

/// Something about a certificate that should be seen to.
#[derive(Debug, Serialize, ToSchema)]
pub struct CertificateWarning {
    #[schema(schema_with = codes)]
    code: &'static str,
    /// What it means.
    #[schema(example = "it ends within 14 days")]
    detail: String,
    /// What to do.
    remedy: &'static str,
}

fn codes() -> utoipa::openapi::schema::Object {
    crate::schema::one_of(
        "`expired`; `expires_in_3_days`, `expires_in_14_days`, `expires_in_30_days`: within so many; `not_yet_valid`; \
         `not_a_ca`: it is trusted and may sign nothing; `not_for_clients`: it says what it is for, and that is not \
         client authentication.",
        [
            "expired",
            "expires_in_3_days",
            "expires_in_14_days",
            "expires_in_30_days",
            "not_yet_valid",
            "not_a_ca",
            "not_for_clients",
        ]
        .into_iter(),
    )
}

impl Certificate {
    pub fn of(certificate: PeerCertificate, role: Role, now: OffsetDateTime) -> Self {
        Self {
            warnings: warnings(&certificate, role, now),
            expires_in_days: (certificate.not_after - now).whole_days(),
            sha256: certificate.sha256,
            subject: certificate.subject,
            issuer: certificate.issuer,
            serial: certificate.serial,
            names: certificate.names,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            key: certificate.key,
            is_ca: certificate.is_ca,
        }
    }
}

fn warnings(certificate: &PeerCertificate, role: Role, now: OffsetDateTime) -> Vec<CertificateWarning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail: &str, remedy| {
        warnings.push(CertificateWarning {
            code,
            detail: detail.to_owned(),
            remedy,
        });
    };
    if let Some(ending) = certificate.ending(now) {
        let (code, detail) = match ending {
            Ending::Past => ("expired", "it has ended"),
            Ending::Within3Days => ("expires_in_3_days", "it ends within 3 days"),
            Ending::Within14Days => ("expires_in_14_days", "it ends within 14 days"),
            Ending::Within30Days => ("expires_in_30_days", "it ends within 30 days"),
        };
        warn(code, detail, renewal(role));
    }
    if certificate.not_before > now {
        warn(
            "not_yet_valid",
            "it is not valid yet",
            "wait for its first moment, or have it issued anew; check both clocks",
        );
    }
    if role == Role::TrustedCa && !certificate.is_ca {
        warn(
            "not_a_ca",
            "it is trusted as an authority, and it is none: what it has signed is refused",
            "ask for the certificate of the authority that issued the server's certificate, the root of its chain",
        );
    }
    if role == Role::Client && !certificate.for_clients {
        warn(
            "not_for_clients",
            "its extended key usage has no client authentication: servers may refuse it",
            "have it issued anew with the extended key usage clientAuth",
        );
    }
    warnings
}

fn renewal(role: Role) -> &'static str {
    match role {
        Role::TrustedCa => {
            "add the authority's new certificate beside this one, and remove this one when the server shows a certificate of \
             the new one"
        }
        Role::Client => {
            "make a new key and request (client-key), have it signed, and upload the certificate (client-certificate)"
        }
        Role::Intermediate => "upload the client certificate with the authority's current intermediates",
        Role::Server => {
            "have the certificate of AACC or its reverse proxy renewed; chats that are up go on, new ones will be refused"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn codes(certificate: &PeerCertificate, role: Role, now: OffsetDateTime) -> Vec<&'static str> {
        warnings(certificate, role, now).iter().map(|w| w.code).collect()
    }

    #[test]
    fn what_should_be_seen_to_is_warned_of() {
        let ca = ccm_testkit::certs::Ca::new("Test CA").unwrap();
        let issued = ca.issue_valid(&["aacc"], ((2026, 1, 1), (2026, 3, 31))).unwrap();
        let leaf = PeerCertificate::all_of_pem(&issued.cert_pem).remove(0);
        let root = PeerCertificate::all_of_pem(ca.pem()).remove(0);
        let (early, good) = (datetime!(2025-12-31 0:00 UTC), datetime!(2026-02-01 0:00 UTC));
        assert_eq!(codes(&leaf, Role::Server, good), [""; 0]);
        assert_eq!(codes(&root, Role::TrustedCa, good), [""; 0]);
        assert_eq!(codes(&leaf, Role::Server, early), ["not_yet_valid"]);
        assert_eq!(codes(&leaf, Role::TrustedCa, good), ["not_a_ca"]);
        assert_eq!(codes(&leaf, Role::Client, good), ["not_for_clients"]);
        for (now, code) in [
            (datetime!(2026-03-02 0:00 UTC), "expires_in_30_days"),
            (datetime!(2026-03-20 0:00 UTC), "expires_in_14_days"),
            (datetime!(2026-03-29 0:00 UTC), "expires_in_3_days"),
            (datetime!(2026-04-01 0:00 UTC), "expired"),
        ] {
            assert_eq!(codes(&leaf, Role::Server, now), [code]);
        }
    }
}
