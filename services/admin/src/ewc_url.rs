use crate::valid::Refused;
use ccm_db::{LinkRow, Scheme};
use std::fmt;
use url::{Position, Url};

/// Where AACC serves EWC (PROTOCOL.md section 1), if the address names no path.
pub const DEFAULT_PATH: &str = "/CustomerControllerWeb/chat";

/// The address of a tenant's AACC, in the parts that are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EwcUrl {
    pub scheme: Scheme,
    /// As in an address: an IPv6 address stands in brackets.
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl EwcUrl {
    /// Reads `wss://host[:port][/path]`. Without a port it is 443 (wss) or 80 (ws), as in every such address; AACC
    /// itself listens on 8445 and 8081.
    pub fn parse(field: &'static str, raw: &str) -> Result<Self, Refused> {
        let refused =
            |problem: &str| Refused::new(field, problem, "write it like wss://aacc.example.com:8445");
        let url = Url::parse(raw).map_err(|e| refused(&format!("is not an address: {e}")))?;
        let scheme = match url.scheme() {
            "wss" => Scheme::Wss,
            "ws" => Scheme::Ws,
            _ => {
                return Err(refused(
                    "does not begin with wss:// (or ws:// without encryption)",
                ));
            }
        };
        let (Some(host), Some(port @ 1..)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(refused("names no host, or port 0"));
        };
        if host.len() > 253 {
            return Err(refused("has a host name of more than 253 characters"));
        }
        if url[Position::BeforeUsername..Position::BeforeHost].contains('@') {
            return Err(refused("holds a user name; EWC knows none"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("holds a ? or #; EWC knows none"));
        }
        let path = match url.path() {
            "" | "/" => DEFAULT_PATH,
            path => path,
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }
}

impl From<&LinkRow> for EwcUrl {
    fn from(row: &LinkRow) -> Self {
        Self {
            scheme: row.scheme,
            host: row.host.clone(),
            port: row.port,
            path: row.path.clone(),
        }
    }
}

impl fmt::Display for EwcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}:{}{}",
            self.scheme.as_str(),
            self.host,
            self.port,
            self.path
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<EwcUrl, Refused> {
        EwcUrl::parse("url", raw)
    }

    #[test]
    fn addresses_are_completed_and_read_back() {
        for (raw, full) in [
            (
                "wss://aacc.example.com:8445/CustomerControllerWeb/chat",
                "wss://aacc.example.com:8445/CustomerControllerWeb/chat",
            ),
            (
                "wss://AACC.example.com:8445",
                "wss://aacc.example.com:8445/CustomerControllerWeb/chat",
            ),
            (
                "wss://aacc.example.com/",
                "wss://aacc.example.com:443/CustomerControllerWeb/chat",
            ),
            ("ws://10.0.0.7/proxy/ewc", "ws://10.0.0.7:80/proxy/ewc"),
            ("wss://[::1]:8445/x", "wss://[::1]:8445/x"),
        ] {
            let url = parse(raw).unwrap();
            assert_eq!(url.to_string(), full, "{raw}");
            assert_eq!(parse(full), Ok(url));
        }
    }

    #[test]
    fn what_ewc_cannot_have_is_refused_with_the_field() {
        for raw in [
            "",
            "aacc.example.com:8445",
            "https://aacc.example.com",
            "wss://",
            "wss://host:0",
            "wss://host:65536",
            "wss://user:secret@host",
            "wss://host/chat?x=1",
            "wss://host/chat#x",
            "wss://a b/",
        ] {
            let refused = parse(raw).unwrap_err();
            assert_eq!(refused.field, "url", "{raw}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
        assert!(parse(&format!("wss://{}.example", "a".repeat(250))).is_err());
    }
}
