//! Why a dial failed, told apart by what somebody must do about it.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible as Incompatible};

use crate::answer::HttpAnswer;

/// How far a dial came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Dns,
    /// Reaching the proxy, and through it the peer.
    Proxy,
    Tcp,
    Tls,
    Upgrade,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Dns => "looking up the name",
            Stage::Proxy => "connecting through the proxy",
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
    #[error("the link's client certificate cannot be used: {0}")]
    BadIdentity(String),
    #[error("the system has no trusted certificates")]
    NoSystemRoots,
    #[error("{0:?} is no host name or address")]
    BadHost(String),
    #[error("the proxy's {0:?} is no host name or address")]
    BadProxy(String),
    #[error("the path is no path: {0}")]
    BadPath(String),
    #[error("{host} could not be looked up: {source}")]
    Dns { host: String, source: io::Error },
    /// By the target's [`Guard`](crate::Guard). The address itself is not told: it may be one of a network of ours.
    #[error("{host} has no address that may be dialled: it is a private one")]
    NotAllowed { host: String },
    #[error("no way through the proxy: {0}")]
    Proxy(ProxyProblem),
    #[error("no connection: {0}")]
    Tcp(io::Error),
    #[error("TLS failed: {0}")]
    Tls(TlsProblem),
    /// Any answer but 101.
    #[error("the WebSocket upgrade was answered with {0}")]
    Upgrade(Box<HttpAnswer>),
    #[error("the peer does not speak WebSocket here: {0}")]
    NotWebSocket(String),
    #[error("no answer in time during {0}")]
    Timeout(Stage),
    #[error("stopped while dialling")]
    Stopped,
}

/// Why a proxy carried us nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ProxyProblem {
    #[error("{host} could not be looked up: {source}")]
    Dns { host: String, source: io::Error },
    #[error("no connection to it: {0}")]
    Tcp(io::Error),
    #[error("it answered with {0}")]
    Refused(Box<HttpAnswer>),
    #[error("it does not answer as an HTTP proxy does: {0}")]
    NotAProxy(String),
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
    #[error("the peer refused our client certificate: {0}")]
    ClientCertificateRefused(String),
    #[error("the peer speaks neither TLS 1.2 nor TLS 1.3")]
    NoCommonVersion,
    #[error("no algorithm that both sides take: {0}")]
    NoCommonCipher(String),
    #[error("the peer does not go by the name that it was asked for")]
    NameUnknown,
    #[error("the peer does not speak TLS here")]
    NotTls,
    #[error("the peer refused the handshake: {0}")]
    Refused(String),
    #[error("the connection broke in the handshake: {0}")]
    Broken(String),
}

/// Whether a client certificate was asked for and given: what the peer's alerts mean depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientAuth {
    pub asked: bool,
    pub given: bool,
}

impl DialError {
    /// How far the dial came; `None` before it began.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self {
            DialError::Dns { .. } | DialError::NotAllowed { .. } => Stage::Dns,
            DialError::Proxy(_) => Stage::Proxy,
            DialError::Tcp(_) => Stage::Tcp,
            DialError::Tls(_) => Stage::Tls,
            DialError::Upgrade(_) | DialError::NotWebSocket(_) => Stage::Upgrade,
            DialError::Timeout(stage) => *stage,
            _ => return None,
        })
    }

    /// Whether another try can succeed without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            DialError::Dns { .. } | DialError::Tcp(_) | DialError::Timeout(_) | DialError::Stopped => true,
            DialError::Upgrade(answer) => answer.is_passing(),
            DialError::Tls(problem) => matches!(problem, TlsProblem::Broken(_)),
            DialError::Proxy(problem) => match problem {
                ProxyProblem::Dns { .. } | ProxyProblem::Tcp(_) => true,
                ProxyProblem::Refused(answer) => answer.is_passing(),
                ProxyProblem::NotAProxy(_) => false,
            },
            DialError::BadCa(_)
            | DialError::BadIdentity(_)
            | DialError::NoSystemRoots
            | DialError::BadHost(_)
            | DialError::BadProxy(_)
            | DialError::BadPath(_)
            | DialError::NotAllowed { .. }
            | DialError::NotWebSocket(_) => false,
        }
    }

    /// What an operator should look at.
    pub fn remedy(&self) -> &'static str {
        match self {
            DialError::BadCa(_) => "Paste the authority's certificate (System Manager's root) in PEM form.",
            DialError::BadIdentity(_) => {
                "Give the client certificate, its intermediates, and the private key that belongs to it, not encrypted, in \
                 PEM form."
            }
            DialError::NoSystemRoots => "Install the system's CA bundle (ca-certificates) in the image.",
            DialError::BadHost(_) | DialError::BadPath(_) => "Correct the link's address.",
            DialError::BadProxy(_) => "Correct the proxy's address.",
            DialError::Dns { .. } => "Check the host name, and that this network's DNS knows it.",
            DialError::NotAllowed { .. } => {
                "Have the operator of the platform allow the network (egress.private_networks), or give a public address."
            }
            DialError::Proxy(problem) => problem.remedy(),
            DialError::Tcp(_) => {
                "Check port and firewall: AACC listens on 8445 (wss) or 8081 (ws), the reverse proxy must let our source \
                 addresses in."
            }
            DialError::Tls(problem) => problem.remedy(),
            DialError::Upgrade(answer) => match answer.status {
                // As nginx says it of a link without client certificate.
                400 | 496 if answer.body.contains("SSL certificate") => {
                    TlsProblem::ClientCertificateWanted.remedy()
                }
                401 | 403 => "Let our source addresses in at the reverse proxy.",
                404 => "Check the path and that Web Communications is installed.",
                407 => ProxyProblem::CREDENTIALS,
                421 => "The reverse proxy serves another name here: correct the link's server name.",
                502..=504 => {
                    "The reverse proxy does not reach AACC: check that its Web Communications service runs."
                }
                _ => DialError::UPGRADE,
            },
            DialError::NotWebSocket(_) => DialError::UPGRADE,
            DialError::Timeout(Stage::Dns) => "Check this network's DNS.",
            DialError::Timeout(Stage::Tcp) => "A firewall drops our packets: let our source addresses in.",
            DialError::Timeout(Stage::Proxy) => "Check the proxy, and that it may reach AACC.",
            DialError::Timeout(_) => {
                "The peer accepts connections and does not answer: check its load and AACC."
            }
            DialError::Stopped => "Nothing: it is dialled again.",
        }
    }

    const UPGRADE: &str = "Check that port and path are those of AACC's chat, and that the reverse proxy passes WebSocket upgrades.";
}

