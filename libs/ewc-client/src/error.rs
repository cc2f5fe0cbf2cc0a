//! Why a dial failed, told apart by what somebody must do about it.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// How far a dial came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Dns,
    Tcp,
    Tls,
    Upgrade,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Dns => "looking up the name",
            Stage::Tcp => "connecting",
            Stage::Tls => "the TLS handshake",
            Stage::Upgrade => "the WebSocket upgrade",
        })
    }
}

/// Why no socket could be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the link's authorities are no usable PEM certificates: {0}")]
    BadCa(String),
    #[error("the system has no trusted certificates")]
    NoSystemRoots,
    #[error("{0:?} is no host name or address")]
    BadHost(String),
    #[error("the path is no path: {0}")]
    BadPath(String),
    #[error("{host} could not be looked up: {source}")]
    Dns { host: String, source: io::Error },
    #[error("no connection: {0}")]
    Tcp(io::Error),
    #[error("TLS failed: {0}")]
    Tls(TlsProblem),
    /// Any answer but 101.
    #[error("the WebSocket upgrade was answered with HTTP status {status}")]
    Upgrade { status: u16 },
    #[error("the peer does not speak WebSocket here: {0}")]
    NotWebSocket(String),
    #[error("no answer in time during {0}")]
    Timeout(Stage),
    #[error("stopped while dialling")]
    Stopped,
}

/// What went wrong in a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    #[error("the certificate's issuer is not trusted")]
    UnknownIssuer,
    #[error("the certificate is for another name")]
    WrongName,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate was refused: {0}")]
    BadCertificate(String),
    #[error("the peer wants a client certificate")]
    ClientCertificateWanted,
    #[error("the peer does not speak TLS here")]
    NotTls,
    #[error("the peer refused the handshake: {0}")]
    Refused(String),
    #[error("the connection broke in the handshake: {0}")]
    Broken(String),
}

impl DialError {
    /// How far the dial came; `None` before it began.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self {
            DialError::Dns { .. } => Stage::Dns,
            DialError::Tcp(_) => Stage::Tcp,
            DialError::Tls(_) => Stage::Tls,
            DialError::Upgrade { .. } | DialError::NotWebSocket(_) => Stage::Upgrade,
            DialError::Timeout(stage) => *stage,
            _ => return None,
        })
    }

    /// Whether another try can succeed without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            DialError::Dns { .. } | DialError::Tcp(_) | DialError::Timeout(_) | DialError::Stopped => true,
            DialError::Upgrade { status } => *status >= 500 || *status == 429,
            DialError::Tls(problem) => matches!(problem, TlsProblem::Broken(_)),
            DialError::BadCa(_)
            | DialError::NoSystemRoots
            | DialError::BadHost(_)
            | DialError::BadPath(_)
            | DialError::NotWebSocket(_) => false,
        }
    }

    /// What an operator should look at.
    pub fn remedy(&self) -> &'static str {
        match self {
            DialError::BadCa(_) => "Paste the authority's certificate (System Manager's root) in PEM form.",
            DialError::NoSystemRoots => "Install the system's CA bundle (ca-certificates) in the image.",
            DialError::BadHost(_) | DialError::BadPath(_) => "Correct the link's address.",
            DialError::Dns { .. } => "Check the host name, and that this network's DNS knows it.",
            DialError::Tcp(_) => {
                "Check port and firewall: AACC listens on 8445 (wss) or 8081 (ws), the reverse proxy must let our source \
                 addresses in."
            }
            DialError::Tls(TlsProblem::UnknownIssuer) => {
                "Give the link the authority that issued AACC's certificate, with intermediates if the peer sends none."
            }
            DialError::Tls(TlsProblem::WrongName) => {
                "Use the name that is in the certificate as the link's host, or have the certificate reissued."
            }
            DialError::Tls(TlsProblem::Expired | TlsProblem::NotYetValid) => {
                "Have AACC's or the reverse proxy's certificate renewed, and check both clocks."
            }
            DialError::Tls(TlsProblem::BadCertificate(_)) => {
                "Have AACC's or the reverse proxy's certificate reissued."
            }
            DialError::Tls(TlsProblem::ClientCertificateWanted) => {
                "Turn mutual TLS off for us at the reverse proxy: this link has no client certificate."
            }
            DialError::Tls(TlsProblem::NotTls) => {
                "The port answers without TLS: use 8445 for wss, or ws for 8081."
            }
            DialError::Tls(TlsProblem::Refused(_) | TlsProblem::Broken(_)) => {
                "Check the reverse proxy's TLS versions and ciphers (1.2 or 1.3), its client-certificate setting and white \
                 list."
            }
            DialError::Upgrade { status: 401 | 403 } => "Let our source addresses in at the reverse proxy.",
            DialError::Upgrade { status: 404 } => "Check the path and that Web Communications is installed.",
            DialError::Upgrade { status: 502..=504 } => {
                "The reverse proxy does not reach AACC: check that its Web Communications service runs."
            }
            DialError::Upgrade { .. } | DialError::NotWebSocket(_) => {
                "Check that port and path are those of AACC's chat, and that the reverse proxy passes WebSocket upgrades."
            }
            DialError::Timeout(Stage::Dns) => "Check this network's DNS.",
            DialError::Timeout(Stage::Tcp) => "A firewall drops our packets: let our source addresses in.",
            DialError::Timeout(_) => {
                "The peer accepts connections and does not answer: check its load and AACC."
            }
            DialError::Stopped => "Nothing: it is dialled again.",
        }
    }
}

impl TlsProblem {
    /// Out of an error of a TLS stream.
    pub(crate) fn of(error: &io::Error) -> Self {
        let inner: Option<&(dyn Error + 'static)> = error.get_ref().map(|e| e as _);
        match inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(error) => TlsProblem::of_rustls(error),
            None => TlsProblem::Broken(error.to_string()),
        }
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use rustls::Error::*;
        match error {
            InvalidCertificate(CertificateError::UnknownIssuer) => TlsProblem::UnknownIssuer,
            InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => TlsProblem::WrongName,
            InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                TlsProblem::Expired
            }
            InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => TlsProblem::NotYetValid,
            InvalidCertificate(other) => TlsProblem::BadCertificate(other.to_string()),
            AlertReceived(AlertDescription::CertificateRequired) => TlsProblem::ClientCertificateWanted,
            InvalidMessage(_) => TlsProblem::NotTls,
            AlertReceived(alert) => TlsProblem::Refused(format!("{alert:?}")),
            other => TlsProblem::Refused(other.to_string()),
        }
    }
}
