//! What handlers answer with.

use crate::valid::Refused;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ccm_db::DbError;
use ccm_numbers::NumberError;
use ccm_web::{Json, Problem};
use serde::Serialize;
use std::fmt;
use utoipa::{IntoResponses, ToSchema};

/// 201 with what was made.
pub struct Made<T>(pub T);

impl<T: Serialize> IntoResponse for Made<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

/// 204: it is gone.
pub struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A whole list: a tenant has a handful of each.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
}

impl<T> List<T> {
    pub fn of<R>(rows: Vec<R>, read: impl FnMut(R) -> T) -> Json<Self> {
        Json(Self {
            items: rows.into_iter().map(read).collect(),
        })
    }
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 422: it was understood, and one of its values is not taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// 409: it exists already.
    #[error("a {what} with this {field} exists already{}", id.as_ref().map(|id| format!(": {id}")).unwrap_or_default())]
    Exists {
        what: &'static str,
        field: &'static str,
        /// Which, if the caller may know.
        id: Option<String>,
    },
    /// 412: it is not any more what the caller has read.
    #[error("If-Match is of an earlier state of the {what}: somebody has made a change since")]
    Changed { what: &'static str },
    /// 404, 500 or 503.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Classified already.
    #[error("{0:?}")]
    Problem(Problem),
}

impl Failure {
    /// 409 that names the row in the way.
    pub fn exists(what: &'static str, field: &'static str, id: Option<impl fmt::Display>) -> Self {
        Self::Exists {
            what,
            field,
            id: id.map(|id| id.to_string()),
        }
    }

    /// 422: it refers to something that the tenant does not have.
    pub fn unknown(field: &'static str, what: &str, list: &'static str) -> Self {
        Self::Refused(Refused::new(
            field,
            format!("is not the id of a {what} of this tenant"),
            list,
        ))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NumberError> for Failure {
    fn from(error: NumberError) -> Self {
        Self::Problem(Problem::invalid_field(error.field(), error.to_string()).remedy(error.remedy()))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Refused(refused) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused-value",
                "A value is not taken",
            )
            .detail(detail)
            .field(refused.field)
            .remedy(refused.remedy),
            Failure::Exists { field, .. } => Self::conflict(detail)
                .field(field)
                .remedy("use the one that exists, or choose another value"),
            Failure::Changed { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed-meanwhile",
                "It was changed meanwhile",
            )
            .detail(detail)
            .field("If-Match")
            .remedy("read again, put your change into what you get, and send that with its ETag"),
            Failure::Db(DbError::NotFound(what)) => Self::not_found(what)
                .remedy("take the id from the list of the API; what another tenant has is not found either"),
            Failure::Db(error @ DbError::Held(_)) => Self::conflict(error.to_string())
                .remedy("GET /v1/tenants/{tenant}/legal-holds says why it stands and who has placed it"),
            Failure::Db(error) => error.into(),
            Failure::Problem(problem) => problem,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// How every request can fail, for the document.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Always {
    /// The path, the query or the body cannot be read; `field` names the part.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// No token, or one that is not valid.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorised(Problem),
    /// The token's role does not allow it, or the token is of another tenant.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// This caller asks too much; `Retry-After` says when to ask again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Problem),
    /// Something is broken here; `request_id` finds it in the logs.
    #[response(status = 500, content_type = "application/problem+json")]
    Broken(Problem),
    /// The database is away or too busy. The same request may succeed in a few seconds.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// How a request within a tenant can fail, besides [`Always`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum InTenant {
    /// There is no such tenant, or nothing of this id in it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// How a request that makes something can fail, besides [`Always`] and [`Taking`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Making {
    /// It exists already; `detail` names it. Nothing was made.
    #[response(status = 409, content_type = "application/problem+json")]
    Exists(Problem),
}

/// How a request can fail that changes whether a tenant is carried, besides [`Always`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum InDeletion {
    /// The tenant's deletion is in the way, or there is none that could be taken back; `detail` says which.
    #[response(status = 409, content_type = "application/problem+json")]
    InTheWay(Problem),
}

/// How a request with a body can fail, besides [`Always`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Taking {
    /// The body is larger than the server takes.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not announced as JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
    /// It was understood, and the value at `field` is not taken; `remedy` says what would be.
    #[response(status = 422, content_type = "application/problem+json")]
    Refused(Problem),
}
