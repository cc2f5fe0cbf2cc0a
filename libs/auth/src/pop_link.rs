//! Signed links to the agents' page, which a tenant makes itself: a JWT, signed with a secret that the tenant got from us.

use crate::token::MAX_TOKEN_BYTES;
use ccm_model::SigningKeyId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};

/// The `aud` that a link must carry.
pub const POP_LINK_AUDIENCE: &str = "ccm-screenpop";
/// How far ahead a link may end.
const LONGEST: Duration = Duration::minutes(10);
/// By how much the tenant's clock may differ from ours.
const LEEWAY: Duration = Duration::seconds(30);

/// What a link says. Deliberately without `Debug`: it names a customer.
pub struct PopLink {
    /// Its own id: a link opens one page.
    pub id: String,
    /// The parameters that its address would have had, by name.
    pub parameters: HashMap<String, String>,
}

/// Why a link opens nothing. The text is fit for the agent, and holds nothing of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PopLinkError {
    /// Not a token with our claims.
    #[error("the link is malformed: it takes a JWT with kid, aud, exp, jti")]
    Malformed,
    /// Its header says that something must be understood which is not.
    #[error("the link's header has a crit that is not understood")]
    Extension,
    /// Not HS256.
    #[error("the link is not signed with HS256")]
    Algorithm,
    /// Not signed with the key that it names.
    #[error("the link's signature is wrong")]
    Signature,
    /// Over.
    #[error("the link has expired")]
    Expired,
    /// Its time has not come.
    #[error("the link is not valid yet")]
    Early,
    /// It would open a page for too long a time.
    #[error("the link ends more than ten minutes ahead")]
    TooLong,
    /// For something else.
    #[error("the link is for another audience than ccm-screenpop")]
    Audience,
}

#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970, with a fraction or without (RFC 7519, NumericDate).
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    jti: String,
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

/// Which key a link names, whatever else is true of it.
pub fn pop_link_key(token: &str) -> Result<SigningKeyId, PopLinkError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(PopLinkError::Malformed);
    }
    let header = decode_header(token).map_err(|_| PopLinkError::Malformed)?;
    // What must be understood and is not makes a token invalid (RFC 7515, section 4.1.11). We understand none of them.
    if header.crit.is_some() {
        return Err(PopLinkError::Extension);
    }
    let kid = header.kid.ok_or(PopLinkError::Malformed)?;
    kid.parse().map_err(|_| PopLinkError::Malformed)
}

/// Reads a link that was signed with this secret.
pub fn read_pop_link(
    token: &str,
    secret: &SecretString,
    now: OffsetDateTime,
) -> Result<PopLink, PopLinkError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[POP_LINK_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud"]);
    // By our clock, which is an argument.
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
    let claims = decode::<Claims>(token, &key, &validation).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => PopLinkError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => PopLinkError::Algorithm,
        ErrorKind::InvalidAudience => PopLinkError::Audience,
        _ => PopLinkError::Malformed,
    })?;
    let Claims { exp, nbf, jti, rest } = claims.claims;
    let ends = moment(exp)?;
    if let Some(begins) = nbf
        && moment(begins)? > now + LEEWAY
    {
        return Err(PopLinkError::Early);
    }
    if ends + LEEWAY <= now {
        return Err(PopLinkError::Expired);
    }
    if ends > now + LONGEST + LEEWAY {
        return Err(PopLinkError::TooLong);
    }
    if !(1..=200).contains(&jti.len()) {
        return Err(PopLinkError::Malformed);
    }
    let words = rest.into_iter().filter_map(|(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        serde_json::Value::Number(number) => Some((name, number.to_string())),
        _ => None,
    });
    Ok(PopLink {
        id: jti,
        parameters: words.collect(),
    })
}

