use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use ccm_db::DbError;
use ccm_numbers::NumberError;
use ccm_web::Problem;
use std::time::Duration;

/// Why a request was not answered.
#[derive(Debug)]
pub enum Failure {
    /// 429: the tenant's rate of questions to providers is used up for so long.
    TooOften(Duration),
    /// Classified already.
    Problem(Problem),
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Problem(error.into())
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

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::TooOften(wait) => too_often(wait),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

fn too_often(wait: Duration) -> Response {
    let seconds = wait.as_millis().div_ceil(1000).max(1) as u64;
    let mut response = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-look-ups",
        "The tenant looks up too many numbers at once",
    )
    .detail("every look-up costs the tenant money, so their rate is bounded")
    .field("lookup")
    .remedy(format!(
        "ask again in {seconds} s, or without lookup=true for what is known without a provider"
    ))
    .into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        for (ms, seconds) in [(1, "1"), (1000, "1"), (1001, "2"), (9_999, "10")] {
            let response = Failure::TooOften(Duration::from_millis(ms)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], seconds, "{ms} ms");
        }
    }
}
