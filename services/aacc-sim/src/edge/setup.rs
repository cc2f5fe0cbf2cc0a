//! How the reverse proxy in front of AACC is set up, well or badly.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};

/// The reverse proxy between AACC and its clients. The default lets everything through. Can change at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// What the WebSocket upgrade of the chat's address is answered with.
    pub upgrade: UpgradeAnswer,
    /// What queue metrics are answered with in place of AACC's answer.
    pub queue: Option<HttpAnswer>,
    /// Who may connect; without, everybody.
    pub white_list: Option<WhiteList>,
    /// How large a frame or body of the customer's side may be.
    pub body_limit: Option<BodyLimit>,
}

/// The answer to a WebSocket upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeAnswer {
    /// 101, as it should be.
    #[default]
    Upgrade,
    /// 200 and a page: *Allow WebSocket* is unticked, and the proxy takes the chat's address for a page.
    HtmlPage,
    /// 302 to a login page.
    LoginRedirect,
    /// The proxy drops `Upgrade` and `Connection`, and AACC answers 426 to what is a plain GET now [D].
    HeaderStripped,
    /// Never, while the connection stays open.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// This. `{"http": {"status": 403}}` comes with a proxy's usual page.
    Http(HttpAnswer),
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpAnswer {
    /// 200 to 599.
    #[serde(deserialize_with = "final_status")]
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Without: a short page that names the status, as proxies have.
    #[serde(default)]
    pub body: Option<String>,
}

/// The source addresses that may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhiteList {
    pub allow: Vec<IpAddr>,
    pub others: Others,
}

/// What happens to addresses that are not on the white list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// A TCP reset.
    #[default]
    Reset,
    /// HTTP 403 to every request.
    Forbidden,
}

/// A limit for what the customer's side sends at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyLimit {
    pub bytes: usize,
    #[serde(default)]
    pub over: OverLimit,
}

/// What happens to a frame over the limit. (A body over it gets HTTP 413.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverLimit {
    /// A WebSocket close with code 1009.
    #[default]
    Close,
    /// A TCP reset.
    Reset,
}

impl UpgradeAnswer {
    /// An HTTP status with a proxy's usual page.
    pub fn status(status: u16) -> Self {
        UpgradeAnswer::Http(HttpAnswer::status(status))
    }

    /// The answer, where it is an HTTP answer other than 101.
    pub(super) fn http(&self) -> Option<HttpAnswer> {
        match self {
            UpgradeAnswer::Upgrade | UpgradeAnswer::Hang | UpgradeAnswer::Close => None,
            UpgradeAnswer::HtmlPage => Some(
                HttpAnswer::status(200)
                    .header("Content-Type", "text/html")
                    .body("<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>"),
            ),
            UpgradeAnswer::LoginRedirect => {
                Some(HttpAnswer::status(302).header("Location", "https://login.example/portal?return=chat"))
            }
            UpgradeAnswer::HeaderStripped => Some(
                HttpAnswer::status(426)
                    .header("Upgrade", "websocket")
                    .header("Connection", "Upgrade"),
            ),
            UpgradeAnswer::Http(answer) => Some(answer.clone()),
        }
    }
}

impl HttpAnswer {
    /// A status with a proxy's usual page.
    pub fn status(status: u16) -> Self {
        HttpAnswer {
            status,
            headers: BTreeMap::new(),
            body: None,
        }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// With this body.
    pub fn body(self, body: impl Into<String>) -> Self {
        HttpAnswer {
            body: Some(body.into()),
            ..self
        }
    }

    /// Headers that HTTP does not allow are left out.
    pub(super) fn response<B: From<String>>(&self) -> Response<B> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (body, page) = match &self.body {
            Some(body) => (body.clone(), false),
            None => (usual_page(status), true),
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if page {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        }
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn usual_page(status: StatusCode) -> String {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

fn final_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 200..=599 => Ok(status),
        other => Err(serde::de::Error::custom(format!(
            "{other} is no final HTTP status (200 to 599)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_read_from_json() {
        let json = r#"{"upgrade": {"http": {"status": 503, "headers": {"Retry-After": "5"}}}, "queue": {"status": 404},
            "white_list": {"allow": ["127.0.0.2"], "others": "forbidden"}, "body_limit": {"bytes": 1000}}"#;
        let edge: Edge = serde_json::from_str(json).unwrap();
        let answer: Response<String> = edge.upgrade.http().unwrap().response();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &HeaderValue::from_static("5"))
        );
        assert!(answer.body().contains("503 Service Unavailable"));
        assert_eq!(edge.body_limit.unwrap().over, OverLimit::Close);
        for wrong in [
            r#"{"upgrade": "nonsense"}"#,
            r#"{"queue": {"status": 101}}"#,
            r#"{"up": "close"}"#,
        ] {
            assert!(serde_json::from_str::<Edge>(wrong).is_err(), "{wrong}");
        }
    }
}
