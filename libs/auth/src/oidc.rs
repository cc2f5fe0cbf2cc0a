//! Tokens of OIDC issuers: what their documents say, and whether a token is one of theirs. No IO: whoever uses this fetches
//! [`Discovery::address`] and then [`Discovery::keys_at`].
//!
//! Sources: OpenID Connect Discovery 1.0 section 4, RFC 7517 (JWK), RFC 8725 (algorithms are the key's, never the token's).

use crate::token::{MAX_TOKEN_BYTES, TokenError, classify};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, dangerous, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use serde::Deserialize;
use std::time::Duration;

/// An issuer's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Where its keys are; `https`.
    pub keys_at: String,
}

/// Why an issuer's document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not JSON, or without what it must have.
    #[error("the issuer's document cannot be read: {0}")]
    Unreadable(String),
    /// It is somebody else's document.
    #[error("the document names another issuer, {0:?}; oidc.issuers must name it exactly so")]
    OtherIssuer(String),
    /// Keys that anybody on the way could replace.
    #[error("the issuer's keys are not at an https address")]
    NotHttps,
    /// Nothing to verify tokens with.
    #[error("the issuer has no key that can verify a signature")]
    NoKeys,
}

impl Discovery {
    /// Where an issuer's document is.
    pub fn address(issuer: &str) -> String {
        format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        )
    }

    /// Reads the document that was found there.
    pub fn read(issuer: &str, document: &[u8]) -> Result<Self, DiscoveryError> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let document: Document =
            serde_json::from_slice(document).map_err(|e| DiscoveryError::Unreadable(e.to_string()))?;
        if document.issuer != issuer {
            return Err(DiscoveryError::OtherIssuer(document.issuer));
        }
        if !document.jwks_uri.starts_with("https://") {
            return Err(DiscoveryError::NotHttps);
        }
        Ok(Self {
            keys_at: document.jwks_uri,
        })
    }
}

/// An issuer's keys, as they were at some time.
pub struct KeySet(Vec<SigningKey>);

struct SigningKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct OidcRules<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    /// By how much the issuer's clock may differ from ours.
    pub leeway: Duration,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    /// What the issuer calls them for ever.
    pub subject: String,
    /// Theirs, as the issuer has verified; in lower case.
    pub email: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: Seconds,
    nbf: Option<Seconds>,
    iat: Option<Seconds>,
    email: Option<String>,
    #[serde(default)]
    email_verified: Flag,
}

/// A NumericDate (RFC 7519 section 2), which may have a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Fraction(f64),
}

impl Seconds {
    fn whole(&self) -> i64 {
        match *self {
            Self::Whole(seconds) => seconds,
            // Saturates.
            Self::Fraction(seconds) => seconds.floor() as i64,
        }
    }
}

/// Some issuers write `"true"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Said(String),
}

impl Default for Flag {
    fn default() -> Self {
        Self::Is(false)
    }
}

impl Flag {
    fn is(&self) -> bool {
        match self {
            Self::Is(is) => *is,
            Self::Said(said) => said == "true",
        }
    }
}

/// Whether the token asks for what a reader must understand (RFC 7515 section 4.1.11): there is nothing of the kind here.
fn asks_for_more(token: &str) -> bool {
    let header = token
        .split('.')
        .next()
        .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    header
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .is_none_or(|header| header.get("crit").is_some())
}

/// The issuer that a token says it is of; it may be lying. `None`: it is no token.
pub fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > MAX_OIDC_TOKEN_BYTES {
        return None;
    }
    Some(dangerous::insecure_decode_claims::<Issuer>(token).ok()?.iss)
}

/// Issuers put groups and names into their tokens.
const MAX_OIDC_TOKEN_BYTES: usize = 4 * MAX_TOKEN_BYTES;

impl KeySet {
    /// Reads a JWK set. Keys that are for something else, or of a kind that is not known, are passed over.
    pub fn read(document: &[u8]) -> Result<Self, DiscoveryError> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<serde_json::Value>,
        }
        let set: Keys =
            serde_json::from_slice(document).map_err(|e| DiscoveryError::Unreadable(e.to_string()))?;
        let known = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        Self::of(JwkSet {
            keys: known.collect(),
        })
    }

    fn of(set: JwkSet) -> Result<Self, DiscoveryError> {
        let keys: Vec<_> = set.keys.iter().filter_map(SigningKey::of).collect();
        match keys.is_empty() {
            true => Err(DiscoveryError::NoKeys),
            false => Ok(Self(keys)),
        }
    }

    /// Whether there is a key that the token says it is signed with. When there is not, the issuer may have a new one.
    pub fn fits(&self, token: &str) -> bool {
        decode_header(token).is_ok_and(|header| self.choose(&header).is_some())
    }

    /// The key of the token's `kid`; without a `kid`, the only one that is of its algorithm.
    fn choose(&self, header: &jsonwebtoken::Header) -> Option<&SigningKey> {
        let fits = |key: &&SigningKey| {
            key.algorithms.contains(&header.alg)
                && header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
        };
        let mut fitting = self.0.iter().filter(fits);
        let first = fitting.next()?;
        (header.kid.is_some() || fitting.next().is_none()).then_some(first)
    }

    /// Whom a good token names. `now` is in seconds since 1970.
    pub fn verify(&self, token: &str, rules: OidcRules<'_>, now: i64) -> Result<Identity, TokenError> {
        if token.len() > MAX_OIDC_TOKEN_BYTES || asks_for_more(token) {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(|e| classify(e.kind()))?;
        let key = self.choose(&header).ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[rules.issuer]);
        validation.set_audience(&[rules.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would ask the machine's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Claims>(token, &key.key, &validation)
            .map_err(|e| classify(e.kind()))?
            .claims;
        let leeway = i64::try_from(rules.leeway.as_secs()).unwrap_or(i64::MAX);
        if claims.exp.whole() <= now.saturating_sub(leeway) {
            return Err(TokenError::Expired);
        }
        let begins = [claims.nbf, claims.iat].into_iter().flatten();
        let begins = begins.map(|at| at.whole()).max();
        if begins.is_some_and(|begins| begins > now.saturating_add(leeway)) {
            return Err(TokenError::NotYetValid);
        }
        // No issuer names anybody so, and no text that is stored has it.
        let names = [Some(&claims.sub), claims.email.as_ref()];
        if names.into_iter().flatten().any(|name| name.contains('\0')) {
            return Err(TokenError::Malformed);
        }
        Ok(Identity {
            issuer: claims.iss,
            subject: claims.sub,
            email: claims
                .email
                .filter(|_| claims.email_verified.is())
                .map(|email| email.to_lowercase()),
        })
    }
}

impl SigningKey {
    fn of(jwk: &Jwk) -> Option<Self> {
        let signs = jwk.common.public_key_use.as_ref();
        if signs.is_some_and(|signs| *signs != PublicKeyUse::Signature) {
            return None;
        }
        let of_kind: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            // A shared secret does not stand in a public document.
            _ => return None,
        };
        let named: Option<Algorithm> = match jwk.common.key_algorithm {
            None => None,
            Some(named) => Some(named.to_string().parse().ok()?),
        };
        let algorithms: Vec<_> = of_kind
            .iter()
            .copied()
            .filter(|of_kind| named.is_none_or(|named| named == *of_kind))
            .collect();
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self {
            id: jwk.common.key_id.clone(),
            algorithms,
            key,
        })
    }
}
