//! An HTTP answer that was not the one we wanted, kept to be explained.

use std::fmt;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use http_body_util::{BodyExt, Limited};

/// The longest excerpt of a header or a body, in characters.
const EXCERPT: usize = 200;
/// How much of a body is read to take the excerpt from.
const BODY: usize = 8 * 1024;
/// How long a body may keep us.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Who answered what: status, telling headers and the body's beginning, each of at most 200 characters without control
/// characters. It is the peer's text: show it quoted, believe nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpAnswer {
    pub status: u16,
    pub server: Option<String>,
    /// `WWW-Authenticate`, or `Proxy-Authenticate` of a proxy.
    pub authenticate: Option<String>,
    pub location: Option<String>,
    pub content_type: Option<String>,
    /// What came with the head of the answer; empty if there was none.
    pub body: String,
}

impl HttpAnswer {
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name: HeaderName| headers.get(name).map(|v| excerpt(v.as_bytes()));
        HttpAnswer {
            status,
            server: text(header::SERVER),
            authenticate: text(header::WWW_AUTHENTICATE).or_else(|| text(header::PROXY_AUTHENTICATE)),
            location: text(header::LOCATION),
            content_type: text(header::CONTENT_TYPE),
            body: excerpt(body),
        }
    }

    /// Whether the same question may be answered otherwise in a while.
    pub(crate) fn is_passing(&self) -> bool {
        self.status >= 500 || self.status == 429
    }

    /// Reads the body's beginning too.
    pub(crate) async fn of(response: http::Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let mut body = Limited::new(body, BODY);
        let mut read = Vec::new();
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                read.extend_from_slice(frame.data_ref().map_or(&[], |data| &**data));
            }
        };
        // What is there by then is enough.
        let _ = tokio::time::timeout(BODY_PATIENCE, reading).await;
        HttpAnswer::new(head.status.as_u16(), &head.headers, &read)
    }
}

impl fmt::Display for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        self.server
            .as_ref()
            .map_or(Ok(()), |server| write!(f, " by {server:?}"))
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(4 * EXCERPT)];
    let text = String::from_utf8_lossy(bytes);
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(EXCERPT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_tame() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SERVER, "Avaya SBCE".parse().unwrap());
        let body = format!("<h1>\x1b[2J\r\nForbidden</h1>{}", "é".repeat(5000));
        let answer = HttpAnswer::new(403, &headers, body.as_bytes());
        assert_eq!(answer.server.as_deref(), Some("Avaya SBCE"));
        assert!(answer.body.starts_with("<h1> [2J  Forbidden</h1>é"), "{answer:?}");
        assert_eq!(answer.body.chars().count(), EXCERPT);
        assert_eq!(answer.to_string(), "HTTP status 403 by \"Avaya SBCE\"");
    }
}
