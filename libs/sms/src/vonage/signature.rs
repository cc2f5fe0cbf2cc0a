//! `sig`: upper-case hexadecimal of the HMAC, keyed with the signature secret, of `&name=value` for every parameter but `sig` in the
//! order of their names, with each `&` and `=` in a value written as `_`.
//!
//! Or a JWT (HS256) in `Authorization: Bearer …`, whose claim `payload_hash` is the SHA-256 of the body.

use super::{Account, Params};
use crate::{
    Inbound, ReceiveError, jwt,
    sign::{Signer, hex, same, unhex},
};
use aws_lc_rs::digest;
use secrecy::SecretString;

/// As long as Vonage repeats a webhook, and an hour for clocks.
const WINDOW_S: u32 = 25 * 3600;

#[derive(Debug, Clone, Copy)]
pub enum Scheme {
    Sig(fn(&SecretString) -> Signer),
    Jwt,
}

impl Scheme {
    pub fn of(scheme: Option<&str>, method: Option<&str>) -> Self {
        match (scheme, method) {
            (Some("jwt"), _) => Self::Jwt,
            (_, Some("sha1")) => Self::Sig(Signer::sha1),
            (_, Some("sha512")) => Self::Sig(Signer::sha512),
            _ => Self::Sig(Signer::sha256),
        }
    }
}

pub fn check(account: &Account, inbound: &Inbound<'_>, params: &Params) -> Result<(), ReceiveError> {
    match account.scheme {
        Scheme::Sig(signer) => sig(account, signer, inbound, params),
        Scheme::Jwt => token(account, inbound),
    }
}

fn refuse<T>(reason: &'static str) -> Result<T, ReceiveError> {
    Err(ReceiveError::BadSignature { reason })
}

fn sig(
    account: &Account,
    signer: fn(&SecretString) -> Signer,
    inbound: &Inbound<'_>,
    params: &Params,
) -> Result<(), ReceiveError> {
    let Some(tag) = params.get("sig").and_then(|sig| unhex(sig)) else {
        return refuse("sig is missing or not hexadecimal; have Vonage's support turn signed webhooks on");
    };
    let signed: String = params
        .iter()
        .filter(|(name, _)| *name != "sig")
        .map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_")))
        .collect();
    if !account
        .secrets()
        .any(|secret| signer(secret).fits(&[signed.as_bytes()], &tag))
    {
        return refuse(
            "check the signature secret, and that signature_method is what Vonage's dashboard has",
        );
    }
    match params.get("timestamp").map(|at| at.parse()) {
        Some(Ok(at)) => inbound.fresh(at, WINDOW_S),
        _ => refuse("timestamp is missing, or not the time in seconds since 1970"),
    }
}

fn token(account: &Account, inbound: &Inbound<'_>) -> Result<(), ReceiveError> {
    let Some(token) = inbound
        .header("authorization")
        .and_then(|given| given.strip_prefix("Bearer "))
    else {
        return refuse("Authorization has no token");
    };
    let Some(claims) = jwt::claims(token, account.secrets()) else {
        return refuse("check the signature secret: the token was signed with another one");
    };
    let claim = |name: &str| claims.get(name).and_then(|claim| claim.as_str());
    if claim("api_key").is_some_and(|key| key != account.api_key) {
        return Err(ReceiveError::WrongAccount { field: "api_key" });
    }
    let hash = hex(digest::digest(&digest::SHA256, inbound.body).as_ref());
    if !claim("payload_hash").is_some_and(|given| same(&hash, &given.to_ascii_lowercase())) {
        return refuse("the token is for another body");
    }
    jwt::fresh(&claims, inbound, WINDOW_S)
}
