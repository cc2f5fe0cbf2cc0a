use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{
    ExposeSecret, SecretBox, SecretString,
    zeroize::{Zeroize, Zeroizing},
};
use std::fmt;

/// How many characters a key has; the keys that tenants have today have as many.
const LENGTH: usize = 16;
/// How many of them are shown, so that people can tell keys apart.
const SHOWN: usize = 4;

/// Fills `bytes` from the system's generator, for secrets.
///
/// # Panics
/// If the system has no randomness, which it tells at its start.
pub fn secure_random(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system gives random numbers");
}

/// A tenant's key for the screen-pop page: 16 characters, shown once when it is made, stored as [`AuthKey::lookup_hash`].
///
/// `Debug` shows nothing of it.
#[derive(Clone)]
pub struct AuthKey(SecretString);

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthKeyError {
    /// Too short or too long.
    #[error("a key has exactly {LENGTH} characters")]
    Length,
    /// A blank, a control character or not ASCII.
    #[error("a key has only visible ASCII characters, without blanks")]
    Characters,
}

impl AuthKey {
    /// A new key: 96 random bits as 16 URL-safe characters. `random` fills its argument; outside of tests it is
    /// [`secure_random`].
    pub fn generate(random: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0u8; LENGTH * 6 / 8]);
        random(&mut *bytes);
        Self(BASE64_URL_SAFE_NO_PAD.encode(*bytes).into())
    }

    /// Takes a key as an agent's page presents it, or an existing one to be imported.
    pub fn parse(text: &str) -> Result<Self, AuthKeyError> {
        if text.chars().count() != LENGTH {
            return Err(AuthKeyError::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AuthKeyError::Characters);
        }
        Ok(Self(text.into()))
    }

    /// What is stored and looked up in place of the key: HMAC-SHA256 under a key that the database does not hold.
    pub fn lookup_hash(&self, key: &LookupKey) -> [u8; 32] {
        keyed(key, self.0.expose_secret().as_bytes())
    }

    /// The first characters, by which people tell keys apart; of no use to a guesser (72 bits are left).
    pub fn prefix(&self) -> &str {
        &self.0.expose_secret()[..SHOWN]
    }

    /// The key, to show it once to whoever asked for it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(REDACTED)")
    }
}

/// What keys are hashed under; comes from a master key. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct LookupKey(hmac::Key);

impl LookupKey {
    /// The master key's child for this purpose; what is sealed with the master key tells nothing of it.
    pub fn derive(master: &SecretBox<[u8; 32]>) -> Self {
        let master = Self(hmac::Key::new(hmac::HMAC_SHA256, master.expose_secret()));
        let mut child = keyed(&master, b"ccm auth key lookup v1");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &child);
        child.zeroize();
        Self(key)
    }
}

impl fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupKey(REDACTED)")
    }
}

pub(crate) fn keyed(key: &LookupKey, data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&key.0, data);
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn lookup_key(n: u8) -> LookupKey {
        LookupKey::derive(&SecretBox::new(Box::new([n; 32])))
    }

    #[test]
    fn new_keys_differ_and_are_taken_back() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let key = AuthKey::generate(secure_random);
            assert!(AuthKey::parse(key.expose()).is_ok());
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(key.expose().bytes().all(fits), "URL-safe");
            assert!(seen.insert(key.expose().to_owned()));
        }
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        for (text, error) in [
            ("", AuthKeyError::Length),
            ("short", AuthKeyError::Length),
            ("seventeen-letters", AuthKeyError::Length),
            ("sixteen letters!", AuthKeyError::Characters),
            ("sixteen-lettérs!", AuthKeyError::Characters),
            ("sixteen\0letters!", AuthKeyError::Characters),
        ] {
            assert_eq!(AuthKey::parse(text).unwrap_err(), error, "{text:?}");
        }
        assert!(
            AuthKey::parse("AbC123!$xyz_9-.~").is_ok(),
            "existing keys can be imported"
        );
    }

    #[test]
    fn the_hash_is_fixed_for_ever() {
        let hash = AuthKey::parse("0123456789abcdef")
            .unwrap()
            .lookup_hash(&lookup_key(7));
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "a8f422813afa2f588d472319847d0e1b6c3d7cd351d6c5ef3224ff64c53605ed"
        );
    }

    proptest! {
        #[test]
        fn hashes_depend_on_key_and_secret_and_debug_shows_neither(a in "[!-~]{16}", b in "[!-~]{16}") {
            let (x, y) = (AuthKey::parse(&a).unwrap(), AuthKey::parse(&b).unwrap());
            prop_assert_eq!(x.lookup_hash(&lookup_key(1)), AuthKey::parse(&a).unwrap().lookup_hash(&lookup_key(1)));
            prop_assert_eq!(x.lookup_hash(&lookup_key(1)) == y.lookup_hash(&lookup_key(1)), a == b);
            prop_assert_ne!(x.lookup_hash(&lookup_key(1)), x.lookup_hash(&lookup_key(2)));
            prop_assert_eq!(x.prefix(), &a[..4]);
            let printed = format!("{:?} {:?}", x, lookup_key(1));
            prop_assert_eq!(printed, "AuthKey(REDACTED) LookupKey(REDACTED)");
        }
    }
}
