//! What can fail.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    #[error("cannot read or write {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the server certificate and key cannot be used: {0}")]
    Tls(String),
    #[error("the key of the CA is not known: no other certificate can be made")]
    NoCaKey,
    #[error("the EWC port speaks plain ws")]
    NoTls,
    #[error("{path}: {detail}")]
    Script { path: PathBuf, detail: String },
}

/// Why an agent's operation was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    #[error("there is no chat {0}")]
    NoSuchChat(u64),
    #[error("chat {0} has ended")]
    ChatEnded(u64),
    #[error("agent {agent_id} is not in chat {guid}")]
    AgentNotIn { guid: u64, agent_id: String },
    #[error("agent {agent_id} is in chat {guid} already")]
    AgentAlreadyIn { guid: u64, agent_id: String },
    #[error("no agent is in chat {0}")]
    NobodyIn(u64),
    #[error("chat {0} has no open socket")]
    NoSocket(u64),
}

/// What was waited for did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing after {0:?}")]
pub struct WaitError(pub Duration);
