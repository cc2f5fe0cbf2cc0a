//! Signing in and out.

use crate::{
    Console,
    act::is_ours,
    api::{Answer, Ask, Who},
    oidc::{self, Return, Started},
    render,
    sent::Kept,
    visitor::{self, Browser},
};
use axum::{
    Form,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use minijinja::{context, value::Serde};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a session's cookie is kept at most; the API ends sessions before that.
const COOKIE_S: i64 = 30 * 86_400;
/// How long somebody may take at their issuer.
const AT_ISSUER_S: i64 = 600;
/// So many sign-ins of one browser are under way at most: cookies go with each request, and servers take only so much.
const AT_ONCE: usize = 5;
const HOME: &str = "/console";

/// Where to sign in, to come back after that.
pub fn address(back: Option<&str>, over: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(back) = back.filter(|back| is_ours(back) && *back != HOME) {
        query.append_pair("next", back);
    }
    if over {
        query.append_pair("over", "1");
    }
    match query.finish() {
        query if query.is_empty() => "/console/sign-in".to_owned(),
        query => format!("/console/sign-in?{query}"),
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct SignIn {
    #[serde(default)]
    next: String,
    #[serde(default)]
    over: String,
    #[serde(skip)]
    kept: Kept,
}

impl SignIn {
    fn to(next: String) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    fn next(&self) -> &str {
        if is_ours(&self.next) { &self.next } else { HOME }
    }
}

/// `GET /console/sign-in`
pub async fn ask(State(console): State<Console>, Query(asked): Query<SignIn>) -> Response {
    form(&console, StatusCode::OK, &asked, None)
}

fn form(console: &Console, status: StatusCode, asked: &SignIn, problem: Option<Value>) -> Response {
    let shown = context! {
        issuers => console.0.issuers.names(),
        next => asked.next(),
        over => !asked.over.is_empty(),
        kept => asked.kept.text(),
        problem => problem.map(Serde),
    };
    render::page(status, "sign_in.html", shown)
}

/// Signing in on the way of a form that was sent when nobody was signed in any more.
pub fn and_go_on(console: &Console, kept: &Kept) -> Response {
    let asked = SignIn {
        kept: kept.clone(),
        ..SignIn::default()
    };
    form(console, StatusCode::UNAUTHORIZED, &asked, None)
}

#[derive(Deserialize)]
pub struct ByToken {
    token: SecretString,
    #[serde(default)]
    next: String,
    #[serde(default)]
    kept: Kept,
}

/// `POST /console/sign-in`, with a token or an API key
pub async fn by_token(
    State(console): State<Console>,
    browser: Browser,
    Form(given): Form<ByToken>,
) -> Response {
    let asked = SignIn {
        kept: given.kept,
        ..SignIn::to(given.next)
    };
    begin(&console, browser.who, given.token, &asked).await
}

async fn begin(console: &Console, who: Who, token: SecretString, asked: &SignIn) -> Response {
    let who = Who {
        key: Some(token),
        ..who
    };
    let made = console.api().ask(&who, Ask::post("/v1/sessions", None)).await;
    let Answer { status, json, .. } = made;
    let Some(key) = json["key"].as_str().filter(|_| status == StatusCode::CREATED) else {
        return form(console, status, asked, Some(json));
    };
    let cookie = visitor::set(console, "session", Some(key), COOKIE_S);
    let next = match asked.kept.text() {
        Some(_) => {
            let key = Some(SecretString::from(key));
            let browser = Browser {
                who: Who { key, ..who },
            };
            asked.kept.page(console, browser).await
        }
        None => Redirect::to(asked.next()).into_response(),
    };
    ([(header::SET_COOKIE, cookie)], next).into_response()
}

/// `GET /console/sign-in/{issuer}`: the browser goes there
pub async fn go_to_issuer(
    State(console): State<Console>,
    headers: HeaderMap,
    Path(issuer): Path<usize>,
    Query(asked): Query<SignIn>,
) -> Response {
    let started = console
        .0
        .issuers
        .start(issuer, console.0.url.as_ref(), asked.next())
        .await;
    match started {
        Ok(Started {
            address,
            kept,
            cookie,
        }) => {
            let mut response = Redirect::to(address.as_str()).into_response();
            let under_way = visitor::names(&console, &headers, oidc::COOKIES);
            let too_many = (under_way.len() + 1).saturating_sub(AT_ONCE);
            let gone = under_way.iter().take(too_many);
            let set = gone.map(|name| visitor::set(&console, name, None, 0));
            for cookie in set.chain([visitor::set(&console, &cookie, Some(&kept), AT_ISSUER_S)]) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => failed(&console, &asked, &error.to_string()),
    }
}

/// `GET /console/signed-in`: the browser comes back from the issuer
pub async fn from_issuer(
    State(console): State<Console>,
    browser: Browser,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Response {
    let cookie = back.cookie();
    let kept = visitor::get(&console, &headers, &cookie).unwrap_or_default();
    let came = console
        .0
        .issuers
        .finish(console.0.url.as_ref(), &kept, back)
        .await;
    let mut response = match came {
        Ok((token, next)) => begin(&console, browser.who, token, &SignIn::to(next)).await,
        Err(error) => failed(&console, &SignIn::default(), &error.to_string()),
    };
    let cookie = visitor::set(&console, &cookie, None, 0);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

fn failed(console: &Console, asked: &SignIn, detail: &str) -> Response {
    let problem = json!({
        "status": 502, "title": "You could not be signed in", "detail": detail,
        "remedy": "try again; if it stays so, tell whoever runs the platform what stands here",
    });
    form(console, StatusCode::BAD_GATEWAY, asked, Some(problem))
}

/// `POST /console/sign-out`
pub async fn out(State(console): State<Console>, browser: Browser) -> Response {
    let ask = Ask {
        method: Method::DELETE,
        ..Ask::get("/v1/me/session")
    };
    let ended = console.api().ask(&browser.who, ask).await;
    // A session that is over already is as good as one that was ended.
    if !ended.is_ok() && ended.status != StatusCode::UNAUTHORIZED {
        return render::page(
            ended.status,
            "problem.html",
            context! { problem => Serde(ended.json) },
        );
    }
    let cookie = visitor::set(&console, "session", None, 0);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/console/sign-in")).into_response()
}
