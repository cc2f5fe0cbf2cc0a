//! Why a webhook is not taken, and what its sender is told.

use crate::AcceptError;
use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use ccm_db::DbError;
use ccm_sms::{AccountError, ReceiveError};
use ccm_web::Problem;
use std::time::Duration;

/// Everything but a 2xx. What is worth a retry is a 503 with `Retry-After`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The address names no account of that kind. Says no more: whoever asks is not authenticated.
    #[error("the address names no account")]
    NoAccount,
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error("the account has no such number")]
    UnknownNumber,
    #[error("the account cannot be used as it is stored: {0}")]
    Account(AccountError),
    #[error("too many texts wait to be stored")]
    Full,
    #[error("the database does not answer: {0}")]
    Unavailable(DbError),
    #[error("not stored within {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error("the process ends")]
    Ending,
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for Refusal {
    fn from(e: DbError) -> Self {
        match e {
            e if e.is_retryable() => Self::Unavailable(e),
            // Removed in the moment since it was looked up.
            DbError::Conflict { missing: true, .. } => Self::UnknownNumber,
            e => Self::Db(e),
        }
    }
}

impl From<AcceptError> for Refusal {
    fn from(e: AcceptError) -> Self {
        match e {
            AcceptError::Full => Self::Full,
            AcceptError::Ending => Self::Ending,
            AcceptError::Db(e) => e.into(),
        }
    }
}

impl Refusal {
    /// The metric's label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAccount => "no_account",
            Self::Receive(ReceiveError::BadSignature { .. }) => "signature",
            Self::Receive(ReceiveError::Stale { .. }) => "stale",
            Self::Receive(ReceiveError::WrongAccount { .. }) => "wrong_account",
            Self::Receive(ReceiveError::Malformed { .. }) => "malformed",
            Self::Receive(ReceiveError::TooLarge) => "too_large",
            Self::UnknownNumber => "unknown_number",
            Self::Account(_) => "account",
            Self::Full => "full",
            Self::Unavailable(_) => "database_away",
            Self::TooSlow(_) => "too_slow",
            Self::Ending => "ending",
            Self::Db(_) => "not_stored",
        }
    }

    /// Says it once, in the request's span.
    pub fn tell(&self) {
        let reason = self.reason();
        match self {
            // Anybody can ask for an address that is none, or sign with nothing.
            Self::NoAccount => tracing::debug!(reason, "webhook refused: {self}"),
            Self::Receive(_) | Self::UnknownNumber => tracing::warn!(reason, "webhook refused: {self}"),
            // The outage itself is told by whoever meets it first; each text of it is counted.
            Self::Full | Self::Unavailable(_) | Self::TooSlow(_) | Self::Ending => {
                tracing::debug!(reason, "webhook refused for now: {self}");
            }
            Self::Account(_) | Self::Db(_) => tracing::error!(reason, "webhook failed: {self}"),
        }
    }

    fn retry_after(&self) -> Option<u16> {
        match self {
            Self::Full | Self::Ending => Some(1),
            Self::Unavailable(_) | Self::TooSlow(_) => Some(5),
            _ => None,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::NoAccount => Problem::not_found("webhook")
                .remedy("use the webhook address that the provider account shows"),
            Self::Receive(e) => receive(e),
            Self::UnknownNumber => Problem::new(
                StatusCode::NOT_FOUND,
                "unknown-number",
                "The text is for a number that this account does not have",
            )
            .detail(self.to_string())
            .field("to")
            .remedy("add the number to the account, or point its webhook at the account that has it"),
            Self::Full | Self::Unavailable(_) | Self::TooSlow(_) | Self::Ending => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The text cannot be stored for the moment",
            )
            .remedy("send the same request again after the time that Retry-After names"),
            Self::Account(_) | Self::Db(_) => Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The text cannot be stored",
            )
            .remedy("tell support the request_id"),
        }
    }
}

fn receive(e: &ReceiveError) -> Problem {
    let (kind, title, field) = match e {
        ReceiveError::BadSignature { .. } => ("bad-signature", "The signature does not fit", None),
        ReceiveError::Stale { .. } => ("stale", "The request was signed at another time", None),
        ReceiveError::WrongAccount { field } => (
            "wrong-account",
            "The request is for another account",
            Some(*field),
        ),
        ReceiveError::Malformed { field, .. } => {
            ("invalid-request", "The request cannot be read", Some(*field))
        }
        ReceiveError::TooLarge => ("too-large", "The request body is too large", None),
    };
    let problem = Problem::new(e.status(), kind, title).detail(e.to_string());
    match field {
        Some(field) => problem.field(field),
        None => problem,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem().into_response();
        if let Some(seconds) = self.retry_after() {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_says_when_to_come_again_and_nothing_else_does() {
        let unavailable = || DbError::Conflict {
            constraint: String::new(),
            missing: true,
        };
        for (refusal, status, retry_after) in [
            (Refusal::Full, 503, Some("1")),
            (Refusal::Ending, 503, Some("1")),
            (Refusal::TooSlow(Duration::from_secs(10)), 503, Some("5")),
            (Refusal::Unavailable(unavailable()), 503, Some("5")),
            (Refusal::from(unavailable()), 404, None),
            (Refusal::NoAccount, 404, None),
            (Refusal::Db(DbError::NotFound("x")), 500, None),
            (Refusal::Receive(ReceiveError::Stale { limit_s: 300 }), 403, None),
        ] {
            let reason = refusal.reason();
            let response = refusal.into_response();
            assert_eq!(response.status(), status, "{reason}");
            let header = response.headers().get(RETRY_AFTER).map(|v| v.to_str().unwrap());
            assert_eq!(header, retry_after, "{reason}");
        }
    }
}
