use crate::auth_key::{LookupKey, keyed};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use std::fmt;

/// What every key begins with: scanners for leaked secrets know it by that, and we know it from a token.
const BEGINNING: &str = "ccm_";
const RANDOM_BYTES: usize = 32;
/// How many characters are shown, so that people can tell keys apart; some 220 random bits are not.
const SHOWN: usize = BEGINNING.len() + 6;

/// A key for a program that uses the admin API: shown once when it is made, stored as [`ApiKey::lookup_hash`].
///
/// `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A new key: 256 random bits. `random` fills its argument; outside of tests it is [`crate::secure_random`].
    pub fn generate(random: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0u8; RANDOM_BYTES]);
        random(&mut *bytes);
        let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes));
        Self(format!("{BEGINNING}{}", *text).into())
    }

    /// A key as a request presents it; `None` for anything else, such as a token.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(BEGINNING)?;
        let fits = BASE64_URL_SAFE_NO_PAD.decode(random).ok()?.len() == RANDOM_BYTES;
        fits.then(|| Self(text.into()))
    }

    /// Whether a text means to be a key, good or not.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(BEGINNING)
    }

    /// What is stored and looked up in place of the key: HMAC-SHA256 under a key that the database does not hold.
    pub fn lookup_hash(&self, key: &LookupKey) -> [u8; 32] {
        keyed(key, self.0.expose_secret().as_bytes())
    }

    /// The first characters, by which people tell keys apart.
    pub fn prefix(&self) -> &str {
        &self.0.expose_secret()[..SHOWN]
    }

    /// The key, to show it once to whoever asked for it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(REDACTED)")
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
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            &format!("{}A", made.expose()),
        ] {
            assert!(ApiKey::parse(other).is_none(), "{other}");
        }
        assert!(ApiKey::looks_like("ccm_short") && !ApiKey::looks_like("eyJhbGciOiJIUzI1NiJ9.e30.x"));
        assert_eq!(format!("{made:?}"), "ApiKey(REDACTED)");
    }

    #[test]
    fn hashes_depend_on_the_key_and_on_what_it_is_hashed_under() {
        let under = |n| LookupKey::derive(&SecretBox::new(Box::new([n; 32])));
        assert_eq!(key(1).lookup_hash(&under(1)), key(1).lookup_hash(&under(1)));
        assert_ne!(key(1).lookup_hash(&under(1)), key(2).lookup_hash(&under(1)));
        assert_ne!(key(1).lookup_hash(&under(1)), key(1).lookup_hash(&under(2)));
    }
}
