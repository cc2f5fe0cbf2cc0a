//! What the API gives as a file: exports, transcripts, tables.

use crate::{
    Console,
    api::{Answer, Ask},
    form,
    sent::Sent,
    show::{self, Failed, Said},
    visitor::Visitor,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};

/// `GET /console/download/v1/…`: the API's answer as it comes, to be saved. `_as` says in which form it is asked for; the rest of the query
/// is the request's own.
pub async fn download(
    State(console): State<Console>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Failed> {
    let path = path(&uri)?;
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let kind = query.iter().find(|(name, _)| name == "_as");
    let (accept, ending) = match kind.map(|(_, kind)| kind.as_str()) {
        Some("csv") => ("text/csv", "csv"),
        Some("ndjson") => ("application/x-ndjson", "ndjson"),
        Some("pdf") => ("application/pdf", "pdf"),
        Some("txt") => ("text/plain", "txt"),
        _ => ("application/json", "json"),
    };
    let own = query
        .iter()
        .filter(|(name, value)| name != "_as" && !value.is_empty());
    let address = form::with_query(path, own.map(|(name, value)| (name, value)));
    let answer = console
        .api()
        .stream(&visitor.who, Ask::get(&address), accept)
        .await;
    if !answer.status().is_success() {
        return Err(Failed::problem(Answer::read(answer).await));
    }
    Ok(saved(answer, path, ending))
}

/// `POST /console/download/v1/…`: what the API makes of a form, to be saved: one JSON object a line.
pub async fn made(
    State(console): State<Console>,
    uri: Uri,
    Sent { visitor, fields }: Sent,
) -> Result<Response, Failed> {
    let path = path(&uri)?;
    let problem = match form::json(&fields) {
        Ok(body) => {
            let ask = Ask::post(path, Some(&body));
            let api = console.api();
            let answer = api.stream(&visitor.who, ask, "application/x-ndjson").await;
            if answer.status().is_success() {
                return Ok(saved(answer, path, "ndjson"));
            }
            Answer::read(answer).await.json
        }
        Err(unreadable) => unreadable.problem(),
    };
    let from = form::own(&fields, "_from").unwrap_or_default().to_owned();
    let said = Said {
        problem: Some(problem),
        given: fields,
        made: None,
    };
    show::again(&console, &visitor, &from, said).await
}

/// What is asked for, where the API has it.
fn path(uri: &Uri) -> Result<&str, Failed> {
    let path = uri.path().strip_prefix("/console/download");
    path.filter(|path| path.starts_with("/v1/"))
        .ok_or(Failed::Nowhere)
}

/// An answer that browsers save, under the name of what was asked for unless it has one.
fn saved(mut answer: Response<Body>, path: &str, ending: &str) -> Response {
    let name: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    // Nothing of it is shown as a page of ours.
    let headers = answer.headers_mut();
    let named = headers
        .get(header::CONTENT_DISPOSITION)
        .is_some_and(|how| how.as_bytes().starts_with(b"attachment"));
    if let (false, Ok(how)) = (
        named,
        HeaderValue::from_str(&format!("attachment; filename=\"{name}.{ending}\"")),
    ) {
        headers.insert(header::CONTENT_DISPOSITION, how);
    }
    answer
}

#[cfg(test)]
mod tests {
    use crate::{Console, Issuers, Parts};
    use axum::{
        Router,
        body::Body,
        http::{HeaderMap, Request, StatusCode, Uri, header},
        response::IntoResponse,
        routing::get,
    };
    use ccm_model::{Clock, IdSource};
    use http_body_util::BodyExt;
    use time::macros::datetime;
    use tower::ServiceExt;

    /// What the API is asked for, and in which form.
    async fn said(uri: Uri, headers: HeaderMap) -> impl IntoResponse {
        let said = |name| headers[name].to_str().unwrap_or_default().to_owned();
        format!("{uri} {} {}", said("accept"), said("authorization"))
    }

    async fn asked(path: &str) -> (StatusCode, Option<String>, String) {
        let csv = (
            [(header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\"")],
            "day",
        );
        let refused = (
            StatusCode::FORBIDDEN,
            "{\"title\": \"Not yours\", \"status\": 403}",
        );
        let api = Router::new()
            .route("/v1/me", get("{\"subject\": \"mary\", \"permissions\": []}"))
            .route("/v1/audit/export", get(said))
            .route("/v1/usage", get(csv))
            .route("/v1/users", get(refused))
            .route("/docs", get("no file"));
        let clock = Clock::fixed(datetime!(2026-11-30 12:00 UTC));
        let console = Console::new(Parts {
            api,
            ids: IdSource::new(clock, 7),
            url: "http://console.example.com".parse().ok(),
            issuers: Issuers::default(),
            trace_url: None,
        });
        let request = Request::get(path)
            .header(header::COOKIE, "ccm_session=ccms_key")
            .body(Body::empty())
            .unwrap();
        let answer = console.site().oneshot(request).await.unwrap();
        let how = answer
            .headers()
            .get(header::CONTENT_DISPOSITION)
            .map(|how| how.to_str().unwrap().to_owned());
        let status = answer.status();
        let read = answer.into_body().collect().await.unwrap().to_bytes();
        (status, how, String::from_utf8_lossy(&read).into_owned())
    }

    #[tokio::test]
    async fn what_the_api_gives_is_saved_as_it_is() {
        let (status, how, read) = asked("/console/download/v1/audit/export?_as=ndjson&after=7&until=").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(how.as_deref(), Some("attachment; filename=\"export.ndjson\""));
        assert_eq!(
            read,
            "/v1/audit/export?after=7 application/x-ndjson Bearer ccms_key"
        );
        let (_, how, read) = asked("/console/download/v1/usage?_as=csv").await;
        assert_eq!(how.as_deref(), Some("attachment; filename=\"usage.csv\""));
        assert_eq!(read, "day");
    }

    #[tokio::test]
    async fn what_is_not_the_apis_is_not_given_and_what_it_refuses_is_said() {
        for path in ["docs", "v1", "v2/audit", "v1/../docs", "http://example.com/v1/"] {
            let (status, how, read) = asked(&format!("/console/download/{path}")).await;
            assert_eq!((status, how), (StatusCode::NOT_FOUND, None), "{path}: {read}");
        }
        let (status, how, read) = asked("/console/download/v1/users").await;
        assert_eq!((status, how), (StatusCode::FORBIDDEN, None));
        assert!(read.contains("Not yours"), "{read}");
    }
}
