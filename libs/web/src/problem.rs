use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_auth::{Denied, TokenError};
use ccm_db::DbError;
use serde::{Serialize, Serializer};
use std::fmt;
use utoipa::ToSchema;
use uuid::Uuid;

/// The content type of [`Problem`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that says what is wrong, where, and what to do (RFC 9457). Handlers return it as their error.
///
/// `Debug` shows neither detail nor field: they may repeat what was sent.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of problem, the same for all of its kind: `urn:ccm:problem:KIND`.
    #[serde(rename = "type", serialize_with = "urn")]
    #[schema(example = "urn:ccm:problem:invalid-request")]
    kind: &'static str,
    /// The kind in words.
    #[schema(example = "The request is not valid")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400, minimum = 400, maximum = 599)]
    status: u16,
    /// This occurrence in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    detail: Option<Box<str>>,
    /// Which part of the request is wrong, as a path like `numbers[0].address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    field: Option<Box<str>>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    remedy: Option<Box<str>>,
    /// To be quoted to support; stands in our logs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
    #[serde(skip)]
    #[schema(ignore)]
    challenge: Option<Challenge>,
}

/// What a 401 says in `WWW-Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Challenge {
    NoToken,
    BadToken(TokenError),
}

fn urn<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:ccm:problem:{kind}"))
}

impl Problem {
    /// A problem of a kind of the caller's own. `kind` is lower case with dashes.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: None,
            field: None,
            remedy: None,
            request_id: None,
            challenge: None,
        }
    }

    /// 400: the request cannot be read or says something impossible.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            "The request is not valid",
        )
        .detail(detail)
    }

    /// 400: one part of the request is wrong.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(detail).field(field)
    }

    /// 401, with the challenge that HTTP wants. `token` says what is wrong with the one that was given, if one was.
    pub fn unauthorised(token: Option<TokenError>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "A valid token is needed",
        );
        match token {
            None => {
                problem.challenge = Some(Challenge::NoToken);
                problem
                    .detail("the request carries no token")
                    .remedy("send the header `Authorization: Bearer TOKEN`; `ccm token` issues one")
            }
            Some(error) => {
                problem.challenge = Some(Challenge::BadToken(error));
                problem.detail(error.to_string())
            }
        }
    }

    /// 401, with the challenge that HTTP wants, where a screen-pop key is needed.
    pub fn key_needed(detail: &str) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorised", "A valid key is needed");
        problem.challenge = Some(Challenge::NoToken);
        problem.detail(detail).remedy(
            "send the header `Authorization: Bearer KEY` with one of the tenant's screen-pop keys; the admin API makes them",
        )
    }

    /// 403, naming what it takes.
    pub fn forbidden(denied: &Denied) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The token does not allow this",
        )
        .detail(denied.to_string())
        .remedy(denied.remedy())
    }

    /// 404. `what` as in "tenant", "link".
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing here")
            .detail(format!("there is no such {what}"))
    }

    /// 409: it collides with what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "It collides with what is there").detail(detail)
    }

    /// 413.
    pub fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request body is too large",
        )
        .detail(format!("at most {limit_bytes} bytes are read"))
    }

    /// 500. `error` is logged once, here, and not shown; it must hold no text or number of a customer.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::broken()
    }

    /// 503: it may go well when it is tried again. `error` is logged once, here, and not shown.
    pub fn unavailable(error: impl fmt::Display) -> Self {
        tracing::warn!(%error, "request failed for now");
        Self::later()
    }

    /// What was logged elsewhere.
    pub(crate) fn broken() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something is broken here",
        )
        .remedy("tell support the request_id")
    }

    pub(crate) fn later() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "This does not work for the moment",
        )
        .remedy("send the same request again in a few seconds")
    }

    /// What is wrong this time.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into());
        self
    }

    /// Where it is wrong.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into().into());
        self
    }

    /// What to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into().into());
        self
    }

    pub(crate) fn request_id(mut self, id: Uuid) -> Self {
        self.request_id = Some(id);
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written as JSON")
    }

    /// The kind of problem, as it stands in `type`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Contended(_) => {
                Self::conflict(error.to_string()).remedy("look again, and send it again if it still fits")
            }
            error if error.is_retryable() => Self::unavailable(error),
            error => Self::internal(error),
        }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {})", self.status, self.kind)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = self.challenge.map(|challenge| match challenge {
            Challenge::NoToken => "Bearer realm=\"ccm\"".to_owned(),
            Challenge::BadToken(error) => {
                format!("Bearer realm=\"ccm\", error=\"invalid_token\", error_description=\"{error}\"")
            }
        });
        if let Some(challenge) = challenge {
            let value = HeaderValue::from_str(&challenge).expect("our errors' texts are ASCII");
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        // [`crate::wrap`] writes the body again with the request's id.
        response.extensions_mut().insert(self);
        response
    }
}
