use crate::network::{Allowed, Guarded, NotAllowed};
use reqwest::{
    IntoUrl, RequestBuilder, Response,
    dns::{Name, Resolve},
    redirect::Policy,
};
use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};
use url::{Host, Url};

/// A name that takes longer to be looked up is judged when it is called.
const LOOK_UP: Duration = Duration::from_secs(3);

/// An HTTP client that dials what may be dialled, and nothing else. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    allowed: Arc<Allowed>,
    names: Guarded,
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
        let names = Guarded::new(allowed.clone());
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(names.clone())
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .user_agent(concat!("ccm/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, allowed, names })
    }

    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.get(url)
    }

    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.post(url)
    }

    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.put(url)
    }

    /// Sends a request of [`Client::get`], [`Client::post`] or [`Client::put`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Unanswered> {
        let request = request.build()?;
        // A name is judged when it is looked up; an address in its place never is looked up.
        if self.is_private_literal(request.url()) {
            return Err(Unanswered::Private);
        }
        Ok(self.http.execute(request).await?)
    }

    fn is_private_literal(&self, url: &Url) -> bool {
        let literal: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(ip)) => Some(ip.into()),
            Some(Host::Ipv6(ip)) => Some(ip.into()),
            Some(Host::Domain(_)) | None => None,
        };
        literal.is_some_and(|ip| !self.allowed.allows(ip))
    }

    /// Whether an address leads to where nobody may call, as far as it is known now.
    pub(crate) async fn is_private(&self, url: &Url) -> bool {
        let name = match url.host() {
            Some(Host::Domain(name)) => name.parse::<Name>(),
            _ => return self.is_private_literal(url),
        };
        let Ok(name) = name else {
            return false;
        };
        match tokio::time::timeout(LOOK_UP, self.names.resolve(name)).await {
            Ok(Err(error)) => error.is::<NotAllowed>(),
            Ok(Ok(_)) | Err(_) => false,
        }
    }
}
