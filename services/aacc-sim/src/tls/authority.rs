//! A CA that makes certificates, good ones and bad ones.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use super::ServerCertificate;

/// What a good server certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "aacc.localhost"];
const CA_NAME: &str = "aacc-sim private CA";

/// A certificate and its key, PEM. The certificate may be followed by its chain.
#[derive(Clone)]
pub(super) struct Pair {
    pub cert_pem: String,
    pub key_pem: String,
}

/// A made server certificate, with the certificate of whoever issued it if clients do not know that one.
pub(super) struct Made {
    pub pair: Pair,
    pub unknown_issuer_pem: Option<String>,
}

pub(super) struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let (params, key) = (ca_params(name)?, KeyPair::generate()?);
        Ok(Authority {
            pem: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    pub fn private() -> Result<Self, rcgen::Error> {
        Authority::new(CA_NAME)
    }

    /// The private CA again, from its key: a CA's name and key are all that its certificates show of it.
    pub fn restored(pem: String, key_pem: &str) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::new(ca_params(CA_NAME)?, KeyPair::from_pem(key_pem)?);
        Ok(Authority { pem, issuer })
    }

    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A server certificate. `expires_in` counts from `now`.
    pub fn server(
        &self,
        what: ServerCertificate,
        expires_in: Option<Duration>,
        now: OffsetDateTime,
    ) -> Result<Made, rcgen::Error> {
        use ServerCertificate as Is;
        let names: &[&str] = match what {
            Is::WrongName => &["elsewhere.example"],
            _ => &NAMES,
        };
        let mut params = leaf_params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        if let Some(expires_in) = expires_in {
            params.not_after = now + expires_in;
        }
        match what {
            Is::Expired => params.not_after = now - Duration::DAY,
            Is::NotYetValid => params.not_before = now + Duration::DAY,
            _ => {}
        }
        let key = KeyPair::generate()?;
        let (chain, unknown_issuer_pem) = match what {
            Is::SelfSigned => (params.self_signed(&key)?.pem(), None),
            Is::UnknownIssuer => {
                let other = Authority::new("aacc-sim other private CA")?;
                (params.signed_by(&key, &other.issuer)?.pem(), Some(other.pem))
            }
            Is::WithIntermediate | Is::IncompleteChain => {
                let between = self.intermediate()?;
                let own = params.signed_by(&key, &between.issuer)?.pem();
                match what {
                    Is::WithIntermediate => (own + &between.pem, None),
                    _ => (own, Some(between.pem)),
                }
            }
            Is::Good | Is::Expired | Is::NotYetValid | Is::WrongName => {
                (params.signed_by(&key, &self.issuer)?.pem(), None)
            }
        };
        Ok(Made {
            pair: Pair {
                cert_pem: chain,
                key_pem: key.serialize_pem(),
            },
            unknown_issuer_pem,
        })
    }

    pub fn client(&self) -> Result<Pair, rcgen::Error> {
        let params = leaf_params(&["gateway.localhost"], ExtendedKeyUsagePurpose::ClientAuth)?;
        let key = KeyPair::generate()?;
        Ok(Pair {
            cert_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    fn intermediate(&self) -> Result<Authority, rcgen::Error> {
        let mut params = ca_params("aacc-sim intermediate CA")?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Authority {
            pem: params.signed_by(&key, &self.issuer)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }
}

fn ca_params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn leaf_params(names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    let common_name = names.last().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(params)
}
