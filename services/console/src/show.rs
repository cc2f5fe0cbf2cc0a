//! A page, from its address to its HTML.

use crate::{
    Console, address,
    api::{Answer, Ask},
    form::{self, Fields},
    render,
    visitor::Visitor,
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};
use futures::future::join_all;
use minijinja::{context, value::Serde};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

/// Why there is no page.
pub enum Failed {
    /// Where to sign in.
    NotSignedIn(String),
    /// What the API says instead.
    Problem(StatusCode, Value),
    Nowhere,
}

impl Failed {
    pub fn problem(answer: Answer) -> Self {
        Self::Problem(answer.status, answer.json)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self {
            Self::NotSignedIn(address) => Redirect::to(&address).into_response(),
            Self::Nowhere => render::problem(
                StatusCode::NOT_FOUND,
                "There is no such page",
                "Take the way from the list of tenants.",
            ),
            Self::Problem(status, problem) => {
                render::page(status, "problem.html", context! { problem => Serde(problem) })
            }
        }
    }
}

/// What a page says besides what it shows: what became of a form.
#[derive(Default)]
pub struct Said {
    /// A problem of the API's, or of the form's own.
    pub problem: Option<Value>,
    /// What was filled in, so that nobody has to do it twice.
    pub given: Fields,
    /// What was made, where that is shown once.
    pub made: Option<Value>,
}

impl Said {
    /// The `If-Match` of a form that was refused: what somebody else has changed since the form was read stays in its way, however often the
    /// form is sent.
    fn tag_of(&self, address: &str) -> Option<&str> {
        self.problem.as_ref()?;
        let (_, path) = form::own(&self.given, "_do")?.split_once(' ')?;
        let address = address.split('?').next().unwrap_or_default();
        let same = percent_decode_str(address).eq(path.bytes());
        form::own(&self.given, "_tag").filter(|_| same)
    }

    /// The `Idempotency-Key` of a form that may have been done: sent again it is done once.
    fn once(&self) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        let unsure = problem["field"] == "Idempotency-Key" || problem["status"].as_u64() >= Some(500);
        form::own(&self.given, "_once").filter(|_| unsure)
    }
}

/// `GET /console`
pub async fn home(visitor: Visitor) -> Redirect {
    match visitor.me["tenant"].as_str() {
        Some(tenant) => Redirect::to(&format!("/console/tenants/{tenant}")),
        None => Redirect::to("/console/tenants"),
    }
}

/// `GET /console/…`
pub async fn show(
    State(console): State<Console>,
    visitor: Visitor,
    Path(path): Path<String>,
    uri: Uri,
) -> Result<Response, Failed> {
    draw(
        &console,
        &visitor,
        &path,
        uri.query().unwrap_or_default(),
        Said::default(),
    )
    .await
}

/// Draws the page that a form stands on, at the address that it gives.
pub async fn again(console: &Console, visitor: &Visitor, from: &str, said: Said) -> Result<Response, Failed> {
    let below = from.strip_prefix("/console/").ok_or(Failed::Nowhere)?;
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    draw(console, visitor, path, query, said).await
}

/// Draws the page at a path below `/console/`.
pub async fn draw(
    console: &Console,
    visitor: &Visitor,
    path: &str,
    query: &str,
    said: Said,
) -> Result<Response, Failed> {
    let (page, parts) = address::find(path).ok_or(Failed::Nowhere)?;
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let api = console.api();
    let wanted = page
        .needs
        .iter()
        .filter_map(|(name, pattern)| Some((name, address::wanted(pattern, &query)?)));
    let needs = wanted.map(async |(name, pattern)| {
        let (whole, pattern) = match pattern.strip_prefix('*') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let address = address::fill(pattern, &parts, &query)?;
        let answer = match whole {
            true => api.whole(&visitor.who, &address).await,
            false => api.ask(&visitor.who, Ask::get(&address)).await,
        };
        Some((*name, address, answer))
    });
    let mut shown = Map::new();
    for (place, answer) in join_all(needs).await.into_iter().enumerate() {
        let (name, address, answer) = answer.ok_or(Failed::Nowhere)?;
        if place == 0 && !answer.is_ok() {
            return Err(Failed::problem(answer));
        }
        let tag = said.tag_of(&address).or(answer.tag.as_deref());
        shown.insert(format!("{name}_tag"), json!(tag));
        shown.insert(name.to_owned(), answer.for_page());
    }
    let status = match &said.problem {
        Some(problem) => problem["status"]
            .as_u64()
            .and_then(|status| StatusCode::from_u16(status as u16).ok()),
        None => Some(StatusCode::OK),
    };
    let once = said.once().map_or_else(|| api.once(), ToOwned::to_owned);
    let mut given = Map::new();
    for (name, value) in said.given {
        let many = name.ends_with(":many");
        let place = given.entry(name).or_insert_with(|| json!([]));
        match (many, place.as_array_mut()) {
            (true, Some(list)) => list.push(json!(value)),
            _ => *place = json!(value),
        }
    }
    // Without what was done last: that is said once.
    let here = form::with_query(
        &format!("/console/{path}"),
        query
            .iter()
            .filter(|(name, _)| name != "done")
            .map(|(name, value)| (name, value)),
    );
    let query: Map<String, Value> = query
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let now = console.0.ids.clock().now().format(&Rfc3339).unwrap_or_default();
    let frame = context! {
        me => Serde(&visitor.me),
        page => page.path,
        by => visitor.by(),
        path => format!("/console/{path}"),
        here => here,
        parts => parts.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        query => Serde(query),
        now => now,
        once => once,
        problem => said.problem.map(Serde),
        given => Serde(given),
        made => said.made.map(Serde),
        issuers => console.0.issuers.all().to_vec(),
        trace_url => console.0.trace_url.clone(),
    };
    let shown = context! { ..minijinja::Value::from(Serde(shown)), ..frame };
    Ok(render::page(
        status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
        page.template,
        shown,
    ))
}
