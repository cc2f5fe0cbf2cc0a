//! Keyed hashes, compared in constant time.

use crate::{Inbound, ReceiveError};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::BASE64_STANDARD};
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

    pub fn sha512(secret: &SecretString) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA512,
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

/// Whether two secrets are the same, in a time that tells nothing of where they differ.
pub(crate) fn same(secret: &str, given: &str) -> bool {
    verify_slices_are_equal(secret.as_bytes(), given.as_bytes()).is_ok()
}

/// Whether a request shows the user and one of the passwords (RFC 7617).
pub(crate) fn basic<'a>(
    inbound: &Inbound<'_>,
    user: &str,
    mut passwords: impl Iterator<Item = &'a SecretString>,
) -> Result<(), ReceiveError> {
    let refuse = |reason| Err(ReceiveError::BadSignature { reason });
    let given = inbound
        .header("authorization")
        .and_then(|raw| raw.strip_prefix("Basic "))
        .and_then(|raw| BASE64_STANDARD.decode(raw).ok())
        .and_then(|raw| String::from_utf8(raw).ok());
    let Some((name, password)) = given.as_deref().and_then(|pair| pair.split_once(':')) else {
        return refuse("Authorization has no user and password");
    };
    match passwords.any(|secret| same(secret.expose_secret(), password)) & same(user, name) {
        true => Ok(()),
        false => refuse("user or password are not the account's"),
    }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(raw: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = raw
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect())
}
