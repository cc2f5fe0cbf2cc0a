//! The TLS side of the EWC port: a private CA, and everything that a customer's TLS set-up gets wrong.

mod authority;
mod client;
mod identity;

use serde::{Deserialize, Serialize};

pub(crate) use identity::{Identity, Serving};

/// What the TLS side shows and asks for. The default is right in every way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSetup {
    pub certificate: ServerCertificate,
    /// The server certificate ends so many seconds after it is made; without, in the year 4096.
    pub expires_in_s: Option<u64>,
    pub client_certificate: ClientCertificate,
    pub versions: TlsVersions,
}

/// The server certificate. Clients trust the CA that [`crate::Sim::ca_pem`] hands out, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum ServerCertificate {
    #[default]
    Good,
    /// Ended a day ago.
    Expired,
    /// Begins in a day.
    NotYetValid,
    /// Good for `elsewhere.example` only.
    WrongName,
    /// Issued by another private CA ([`crate::Sim::issuer_pem`]), as after a change of System Manager.
    UnknownIssuer,
    /// Signed with its own key.
    SelfSigned,
    /// Issued by an intermediate CA, which is sent along: nothing is wrong.
    WithIntermediate,
    /// Issued by an intermediate CA ([`crate::Sim::issuer_pem`]), which is not sent.
    IncompleteChain,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum ClientCertificate {
    #[default]
    NotAsked,
    /// Any certificate, of whatever issuer.
    Any,
    /// One of the CA of [`crate::Sim::ca_pem`]; [`crate::Sim::client_identity`] is one.
    OfCa,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    #[serde(rename = "both")]
    #[value(name = "both")]
    Both,
    #[serde(rename = "only_1_2")]
    #[value(name = "only_1_2")]
    Only12,
    #[serde(rename = "only_1_3")]
    #[value(name = "only_1_3")]
    Only13,
    /// None that a client of today offers: each handshake ends with the alert `protocol_version`, as at a server that
    /// knows TLS 1.0 only.
    #[serde(rename = "too_old")]
    #[value(name = "too_old")]
    TooOld,
}

/// A client's certificate and key, PEM. `Debug` shows neither.
#[derive(Clone)]
pub struct ClientIdentity {
    pub cert_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}
