use crate::Problem;
use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        path::ErrorKind,
        rejection::{BytesRejection, FailedToBufferBody, PathRejection},
    },
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) const SCHEMA: &str = "the API's document, /openapi.json, says what is expected";

/// A request's or an answer's JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = json_body(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| unreadable(&error.path().to_string(), error.inner()))?;
        ended(json)?;
        Ok(Self(value))
    }
}

/// A body that is announced as JSON.
pub(crate) async fn json_body<S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<axum::body::Bytes, Problem> {
    if !is_json(&request) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body is not JSON",
        )
        .remedy("send JSON with the header `Content-Type: application/json`"));
    }
    let Bytes(body) = Bytes::from_request(request, state).await?;
    Ok(body)
}

/// Whether a JSON document has a U+0000 in a text or a name: Postgres takes none.
pub(crate) fn holds_nul(json: &[u8]) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(holds),
            Value::Object(members) => members
                .iter()
                .any(|(name, value)| name.contains('\0') || holds(value)),
            _ => false,
        }
    }
    let escaped = json.windows(6).any(|part| part == br"\u0000");
    escaped && serde_json::from_slice(json).is_ok_and(|value| holds(&value))
}

/// What is wrong with a body, and at which path.
pub(crate) fn unreadable(path: &str, error: &serde_json::Error) -> Problem {
    let field = field(path, &error.to_string());
    let problem = Problem::invalid(error.to_string());
    match (error.classify(), field) {
        (serde_json::error::Category::Data, Some(field)) => problem.field(field).remedy(SCHEMA),
        (serde_json::error::Category::Data, None) => problem.remedy(SCHEMA),
        _ => problem.remedy("send well-formed JSON"),
    }
}

/// Nothing may follow the value.
pub(crate) fn ended<'a>(
    mut json: serde_json::Deserializer<impl serde_json::de::Read<'a>>,
) -> Result<(), Problem> {
    json.end().map_err(|error| {
        Problem::invalid(error.to_string()).remedy("send one JSON value and nothing after it")
    })
}

/// Which field an error is about. The path of a missing one is that of the object that lacks it; serde's words name it.
fn field(path: &str, said: &str) -> Option<String> {
    let missing = said
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    match (path, missing) {
        (".", missing) => missing.map(str::to_owned),
        (path, Some(missing)) => Some(format!("{path}.{missing}")),
        (path, None) => Some(path.to_owned()),
    }
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A request's body as it is, for signatures.
#[derive(Debug, Clone)]
pub struct Bytes(pub axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limit = request.extensions().get::<BodyLimit>().map(|limit| limit.0);
        match axum::body::Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
                Err(Problem::too_large(limit.unwrap_or(AXUMS_LIMIT)))
            }
            Err(_) => Err(Problem::invalid("the body broke off").remedy("send the request again")),
        }
    }
}

/// What axum reads at most when nobody has said otherwise.
const AXUMS_LIMIT: usize = 2 * 1024 * 1024;

/// The limit that [`crate::wrap`] sets, for the answer to name it.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// The path's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(path_problem(error.into_kind())),
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

fn path_problem(kind: ErrorKind) -> Problem {
    let remedy = "an id is a UUID, as the API gave it out";
    match kind {
        ErrorKind::ParseErrorAtKey {
            key, expected_type, ..
        } => Problem::invalid_field(key, format!("the path's part is not a {expected_type}")).remedy(remedy),
        ErrorKind::DeserializeError { key, message, .. } => {
            Problem::invalid_field(key, message).remedy(remedy)
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::invalid_field(key, "the path's part is not UTF-8").remedy(remedy)
        }
        ErrorKind::ParseErrorAtIndex { expected_type, .. } | ErrorKind::ParseError { expected_type, .. } => {
            Problem::invalid(format!("a part of the path is not a {expected_type}")).remedy(remedy)
        }
        ErrorKind::Message(message) => Problem::invalid(message).remedy(remedy),
        other => Problem::internal(format!("the route and its handler do not fit together: {other}")),
    }
}

/// The query's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(error) => Err(query_problem(&error.body_text())),
        }
    }
}

/// axum says `Failed to deserialize query string: FIELD: REASON`, without the field if none is to blame.
fn query_problem(text: &str) -> Problem {
    let text = text.rsplit_once("query string: ").map_or(text, |(_, rest)| rest);
    let field = text.split_once(": ").filter(|(field, _)| !field.contains(' '));
    match field {
        Some((field, reason)) => Problem::invalid_field(field, reason),
        None => Problem::invalid(text),
    }
    .remedy(SCHEMA)
}

/// In a query `+` stands for a space: an address that begins with one began with a `+`.
pub fn plus(raw: &str) -> String {
    match raw.strip_prefix(' ') {
        Some(rest) => format!("+{rest}"),
        None => raw.to_owned(),
    }
}
