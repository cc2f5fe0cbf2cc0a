//! The way through an HTTP proxy: CONNECT (RFC 9110, 9.3.6).

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::answer::HttpAnswer;
use crate::error::ProxyProblem;
use crate::target::{Credentials, Proxy};

/// Asks the proxy at the other end of `tcp` to carry us to `authority`.
pub(crate) async fn tunnel(
    proxy: &Proxy,
    tcp: TcpStream,
    authority: &str,
) -> Result<TcpStream, ProxyProblem> {
    let failed = |e: &dyn std::error::Error| ProxyProblem::NotAProxy(e.to_string());
    let mut request = Request::connect(authority)
        .header(HOST, authority)
        .body(Empty::<Bytes>::new())
        .map_err(|e| failed(&e))?;
    if let Some(credentials) = &proxy.credentials {
        request
            .headers_mut()
            .insert(PROXY_AUTHORIZATION, basic(credentials));
    }
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await;
    let (mut sender, connection) = handshake.map_err(|e| failed(&e))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        if !response.status().is_success() {
            return Err(ProxyProblem::Refused(Box::new(HttpAnswer::of(response).await)));
        }
        hyper::upgrade::on(response).await.map_err(|e| failed(&e))
    };
    tokio::pin!(exchange);
    let connection = connection.with_upgrades();
    let upgraded = tokio::select! {
        biased;
        upgraded = &mut exchange => upgraded,
        // The connection's end can be seen before the answer that came with it is read.
        _ = connection => exchange.await,
    }?;
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| ProxyProblem::NotAProxy("the connection is not ours".into()))?;
    if !parts.read_buf.is_empty() {
        // Neither TLS nor HTTP servers speak first: this is the proxy itself.
        return Err(ProxyProblem::NotAProxy("it talks into the tunnel".into()));
    }
    Ok(parts.io.into_inner())
}

fn basic(credentials: &Credentials) -> HeaderValue {
    let pair = zeroize::Zeroizing::new(format!("{}:{}", credentials.user, *credentials.password));
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()));
    let mut value = HeaderValue::from_str(&value).expect("base64 is ASCII");
    value.set_sensitive(true);
    value
}
