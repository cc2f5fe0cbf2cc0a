//! How a link is reached beyond its address: what is taken, and how it is shown again.

use crate::{client_cert, ewc_url::EwcUrl, links::NewLink, valid::Refused};
use ccm_db::{HostPort, LinkRow, LinkSecrets, NewReach, Scheme};
use percent_encoding::percent_decode_str;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use std::net::IpAddr;
use url::{Position, Url};
use zeroize::Zeroizing;

/// Stands in a proxy's address for a user and a password that are stored and not shown.
const HIDDEN: &str = "***";

/// What is stored of a link that is to be replaced.
pub struct Stored {
    pub row: LinkRow,
    pub secrets: LinkSecrets,
}

/// What was checked and is to be stored. Deliberately without `Debug`: it holds secrets.
pub struct Reach<'a> {
    server_name: Option<&'a str>,
    addresses: &'a [IpAddr],
    secondary: Option<HostPort>,
    client: Option<(&'a str, Zeroizing<String>)>,
    proxy: Option<HostPort>,
    proxy_auth: Option<Zeroizing<String>>,
}

impl<'a> Reach<'a> {
    /// Checks a link's optional fields. What an answer does not show is kept from the stored link, where `new` brings back
    /// what the answer did show.
    pub fn check(new: &'a NewLink, url: &EwcUrl, old: Option<&Stored>) -> Result<Self, Refused> {
        if let Some(name) = &new.server_name {
            server_name(name)?;
        }
        addresses(&new.addresses)?;
        let (proxy, proxy_auth) = match &new.proxy_url {
            Some(raw) => proxy(raw.expose_secret(), old)?,
            None => (None, None),
        };
        Ok(Self {
            server_name: new.server_name.as_deref(),
            addresses: &new.addresses,
            secondary: new
                .secondary_url
                .as_deref()
                .map(|raw| secondary(raw, url))
                .transpose()?,
            client: client(new, url.scheme, old)?,
            proxy,
            proxy_auth,
        })
    }

    pub fn secondary(&self) -> Option<HostPort> {
        self.secondary.clone()
    }

    pub fn proxy(&self) -> Option<HostPort> {
        self.proxy.clone()
    }

    pub fn into_secrets(self) -> LinkSecrets {
        LinkSecrets {
            client_key_pem: self.client.map(|(_, key)| key),
            proxy_auth: self.proxy_auth,
        }
    }

    pub fn to_store(&self) -> NewReach<'_> {
        NewReach {
            server_name: self.server_name,
            addresses: self.addresses,
            secondary: self.secondary.as_ref(),
            client: self.client.as_ref().map(|(chain, key)| (*chain, key.as_str())),
            proxy: self.proxy.as_ref(),
            proxy_auth: self.proxy_auth.as_ref().map(|auth| auth.as_str()),
        }
    }
}

fn server_name(name: &str) -> Result<(), Refused> {
    if name.len() <= 253 && ServerName::try_from(name).is_ok() {
        return Ok(());
    }
    Err(Refused::new(
        "server_name",
        "is not a host name",
        "write the name that stands in the server's certificate, such as aacc.example.com, without scheme and port",
    ))
}

fn addresses(addresses: &[IpAddr]) -> Result<(), Refused> {
    if addresses.len() > 16 {
        return Err(Refused::new(
            "addresses",
            "holds more than 16",
            "leave some out; without any the host is looked up",
        ));
    }
    match addresses
        .iter()
        .position(|ip| ip.is_unspecified() || ip.is_multicast())
    {
        None => Ok(()),
        Some(n) => Err(Refused::new(
            format!("addresses[{n}]"),
            "is not the address of a machine",
            "write the addresses that the host has, such as 192.0.2.10",
        )),
    }
}

fn secondary(raw: &str, primary: &EwcUrl) -> Result<HostPort, Refused> {
    let refused = |problem: &str, remedy| Err(Refused::new("secondary_url", problem, remedy));
    let url = EwcUrl::parse("secondary_url", raw)?;
    if url.scheme != primary.scheme {
        return refused(
            "does not begin as url does",
            "write both with wss://, or both with ws://",
        );
    }
    let names_path = Url::parse(raw).is_ok_and(|url| !matches!(url.path(), "" | "/"));
    if names_path && url.path != primary.path {
        return refused(
            "has another path than url",
            "leave the path out: the secondary is asked for the path of url",
        );
    }
    if (&url.host, url.port) == (&primary.host, primary.port) {
        return refused(
            "is the same as url",
            "write the address of the other server of the pair, or leave it out",
        );
    }
    Ok(HostPort {
        host: url.host,
        port: url.port,
    })
}

