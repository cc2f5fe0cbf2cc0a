use crate::auth_key::{LookupKey, keyed};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use std::{fmt, marker::PhantomData};

const RANDOM_BYTES: usize = 32;
/// How many random characters are shown, so that people can tell keys apart; some 220 random bits are not.
const SHOWN: usize = 6;

/// What a kind of key begins with: scanners for leaked secrets know it by that, and we know it from a token.
pub trait KeyKind {
    const BEGINNING: &'static str;
}

/// [`ApiKey`]
#[derive(Debug, Clone, Copy)]
pub enum OfProgram {}

impl KeyKind for OfProgram {
    const BEGINNING: &'static str = "ccm_";
}

/// [`SessionKey`]
#[derive(Debug, Clone, Copy)]
pub enum OfSession {}

impl KeyKind for OfSession {
    const BEGINNING: &'static str = "ccms_";
}

/// A key for a program that uses the admin API.
pub type ApiKey = OpaqueKey<OfProgram>;

/// What somebody who has signed in is known by, until they sign out.
pub type SessionKey = OpaqueKey<OfSession>;

/// A key that says nothing: shown once when it is made, stored as [`OpaqueKey::lookup_hash`].
///
/// `Debug` shows nothing of it.
pub struct OpaqueKey<K> {
    text: SecretString,
    kind: PhantomData<K>,
}

impl<K: KeyKind> OpaqueKey<K> {
    fn of(text: SecretString) -> Self {
        Self {
            text,
            kind: PhantomData,
        }
    }

    /// A new key: 256 random bits. `random` fills its argument; outside of tests it is [`crate::secure_random`].
    pub fn generate(random: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0u8; RANDOM_BYTES]);
        random(&mut *bytes);
        let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes));
        Self::of(format!("{}{}", K::BEGINNING, *text).into())
    }

    /// A key as a request presents it; `None` for anything else, such as a token.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(K::BEGINNING)?;
        let fits = BASE64_URL_SAFE_NO_PAD.decode(random).ok()?.len() == RANDOM_BYTES;
        fits.then(|| Self::of(text.into()))
    }

    /// Whether a text means to be a key of this kind, good or not.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(K::BEGINNING)
    }

    /// What is stored and looked up in place of the key: HMAC-SHA256 under a key that the database does not hold.
    pub fn lookup_hash(&self, key: &LookupKey) -> [u8; 32] {
        keyed(key, self.text.expose_secret().as_bytes())
    }

    /// The first characters, by which people tell keys apart.
    pub fn prefix(&self) -> &str {
        &self.text.expose_secret()[..K::BEGINNING.len() + SHOWN]
    }

    /// The key, to show it once to whoever asked for it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl<K> fmt::Debug for OpaqueKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueKey(REDACTED)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretBox;

    fn key(n: u8) -> ApiKey {
        ApiKey::generate(|bytes| bytes.fill(n))
    }

    #[test]
    fn keys_are_taken_back_and_tokens_are_not() {
        let made = key(7);
        assert_eq!(made.expose().len(), 47);
        assert_eq!(made.prefix(), "ccm_BwcHBw");
        assert_eq!(ApiKey::parse(made.expose()).unwrap().expose(), made.expose());
        for other in [
            "",
            "ccm_",
            "ccm_short",
            SessionKey::generate(|bytes| bytes.fill(7)).expose(),
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            &format!("{}A", made.expose()),
        ] {
            assert!(ApiKey::parse(other).is_none(), "{other}");
        }
        assert!(!SessionKey::looks_like(made.expose()) && !ApiKey::looks_like("ccms_short"));
        assert!(ApiKey::looks_like("ccm_short") && !ApiKey::looks_like("eyJhbGciOiJIUzI1NiJ9.e30.x"));
        assert_eq!(format!("{made:?}"), "OpaqueKey(REDACTED)");
    }

    #[test]
    fn hashes_depend_on_the_key_and_on_what_it_is_hashed_under() {
        let under = |n| LookupKey::derive(&SecretBox::new(Box::new([n; 32])));
        assert_eq!(key(1).lookup_hash(&under(1)), key(1).lookup_hash(&under(1)));
        assert_ne!(key(1).lookup_hash(&under(1)), key(2).lookup_hash(&under(1)));
        assert_ne!(key(1).lookup_hash(&under(1)), key(1).lookup_hash(&under(2)));
    }
}
