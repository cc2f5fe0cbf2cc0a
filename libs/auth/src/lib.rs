//! Who may do what: tokens for people who use the admin API, ours and those of OIDC issuers; keys for programs that use it, for
//! those who have signed in, and for agents' screen-pop pages, and links to these that tenants sign.

mod auth_key;
mod bearer;
mod oidc;
mod opaque_key;
mod permission;
mod pop_link;
mod token;

pub use auth_key::{AuthKey, AuthKeyError, LookupKey, secure_random};
pub use bearer::{Bearer, Denied, Via};
pub use oidc::{Discovery, DiscoveryError, Identity, KeySet, OidcRules, issuer_of};
pub use opaque_key::{ApiKey, KeyKind, OpaqueKey, SessionKey};
pub use permission::{Permission, Role};
pub use pop_link::{POP_LINK_AUDIENCE, PopLink, PopLinkError, pop_link_key, read_pop_link};
pub use token::{JwtConfig, JwtKey, TokenError, TokenIssuer, TokenKeyError, TokenVerifier};
