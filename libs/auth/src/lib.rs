//! Who may do what: tokens for people who use the admin API, ours and those of OIDC issuers; keys for programs that use it, and
//! for agents' screen-pop pages.

mod api_key;
mod auth_key;
mod bearer;
mod oidc;
mod permission;
mod token;

pub use api_key::ApiKey;
pub use auth_key::{AuthKey, AuthKeyError, LookupKey, secure_random};
pub use bearer::{Bearer, Denied, Via};
pub use oidc::{Discovery, DiscoveryError, Identity, KeySet, OidcRules, issuer_of};
pub use permission::{Permission, Role};
pub use token::{JwtConfig, JwtKey, TokenError, TokenIssuer, TokenKeyError, TokenVerifier};
