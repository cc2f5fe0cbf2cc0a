use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Who changes things, for the audit: it is written beside the change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Actor {
    /// Whom the token names, or the key's name.
    pub sub: String,
    pub role: &'static str,
    /// How they are known: `token`, `oidc` or `api_key`.
    pub via: &'static str,
    /// The API key, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Uuid>,
    /// The user, if it was one: names and addresses may be given anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Uuid>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Its id, as in the logs and in the answer's `X-Request-Id`.
    pub request: Uuid,
}
