use crate::{Bearer, Role, Via};
use ccm_model::{Clock, TenantId};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};
use time::OffsetDateTime;

/// Far more than a token of ours has; longer ones are refused unread.
pub(crate) const MAX_TOKEN_BYTES: usize = 4096;

/// What a token that is issued here says of its bearer. Times are in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    iat: i64,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
}

/// What tokens are verified and issued with.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// The `iss` that a token must carry.
    pub issuer: String,
    /// The `aud` that a token must carry.
    pub audience: String,
    /// By how much the issuer's clock may differ from ours.
    pub leeway: Duration,
    /// The key, and with it the only algorithm that is taken.
    pub key: JwtKey,
}

/// A key. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub enum JwtKey {
    /// HS256 with a shared secret.
    Hs256(SecretSlice<u8>),
    /// EdDSA with an Ed25519 key pair, in PEM.
    Ed25519 {
        /// SubjectPublicKeyInfo: verifies.
        public_pem: String,
        /// PKCS #8: issues; set only where tokens are issued.
        private_pem: Option<SecretString>,
    },
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    /// Not an Ed25519 key.
    #[error(
        "the {0} key of tokens is not an Ed25519 key in PEM; make it with `openssl genpkey -algorithm ed25519`"
    )]
    NotEd25519(&'static str),
    /// Only the public half is here.
    #[error("tokens cannot be issued here: the private key is not set (jwt.ed25519_private_key_file)")]
    NoPrivateKey,
}

/// Why a token is not taken. The text is fit for the bearer and holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or with other claims than ours.
    #[error("the token is malformed; ask for a new one")]
    Malformed,
    /// Signed with another algorithm than ours, or with none.
    #[error("the token's algorithm is not the one in use; ask for a new one")]
    Algorithm,
    /// Not signed with our key.
    #[error("the token's signature is wrong; ask for a new one")]
    Signature,
    /// Over.
    #[error("the token has expired; ask for a new one")]
    Expired,
    /// Issued in the future, by our clock.
    #[error("the token is not valid yet; compare the clocks of the issuer and of this server")]
    NotYetValid,
    /// Of another issuer.
    #[error("the token is of another issuer; ask for one of this platform")]
    Issuer,
    /// For something else.
    #[error("the token is for another audience; ask for one for this API")]
    Audience,
    /// Signed with a key that its issuer does not have, or not any more.
    #[error("the token's issuer has no key that the token could be signed with; ask for a new one")]
    UnknownKey,
    /// An API key that does not exist, has expired or was revoked.
    #[error("the API key is not in use: it does not exist, has expired or was revoked; ask for a new one")]
    ApiKey,
    /// A session that is over.
    #[error(
        "the session is over: it was signed out, not used for too long, or has come to its end; sign in again"
    )]
    Session,
    /// A good token of somebody who is nobody here.
    #[error("the token is good, but its bearer is no user of this platform; ask to be added")]
    NoUser,
    /// Somebody who may not any more.
    #[error("the token is good, but its bearer is disabled here; ask to be enabled")]
    Disabled,
    /// A tenant's role without a tenant, or a platform's role with one.
    #[error("the token's role and tenant do not fit together; ask for a new one")]
    RoleAndTenant,
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Verifier>);

struct Verifier {
    key: DecodingKey,
    validation: Validation,
    leeway_s: i64,
    clock: Clock,
}

impl TokenVerifier {
    /// Time is taken from `clock`, never from the machine's.
    pub fn new(config: &JwtConfig, clock: Clock) -> Result<Self, TokenKeyError> {
        let (algorithm, key) = match &config.key {
            JwtKey::Hs256(secret) => (Algorithm::HS256, DecodingKey::from_secret(secret.expose_secret())),
            JwtKey::Ed25519 { public_pem, .. } => (
                Algorithm::EdDSA,
                DecodingKey::from_ed_pem(public_pem.as_bytes())
                    .map_err(|_| TokenKeyError::NotEd25519("public"))?,
            ),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would ask the machine's clock.
        validation.validate_exp = false;
        Ok(Self(Arc::new(Verifier {
            key,
            validation,
            leeway_s: i64::try_from(config.leeway.as_secs()).unwrap_or(i64::MAX),
            clock,
        })))
    }

    /// Whom a good token names.
    pub fn verify(&self, token: &str) -> Result<Bearer, TokenError> {
        let verifier = &*self.0;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let claims = decode::<Claims>(token, &verifier.key, &verifier.validation)
            .map_err(|e| classify(e.kind()))?
            .claims;
        let now = verifier.clock.now().unix_timestamp();
        if claims.exp <= now.saturating_sub(verifier.leeway_s) {
            return Err(TokenError::Expired);
        }
        if claims.iat > now.saturating_add(verifier.leeway_s) {
            return Err(TokenError::NotYetValid);
        }
        if claims.role.is_of_tenant() != claims.tenant.is_some() {
            return Err(TokenError::RoleAndTenant);
        }
        Ok(Bearer {
            sub: claims.sub,
            role: claims.role,
            tenant: claims.tenant,
            scopes: None,
            via: Via::Token,
            until: OffsetDateTime::from_unix_timestamp(claims.exp).ok(),
            session: None,
        })
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenVerifier({:?})", self.0.validation.algorithms)
    }
}

pub(crate) fn classify(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            TokenError::Algorithm
        }
        _ => TokenError::Malformed,
    }
}

/// Issues tokens, for `ccm token` and tests.
pub struct TokenIssuer {
    issuer: String,
    audience: String,
    algorithm: Algorithm,
    key: EncodingKey,
    clock: Clock,
}

impl TokenIssuer {
    /// Needs the secret, or the private half of the key pair.
    pub fn new(config: &JwtConfig, clock: Clock) -> Result<Self, TokenKeyError> {
        let (algorithm, key) = match &config.key {
            JwtKey::Hs256(secret) => (Algorithm::HS256, EncodingKey::from_secret(secret.expose_secret())),
            JwtKey::Ed25519 { private_pem, .. } => {
                let pem = private_pem.as_ref().ok_or(TokenKeyError::NoPrivateKey)?;
                let key = EncodingKey::from_ed_pem(pem.expose_secret().as_bytes())
                    .map_err(|_| TokenKeyError::NotEd25519("private"))?;
                (Algorithm::EdDSA, key)
            }
        };
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            algorithm,
            key,
            clock,
        })
    }

    /// A token for `subject` that holds from now for `ttl`. A tenant's role needs its tenant, the others must have none.
    pub fn issue(
        &self,
        subject: &str,
        role: Role,
        tenant: Option<TenantId>,
        ttl: Duration,
    ) -> Result<String, TokenError> {
        if role.is_of_tenant() != tenant.is_some() {
            return Err(TokenError::RoleAndTenant);
        }
        let iat = self.clock.now().unix_timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: subject.to_owned(),
            exp: iat.saturating_add_unsigned(ttl.as_secs()),
            iat,
            role,
            tenant,
        };
        encode(&Header::new(self.algorithm), &claims, &self.key).map_err(|e| classify(e.kind()))
    }
}
