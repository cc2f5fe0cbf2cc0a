//! The private CA and the server's certificate.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::error::SimError;

/// What the server certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "aacc.localhost"];

/// PEM texts of a server and of the CA that its clients trust.
pub(crate) struct Identity {
    pub ca_pem: String,
    cert_pem: String,
    key_pem: String,
}

impl Identity {
    /// `None` for plain ws.
    pub fn of(tls: &Tls) -> Result<Option<Self>, SimError> {
        match tls {
            Tls::Plain => Ok(None),
            Tls::PrivateCa => Identity::make().map(Some),
            Tls::Dir(dir) => Identity::of_dir(dir).map(Some),
            Tls::Pem {
                cert_pem,
                key_pem,
                ca_pem,
            } => Ok(Some(Identity {
                ca_pem: ca_pem.clone(),
                cert_pem: cert_pem.clone(),
                key_pem: key_pem.clone(),
            })),
        }
    }

    fn make() -> Result<Self, SimError> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name
            .push(DnType::CommonName, "aacc-sim private CA");
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let names: Vec<String> = NAMES.iter().map(|n| n.to_string()).collect();
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "aacc.localhost");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let cert_pem = server.signed_by(&key, &issuer)?.pem();
        Ok(Identity {
            ca_pem,
            cert_pem,
            key_pem: key.serialize_pem(),
        })
    }

    /// Reads the three files, or makes all three where one is missing.
    fn of_dir(dir: &Path) -> Result<Self, SimError> {
        let paths = ["ca.pem", "server.pem", "server.key"].map(|name| dir.join(name));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SimError::File { path, source }
        };
        if paths.iter().all(|p| p.exists()) {
            let read = |path: &Path| fs::read_to_string(path).map_err(failed(path));
            return Ok(Identity {
                ca_pem: read(&paths[0])?,
                cert_pem: read(&paths[1])?,
                key_pem: read(&paths[2])?,
            });
        }
        let made = Identity::make()?;
        fs::create_dir_all(dir).map_err(failed(dir))?;
        for (path, text) in paths.iter().zip([&made.ca_pem, &made.cert_pem, &made.key_pem]) {
            fs::write(path, text).map_err(failed(path))?;
        }
        Ok(made)
    }

    pub fn server_config(&self) -> Result<Arc<ServerConfig>, SimError> {
        let unusable = |e: &dyn std::fmt::Display| SimError::Tls(e.to_string());
        let certs = CertificateDer::pem_slice_iter(self.cert_pem.as_bytes());
        let certs = certs.collect::<Result<Vec<_>, _>>().map_err(|e| unusable(&e))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|e| unusable(&e))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(certs, key))
            .map_err(|e| unusable(&e))?;
        Ok(Arc::new(config))
    }
}
