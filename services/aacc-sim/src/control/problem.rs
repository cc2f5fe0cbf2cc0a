//! Refusals that say what is wrong, and the extractors that make them.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::OpError;

/// A refusal, as `application/problem+json`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Problem {
            status,
            title,
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"title": self.title, "detail": self.detail, "status": self.status.as_u16()});
        (
            self.status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body.to_string(),
        )
            .into_response()
    }
}

impl From<OpError> for Problem {
    fn from(error: OpError) -> Self {
        let (status, title) = match &error {
            OpError::NoSuchChat(_) => (StatusCode::NOT_FOUND, "No such chat"),
            OpError::ChatEnded(_) => (StatusCode::CONFLICT, "The chat has ended"),
            OpError::AgentNotIn { .. } => (StatusCode::CONFLICT, "The agent is not in the chat"),
            OpError::AgentAlreadyIn { .. } => (StatusCode::CONFLICT, "The agent is in the chat already"),
            OpError::NobodyIn(_) => (StatusCode::CONFLICT, "No agent is in the chat"),
            OpError::NoSocket(_) => (StatusCode::CONFLICT, "The chat has no open socket"),
        };
        Problem::new(status, title, error.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Problem::new(
            rejection.status(),
            "The body is not as it should be",
            rejection.body_text(),
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Problem::new(
            rejection.status(),
            "The address is not as it should be",
            rejection.body_text(),
        )
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::new(
            rejection.status(),
            "The query is not as it should be",
            rejection.body_text(),
        )
    }
}

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(super) struct Json<T>(pub T);

/// The guid in the address.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Query<T>(pub T);
