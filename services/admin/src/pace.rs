//! How many requests one caller may send. Each pod counts for itself.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ccm_web::{Caller, Problem, Rate};
use std::num::NonZeroU32;

/// Drafts 3 to 7 of the IETF's RateLimit header fields: what most clients know.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What one caller may send.
#[derive(Debug, Clone, Copy)]
pub struct RequestRate {
    /// Over time.
    pub per_minute: NonZeroU32,
    /// At once, after a rest.
    pub at_once: NonZeroU32,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pace {
    rate: RequestRate,
    callers: Rate<String>,
}

impl Pace {
    pub fn new(rate: RequestRate) -> Self {
        Self {
            rate,
            callers: Rate::new(rate.per_minute, rate.at_once),
        }
    }

    fn announce(&self, headers: &mut HeaderMap, remaining: u32) {
        let RequestRate { per_minute, at_once } = self.rate;
        let missing = u64::from(at_once.get().saturating_sub(remaining));
        let full_in_s = (missing * 60).div_ceil(per_minute.get().into());
        headers.insert(LIMIT, at_once.get().into());
        headers.insert(REMAINING, remaining.into());
        headers.insert(RESET, full_in_s.into());
    }
}

/// Answers 429 when a caller asks too much, and says in every answer how much is left. To be put within [`ccm_web::identify`].
pub(crate) async fn pace(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    let caller = match request.extensions().get::<Caller>() {
        Some(Caller {
            bearer: Ok(bearer), ..
        }) => bearer.id(),
        Some(Caller { from: Some(from), .. }) => format!("address {from}"),
        _ => "unknown".to_owned(),
    };
    match pace.callers.take(&caller) {
        Ok(remaining) => {
            let mut response = next.run(request).await;
            pace.announce(response.headers_mut(), remaining);
            response
        }
        Err(wait) => {
            let seconds = wait.as_secs() + 1;
            let mut response = too_many(seconds).into_response();
            pace.announce(response.headers_mut(), 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

fn too_many(seconds: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests",
    )
    .detail("this token, key or address has sent more requests than it may")
    .remedy(format!(
        "send it again after {seconds} s; RateLimit-Remaining in each answer says how many are left"
    ))
}
