//! `X-Plivo-Signature-V3`: base64 of the HMAC-SHA256, keyed with the auth token, of the webhook's address, a `?`, its parameters sorted, a
//! `.` where it has some, the form's names and values sorted by name without anything between them, a `.`, and the nonce of
//! `X-Plivo-Signature-V3-Nonce`. Several signatures are separated by commas; one that fits is enough.

use crate::{Inbound, ReceiveError, sign::Signer};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use std::fmt::Write;
use url::form_urlencoded;

pub fn check<'a>(
    tokens: impl Iterator<Item = &'a SecretString>,
    inbound: &Inbound<'_>,
    form: &[(String, String)],
) -> Result<(), ReceiveError> {
    let refuse = |reason| ReceiveError::BadSignature { reason };
    let nonce = inbound
        .header("x-plivo-signature-v3-nonce")
        .ok_or(refuse("X-Plivo-Signature-V3-Nonce is missing"))?;
    let tags: Vec<Vec<u8>> = inbound
        .header("x-plivo-signature-v3")
        .unwrap_or_default()
        .split(',')
        .filter_map(|tag| BASE64_STANDARD.decode(tag.trim()).ok())
        .filter(|tag| !tag.is_empty())
        .collect();
    if tags.is_empty() {
        return Err(refuse("X-Plivo-Signature-V3 is missing or not base64"));
    }
    let signed = signed(inbound.url, form, nonce);
    for token in tokens {
        let signer = Signer::sha256(token);
        if tags.iter().any(|tag| signer.fits(&[signed.as_bytes()], tag)) {
            return Ok(());
        }
    }
    Err(refuse(
        "check the account's auth token, and that the webhook's address is the one that Plivo was given",
    ))
}

pub fn signed(url: &str, form: &[(String, String)], nonce: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    query.sort();
    let mut form: Vec<&(String, String)> = form.iter().collect();
    form.sort();
    let mut all = base.to_owned();
    if !query.is_empty() || !form.is_empty() {
        all.push('?');
    }
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.push_str(&pairs.join("&"));
    if !query.is_empty() && !form.is_empty() {
        all.push('.');
    }
    for (name, value) in form {
        let _ = write!(all, "{name}{value}");
    }
    let _ = write!(all, ".{nonce}");
    all
}
