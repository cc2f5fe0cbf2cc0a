use crate::cli::TokenRequest;
use anyhow::Result;
use ccm_auth::{JwtConfig, JwtKey, TokenIssuer};
use ccm_model::Clock;
use ccm_runtime::{Config, ConfigError, config::JwtKeyMaterial};

/// What tokens are verified and issued with.
pub fn jwt(config: &Config) -> Result<JwtConfig, ConfigError> {
    let key = match config.jwt.key_material()? {
        JwtKeyMaterial::Hs256(secret) => JwtKey::Hs256(secret),
        JwtKeyMaterial::Ed25519 {
            public_pem,
            private_pem,
        } => JwtKey::Ed25519 {
            public_pem,
            private_pem,
        },
    };
    Ok(JwtConfig {
        issuer: config.jwt.issuer.clone(),
        audience: config.jwt.audience.clone(),
        leeway: config.jwt.leeway,
        key,
    })
}

/// A signed token for the admin API.
pub fn issue(config: &Config, request: &TokenRequest) -> Result<String> {
    let issuer = TokenIssuer::new(&jwt(config)?, Clock::system())?;
    Ok(issuer.issue(&request.subject, request.role, request.tenant, request.valid_for)?)
}
