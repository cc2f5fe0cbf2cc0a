//! Where a tenant's AACC is.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::guard::Guard;

/// What the chat socket runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Ws,
    Wss,
}

/// One endpoint: where a tenant's AACC (or the reverse proxy before it) is reached, and how it is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Begins with a slash.
    pub path: String,
    /// The name that is asked for (SNI), that the certificate must carry and that stands in the `Host` header, for where
    /// another one is dialled. `None` for `host`.
    pub server_name: Option<String>,
    /// Dialled in this order instead of looking `host` up. Empty: it is looked up.
    pub addresses: Vec<IpAddr>,
    /// The tenant's private authorities in PEM: then only these are trusted, each of them. `None` for the system's.
    pub ca_pem: Option<String>,
    /// What the peer knows us by, where it asks (mutual TLS).
    pub client_identity: Option<ClientIdentity>,
    /// The way out of our network, where there is but one.
    pub proxy: Option<Proxy>,
    /// Which addresses may be dialled. `None`: every one.
    pub guard: Option<Guard>,
    /// From the first look-up to the open WebSocket.
    pub connect_timeout: Duration,
}

/// A client certificate. `Debug` shows nothing of it; the key is wiped from memory when the last clone is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, then its intermediates, in PEM.
    pub chain_pem: String,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_pem: Zeroizing<String>,
}

impl ClientIdentity {
    pub fn new(chain_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        ClientIdentity {
            chain_pem: chain_pem.into(),
            key_pem: Zeroizing::new(key_pem.into()),
        }
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// An HTTP proxy that is asked to CONNECT. It is spoken to without TLS; what goes through it has the link's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// For Basic authentication, the only one known.
    pub credentials: Option<Credentials>,
}

/// `Debug` shows the user alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: Zeroizing<String>,
}

impl Proxy {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Proxy {
            host: host.into(),
            port,
            credentials: None,
        }
    }

    pub fn with_credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials {
            user: user.into(),
            password: Zeroizing::new(password.into()),
        });
        self
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|c| c.user.as_str());
        write!(f, "Proxy({}", authority(&self.host, self.port))?;
        user.map_or(Ok(()), |user| write!(f, ", as {user:?}"))?;
        f.write_str(")")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.user)
    }
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
            server_name: None,
            addresses: Vec::new(),
            ca_pem: None,
            client_identity: None,
            proxy: None,
            guard: None,
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// `wss://aacc.example.com:8445/CustomerControllerWeb/chat`
    pub fn url(&self) -> String {
        self.url_at(&authority(&self.host, self.port))
    }

    /// The URL as the peer is asked for it: with the name that it goes by.
    pub(crate) fn requested_url(&self) -> String {
        self.url_at(&self.authority())
    }

    fn url_at(&self, authority: &str) -> String {
        let scheme = match self.scheme {
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
        };
        format!("{scheme}://{authority}{}", self.path)
    }

    /// The name that the peer goes by.
    pub(crate) fn name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.host)
    }

    /// Name and port as a `Host` header has them. A proxy that picks its site by SNI refuses another name here (421).
    pub(crate) fn authority(&self) -> String {
        authority(self.name(), self.port)
    }

    /// The path of a service beside the chat socket.
    pub(crate) fn beside(&self, service: &str) -> String {
        let folder = self.path.rfind('/').map_or("", |end| &self.path[..end]);
        format!("{folder}/{service}")
    }
}

/// Host and port in one, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = if self.ca_pem.is_some() {
            "private CA"
        } else {
            "system roots"
        };
        write!(f, "Target({}, {trust}", self.url())?;
        if let Some(name) = &self.server_name {
            write!(f, ", as {name}")?;
        }
        if !self.addresses.is_empty() {
            write!(f, ", at {:?}", self.addresses)?;
        }
        if self.client_identity.is_some() {
            f.write_str(", client certificate")?;
        }
        if let Some(proxy) = &self.proxy {
            write!(f, ", {proxy:?}")?;
        }
        f.write_str(")")
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

    #[test]
    fn what_is_secret_is_not_printed() {
        let target = Target {
            server_name: Some("aacc.internal".into()),
            client_identity: Some(ClientIdentity::new("chain-secret", "key-secret")),
            proxy: Some(Proxy::new("proxy", 3128).with_credentials("ccm", "password-secret")),
            ..Target::wss("10.0.0.5", 8445)
        };
        let proxy = target.proxy.clone().unwrap();
        let shown = format!(
            "{target:?} {:?} {proxy:?} {:?}",
            target.client_identity, proxy.credentials
        );
        assert!(!shown.contains("secret"), "{shown}");
        assert!(
            shown.contains("aacc.internal") && shown.contains("proxy:3128"),
            "{shown}"
        );
    }
}