fn moment(seconds: f64) -> Result<OffsetDateTime, PopLinkError> {
    let since = Duration::checked_seconds_f64(seconds).ok_or(PopLinkError::Malformed)?;
    let moment = OffsetDateTime::UNIX_EPOCH.checked_add(since);
    moment.ok_or(PopLinkError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-30 09:00 UTC);
    const KID: &str = "01a0e4bd-72aa-7b55-a0b5-0e1d5c0ee1a7";

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let header = Header {
            kid: Some(KID.to_owned()),
            ..Header::new(algorithm)
        };
        encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn claims(seconds: i64, aud: &str) -> Value {
        json!({"aud": aud, "exp": NOW.unix_timestamp() + seconds, "jti": "call 1", "dest": "0861234567", "contact": 4711})
    }

    fn read(token: &str) -> Result<PopLink, PopLinkError> {
        read_pop_link(token, &SecretString::from("secret"), NOW)
    }

    #[test]
    fn a_link_brings_what_an_address_would() {
        let token = signed(Algorithm::HS256, "secret", &claims(60, POP_LINK_AUDIENCE));
        assert_eq!(pop_link_key(&token).unwrap().to_string(), KID);
        let link = read(&token).ok().unwrap();
        assert_eq!(link.id, "call 1");
        assert_eq!(link.parameters["dest"], "0861234567");
        assert_eq!(link.parameters["contact"], "4711");
        assert!(!link.parameters.contains_key("exp"));
    }

    #[test]
    fn times_have_fractions_and_a_beginning() {
        let with = |name: &str, value: f64| {
            let mut claims = claims(60, POP_LINK_AUDIENCE);
            claims[name] = (NOW.unix_timestamp() as f64 + value).into();
            read(&signed(Algorithm::HS256, "secret", &claims)).err()
        };
        assert_eq!(with("exp", 60.5), None);
        assert_eq!(with("iat", -0.25), None);
        assert_eq!(with("exp", -30.5), Some(PopLinkError::Expired));
        assert_eq!(with("exp", 1e300), Some(PopLinkError::Malformed));
        assert_eq!(with("nbf", 29.5), None, "clocks differ a little");
        assert_eq!(with("nbf", 31.0), Some(PopLinkError::Early));
        let critical = Header {
            kid: Some(KID.to_owned()),
            crit: Some(vec!["exp".to_owned()]),
            ..Header::new(Algorithm::HS256)
        };
        let key = EncodingKey::from_secret(b"secret");
        let critical = encode(&critical, &claims(60, POP_LINK_AUDIENCE), &key).unwrap();
        assert_eq!(pop_link_key(&critical), Err(PopLinkError::Extension));
    }

    #[test]
    fn what_is_no_good_link_is_told_why() {
        let good = claims(60, POP_LINK_AUDIENCE);
        let without = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(name);
            signed(Algorithm::HS256, "secret", &claims)
        };
        for (token, error) in [
            ("x".to_owned(), PopLinkError::Malformed),
            (signed(Algorithm::HS256, "other", &good), PopLinkError::Signature),
            (signed(Algorithm::HS512, "secret", &good), PopLinkError::Algorithm),
            (
                signed(Algorithm::HS256, "secret", &claims(60, "ccm-api")),
                PopLinkError::Audience,
            ),
            (
                signed(Algorithm::HS256, "secret", &claims(-31, POP_LINK_AUDIENCE)),
                PopLinkError::Expired,
            ),
            (
                signed(Algorithm::HS256, "secret", &claims(631, POP_LINK_AUDIENCE)),
                PopLinkError::TooLong,
            ),
            (without("exp"), PopLinkError::Malformed),
            (without("jti"), PopLinkError::Malformed),
            (without("aud"), PopLinkError::Malformed),
        ] {
            assert_eq!(read(&token).err(), Some(error), "{token}");
        }
        let no_kid = encode(&Header::default(), &good, &EncodingKey::from_secret(b"secret")).unwrap();
        assert_eq!(pop_link_key(&no_kid), Err(PopLinkError::Malformed));
        assert_eq!(pop_link_key(&"x".repeat(5000)), Err(PopLinkError::Malformed));
    }
}