impl ProxyProblem {
    const CREDENTIALS: &str = "Give the link the proxy's user and password (Basic authentication).";

    /// What an operator should look at.
    pub fn remedy(&self) -> &'static str {
        match self {
            ProxyProblem::Dns { .. } | ProxyProblem::Tcp(_) => {
                "Check the proxy's host and port, and that it is up and lets us in."
            }
            ProxyProblem::Refused(answer) => match answer.status {
                407 => ProxyProblem::CREDENTIALS,
                502..=504 => {
                    "The proxy does not reach AACC: check the link's host and port, and the proxy's DNS."
                }
                _ => "Have the proxy allow CONNECT to the link's host and port.",
            },
            ProxyProblem::NotAProxy(_) => "Check the proxy's port: what answers there is no HTTP proxy.",
        }
    }
}

impl TlsProblem {
    /// What an operator should look at.
    pub fn remedy(&self) -> &'static str {
        match self {
            TlsProblem::UnknownIssuer => {
                "Give the link the authority that issued AACC's certificate, with intermediates if the peer sends none."
            }
            TlsProblem::WrongName => {
                "Give the link the name that is in the certificate as its server name, or have the certificate reissued."
            }
            TlsProblem::Expired | TlsProblem::NotYetValid => {
                "Have AACC's or the reverse proxy's certificate renewed, and check both clocks."
            }
            TlsProblem::BadCertificate(_) => "Have AACC's or the reverse proxy's certificate reissued.",
            TlsProblem::ClientCertificateWanted => {
                "Give the link the client certificate that the reverse proxy expects, or have mutual TLS turned off for us \
                 there."
            }
            TlsProblem::ClientCertificateRefused(_) => {
                "Have the reverse proxy trust the authority of our client certificate, or renew the certificate."
            }
            TlsProblem::NoCommonVersion => "Switch TLS 1.2 or TLS 1.3 on at AACC or the reverse proxy.",
            TlsProblem::NoCommonCipher(_) => {
                "Allow an ECDHE suite with AES-GCM or ChaCha20 at AACC or the reverse proxy."
            }
            TlsProblem::NameUnknown => "Correct the link's server name, or have the reverse proxy serve it.",
            TlsProblem::NotTls => "The port answers without TLS: use 8445 for wss, or ws for 8081.",
            TlsProblem::Refused(_) | TlsProblem::Broken(_) => {
                "Check the reverse proxy's TLS versions and ciphers (1.2 or 1.3), its client-certificate setting and white \
                 list."
            }
        }
    }

    /// Out of an error of a TLS stream.
    pub(crate) fn of(error: &io::Error, auth: ClientAuth) -> Self {
        let inner: Option<&(dyn Error + 'static)> = error.get_ref().map(|e| e as _);
        match inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(error) => TlsProblem::of_rustls(error, auth),
            None => TlsProblem::Broken(error.to_string()),
        }
    }

    /// Looks for TLS' word in an error that other layers have wrapped.
    pub(crate) fn within(error: &(dyn Error + 'static), auth: ClientAuth) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>()
                && io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
            {
                return Some(TlsProblem::of(io, auth));
            }
            next = error.source();
        }
        None
    }

    fn of_rustls(error: &rustls::Error, auth: ClientAuth) -> Self {
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
            AlertReceived(alert) => TlsProblem::of_alert(*alert, auth),
            PeerIncompatible(
                Incompatible::ServerDoesNotSupportTls12Or13
                | Incompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => TlsProblem::NoCommonVersion,
            PeerIncompatible(other) => TlsProblem::NoCommonCipher(format!("{other:?}")),
            InvalidMessage(_) => TlsProblem::NotTls,
            other => TlsProblem::Refused(other.to_string()),
        }
    }

    fn of_alert(alert: AlertDescription, auth: ClientAuth) -> Self {
        use AlertDescription::*;
        match alert {
            ProtocolVersion => TlsProblem::NoCommonVersion,
            UnrecognisedName => TlsProblem::NameUnknown,
            CertificateRequired | NoCertificate => TlsProblem::ClientCertificateWanted,
            // What a peer says of certificates it says of ours. Up to TLS 1.2 many only say that the handshake failed.
            BadCertificate
            | UnsupportedCertificate
            | CertificateRevoked
            | CertificateExpired
            | CertificateUnknown
            | UnknownCA
            | AccessDenied
            | DecryptError
            | HandshakeFailure
                if auth.asked =>
            {
                match auth.given {
                    true => TlsProblem::ClientCertificateRefused(format!("{alert:?}")),
                    false => TlsProblem::ClientCertificateWanted,
                }
            }
            HandshakeFailure | InsufficientSecurity => TlsProblem::NoCommonCipher(format!("{alert:?}")),
            alert => TlsProblem::Refused(format!("{alert:?}")),
        }
    }
}
