//! The EWC port: TCP, TLS, HTTP, and the two addresses that AACC serves on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::book::Book;
use crate::fault::NewConnections;
use crate::sim::Shared;
use crate::socket::{self, Stream};

const CHAT: &str = "/CustomerControllerWeb/chat";
const QUEUE: &str = "/CustomerControllerWeb/currentqueue";
/// The reverse proxy in front of AACC takes no more.
const MOST_BODY: usize = 5 << 20;
const TLS_WAIT: Duration = Duration::from_secs(10);

/// Accepts connections until the simulator stops.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, _)) => {
                let (task, tls) = (shared.clone(), tls.clone());
                shared.tasks.spawn(async move {
                    let stop = task.stop.clone();
                    tokio::select! {
                        () = connection(task, tcp, tls) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(error.message = %error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, tcp: TcpStream, tls: Option<TlsAcceptor>) {
    match shared.with(|book| book.faults.new_connections) {
        NewConnections::Accept => {}
        NewConnections::Refuse => return socket::reset_on_drop(&tcp),
        NewConnections::Hang => {
            shared
                .until(|book| (book.faults.new_connections != NewConnections::Hang).then_some(()))
                .await;
            return socket::reset_on_drop(&tcp);
        }
    }
    let _ = tcp.set_nodelay(true);
    let stream = match tls {
        None => Stream::Plain(tcp),
        Some(acceptor) => match timeout(TLS_WAIT, Box::pin(acceptor.accept(tcp))).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => return tracing::debug!(error.message = %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!("TLS handshake timed out"),
        },
    };
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(shared, request).await) }
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

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    match (request.uri().path(), request.method()) {
        (CHAT, &Method::GET) => upgrade(shared, request),
        (QUEUE, &Method::POST) => current_queue(shared, request).await,
        (CHAT | QUEUE, _) => wrong(&shared, StatusCode::METHOD_NOT_ALLOWED, "http_method"),
        _ => wrong(&shared, StatusCode::NOT_FOUND, "http_path"),
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
    if shared.with(|book| book.faults.maintenance) {
        return respond(StatusCode::SERVICE_UNAVAILABLE, Body::empty());
    }
    let body = to_bytes(Body::new(request.into_body()), MOST_BODY).await;
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
