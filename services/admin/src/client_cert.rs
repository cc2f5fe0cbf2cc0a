use crate::{
    ca::{self, Bad, CaError},
    valid::Refused,
};
use rustls::{Error, InconsistentKeys, crypto::aws_lc_rs::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

pub const CERTIFICATE: &str = "client_certificate_pem";
const KEY: &str = "client_key_pem";

/// A chain or a key is not longer than this, in bytes.
const MAX_BYTES: usize = 65_536;

/// Checks that the chain and the key can be shown to a peer that asks for a client certificate: both are read as the link's
/// client will, and the key belongs to the first certificate. Never repeats what stands in them.
pub fn check(chain_pem: &str, key_pem: &str) -> Result<(), Refused> {
    if chain_pem.len() > MAX_BYTES {
        return Err(Refused::new(
            CERTIFICATE,
            format!("is longer than {MAX_BYTES} bytes"),
            "give the client's certificate and its intermediates, not a bundle of authorities",
        ));
    }
    let chain = ca::certificates(chain_pem)
        .map_err(|error| Refused::new(CERTIFICATE, error.to_string(), remedy(&error)))?;
    let refused = |problem: &str, remedy| Err(Refused::new(KEY, problem, remedy));
    if key_pem.len() > MAX_BYTES || key_pem.contains('\0') {
        return refused(
            "is longer than a key can be, or holds a NUL",
            "give one private key in PEM",
        );
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()) else {
        return refused(
            "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)",
            "`openssl pkey -in key.pem` writes it so, and takes its pass phrase off",
        );
    };
    let Ok(key) = any_supported_type(&key) else {
        return refused(
            "is no key that TLS can sign with",
            "make an RSA key of 2048 to 8192 bits, an ECDSA key on P-256, P-384 or P-521, or an Ed25519 key",
        );
    };
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) => Ok(()),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => refused(
            "is not the key of the first certificate of client_certificate_pem",
            "put the client's own certificate first, its intermediates after it; \
             `openssl x509 -in cert.pem -noout -pubkey` and `openssl pkey -in key.pem -pubout` must print the same",
        ),
        Err(_) => Err(Refused::new(
            CERTIFICATE,
            "begins with a certificate that TLS cannot show",
            "put the client's own certificate first, an X.509 certificate of version 3",
        )),
    }
}

/// Which of the keys that are here the chain belongs to: the one that waits, which is said besides, or the one in use.
pub fn key_of(
    chain_pem: &str,
    waiting: Option<Zeroizing<String>>,
    in_use: Option<Zeroizing<String>>,
) -> Result<(Zeroizing<String>, bool), Refused> {
    ca::certificates(chain_pem)
        .map_err(|error| Refused::new(CERTIFICATE, error.to_string(), remedy(&error)))?;
    let none_here = waiting.is_none() && in_use.is_none();
    for (key, waits) in [(waiting, true), (in_use, false)] {
        let Some(key) = key else { continue };
        match check(chain_pem, &key) {
            Ok(()) => return Ok((key, waits)),
            Err(refused) if refused.field == CERTIFICATE => return Err(refused),
            Err(_) => {}
        }
    }
    if none_here {
        return Err(Refused::new(
            KEY,
            "is missing, and the link has no key of its own",
            "give the certificate's private key; or make one here with POST …/client-key and have its request signed",
        ));
    }
    Err(Refused::new(
        CERTIFICATE,
        "belongs neither to the key that waits nor to the one in use",
        "have the request of GET …/client-key signed, put the certificate of that first; or give its private key too",
    ))
}

fn remedy(error: &CaError) -> &'static str {
    match error {
        CaError::Block {
            why: Bad::Label(label),
            ..
        } if label.contains("PRIVATE KEY") => "give the key as client_key_pem, which no answer shows",
        CaError::NoBlock | CaError::TooLong => {
            "paste the client's certificate and its intermediates in PEM, line ends as \\n in JSON"
        }
        CaError::Block { .. } => {
            "give certificates only, each from its BEGIN line to its END line; \
             `openssl x509 -in cert.pem -noout -subject` must read every one of them"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_testkit::certs::Ca;

    fn field(chain: &str, key: &str) -> String {
        let refused = check(chain, key).unwrap_err();
        let middle = key.lines().nth(1).unwrap_or("nothing");
        assert!(
            !format!("{refused:?}").contains(middle),
            "the key is not repeated"
        );
        refused.field.into_owned()
    }

    #[test]
    fn a_chain_and_its_key_fit() {
        let ca = Ca::new("Test CA").unwrap();
        let (ours, other) = (ca.issue(&["ccm"]).unwrap(), ca.issue(&["other"]).unwrap());
        check(&ours.cert_pem, &ours.key_pem).unwrap();
        let chain = format!("{}{}", ours.cert_pem, ca.pem());
        check(&chain, &ours.key_pem).unwrap();
        assert_eq!(field(&ours.cert_pem, &other.key_pem), KEY);
        let turned = format!("{}{}", ca.pem(), ours.cert_pem);
        assert_eq!(field(&turned, &ours.key_pem), KEY, "the first one counts");
    }

    #[test]
    fn what_cannot_be_shown_is_refused_with_its_field() {
        let ours = Ca::new("Test CA").unwrap().issue(&["ccm"]).unwrap();
        for chain in ["", "x", &ours.key_pem, &"x".repeat(MAX_BYTES + 1)] {
            assert_eq!(field(chain, &ours.key_pem), CERTIFICATE);
        }
        let encrypted = ours.key_pem.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let cut = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";
        for key in ["", "x", &ours.cert_pem, &encrypted, cut] {
            assert_eq!(field(&ours.cert_pem, key), KEY);
        }
        let refused = check(&ours.key_pem, &ours.key_pem).unwrap_err();
        assert!(refused.remedy.contains("client_key_pem"));
    }
}
