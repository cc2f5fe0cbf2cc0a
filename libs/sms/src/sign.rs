//! Keyed hashes, compared in constant time.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub fn sha1(secret: &SecretString) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            secret.expose_secret().as_bytes(),
        ))
    }

    pub fn sha256(secret: &SecretString) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA256,
            secret.expose_secret().as_bytes(),
        ))
    }

    pub fn sign(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }

    pub fn fits(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        // `verify` wants one piece; what is signed fits a webhook's limit.
        hmac::verify(&self.0, &parts.concat(), tag).is_ok()
    }
}
