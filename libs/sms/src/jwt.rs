//! JSON Web Tokens (RFC 7519) that providers sign their webhooks with, HS256. Their moments are checked against the clock that
//! is given, not against the machine's.

use crate::{Inbound, ReceiveError};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

/// Clocks may be this far apart where a token has a beginning and an end, in seconds.
const LEEWAY_S: i64 = 60;

/// The claims of a token that one of these secrets signed.
pub(crate) fn claims<'a>(
    token: &str,
    mut secrets: impl Iterator<Item = &'a SecretString>,
) -> Option<Map<String, Value>> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    secrets.find_map(|secret| {
        let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
        decode(token, &key, &rules).ok().map(|token| token.claims)
    })
}

/// Refuses a token before its `nbf`, after its `exp`, and one whose `iat` is too far away.
pub(crate) fn fresh(
    claims: &Map<String, Value>,
    inbound: &Inbound<'_>,
    limit_s: u32,
) -> Result<(), ReceiveError> {
    let moment = |name: &str| claims.get(name).and_then(Value::as_f64).map(|at| at as i64);
    let now = inbound.now.unix_timestamp();
    if moment("nbf").is_some_and(|begins| now < begins - LEEWAY_S)
        || moment("exp").is_some_and(|ends| now > ends + LEEWAY_S)
    {
        return Err(ReceiveError::Stale { limit_s });
    }
    match moment("iat") {
        Some(at) => inbound.fresh(at, limit_s),
        None if claims.contains_key("exp") => Ok(()),
        None => Err(ReceiveError::BadSignature {
            reason: "the token says neither when it was made nor when it ends",
        }),
    }
}
