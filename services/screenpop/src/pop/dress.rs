//! The headers of a page: who may frame it, what it may load, and that nobody learns its address.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
};

const X_UA_COMPATIBLE: HeaderName = HeaderName::from_static("x-ua-compatible");

/// Who may frame a page.
#[derive(Clone, Copy)]
pub enum Frames<'a> {
    Nobody,
    /// The tenant's own pages.
    Origins(&'a [String]),
    /// The page itself, beside these: its history, where no script runs.
    SelfAnd(&'a [String]),
}

/// A page with its headers. `origins` were checked when they were stored.
pub fn dressed(html: String, frames: Frames<'_>) -> Response {
    let mut response = Html(html).into_response();
    dress(response.headers_mut(), frames);
    response
}

pub fn dress(headers: &mut HeaderMap, frames: Frames<'_>) {
    let (ancestors, option) = match frames {
        Frames::Nobody | Frames::Origins([]) => ("'none'".to_owned(), Some("DENY")),
        // X-Frame-Options knows no list; browsers that know no CSP would refuse all of them.
        Frames::Origins(origins) => (origins.join(" "), None),
        Frames::SelfAnd([]) => ("'self'".to_owned(), Some("SAMEORIGIN")),
        Frames::SelfAnd(origins) => (format!("'self' {}", origins.join(" ")), None),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    if let Some(option) = option {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static(option));
    }
    bare(headers);
}

/// What every answer has, a redirection too.
pub fn bare(headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_UA_COMPATIBLE, HeaderValue::from_static("IE=edge"));
}
