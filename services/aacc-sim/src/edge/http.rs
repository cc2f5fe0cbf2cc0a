//! What is said in HTTP: the upgrade to a chat socket, queue metrics, and what a reverse proxy says in their place.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{HttpAnswer, UpgradeAnswer};
use crate::book::Book;
use crate::shared::Shared;
use crate::socket::{self, Stream};

const CHAT: &str = "/CustomerControllerWeb/chat";
const QUEUE: &str = "/CustomerControllerWeb/currentqueue";
/// The reverse proxy in front of AACC takes no more.
const MOST_BODY: usize = 5 << 20;

/// Closes the connection in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

/// Serves one connection. Strangers are refused, whatever they ask for.
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream, stranger: bool) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move {
            match stranger {
                true => Ok(HttpAnswer::status(403).response()),
                false => answer(shared, request).await,
            }
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(8 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(error.message = %error, "HTTP connection ended");
    }
}

/// Plain HTTP came to a port that speaks TLS.
pub(super) async fn refuse_plain(tcp: TcpStream) {
    let service = service_fn(async |_: Request<Incoming>| {
        let title = "400 The plain HTTP request was sent to HTTPS port";
        let page = format!("<html>\r\n<head><title>{title}</title></head>\r\n<body></body>\r\n</html>\r\n");
        let answer = HttpAnswer::status(400)
            .header("Content-Type", "text/html")
            .body(page);
        Ok::<Response<Body>, Infallible>(answer.header("Connection", "close").response())
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(tcp), service);
    if let Err(error) = served.await {
        tracing::debug!(error.message = %error, "a connection without TLS ended");
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    Ok(match (request.uri().path(), request.method()) {
        (CHAT, &Method::GET) => return chat(shared, request).await,
        (QUEUE, &Method::POST) => current_queue(shared, request).await,
        (CHAT | QUEUE, _) => wrong(&shared, StatusCode::METHOD_NOT_ALLOWED, "http_method"),
        _ => wrong(&shared, StatusCode::NOT_FOUND, "http_path"),
    })
}

/// The chat's address, as the reverse proxy lets it be reached.
async fn chat(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    match shared.look(|book| book.settings.edge.upgrade.clone()) {
        UpgradeAnswer::Upgrade => Ok(upgrade(shared, request)),
        UpgradeAnswer::Close => Err(Closed),
        UpgradeAnswer::Hang => {
            shared
                .until(|book| (book.settings.edge.upgrade != UpgradeAnswer::Hang).then_some(()))
                .await;
            Err(Closed)
        }
        other => Ok(other.http().map_or_else(Response::default, |a| a.response())),
    }
}

fn wrong(shared: &Arc<Shared>, status: StatusCode, rule: &'static str) -> Response<Body> {
    shared.with(|book| book.malformed(None, rule, "an HTTP request that AACC does not serve"));
    respond(status, Body::empty())
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn upgrade(shared: Arc<Shared>, mut request: Request<Incoming>) -> Response<Body> {
    let names = |name: header::HeaderName, token: &str| {
        let values = request.headers().get_all(name);
        let mut values = values.iter().filter_map(|v| v.to_str().ok());
        values.any(|v| v.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let well_formed = names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
        && names(header::SEC_WEBSOCKET_VERSION, "13");
    let Some(key) = key.filter(|_| well_formed) else {
        return wrong(&shared, StatusCode::BAD_REQUEST, "http_upgrade");
    };
    let upgraded = hyper::upgrade::on(&mut request);
    shared.tasks.spawn({
        let shared = shared.clone();
        async move {
            let Ok(upgraded) = upgraded.await else { return };
            let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else {
                return;
            };
            let stream = parts.io.into_inner();
            let config = Some(socket::websocket_config());
            let early = parts.read_buf.to_vec();
            let ws = WebSocketStream::from_partially_read(stream, early, Role::Server, config).await;
            // The handshake's memory is given back before the long life of the socket begins.
            shared.tasks.spawn(socket::serve(shared.clone(), ws));
        }
    });
    let mut response = respond(StatusCode::SWITCHING_PROTOCOLS, Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn current_queue(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (maintenance, edge) =
        shared.look(|book| (book.in_maintenance(Instant::now()), book.settings.edge.clone()));
    if let Some(answer) = edge.queue {
        return answer.response();
    }
    if maintenance {
        return respond(StatusCode::SERVICE_UNAVAILABLE, Body::empty());
    }
    let limit = edge
        .body_limit
        .map_or(MOST_BODY, |limit| limit.bytes.min(MOST_BODY));
    if request.body().size_hint().lower() > limit as u64 {
        return HttpAnswer::status(413).response();
    }
    let body = to_bytes(Body::new(request.into_body()), limit).await;
    let asked = body.ok().and_then(|b| serde_json::from_slice::<Value>(&b).ok());
    let Some(skillset) = asked
        .as_ref()
        .and_then(|v| v.get("skillset"))
        .and_then(Value::as_str)
    else {
        return wrong(&shared, StatusCode::BAD_REQUEST, "queue_request");
    };
    let metrics = shared.with(|book| queue_metrics(book, skillset));
    let text = json!({"body": {"metrics": metrics}}).to_string();
    let mut response = respond(StatusCode::OK, Body::from(text));
    let json_type = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json_type);
    response
}

fn queue_metrics(book: &Book, skillset: &str) -> Vec<Value> {
    let mut names = book.skillset_names();
    if !skillset.is_empty() {
        names = [skillset.to_owned()].into();
    }
    if book.settings.known_skillsets_only {
        names.retain(|name| book.settings.knows(name));
    }
    let one = |name: String| {
        let settings = book.settings.skillset(&name);
        json!({
            "queueName": name,
            "customersInQueue": book.queue_length(&name),
            "availableAgentsInQueue": settings.available_agents,
            "maxConcurrentChats": settings.max_chats.unwrap_or(u32::MAX),
        })
    };
    names.into_iter().map(one).collect()
}
