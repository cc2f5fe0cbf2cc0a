//! What is read and changed with an ETag that keeps two people from overwriting each other.

use crate::answer::Failure;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_db::{DbError, Unless};
use ccm_web::{Json, Problem};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{convert::Infallible, future::Future};
use time::OffsetDateTime;
use utoipa::{IntoParams, IntoResponses};

/// An answer with its ETag.
pub type Tagged<T> = ([(HeaderName, String); 1], Json<T>);

/// The document as it was changed at that moment; `None`: never.
pub fn tagged<T>(settings: T, changed: Option<OffsetDateTime>) -> Tagged<T> {
    with_tag(settings, tag(changed))
}

pub fn with_tag<T>(answer: T, tag: String) -> Tagged<T> {
    ([(header::ETAG, tag)], Json(answer))
}

/// The tag of what somebody can change of a thing: not of what is counted, or comes by itself.
pub fn content_tag(changeable: &impl Serialize) -> String {
    let json = serde_json::to_vec(changeable).unwrap_or_default();
    format!(
        "\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(json)[..16])
    )
}

/// Postgres keeps microseconds; settings that were never set have a tag too.
fn tag(changed: Option<OffsetDateTime>) -> String {
    match changed {
        Some(at) => format!("\"{}\"", at.unix_timestamp_nanos() / 1000),
        None => "\"none\"".to_owned(),
    }
}

/// Which states a change is for, if the request says so (RFC 9110, 13.1.1).
#[derive(Debug, Clone)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    fn read(headers: &HeaderMap) -> Self {
        let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
        if asked.peek().is_none() {
            return Self(None);
        }
        let asked: Vec<String> = asked
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(',').map(|tag| tag.trim().to_owned()))
            .collect();
        // What a handler has found is there.
        Self(Some(asked).filter(|asked| asked.iter().all(|tag| tag != "*")))
    }

    /// Refuses what was read of another state; `what` it is, as in "link".
    pub fn check(&self, what: &'static str, tag: &str) -> Result<(), Failure> {
        match &self.0 {
            Some(asked) if asked.iter().all(|one| one != tag) => Err(Failure::Changed { what }),
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

/// `If-Match`, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct IfMatchHeader {
    /// The `ETag` of what was read: then nothing is done if somebody has changed it since.
    #[param(rename = "If-Match", value_type = Option<String>)]
    if_match: (),
}

/// How a request with `If-Match` can fail.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Guarded {
    /// It was changed since `If-Match` was read. Nothing was done.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(Problem),
}

/// Of which moment the document must still be, if the caller has said so. `changed` is when it was changed last, and is asked
/// for only if it matters; `what` are they, as in "chat settings".
pub async fn precondition(
    headers: &HeaderMap,
    what: &'static str,
    changed: impl Future<Output = Result<Option<OffsetDateTime>, DbError>>,
) -> Result<Unless, Failure> {
    let asked = IfMatch::read(headers);
    if asked.0.is_none() {
        return Ok(None);
    }
    let changed = changed.await?;
    asked.check(what, &tag(changed)).map(|()| Some(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> IfMatch {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        IfMatch::read(&headers)
    }

    #[test]
    fn if_match_holds_for_the_states_that_it_names() {
        let now = content_tag(&("name", 1));
        assert_ne!(now, content_tag(&("name", 2)));
        let other = "\"other\"";
        for (values, fits) in [
            (vec![], true),
            (vec!["*"], true),
            (vec![now.as_str()], true),
            (vec![other, &now], true),
            (vec![&*format!("{other}, {now}")], true),
            (vec![other], false),
            (vec![&*format!("W/{now}")], false),
        ] {
            assert_eq!(asked(&values).check("link", &now).is_ok(), fits, "{values:?}");
        }
    }
}
