//! What can fail.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Why a simulator did not start. None is worth a retry: each is a wrong flag, file or port.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        addr: SocketAddr,
        source: std::io::Error,
    },
    #[error("the control API asks for no password and serves loopback addresses only, not {0}")]
    ControlNotLoopback(SocketAddr),
    #[error("{path}: {detail}")]
    File { path: PathBuf, detail: String },
    #[error(transparent)]
    Setup(#[from] OpError),
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why something was refused. It names no number: the caller knows which one it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    #[error("there is no account {0}; add it first")]
    NoSuchAccount(String),
    #[error("the number that is texted belongs to no account; give it to one first")]
    NumberWithoutAccount,
    #[error("{field} {remedy}")]
    Invalid {
        field: &'static str,
        remedy: &'static str,
    },
    #[error("there is no text {0}")]
    NoSuchText(u64),
}

/// What was waited for did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not within {waited:?}; so far: {so_far}")]
pub struct WaitError {
    pub waited: Duration,
    pub so_far: String,
}
