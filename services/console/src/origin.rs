//! Forms of other sites do nothing here.

use crate::{Console, render};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

/// Refuses what changes something unless the browser says that it comes from a page of ours: by `Sec-Fetch-Site` (Fetch Metadata), or,
/// where a browser does not send that, by `Origin`. Cookies are `SameSite=Lax` besides.
pub async fn same(State(console): State<Console>, request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD].contains(request.method()) || is_ours(&console, request.headers()) {
        return next.run(request).await;
    }
    render::problem(
        StatusCode::FORBIDDEN,
        "This form was not sent from a page of the console",
        "Open the page in the console and send it from there. If you did, the proxy in front of the console changes the Host header: \
         set console.url to the address that browsers use.",
    )
}

fn is_ours(console: &Console, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = said("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = said("origin") else {
        return false;
    };
    match &console.0.url {
        Some(url) => url.origin().ascii_serialization() == origin,
        None => said(header::HOST.as_str()).is_some_and(|host| origin == format!("https://{host}")),
    }
}