type Client<'a> = Option<(&'a str, Zeroizing<String>)>;

fn client<'a>(new: &'a NewLink, scheme: Scheme, old: Option<&Stored>) -> Result<Client<'a>, Refused> {
    let Some(chain) = new.client_certificate_pem.as_deref() else {
        return match new.client_key_pem {
            None => Ok(None),
            Some(_) => Err(Refused::new(
                "client_certificate_pem",
                "is missing, and client_key_pem is there",
                "give both, or none",
            )),
        };
    };
    if scheme == Scheme::Ws {
        return Err(Refused::new(
            "client_certificate_pem",
            "has no use with ws://, which asks for none",
            "leave it out, or write wss://",
        ));
    }
    let stored = old.filter(|old| old.row.client_cert_pem.as_deref() == Some(chain));
    let key = match &new.client_key_pem {
        Some(key) => Some(Zeroizing::new(key.expose_secret().to_owned())),
        None => stored.and_then(|old| old.secrets.client_key_pem.clone()),
    };
    let key = key.ok_or_else(|| {
        Refused::new(
            "client_key_pem",
            "is missing, and client_certificate_pem is new",
            "give the private key of the certificate in PEM; the stored key is kept for an unchanged certificate only",
        )
    })?;
    client_cert::check(chain, &key)?;
    Ok(Some((chain, key)))
}

type ProxyParts = (Option<HostPort>, Option<Zeroizing<String>>);

fn proxy(raw: &str, old: Option<&Stored>) -> Result<ProxyParts, Refused> {
    let refused = |problem: &str| {
        Refused::new(
            "proxy_url",
            problem,
            "write it like http://proxy.example.com:3128 or http://user:password@proxy.example.com:3128, \
             with %40 for an @ in the password",
        )
    };
    // The parser's own words do not repeat the address.
    let url = Url::parse(raw).map_err(|e| refused(&format!("is not an address: {e}")))?;
    if url.scheme() != "http" {
        return Err(refused(
            "does not begin with http:// (the proxy carries the link's own TLS)",
        ));
    }
    let (Some(host), Some(port @ 1..)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(refused("names no host, or port 0"));
    };
    if host.len() > 253 || !matches!(&url[Position::BeforePath..], "" | "/") {
        return Err(refused("has a path, a ? or a #, or a host name that is too long"));
    }
    let place = HostPort {
        host: host.to_owned(),
        port,
    };
    let auth = match (url.username(), url.password()) {
        ("", None) => None,
        (HIDDEN, None) => Some(stored_auth(&place, old)?),
        (user, Some(password)) if !user.is_empty() => {
            let auth = credentials(user, password)
                .ok_or_else(|| refused("has a user or password that HTTP cannot carry"))?;
            Some(auth)
        }
        _ => return Err(refused("has a user without password, or a password without user")),
    };
    Ok((Some(place), auth))
}

/// Only ever for the proxy that it was given for: whoever may change a link could else have it sent to a server of their own.
fn stored_auth(place: &HostPort, old: Option<&Stored>) -> Result<Zeroizing<String>, Refused> {
    old.filter(|old| old.row.proxy.as_ref() == Some(place))
        .and_then(|old| old.secrets.proxy_auth.clone())
        .ok_or_else(|| {
            Refused::new(
                "proxy_url",
                "has *** for user and password, and none are stored for this host and port",
                "write both out: http://user:password@proxy.example.com:3128",
            )
        })
}

/// As Basic authentication has them (RFC 7617): no colon in the user, no control characters.
fn credentials(user: &str, password: &str) -> Option<Zeroizing<String>> {
    let decoded = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().ok()?;
        (!text.chars().any(char::is_control)).then(|| text.into_owned())
    };
    let (user, password) = (decoded(user)?, Zeroizing::new(decoded(password)?));
    let fits = !user.contains(':') && user.len() + password.len() <= 1000;
    fits.then(|| Zeroizing::new(format!("{user}:{}", *password)))
}

