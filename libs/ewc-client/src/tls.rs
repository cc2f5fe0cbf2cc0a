//! TLS of a link: whom it trusts, who we are, and what a handshake showed.

use std::sync::{Arc, Mutex, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, ProtocolVersion, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::DialError;
use crate::target::{ClientIdentity, Target};
use crate::tickets::Tickets;

/// What a TLS handshake showed, whether it succeeded or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsEvidence {
    /// `TLS 1.3`, `TLS 1.2`; `None` unless the handshake succeeded.
    pub protocol: Option<&'static str>,
    /// As IANA names it; `None` unless the handshake succeeded.
    pub cipher_suite: Option<&'static str>,
    /// What the peer sent, leaf first, each in DER; of a resumed session what it had sent then. There when the chain was
    /// refused, too: see [`PeerCertificate::from_der`](crate::PeerCertificate::from_der).
    pub chain: Vec<Vec<u8>>,
    /// The peer asked for a client certificate. Not known of a resumed session.
    pub client_certificate_asked: bool,
    /// A session of an earlier socket went on.
    pub resumed: bool,
}

impl TlsEvidence {
    /// Adds what a successful handshake knows.
    pub(crate) fn complete(&mut self, connection: &rustls::ClientConnection) {
        self.protocol = connection.protocol_version().and_then(|version| match version {
            ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
            _ => None,
        });
        let suite = connection.negotiated_cipher_suite();
        self.cipher_suite = suite.and_then(|suite| suite.suite().as_str());
        self.resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if self.chain.is_empty() {
            let chain = connection.peer_certificates().unwrap_or_default();
            self.chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        }
    }
}

tokio::task_local! {
    /// What the handshake that is being polled has shown. rustls calls verifiers in the midst of it, on its thread, and
    /// all handshakes must share one verifier or no session is resumed: so this is how it knows which one it serves.
    static SHOWN: Arc<Mutex<TlsEvidence>>;
}

/// Runs a handshake and gives what it showed besides.
pub(crate) async fn observed<T>(handshake: impl Future<Output = T>) -> (T, TlsEvidence) {
    let shown = Arc::new(Mutex::new(TlsEvidence::default()));
    let outcome = SHOWN.scope(shown.clone(), handshake).await;
    let evidence = std::mem::take(&mut *shown.lock().expect("nothing panics under this lock"));
    (outcome, evidence)
}

fn show(what: impl FnOnce(&mut TlsEvidence)) {
    // Nobody watches: nothing is noted.
    let _ = SHOWN.try_with(|shown| what(&mut shown.lock().expect("nothing panics under this lock")));
}

/// Reads authorities and identity of a target.
pub(crate) fn config(target: &Target, tickets: Arc<Tickets>) -> Result<Arc<ClientConfig>, DialError> {
    let roots = match target.ca_pem.as_deref() {
        Some(pem) => Arc::new(private_roots(pem)?),
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = target.client_identity.as_ref();
    let identity = identity.map(|i| certified_key(i, &provider)).transpose()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|e| DialError::BadCa(e.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        // rustls' own verifier judges; ours only notes what it was shown.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Noting(verifier)))
        .with_client_cert_resolver(Arc::new(Identity(identity)));
    config.resumption = Resumption::store(tickets);
    Ok(Arc::new(config))
}

fn private_roots(pem: &str) -> Result<RootCertStore, DialError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| DialError::BadCa(e.to_string()))?;
        roots
            .add(certificate)
            .map_err(|e| DialError::BadCa(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(DialError::BadCa("no certificate in it".into()));
    }
    Ok(roots)
}

/// Read once: parsing the system's bundle for each link would take longer than the handshake.
fn system_roots() -> Result<Arc<RootCertStore>, DialError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(DialError::NoSystemRoots);
    }
    Ok(roots.clone())
}

fn certified_key(
    identity: &ClientIdentity,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, DialError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|e| DialError::BadIdentity(format!("its certificates: {e}")))?;
    if chain.is_empty() {
        return Err(DialError::BadIdentity("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|_| {
        // What stands there is not repeated.
        let encrypted = identity.key_pem.contains("ENCRYPTED");
        DialError::BadIdentity(
            if encrypted {
                "its key is encrypted"
            } else {
                "no private key in it"
            }
            .into(),
        )
    })?;
    let key =
        CertifiedKey::from_der(chain, key, provider).map_err(|e| DialError::BadIdentity(e.to_string()))?;
    Ok(Arc::new(key))
}

/// rustls' WebPKI verifier, and a note of the chain that it was given.
#[derive(Debug)]
struct Noting(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        show(|shown| {
            let chain = std::iter::once(end_entity).chain(intermediates);
            shown.chain = chain.map(|certificate| certificate.to_vec()).collect();
        });
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Our one certificate or none, and a note that it was asked for.
#[derive(Debug)]
struct Identity(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identity {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        show(|shown| shown.client_certificate_asked = true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
