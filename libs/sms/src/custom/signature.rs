//! The ways in which a webhook of an account that is described by settings proves whose it is.

use super::{
    Account,
    config::{Encoding, Scheme, Signature},
    template::Template,
};
use crate::{
    Inbound, ReceiveError,
    sign::{self, Signer, same, unhex},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

const WINDOW_S: u32 = 300;

pub fn check(account: &Account, inbound: &Inbound<'_>) -> Result<(), ReceiveError> {
    let config = &account.signature;
    let refuse = |reason| Err(ReceiveError::BadSignature { reason });
    let shows = |given: &str| {
        account
            .webhook_secrets()
            .any(|secret| same(secret.expose_secret(), given))
    };
    match config.scheme {
        Scheme::HmacSha256 => hmac(account, config, inbound, Signer::sha256),
        Scheme::HmacSha1 => hmac(account, config, inbound, Signer::sha1),
        Scheme::Token => match value(config, inbound) {
            Some(token) if shows(token) => Ok(()),
            Some(_) => refuse("the token is not the account's webhook_secret"),
            None => refuse("the header with the token is missing, or does not begin as it should"),
        },
        Scheme::Basic => sign::basic(
            inbound,
            config.user.as_deref().unwrap_or_default(),
            account.webhook_secrets(),
        ),
        Scheme::Query => {
            let query = inbound.url.split_once('?').map_or("", |(_, query)| query);
            let name = config.parameter.as_deref().unwrap_or_default();
            let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            match found {
                Some((_, given)) if shows(&given) => Ok(()),
                Some(_) => refuse("the address does not hold the account's webhook_secret"),
                None => refuse("the address has no parameter with the account's webhook_secret"),
            }
        }
    }
}

fn value<'a>(config: &Signature, inbound: &Inbound<'a>) -> Option<&'a str> {
    let raw = inbound.headers.get(config.header.as_deref()?)?.to_str().ok()?;
    raw.strip_prefix(config.prefix.as_str())
}

fn hmac(
    account: &Account,
    config: &Signature,
    inbound: &Inbound<'_>,
    signer: fn(&SecretString) -> Signer,
) -> Result<(), ReceiveError> {
    let refuse = |reason| ReceiveError::BadSignature { reason };
    let tag = value(config, inbound).and_then(|raw| match config.encoding {
        Encoding::Hex => unhex(raw),
        Encoding::Base64 => BASE64_STANDARD.decode(raw).ok(),
    });
    let tag = tag.ok_or(refuse(
        "the signature's header is missing, or not written as it should be",
    ))?;
    let timestamp = match &config.timestamp_header {
        None => None,
        Some(name) => Some(
            inbound
                .header(name)
                .ok_or(refuse("the header with the signed time is missing"))?,
        ),
    };
    let body = Template("{body}".to_owned());
    let signed = config.over.as_ref().unwrap_or(&body).render(|name| match name {
        "body" => inbound.body.to_vec(),
        "url" => inbound.url.as_bytes().to_vec(),
        _ => timestamp.unwrap_or_default().as_bytes().to_vec(),
    });
    if !account
        .webhook_secrets()
        .any(|secret| signer(secret).fits(&[&signed], &tag))
    {
        return Err(refuse(
            "check webhook_secret, and what signature.over says is signed",
        ));
    }
    match timestamp.map(str::parse::<i64>) {
        None => Ok(()),
        // Milliseconds, where it is more than seconds can be for the next 3,000 years.
        Some(Ok(at)) if at > 100_000_000_000 => inbound.fresh(at / 1000, config.window_s.unwrap_or(WINDOW_S)),
        Some(Ok(at)) => inbound.fresh(at, config.window_s.unwrap_or(WINDOW_S)),
        Some(Err(_)) => Err(refuse(
            "the signed time is not in seconds or milliseconds since 1970",
        )),
    }
}
