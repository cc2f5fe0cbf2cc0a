//! `telnyx-signature-ed25519`: base64 of the Ed25519 signature of the time in `telnyx-timestamp`, a `|` and the body's bytes.

use super::Account;
use crate::{Inbound, ReceiveError};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};

/// What Telnyx' own library allows.
const WINDOW_S: u32 = 300;

pub fn check(account: &Account, inbound: &Inbound<'_>) -> Result<(), ReceiveError> {
    let refuse = |reason| ReceiveError::BadSignature { reason };
    let timestamp = inbound
        .header("telnyx-timestamp")
        .ok_or(refuse("telnyx-timestamp is missing"))?;
    let signed_at: i64 = timestamp
        .parse()
        .map_err(|_| refuse("telnyx-timestamp is not the time in seconds since 1970"))?;
    let signature = inbound
        .header("telnyx-signature-ed25519")
        .and_then(|raw| BASE64_STANDARD.decode(raw).ok())
        .ok_or(refuse("telnyx-signature-ed25519 is missing or not base64"))?;
    let signed = [timestamp.as_bytes(), b"|", inbound.body].concat();
    UnparsedPublicKey::new(&ED25519, account.public_key)
        .verify(&signed, &signature)
        .map_err(|_| refuse("check public_key: the webhook was signed with another account's key"))?;
    inbound.fresh(signed_at, WINDOW_S)
}
