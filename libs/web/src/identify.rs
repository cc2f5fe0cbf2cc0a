use crate::Problem;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, header},
    middleware::Next,
    response::Response,
};
use ccm_auth::Bearer;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Finds out whom a token or a key names.
pub trait Gatekeeper: Clone + Send + Sync + 'static {
    /// The bearer, or what the caller is told.
    fn admit(&self, token: &str) -> impl Future<Output = Result<Bearer, Problem>> + Send;
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Or why they are not known.
    pub bearer: Result<Bearer, Problem>,
    pub from: Option<IpAddr>,
}

/// The networks of the proxies in front of us, which are believed when they say for whom they ask. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Where a request comes from: the peer, or, if that is a proxy of ours, the nearest address in `X-Forwarded-For` that is
    /// not. What stands before that was written by the caller.
    pub fn caller(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        let ours = |ip: &IpAddr| self.0.iter().any(|network| network.contains(ip));
        let mut nearest = peer.ip().to_canonical();
        let forwarded = headers.get_all("x-forwarded-for").iter().rev();
        let hops = forwarded.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            if !ours(&nearest) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(before) => nearest = before.to_canonical(),
                Err(_) => break,
            }
        }
        Some(nearest)
    }
}

/// Finds out who asks, once for each request, for the extractors and for layers within. Nobody is turned away here.
pub async fn identify<G: Gatekeeper>(
    State((gate, proxies)): State<(G, TrustedProxies)>,
    mut request: Request,
    next: Next,
) -> Response {
    let bearer = match bearer(request.headers()) {
        Some(token) => gate.admit(token).await,
        None => Err(Problem::unauthorised(None)),
    };
    let from = proxies.caller(request.extensions(), request.headers());
    request.extensions_mut().insert(Caller { bearer, from });
    next.run(request).await
}

/// What stands behind `Bearer` in `Authorization`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()));
        proxies.caller(&extensions, &headers).unwrap().to_string()
    }

    #[test]
    fn only_proxies_of_ours_say_for_whom_they_ask() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(caller(&ours, "10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(
            caller(&ours, "203.0.113.7", &["198.51.100.1"]),
            "203.0.113.7",
            "a lie"
        );
        assert_eq!(caller(&[], "10.0.0.1", &["198.51.100.1"]), "10.0.0.1");
        assert_eq!(
            caller(&ours, "10.0.0.1", &["198.51.100.1, 203.0.113.7, 10.0.0.2"]),
            "203.0.113.7"
        );
        assert_eq!(
            caller(&ours, "10.0.0.1", &["198.51.100.1", "203.0.113.7,10.0.0.2"]),
            "203.0.113.7"
        );
        assert_eq!(
            caller(&ours, "10.0.0.1", &["10.0.0.3"]),
            "10.0.0.3",
            "a proxy itself"
        );
        assert_eq!(caller(&ours, "10.0.0.1", &["unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(caller(&ours, "::ffff:10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(caller(&ours, "10.0.0.1", &[]), "10.0.0.1");
    }
}