/// The secondary's address without its path.
pub fn secondary_origin(row: &LinkRow) -> Option<String> {
    let HostPort { host, port } = row.secondary.as_ref()?;
    Some(format!("{}://{host}:{port}", row.scheme.as_str()))
}

/// The secondary's address in full.
pub fn secondary_url(row: &LinkRow) -> Option<String> {
    let HostPort { host, port } = row.secondary.clone()?;
    let url = EwcUrl {
        host,
        port,
        ..EwcUrl::from(row)
    };
    Some(url.to_string())
}

/// The proxy's address, without what it is opened with.
pub fn proxy_url(row: &LinkRow) -> Option<String> {
    let HostPort { host, port } = row.proxy.as_ref()?;
    let hidden = if row.proxy_has_auth { "***@" } else { "" };
    Some(format!("http://{hidden}{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<(String, Option<String>), Refused> {
        let (place, auth) = proxy(raw, None)?;
        let place = place.expect("there is one");
        Ok((
            format!("{}:{}", place.host, place.port),
            auth.map(|auth| auth.to_string()),
        ))
    }

    #[test]
    fn proxies_are_read() {
        for (raw, place, auth) in [
            ("http://proxy.example.com:3128", "proxy.example.com:3128", None),
            ("http://proxy.example.com/", "proxy.example.com:80", None),
            ("http://[::1]:3128", "[::1]:3128", None),
            ("http://u:p@10.0.0.1:1", "10.0.0.1:1", Some("u:p")),
            ("http://u%20s:p%40%3A@proxy:1", "proxy:1", Some("u s:p@:")),
        ] {
            assert_eq!(
                read(raw),
                Ok((place.to_owned(), auth.map(str::to_owned))),
                "{raw}"
            );
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_repeated() {
        for raw in [
            "",
            "proxy:3128",
            "https://u:HIDDEN@proxy:3128",
            "socks5://u:HIDDEN@proxy",
            "http://u:HIDDEN@",
            "http://u:HIDDEN@proxy:0",
            "http://u:HIDDEN@proxy:3128/path",
            "http://proxy:3128?HIDDEN",
            "http://proxy:3128#HIDDEN",
            "http://HIDDEN@proxy:3128",
            "http://:HIDDEN@proxy:3128",
            "http://u%3Ax:HIDDEN@proxy:3128",
            "http://u:HIDDEN%0A@proxy:3128",
            "http://u:HIDDEN%FF@proxy:3128",
            "http://***@proxy:3128",
        ] {
            let refused = read(raw).unwrap_err();
            assert_eq!(refused.field, "proxy_url", "{raw}");
            assert!(!refused.to_string().contains("HIDDEN"), "{refused}");
        }
    }

    #[test]
    fn a_secondary_goes_with_its_primary() {
        let primary = EwcUrl::parse("url", "wss://one.example.com:8445/proxy/ewc").unwrap();
        for (raw, fits) in [
            ("wss://two.example.com:8445", true),
            ("wss://two.example.com:8445/", true),
            ("wss://one.example.com:8446/proxy/ewc", true),
            ("ws://two.example.com:8445", false),
            ("wss://two.example.com/CustomerControllerWeb/chat", false),
            ("wss://ONE.example.com:8445", false),
            ("two.example.com", false),
        ] {
            let found = secondary(raw, &primary);
            assert_eq!(found.is_ok(), fits, "{raw}: {found:?}");
            assert!(found.is_ok() || found.unwrap_err().field == "secondary_url");
        }
    }

    #[test]
    fn names_and_addresses_are_such() {
        for good in ["aacc.example.com", "aacc", "10.0.0.1", "::1"] {
            server_name(good).unwrap();
        }
        for bad in ["", "wss://aacc", "aacc:8445", "a b", &"a.".repeat(130)] {
            assert_eq!(server_name(bad).unwrap_err().field, "server_name", "{bad}");
        }
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        addresses(&[ip; 16]).unwrap();
        assert_eq!(addresses(&[ip; 17]).unwrap_err().field, "addresses");
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        assert_eq!(addresses(&[ip, any]).unwrap_err().field, "addresses[1]");
    }
}
