//! Requests to addresses that tenants name: webhooks, and their SMS providers.
//!
//! Whoever may write an address into a tenant's settings must not reach with it what only this machine reaches: the cluster's
//! own services, a cloud's metadata. Only public addresses are dialled, and those that the operator allows; a name is looked up
//! once for each connection and that very address is dialled, so that a name that changes its mind in between (DNS rebinding) gains
//! nothing. Redirects are not followed, proxies of the environment are not used, certificates are always verified.

mod client;
mod network;
mod sign;

pub use client::{Client, Unanswered};
pub use ipnet::IpNet;
pub use network::Allowed;
pub use sign::{BadSecret, Signers};

use reqwest::{Response, StatusCode, header};
use std::time::Duration;
use url::Url;

/// A client for all tenants' addresses.
#[derive(Clone)]
pub struct Egress(Client);

/// No receiver that is there takes longer to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long is waited for the rest of an answer whose status is known.
pub const LINGER: Duration = Duration::from_secs(2);

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub status: u16,
    /// `Retry-After`, as it was written.
    pub retry_after: Option<String>,
    /// How its body begins.
    pub body: Vec<u8>,
}

/// Why a call came to nothing. Says nothing of what was sent or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    #[error("its address is not one that can be called")]
    Address,
    #[error(
        "its address is a private one, and the operator of the platform has not allowed it (egress.private_networks)"
    )]
    Private,
    #[error("it cannot be connected to; check its name, its certificate and its firewall")]
    Connect,
    #[error("no answer came within {0:?}")]
    TimedOut(Duration),
    #[error("the connection broke before the answer was whole")]
    Broken,
    #[error("it answers with a redirect ({0}); name the address that it leads to")]
    Redirect(u16),
    #[error("it answers with status {0}, where one from 200 to 299 is expected")]
    Status(u16),
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

impl CallFailed {
    /// A metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Private => "private",
            Self::Connect => "connect",
            Self::TimedOut(_) => "timed_out",
            Self::Broken => "broken",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::TooLong(_) => "too_long",
        }
    }
}

/// One JSON document for somebody else's program.
pub struct Call<'a> {
    pub url: &'a Url,
    /// The same for each repetition, so that the receiver can tell one.
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    pub json: String,
    pub signers: &'a Signers,
    /// From the first packet to the last byte of the answer.
    pub timeout: Duration,
    /// Bytes of the answer at most.
    pub most: usize,
}

impl Egress {
    /// The process has installed rustls' default provider before.
    pub fn new(allowed: Allowed) -> Result<Self, reqwest::Error> {
        Client::new(allowed, CONNECT).map(Self)
    }

    /// Posts a document, signed as Standard Webhooks says, and gives the answer's body: of a status from 200 to 299 only.
    pub async fn post(&self, call: Call<'_>) -> Result<Vec<u8>, CallFailed> {
        let (timeout, most) = (call.timeout, call.most);
        let asked = async {
            let mut response = self.ask(call).await?;
            let status = response.status();
            if !status.is_success() {
                return Err(CallFailed::Status(status.as_u16()));
            }
            let mut body = Vec::new();
            if status == StatusCode::NO_CONTENT {
                return Ok(body);
            }
            while let Some(chunk) = response.chunk().await.map_err(|e| failed(e.into()))? {
                if body.len() + chunk.len() > most {
                    return Err(CallFailed::TooLong(most));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        tokio::time::timeout(timeout, asked)
            .await
            .unwrap_or(Err(CallFailed::TimedOut(timeout)))
    }

    /// As [`Self::post`], where the status is the answer, whichever it is: of the body no more is read than `most` bytes, and no longer
    /// than [`LINGER`], whatever the receiver goes on sending.
    pub async fn deliver(&self, call: Call<'_>) -> Result<Said, CallFailed> {
        let (timeout, most) = (call.timeout, call.most);
        let mut response = tokio::time::timeout(timeout, self.ask(call))
            .await
            .unwrap_or(Err(CallFailed::TimedOut(timeout)))?;
        let mut said = Said {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: Vec::new(),
        };
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                let room = most - said.body.len();
                said.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if said.body.len() == most {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, read).await;
        Ok(said)
    }

    /// Whether an address leads to where nobody may call, as far as it is known now: a name is looked up. One that cannot be looked
    /// up is judged when it is called, as each is.
    pub async fn is_private(&self, url: &Url) -> bool {
        self.0.is_private(url).await
    }

    /// The answer's head; redirects are none.
    async fn ask(&self, call: Call<'_>) -> Result<Response, CallFailed> {
        if !call.url.has_host() {
            return Err(CallFailed::Address);
        }
        let mut request = self
            .0
            .post(call.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header("webhook-id", call.id)
            .header("webhook-timestamp", call.timestamp);
        if let Some(signatures) = call.signers.sign(call.id, call.timestamp, &call.json) {
            request = request.header("webhook-signature", signatures);
        }
        let response = self.0.send(request.body(call.json)).await.map_err(failed)?;
        match response.status() {
            status if status.is_redirection() => Err(CallFailed::Redirect(status.as_u16())),
            _ => Ok(response),
        }
    }
}

fn failed(error: Unanswered) -> CallFailed {
    match error {
        Unanswered::Private => CallFailed::Private,
        Unanswered::Http(e) if e.is_builder() => CallFailed::Address,
        Unanswered::Http(e) if e.is_connect() => CallFailed::Connect,
        Unanswered::Http(_) => CallFailed::Broken,
    }
}
