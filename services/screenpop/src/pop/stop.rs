//! Why there is no page, said on a page: agents read it.

use super::{
    assets::STYLE,
    dress::{Frames, dressed},
    words::{Words, with},
};
use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_auth::PopLinkError;
use ccm_db::DbError;
use ccm_web::{Problem, RequestId};
use std::time::Duration;

/// Why there is no page.
#[derive(Debug)]
pub enum Stop {
    Key,
    Network,
    /// The key is for something else.
    Use,
    Suspended,
    /// Too many wrong keys came from one address.
    WrongKeys(Duration),
    /// Too many pages are opened with one key.
    Busy(Duration),
    Link(PopLinkError),
    LinkUsed,
    Ended,
    Form,
    NoSender,
    Problem(Problem),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        match error {
            // A page that ended in this very moment.
            DbError::NotFound(_) => Self::Ended,
            error => Self::Problem(error.into()),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorView<'a> {
    w: &'static Words,
    style: &'a str,
    said: String,
}

impl Stop {
    fn status(&self) -> StatusCode {
        match self {
            Self::Key | Self::Link(_) => StatusCode::UNAUTHORIZED,
            Self::Network | Self::Use | Self::Suspended => StatusCode::FORBIDDEN,
            Self::WrongKeys(_) | Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::LinkUsed | Self::Ended => StatusCode::GONE,
            Self::Form => StatusCode::BAD_REQUEST,
            Self::NoSender => StatusCode::CONFLICT,
            Self::Problem(problem) => problem.status(),
        }
    }

    fn said(&self, words: &Words, request: RequestId) -> String {
        let seconds =
            |template: &str, wait: Duration| with(template, &[("seconds", &whole_seconds(wait).to_string())]);
        let link = |why: &str| with(&words.error_link, &[("why", why)]);
        match self {
            Self::Key => words.error_key.clone(),
            Self::Network => words.error_network.clone(),
            Self::Use => words.error_use.clone(),
            Self::Suspended => words.error_suspended.clone(),
            Self::WrongKeys(wait) => seconds(&words.error_too_often, *wait),
            Self::Busy(wait) => seconds(&words.error_busy, *wait),
            Self::Link(error) => link(wrong_link(*error, words)),
            Self::LinkUsed => link(&words.error_link_used),
            Self::Ended => words.error_ended.clone(),
            Self::Form => words.error_form.clone(),
            Self::NoSender => words.no_sender.clone(),
            Self::Problem(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                words.error_later.clone()
            }
            Self::Problem(_) => with(&words.error_broken, &[("request", &request.to_string())]),
        }
    }

    /// A metric's label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Key => "wrong_key",
            Self::Network => "wrong_network",
            Self::Use => "wrong_use",
            Self::Suspended => "suspended",
            Self::WrongKeys(_) | Self::Busy(_) => "limited",
            Self::Link(_) => "wrong_link",
            Self::LinkUsed => "used_link",
            Self::Ended => "ended",
            Self::Form => "unreadable",
            Self::NoSender => "no_sender",
            Self::Problem(_) => "failed",
        }
    }

    /// The page that says it, in the browser's language.
    pub fn page(&self, headers: &HeaderMap, request: RequestId) -> Response {
        let asked = headers.get(header::ACCEPT_LANGUAGE);
        let words = Words::accepted(asked.and_then(|value| value.to_str().ok()).unwrap_or_default());
        let view = ErrorView {
            w: words,
            style: &STYLE.name,
            said: self.said(words, request),
        };
        let Ok(html) = view.render() else {
            return Problem::internal("the page of an error cannot be rendered").into_response();
        };
        let mut response = dressed(html, Frames::Nobody);
        *response.status_mut() = self.status();
        if let Self::WrongKeys(wait) | Self::Busy(wait) = self {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
        }
        response
    }
}

fn wrong_link(error: PopLinkError, words: &Words) -> &str {
    match error {
        PopLinkError::Malformed => &words.link_malformed,
        PopLinkError::Extension => &words.link_extension,
        PopLinkError::Algorithm => &words.link_algorithm,
        PopLinkError::Signature => &words.link_signature,
        PopLinkError::Expired => &words.link_expired,
        PopLinkError::Early => &words.link_early,
        PopLinkError::TooLong => &words.link_too_long,
        PopLinkError::Audience => &words.link_audience,
    }
}

/// Rounded up: who waits so long has waited long enough.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1) as u64
}
