use crate::network::{Allowed, Guarded, NotAllowed};
use reqwest::{IntoUrl, RequestBuilder, Response, redirect::Policy};
use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};
use url::Host;

/// An HTTP client that dials what may be dialled, and nothing else. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    allowed: Arc<Allowed>,
}

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error(
        "its address is a private one, and the operator of the platform has not allowed it (egress.private_networks)"
    )]
    Private,
    #[error(transparent)]
    Http(reqwest::Error),
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(e) = cause {
            if e.is::<NotAllowed>() {
                return Self::Private;
            }
            cause = e.source();
        }
        Self::Http(error)
    }
}

impl Client {
    /// The process has installed rustls' default provider before.
    pub fn new(allowed: Allowed, connect_timeout: Duration) -> Result<Self, reqwest::Error> {
        let allowed = Arc::new(allowed);
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Guarded::new(allowed.clone()))
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .user_agent(concat!("ccm/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, allowed })
    }

    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.get(url)
    }

    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.post(url)
    }

    /// Sends a request of [`Client::get`] or [`Client::post`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Unanswered> {
        let request = request.build()?;
        // A name is judged when it is looked up; an address in its place never is looked up.
        let literal: Option<IpAddr> = match request.url().host() {
            Some(Host::Ipv4(ip)) => Some(ip.into()),
            Some(Host::Ipv6(ip)) => Some(ip.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|ip| !self.allowed.allows(ip)) {
            return Err(Unanswered::Private);
        }
        Ok(self.http.execute(request).await?)
    }
}
