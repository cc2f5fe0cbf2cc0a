//! A form does what it says: one request of the API.

use crate::{
    Console,
    api::Ask,
    form::{self, Fields},
    sent::Sent,
    show::{Failed, Said, again},
};
use axum::{
    extract::State,
    http::Method,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::Value;

/// `POST /console/act`. Of the form's own fields, `_do` is the request (`POST /v1/tenants`), `_from` the page that it stands on, which
/// shows what went wrong; `_next` the page that follows, where `{id}` is that of what was made; without it `_from` shows what was
/// made, with what was filled in if `_keep` says so. `_done` is the word by which the next page says that it was done, `_tag` the `If-Match`, `_once` the `Idempotency-Key`, and
/// with `_bare` no body is sent. `_by` is who has filled it in.
pub async fn act(State(console): State<Console>, Sent { visitor, fields }: Sent) -> Result<Response, Failed> {
    let own = |name| form::own(&fields, name);
    let Some((method, path)) = own("_do").and_then(request) else {
        return Err(Failed::Nowhere);
    };
    let from = own("_from").unwrap_or_default();
    let again = async |said: Said| again(&console, &visitor, from, said).await;
    let body = match form::json(&fields) {
        Ok(body) => own("_bare").is_none().then_some(body),
        Err(unreadable) => return again(said(unreadable.problem(), &fields)).await,
    };
    let path = form::address(path, &fields);
    let once = [Method::POST, Method::PATCH].contains(&method);
    let ask = Ask {
        body: body.as_ref().filter(|_| method != Method::DELETE),
        tag: own("_tag"),
        once: own("_once").filter(|_| once),
        path: &path,
        method,
    };
    let answer = console.api().ask(&visitor.who, ask).await;
    if !answer.is_ok() {
        return again(said(answer.json, &fields)).await;
    }
    let Some(next) = own("_next").filter(|next| is_ours(next)) else {
        let said = Said {
            made: Some(answer.json),
            given: match own("_keep") {
                Some(_) => fields.clone(),
                None => fields
                    .iter()
                    .filter(|(name, _)| name.starts_with('_'))
                    .cloned()
                    .collect(),
            },
            problem: None,
        };
        return again(said).await;
    };
    let next = next.replace("{id}", answer.json["id"].as_str().unwrap_or_default());
    let (page, place) = next.split_once('#').unwrap_or((&next, ""));
    let done = own("_done").filter(|done| is_word(done));
    let mut next = form::with_query(page, done.map(|done| ("done", done)));
    if !place.is_empty() {
        next = format!("{next}#{place}");
    }
    Ok(Redirect::to(&next).into_response())
}

fn said(problem: Value, given: &Fields) -> Said {
    Said {
        problem: Some(problem),
        given: given.clone(),
        made: None,
    }
}

fn request(text: &str) -> Option<(Method, &str)> {
    let (method, path) = text.split_once(' ')?;
    let method = match method {
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => return None,
    };
    // Signing out takes the cookie away as well.
    let below = path.split('?').next().unwrap_or_default();
    (path.starts_with("/v1/") && below != "/v1/me/session").then_some((method, path))
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Whether an address leads to a page of the console, and nowhere else.
pub fn is_ours(address: &str) -> bool {
    let below = address.strip_prefix("/console");
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && !address.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_api_is_asked_and_only_the_console_is_gone_to() {
        assert_eq!(request("PUT /v1/x"), Some((Method::PUT, "/v1/x")));
        for other in [
            "GET /v1/x",
            "POST /v2/x",
            "POST http://x/v1/",
            "POST",
            "DELETE /v1/me/session",
            "DELETE /v1/me/session?",
        ] {
            assert_eq!(request(other), None, "{other}");
        }
        assert!(is_ours("/console") && is_ours("/console/tenants?x=1"));
        for other in [
            "https://example.com",
            "//example.com",
            "/consoles",
            "/console/\r\nx",
            "/console\\x",
            "/",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
