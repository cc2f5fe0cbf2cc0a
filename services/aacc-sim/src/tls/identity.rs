//! Who the server is, for as long as it runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, Pair};
use super::{ClientIdentity, ServerCertificate, TlsSetup, TlsVersions, client};
use crate::config::Tls;
use crate::error::SimError;

/// The CA that clients trust, with what was made of it.
pub(crate) struct Identity {
    pub ca_pem: String,
    /// Made with the CA, where its key is known.
    pub client: Option<ClientIdentity>,
    authority: Option<Authority>,
    /// The good server certificate that was there before.
    good: Option<Pair>,
}

/// What new connections meet.
#[derive(Clone)]
pub(crate) struct Serving {
    pub setup: TlsSetup,
    pub acceptor: TlsAcceptor,
    pub unknown_issuer_pem: Option<String>,
}

impl Identity {
    /// `None` for plain ws.
    pub fn of(tls: &Tls) -> Result<Option<Self>, SimError> {
        match tls {
            Tls::Plain => Ok(None),
            Tls::PrivateCa => Identity::new(Authority::private()?, None).map(Some),
            Tls::Dir(dir) => Identity::of_dir(dir).map(Some),
            Tls::Pem {
                cert_pem,
                key_pem,
                ca_pem,
            } => Ok(Some(Identity::given(
                ca_pem.clone(),
                Pair {
                    cert_pem: cert_pem.clone(),
                    key_pem: key_pem.clone(),
                },
            ))),
        }
    }

    fn new(authority: Authority, good: Option<Pair>) -> Result<Self, SimError> {
        let Pair { cert_pem, key_pem } = authority.client()?;
        Ok(Identity {
            ca_pem: authority.pem.clone(),
            client: Some(ClientIdentity { cert_pem, key_pem }),
            authority: Some(authority),
            good,
        })
    }

    fn given(ca_pem: String, good: Pair) -> Self {
        Identity {
            ca_pem,
            client: None,
            authority: None,
            good: Some(good),
        }
    }

    /// Reads the files, or makes all of them where one of those that are needed is missing.
    fn of_dir(dir: &Path) -> Result<Self, SimError> {
        let [ca, cert, key, ca_key] =
            ["ca.pem", "server.pem", "server.key", "ca.key"].map(|name| dir.join(name));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SimError::File { path, source }
        };
        if [&ca, &cert, &key].iter().all(|p| p.exists()) {
            let read = |path: &Path| fs::read_to_string(path).map_err(failed(path));
            let good = Pair {
                cert_pem: read(&cert)?,
                key_pem: read(&key)?,
            };
            return match ca_key.exists() {
                true => Identity::new(Authority::restored(read(&ca)?, &read(&ca_key)?)?, Some(good)),
                false => Ok(Identity::given(read(&ca)?, good)),
            };
        }
        let authority = Authority::private()?;
        let good = authority
            .server(ServerCertificate::Good, None, OffsetDateTime::UNIX_EPOCH)?
            .pair;
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let files = [
            (&ca, &authority.pem),
            (&cert, &good.cert_pem),
            (&key, &good.key_pem),
            (&ca_key, &authority.key_pem()),
        ];
        for (path, text) in files {
            fs::write(path, text).map_err(failed(path))?;
        }
        Identity::new(authority, Some(good))
    }

    /// What a set-up serves. `now_ns`: since 1970, UTC.
    pub fn serving(&self, setup: TlsSetup, now_ns: u64) -> Result<Serving, SimError> {
        let as_given = (setup.certificate, setup.expires_in_s) == (ServerCertificate::Good, None);
        let (pair, unknown_issuer_pem) = match (&self.authority, &self.good) {
            (_, Some(good)) if as_given => (good.clone(), None),
            (Some(authority), _) => {
                let now = OffsetDateTime::from_unix_timestamp((now_ns / 1_000_000_000) as i64)
                    .unwrap_or(OffsetDateTime::UNIX_EPOCH);
                let expires_in = setup.expires_in_s.map(|s| Duration::seconds(s as i64));
                let made = authority.server(setup.certificate, expires_in, now)?;
                (made.pair, made.unknown_issuer_pem)
            }
            (None, _) => return Err(SimError::NoCaKey),
        };
        Ok(Serving {
            setup,
            acceptor: TlsAcceptor::from(self.server_config(&pair, setup)?),
            unknown_issuer_pem,
        })
    }

    fn server_config(&self, pair: &Pair, setup: TlsSetup) -> Result<Arc<ServerConfig>, SimError> {
        let unusable = |e: &dyn std::fmt::Display| SimError::Tls(e.to_string());
        let certs = CertificateDer::pem_slice_iter(pair.cert_pem.as_bytes());
        let certs = certs.collect::<Result<Vec<_>, _>>().map_err(|e| unusable(&e))?;
        let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).map_err(|e| unusable(&e))?;
        let versions: &[_] = match setup.versions {
            TlsVersions::Only12 => &[&rustls::version::TLS12],
            TlsVersions::Only13 => &[&rustls::version::TLS13],
            TlsVersions::Both | TlsVersions::TooOld => rustls::ALL_VERSIONS,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = client::verifier(setup.client_certificate, &self.ca_pem, &provider)?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .and_then(|b| b.with_client_cert_verifier(clients).with_single_cert(certs, key))
            .map_err(|e| unusable(&e))?;
        Ok(Arc::new(config))
    }
}
