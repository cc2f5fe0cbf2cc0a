//! The admin API, asked as everybody asks it.

use crate::form;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use ccm_model::IdSource;
use http_body_util::BodyExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tower::ServiceExt;

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Of 200 items each.
const MOST_PAGES: usize = 5;
const ONCE: HeaderName = HeaderName::from_static("idempotency-key");

/// On whose behalf the API is asked.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// A session's key, or what is to begin a session.
    pub key: Option<SecretString>,
    /// Where they are, as far as it is known: for the API's own reading of `X-Forwarded-For`.
    pub peer: Option<SocketAddr>,
    pub forwarded: Vec<HeaderValue>,
}

/// A request.
pub struct Ask<'a> {
    pub method: Method,
    /// With its query.
    pub path: &'a str,
    pub body: Option<&'a Value>,
    /// `If-Match`
    pub tag: Option<&'a str>,
    /// `Idempotency-Key`
    pub once: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            tag: None,
            once: None,
        }
    }

    pub fn post(path: &'a str, body: Option<&'a Value>) -> Self {
        Self {
            method: Method::POST,
            body,
            ..Self::get(path)
        }
    }
}

/// What the API says.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub tag: Option<String>,
    /// `null`: nothing. What did not go well is a problem in any case.
    pub json: Value,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// Reads the whole answer.
    pub async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let read = body
            .collect()
            .await
            .map_or_else(|_| Bytes::new(), |read| read.to_bytes());
        let json = serde_json::from_slice(&read).unwrap_or_default();
        Self {
            status: parts.status,
            tag: text(&parts.headers, header::ETAG),
            json: match (parts.status.is_success(), json) {
                (false, Value::Null) => {
                    json!({"status": parts.status.as_u16(), "title": "It could not be read"})
                }
                (_, json) => json,
            },
        }
    }

    /// For templates: what was read, or `{"problem": …}`.
    pub fn for_page(self) -> Value {
        match self.is_ok() {
            true => self.json,
            false => json!({ "problem": self.json }),
        }
    }
}

pub struct Api<'a> {
    router: &'a Router,
    ids: &'a IdSource,
}

impl<'a> Api<'a> {
    pub fn new(router: &'a Router, ids: &'a IdSource) -> Self {
        Self { router, ids }
    }

    /// Asks, and reads the whole answer.
    pub async fn ask(&self, who: &Who, ask: Ask<'_>) -> Answer {
        Answer::read(self.stream(who, ask, "application/json").await).await
    }

    /// Asks for a list, page after page: whole, unless it is longer than what anybody chooses from. Then it still has its
    /// `next_cursor`.
    pub async fn whole(&self, who: &Who, path: &str) -> Answer {
        let mut list = self.ask(who, Ask::get(path)).await;
        for _ in 1..MOST_PAGES {
            let Some(cursor) = list.json["next_cursor"].as_str() else {
                break;
            };
            let next = form::with_query(path, [("cursor", cursor)]);
            let Answer { status, mut json, .. } = self.ask(who, Ask::get(&next)).await;
            let (Some(items), Some(more), true) = (
                list.json["items"].as_array_mut(),
                json["items"].as_array_mut(),
                status.is_success(),
            ) else {
                break;
            };
            items.append(more);
            list.json["next_cursor"] = json["next_cursor"].take();
        }
        list
    }

    /// Asks for an answer that comes bit by bit.
    pub async fn stream(&self, who: &Who, ask: Ask<'_>, accept: &'static str) -> Response<Body> {
        let mut request = Request::new(match ask.body {
            Some(json) => Body::from(json.to_string()),
            None => Body::empty(),
        });
        *request.method_mut() = ask.method;
        let Ok(uri) = ask.path.parse() else {
            return status(StatusCode::BAD_REQUEST);
        };
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if ask.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let bearer = who
            .key
            .as_ref()
            .map(|key| format!("Bearer {}", key.expose_secret()));
        for (name, value) in [
            (header::AUTHORIZATION, bearer.as_deref()),
            (header::IF_MATCH, ask.tag),
            (ONCE, ask.once),
        ] {
            let Some(value) = value else { continue };
            let Ok(mut value) = HeaderValue::from_str(value) else {
                return status(StatusCode::BAD_REQUEST);
            };
            value.set_sensitive(name == header::AUTHORIZATION);
            headers.insert(name, value);
        }
        for hop in &who.forwarded {
            headers.append(FORWARDED, hop.clone());
        }
        if let Some(peer) = who.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// A new `Idempotency-Key`.
    pub fn once(&self) -> String {
        self.ids.next::<uuid::Uuid>().to_string()
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}
