//! The link doctor, step by step as it takes them: the page grows while it is read, with or without scripts.

use crate::{
    Console,
    act::is_ours,
    api::{Answer, Ask},
    form::{self, Fields, Unreadable},
    render,
    sent::Sent,
    show::{Failed, Said, again},
    visitor::Visitor,
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use minijinja::{context, value::Serde};
use serde_json::{Value, json};
use std::convert::Infallible;

/// Where the steps stand in the page.
const HERE: &str = "<!-- steps -->";

/// `POST /console/tenants/{tenant}/links/{link}/doctor`: a link that is saved
pub async fn examine(
    State(console): State<Console>,
    Path((tenant, link)): Path<(String, String)>,
    Sent { visitor, fields }: Sent,
) -> Result<Response, Failed> {
    let asked = form::json(&fields);
    let of = format!("/v1/tenants/{tenant}");
    let path = format!("{of}/links/{link}/doctor");
    let back = format!("/console/tenants/{tenant}/links/{link}");
    Examination {
        console,
        visitor,
        tenant: of,
        path,
        back,
    }
    .answer(asked, fields)
    .await
}

/// `POST /console/tenants/{tenant}/doctor`: a link as it stands in the form, which is not saved
pub async fn examine_new(
    State(console): State<Console>,
    Path(tenant): Path<String>,
    Sent { visitor, fields }: Sent,
) -> Result<Response, Failed> {
    let asked = form::json(&fields).map(|link| json!({ "link": link }));
    let of = format!("/v1/tenants/{tenant}");
    let path = format!("{of}/doctor");
    let back = match form::own(&fields, "_from").filter(|from| is_ours(from)) {
        Some(from) => from.to_owned(),
        None => format!("/console/tenants/{tenant}/setup"),
    };
    Examination {
        console,
        visitor,
        tenant: of,
        path,
        back,
    }
    .answer(asked, fields)
    .await
}

struct Examination {
    console: Console,
    visitor: Visitor,
    /// Whose link it is, where the API has them.
    tenant: String,
    /// What is asked.
    path: String,
    /// The page from which it was begun.
    back: String,
}

impl Examination {
    async fn answer(self, asked: Result<Value, Unreadable>, given: Fields) -> Result<Response, Failed> {
        let asked = match asked {
            Ok(asked) => asked,
            Err(unreadable) => return self.refused(unreadable.problem(), given).await,
        };
        let api = self.console.api();
        let ask = Ask::post(&self.path, Some(&asked));
        let answer = api.stream(&self.visitor.who, ask, "application/x-ndjson").await;
        if !answer.status().is_success() {
            let mut problem = Answer::read(answer).await.json;
            // The form is the link.
            if let Some(field) = problem["field"]
                .as_str()
                .and_then(|field| field.strip_prefix("link."))
            {
                problem["field"] = json!(field);
            }
            return self.refused(problem, given).await;
        }
        let tenant = api.ask(&self.visitor.who, Ask::get(&self.tenant)).await;
        let frame = context! {
            me => Serde(&self.visitor.me), tenant => Serde(tenant.for_page()), page => "doctor", by => self.visitor.by(), back => self.back,
        };
        let page = render::text("doctor.html", frame.clone()).map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "the doctor's page cannot be drawn");
            Failed::Nowhere
        })?;
        let (head, tail) = page.split_once(HERE).unwrap_or((&page, ""));
        let steps = lines(answer.into_body()).map(move |line| step(&line, &frame));
        let head = stream::iter([Ok(Bytes::from(head.to_owned()))]);
        let tail = stream::iter([Ok(Bytes::from(tail.to_owned()))]);
        let body = Body::from_stream(head.chain(steps).chain(tail));
        let kind = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            // Proxies that gather an answer before they pass it on would make it one at the end.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        Ok((StatusCode::OK, kind, body).into_response())
    }
}

impl Examination {
    async fn refused(&self, problem: Value, given: Fields) -> Result<Response, Failed> {
        let said = Said {
            problem: Some(problem),
            given,
            made: None,
        };
        again(&self.console, &self.visitor, &self.back, said).await
    }
}

fn step(line: &str, frame: &minijinja::Value) -> Result<Bytes, Infallible> {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let shown = context! { event => Serde(event), ..frame.clone() };
    let html = render::text("doctor_line.html", shown).unwrap_or_else(|error| {
        tracing::error!(
            error = format!("{error:#}"),
            "a step of the doctor cannot be drawn"
        );
        String::new()
    });
    Ok(html.into())
}

/// The lines of a body, as they come.
fn lines(body: Body) -> impl Stream<Item = String> + Send {
    let parts = body.into_data_stream();
    stream::unfold((parts, Vec::new()), async |(mut parts, mut read)| {
        loop {
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                return Some((String::from_utf8_lossy(&line).trim().to_owned(), (parts, read)));
            }
            match parts.next().await {
                Some(Ok(part)) => read.extend_from_slice(&part),
                // Cut off: what came of a line is no line.
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_are_cut() {
        let parts = ["{\"a\"", ":1}\n{\"b\":2}\n{\"c", "\":3}\n", "{\"cut"].map(Ok::<_, Infallible>);
        let body = Body::from_stream(stream::iter(parts));
        let read: Vec<String> = lines(body).collect().await;
        assert_eq!(read, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    }
}
