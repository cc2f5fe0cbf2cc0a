use crate::{Problem, extract::BodyLimit};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use ccm_model::{Id, IdSource};
use std::{
    fmt,
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a service meets the world.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// The label `role` of its metrics.
    pub role: &'static str,
    /// Larger bodies are answered with 413.
    pub max_body_bytes: usize,
    /// A request that takes longer is dropped where it stands and answered with 503.
    pub timeout: Option<Duration>,
}

/// The id of a request: the caller's `X-Request-Id` if it is a UUID, else a new one. It is in logs, traces, problems and
/// the answer's `X-Request-Id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

impl Id for RequestId {
    fn from_uuid(raw: Uuid) -> Self {
        Self(raw)
    }
    fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = parts.extensions.get::<Self>().copied();
        id.ok_or_else(|| Problem::internal("the router is not wrapped"))
    }
}

/// Puts around a router with all its routes: request ids, problems for unknown paths and methods, for panics, and for
/// bodies that are too large or requests that take too long, a span and metrics per request.
///
/// Spans and metrics name the route's template, never the path, the query, a header or a body: these hold numbers, texts
/// and keys.
pub fn wrap<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    config: WebConfig,
    ids: IdSource,
) -> Router<S> {
    let limit = config.max_body_bytes;
    router
        .fallback(async || Problem::not_found("page").remedy("/openapi.json lists what there is"))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(limit))
        // The panic itself is logged by the process' hook.
        .layer(CatchPanicLayer::custom(|_| Problem::broken().into_response()))
        .layer(from_fn_with_state((config, ids), around))
}

async fn wrong_method() -> Problem {
    wrong_method_problem()
}

fn wrong_method_problem() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This path does not know that method",
    )
    .remedy("the answer's header Allow lists those that it knows")
}

/// The `HEAD` of routes whose `GET` does something: whoever asks for headers alone, as scanners of links do, shall not do it.
/// `allow` lists what there is.
pub fn no_head(allow: &'static str) -> impl Fn() -> Ready<Response> + Clone + Send + Sync + 'static {
    move || {
        let mut response = wrong_method_problem().into_response();
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        ready(response)
    }
}

/// For answers that hold customers' texts or numbers, or once a key: no cache on the way keeps them.
pub async fn not_stored(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn around(
    State((config, ids)): State<(WebConfig, IdSource)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(&request, &ids);
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(BodyLimit(config.max_body_bytes));

    let span = tracing::info_span!(
        "http.request",
        http.method = method,
        http.route = route,
        http.status = Empty,
        request.id = %id,
    );
    let started = Instant::now();
    let mut response = answer(&config, request, next).instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let status = response.status();
    span.record("http.status", status.as_u16());
    let _in = span.enter();
    tracing::debug!(duration_ms = elapsed.as_millis() as u64, "answered");

    metrics::counter!(
        "ccm_http_requests_total",
        "role" => config.role, "route" => route.clone(), "method" => method, "status" => status.as_str().to_owned()
    )
    .increment(1);
    metrics::histogram!(
        "ccm_http_request_seconds",
        "role" => config.role, "route" => route, "method" => method
    )
    .record(elapsed.as_secs_f64());

    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = problem.request_id(id.0).body().into();
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let value = HeaderValue::from_str(&id.to_string()).expect("a UUID is ASCII");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

async fn answer(config: &WebConfig, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > config.max_body_bytes) {
        return Problem::too_large(config.max_body_bytes).into_response();
    }
    match config.timeout {
        None => next.run(request).await,
        Some(limit) => match timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                tracing::warn!(
                    limit_ms = limit.as_millis() as u64,
                    "request took too long and was dropped"
                );
                Problem::later().into_response()
            }
        },
    }
}

fn request_id(request: &Request, ids: &IdSource) -> RequestId {
    // Only UUIDs: the id is logged, and anything else could be somebody's number.
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|v| Uuid::try_parse_ascii(v.as_bytes()).ok());
    given.map_or_else(|| ids.next(), RequestId)
}

/// Methods are the caller's words; a label has few values.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
