//! Signatures by the letter of the providers' pages, written apart from the product's.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};

/// <https://www.twilio.com/docs/usage/security#validating-requests>
pub fn twilio(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut form = form.to_vec();
    form.sort();
    let signed = form
        .iter()
        .fold(url.to_owned(), |all, (name, value)| all + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
}

/// `docs/providers.md`
pub fn generic(secret: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}
