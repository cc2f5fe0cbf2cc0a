use crate::{Class, SendError, outbound::user};
use ::http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use ccm_egress::{Allowed, Client, Unanswered};
use std::{error::Error, fmt::Write, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// No answer to a text that says something is longer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A provider that asks for a longer rest than this is asked again after it.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// How long a provider may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The HTTP client to send with: one for all accounts. Tenants name their providers' addresses, so it dials public ones and
/// those that the operator allows; and it follows no redirect, because a redirected request would carry texts and secrets to
/// an address that nobody configured.
///
/// The process has installed rustls' default provider before.
pub fn client(allowed: Allowed) -> Result<Client, reqwest::Error> {
    Client::new(allowed, CONNECT)
}

/// What the provider answered.
pub(crate) struct Reply {
    pub status: StatusCode,
    /// The rest that it asks for.
    pub rest: Option<Duration>,
    /// `None` if the connection broke before its end.
    pub body: Option<Vec<u8>>,
}

impl Reply {
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }
}

/// Hands a text over and reads the answer, both within `timeout`.
///
/// A failure before the request left is certain; any later one (time-out, reset, no answer) leaves it in doubt.
pub(crate) async fn post(
    http: &Client,
    request: reqwest::RequestBuilder,
    timeout: Duration,
    now: OffsetDateTime,
) -> Result<Reply, SendError> {
    exchange(http, request, timeout, now, MAX_ANSWER_BYTES)
        .await
        .map_err(|e| lost(&e, timeout))
}

/// Asks what the provider has, and reads an answer of up to `most` bytes, both within `timeout`.
pub(crate) async fn get(
    http: &Client,
    request: reqwest::RequestBuilder,
    timeout: Duration,
    now: OffsetDateTime,
    most: usize,
) -> Result<Reply, SendError> {
    exchange(http, request, timeout, now, most).await.map_err(|e| {
        unasked(&format!(
            "{}; check its address and its status page",
            why(&e, timeout)
        ))
    })
}

/// The provider could not say whether it has a text, and may be asked again.
pub(crate) fn unasked(why: &str) -> SendError {
    SendError {
        class: Class::Retryable { after: None },
        provider_code: None,
        operator: format!("the provider could not be asked whether it has the text already: {why}"),
        user: user::LATER,
        in_doubt: false,
        opted_out: false,
    }
}

/// Asks, and reads an answer of up to `most` bytes, both within `timeout`.
pub(crate) async fn exchange(
    http: &Client,
    request: reqwest::RequestBuilder,
    timeout: Duration,
    now: OffsetDateTime,
    most: usize,
) -> Result<Reply, Unanswered> {
    let mut response = http.send(request.timeout(timeout)).await?;
    let (status, rest) = (response.status(), rest(response.headers(), now));
    let mut body = Vec::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() < most => body.extend_from_slice(&chunk),
            Ok(_) => break Some(body),
            Err(_) => break None,
        }
    };
    Ok(Reply { status, rest, body })
}

fn lost(e: &Unanswered, timeout: Duration) -> SendError {
    let (in_doubt, operator) = match e {
        Unanswered::Private => (false, format!("the provider is not called: {e}")),
        Unanswered::Http(e) => (!(e.is_connect() || e.is_builder()), broken(e, timeout)),
    };
    SendError {
        class: Class::Retryable { after: None },
        provider_code: None,
        operator,
        user: user::LATER,
        in_doubt,
        opted_out: false,
    }
}

fn broken(e: &reqwest::Error, timeout: Duration) -> String {
    if e.is_connect() {
        format!(
            "cannot connect to the provider: {}; check its address, DNS, the firewall and its status page",
            causes(e)
        )
    } else if e.is_timeout() {
        format!(
            "the provider did not answer within {} ms; it may have taken the text",
            timeout.as_millis()
        )
    } else {
        format!(
            "the connection to the provider broke before its answer came: {}; it may have taken the text",
            causes(e)
        )
    }
}

pub(crate) fn why(e: &Unanswered, timeout: Duration) -> String {
    match e {
        Unanswered::Private => e.to_string(),
        Unanswered::Http(e) if e.is_timeout() => format!("no answer within {} ms", timeout.as_millis()),
        Unanswered::Http(e) => causes(e),
    }
}

/// The causes below reqwest's own error, whose words hold the address: that may carry a token.
fn causes(e: &reqwest::Error) -> String {
    let mut words = String::new();
    let mut cause = e.source();
    while let Some(e) = cause {
        let _ = write!(words, "{}{e}", if words.is_empty() { "" } else { ": " });
        cause = e.source();
    }
    words
}

/// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
fn rest(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let raw = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let rest = match raw.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = raw.strip_suffix("GMT").map(|date| format!("{date}+0000"))?;
            let until = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
            Duration::try_from(until - now).unwrap_or_default()
        }
    };
    Some(rest.min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_rest_is_seconds_or_a_date_and_bounded() {
        let now = datetime!(2026-11-23 08:00:00 UTC);
        for (raw, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Mon, 23 Nov 2026 08:00:30 GMT", Some(30)),
            ("Mon, 23 Nov 2026 07:00:00 GMT", Some(0)),
            ("999999", Some(3600)),
            ("soon", None),
            ("-3", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, raw.parse().unwrap())]);
            assert_eq!(rest(&headers, now), expected.map(Duration::from_secs), "{raw}");
        }
        assert_eq!(rest(&HeaderMap::new(), now), None);
    }
}
