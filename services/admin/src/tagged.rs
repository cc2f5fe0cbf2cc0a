//! Documents that are read and replaced as a whole, with an ETag that keeps two people from overwriting each other.

use crate::answer::Failure;
use axum::http::{HeaderMap, HeaderName, header};
use ccm_db::{DbError, Unless};
use ccm_web::Json;
use std::future::Future;
use time::OffsetDateTime;

/// A document with its ETag.
pub type Tagged<T> = ([(HeaderName, String); 1], Json<T>);

/// The document as it was changed at that moment; `None`: never.
pub fn tagged<T>(settings: T, changed: Option<OffsetDateTime>) -> Tagged<T> {
    ([(header::ETAG, tag(changed))], Json(settings))
}

/// Postgres keeps microseconds; settings that were never set have a tag too.
fn tag(changed: Option<OffsetDateTime>) -> String {
    match changed {
        Some(at) => format!("\"{}\"", at.unix_timestamp_nanos() / 1000),
        None => "\"none\"".to_owned(),
    }
}

/// Of which moment the document must still be, if the caller has said so (RFC 9110, 13.1.1). `changed` is when it was changed
/// last, and is asked for only if it matters; `what` are they, as in "chat settings".
pub async fn precondition(
    headers: &HeaderMap,
    what: &'static str,
    changed: impl Future<Output = Result<Option<OffsetDateTime>, DbError>>,
) -> Result<Unless, Failure> {
    let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
    if asked.peek().is_none() {
        return Ok(None);
    }
    let asked: Vec<&str> = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    // There always are settings.
    if asked.contains(&"*") {
        return Ok(None);
    }
    let changed = changed.await?;
    match asked.contains(&tag(changed).as_str()) {
        true => Ok(Some(changed)),
        false => Err(Failure::Changed { what }),
    }
}
