//! `X-Twilio-Signature`: base64 of the HMAC-SHA1, keyed with the auth token, of the webhook's whole address followed by
//! every form parameter's name and value, sorted by name without anything between them
//! (<https://www.twilio.com/docs/usage/security#validating-requests>).
//!
//! Of a name that comes several times each different value counts once, in order, and the address counts with or without
//! its port: that is what Twilio's own helper libraries accept (<https://github.com/twilio/twilio-node/pull/491> for the
//! port; <https://github.com/twilio/twilio-java/issues/601> for why nothing else in the address may change).

use crate::{Inbound, ReceiveError, sign::Signer};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use std::{borrow::Cow, collections::BTreeSet};

const HEADER: &str = "x-twilio-signature";

pub fn check<'a>(
    tokens: impl Iterator<Item = &'a SecretString>,
    inbound: &Inbound<'_>,
    form: &[(String, String)],
) -> Result<(), ReceiveError> {
    let refuse = |reason| Err(ReceiveError::BadSignature { reason });
    let Some(header) = inbound.headers.get(HEADER) else {
        return refuse("X-Twilio-Signature is missing");
    };
    let Ok(tag) = BASE64_STANDARD.decode(header.as_bytes()) else {
        return refuse("X-Twilio-Signature is not base64");
    };
    let sorted: BTreeSet<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let parameters: Vec<u8> = sorted
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .flatten()
        .copied()
        .collect();
    let urls = spellings(inbound.url);
    for token in tokens {
        let signer = Signer::sha1(token);
        if urls
            .iter()
            .any(|url| signer.fits(&[url.as_bytes(), &parameters], &tag))
        {
            return Ok(());
        }
    }
    refuse("check the account's auth token, and that the webhook's address is the one that Twilio was given")
}

/// The address as it is, and with its port left out or its scheme's standard port put in. Nothing else changes: decoding
/// and encoding it again would not always give the same bytes.
fn spellings(url: &str) -> Vec<Cow<'_, str>> {
    let mut all = vec![Cow::Borrowed(url)];
    let Some((scheme, rest)) = url.split_once("://") else {
        return all;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let port_at = authority
        .rfind(':')
        .filter(|colon| *colon >= host_start && !authority[*colon..].contains(']'));
    match (port_at, scheme) {
        (Some(colon), _) => all.push(Cow::Owned(format!("{scheme}://{}{path}", &authority[..colon]))),
        (None, "https") => all.push(Cow::Owned(format!("{scheme}://{authority}:443{path}"))),
        (None, "http") => all.push(Cow::Owned(format!("{scheme}://{authority}:80{path}"))),
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tried_with_and_without_its_port() {
        for (url, other) in [
            ("https://a.example/x?y=1", Some("https://a.example:443/x?y=1")),
            ("http://a.example", Some("http://a.example:80")),
            (
                "https://a.example:8443/x%20y?b=2&a=1",
                Some("https://a.example/x%20y?b=2&a=1"),
            ),
            ("https://me:pw@a.example/x", Some("https://me:pw@a.example:443/x")),
            ("https://me:pw@a.example:443/x", Some("https://me:pw@a.example/x")),
            ("https://[::1]/x", Some("https://[::1]:443/x")),
            ("https://[::1]:9/x", Some("https://[::1]/x")),
            (
                "https://a.example?at=10:30",
                Some("https://a.example:443?at=10:30"),
            ),
            ("/x", None),
        ] {
            let all = spellings(url);
            assert_eq!(all[0], url);
            assert_eq!(all.get(1).map(Cow::as_ref), other);
        }
    }
}
