//! `X-CCM-Signature: v1=<hex>`, the HMAC-SHA256 of `<X-CCM-Timestamp>.<body>`: the same in both directions.
//!
//! Several signatures, separated by commas, are several secrets' during a change; one that fits is enough. Other versions
//! than `v1` are passed over, so that a sender can begin with a new one before everybody knows it.

use crate::{
    Inbound, ReceiveError,
    sign::{Signer, hex, unhex},
};
use secrecy::SecretString;
use time::OffsetDateTime;

pub const TIMESTAMP: &str = "x-ccm-timestamp";
pub const SIGNATURE: &str = "x-ccm-signature";

/// How far the signed time may be from now, in seconds: long enough for a retry's new signature to cross a slow network,
/// short enough that a captured request is soon worth nothing.
const WINDOW_S: u32 = 300;

pub fn check<'a>(
    mut secrets: impl Iterator<Item = &'a SecretString>,
    inbound: &Inbound<'_>,
) -> Result<(), ReceiveError> {
    let refuse = |reason| ReceiveError::BadSignature { reason };
    let timestamp = inbound
        .header(TIMESTAMP)
        .ok_or(refuse("X-CCM-Timestamp is missing"))?;
    let signed_at: i64 = timestamp
        .parse()
        .map_err(|_| refuse("X-CCM-Timestamp must be the time in seconds since 1970"))?;
    let tags: Vec<Vec<u8>> = inbound
        .headers
        .get_all(SIGNATURE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|signature| unhex(signature.trim().strip_prefix("v1=")?))
        .filter(|tag| tag.len() == 32)
        .collect();
    if tags.is_empty() {
        return Err(refuse("X-CCM-Signature has no v1=<64 hexadecimal digits>"));
    }
    let parts = [timestamp.as_bytes(), b".", inbound.body];
    if !secrets.any(|secret| {
        let signer = Signer::sha256(secret);
        tags.iter().any(|tag| signer.fits(&parts, tag))
    }) {
        return Err(refuse(
            "check the signing secret, and that the body is signed byte by byte as it is sent",
        ));
    }
    inbound.fresh(signed_at, WINDOW_S)
}

/// The two headers' values for a body that is sent now.
pub fn make(secret: &SecretString, now: OffsetDateTime, body: &[u8]) -> (String, String) {
    let timestamp = now.unix_timestamp().to_string();
    let tag = Signer::sha256(secret).sign(&[timestamp.as_bytes(), b".", body]);
    let signature = format!("v1={}", hex(tag.as_ref()));
    (timestamp, signature)
}
