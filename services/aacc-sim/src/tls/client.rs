//! What is asked of clients' certificates.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::ClientCertificate;
use crate::error::SimError;

/// Who checks clients' certificates.
pub(super) fn verifier(
    wanted: ClientCertificate,
    ca_pem: &str,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, SimError> {
    let unusable = |e: &dyn std::fmt::Display| SimError::Tls(e.to_string());
    match wanted {
        ClientCertificate::NotAsked => Ok(Arc::new(NoClientAuth)),
        ClientCertificate::Any => Ok(Arc::new(AnyIssuer(provider.clone()))),
        ClientCertificate::OfCa => {
            let mut roots = RootCertStore::empty();
            for ca in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
                roots
                    .add(ca.map_err(|e| unusable(&e))?)
                    .map_err(|e| unusable(&e))?;
            }
            let built =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
            Ok(built.map_err(|e| unusable(&e))?)
        }
    }
}

/// Takes certificates of any issuer, as proxies that only log them do; the client must still own the key.
#[derive(Debug)]
struct AnyIssuer(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyIssuer {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
