//! Where a tenant's AACC is.

use std::fmt;
use std::time::Duration;

/// What the chat socket runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Ws,
    Wss,
}

/// One link: where a tenant's AACC (or the reverse proxy before it) is reached, and how it is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Begins with a slash.
    pub path: String,
    /// The tenant's private authorities in PEM: then only these are trusted. `None` for the system's.
    pub ca_pem: Option<String>,
    /// From the first look-up to the open WebSocket.
    pub connect_timeout: Duration,
}

impl Target {
    /// The path of the chat socket (PROTOCOL section 1).
    pub const CHAT_PATH: &str = "/CustomerControllerWeb/chat";

    /// A link over TLS; AACC's port is 8445.
    pub fn wss(host: impl Into<String>, port: u16) -> Self {
        Target::new(Scheme::Wss, host, port)
    }

    /// A link without TLS; AACC's port is 8081.
    pub fn ws(host: impl Into<String>, port: u16) -> Self {
        Target::new(Scheme::Ws, host, port)
    }

    fn new(scheme: Scheme, host: impl Into<String>, port: u16) -> Self {
        Target {
            scheme,
            host: host.into(),
            port,
            path: Target::CHAT_PATH.into(),
            ca_pem: None,
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// `wss://aacc.example.com:8445/CustomerControllerWeb/chat`
    pub fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
        };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    /// Host and port as a `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The path of a service beside the chat socket.
    pub(crate) fn beside(&self, service: &str) -> String {
        let folder = self.path.rfind('/').map_or("", |end| &self.path[..end]);
        format!("{folder}/{service}")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = if self.ca_pem.is_some() {
            "private CA"
        } else {
            "system roots"
        };
        write!(f, "Target({}, {trust})", self.url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_protocol() {
        let target = Target::wss("aacc.example.com", 8445);
        assert_eq!(
            target.url(),
            "wss://aacc.example.com:8445/CustomerControllerWeb/chat"
        );
        assert_eq!(
            target.beside("currentqueue"),
            "/CustomerControllerWeb/currentqueue"
        );
        assert_eq!(
            Target::ws("::1", 8081).url(),
            "ws://[::1]:8081/CustomerControllerWeb/chat"
        );
        let odd = Target {
            path: "chat".into(),
            ..target
        };
        assert_eq!(odd.beside("currentqueue"), "/currentqueue");
    }
}
