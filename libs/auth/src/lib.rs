//! Who may do what: tokens for people who use the admin API, keys for agents' screen-pop pages.

mod auth_key;
mod permission;
mod token;

pub use auth_key::{AuthKey, AuthKeyError, LookupKey, secure_random};
pub use permission::{Denied, Permission, Role};
pub use token::{Claims, JwtConfig, JwtKey, TokenError, TokenIssuer, TokenKeyError, TokenVerifier};
