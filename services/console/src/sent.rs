//! A form that was sent, by whoever filled it in.

use crate::{
    Console,
    form::{self, Fields},
    render,
    show::{self, Failed, Said},
    sign_in,
    visitor::{Browser, Visitor},
};
use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

/// A form, and who sends it. Of the form's own fields `_by` says who has filled it in: somebody who has signed in meanwhile does not do
/// what somebody else was about to. If nobody is signed in any more, nothing is done, and what was typed comes back after signing in.
pub struct Sent {
    pub visitor: Visitor,
    pub fields: Fields,
}

impl FromRequest<Console> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, console).await;
        let form = Form::<Fields>::from_request(Request::from_parts(parts, body), console).await;
        let Form(fields) = form.map_err(IntoResponse::into_response)?;
        let by = form::own(&fields, "_by");
        match visitor {
            Ok(visitor) if by.is_none_or(|by| by == visitor.by()) => Ok(Self { visitor, fields }),
            Ok(_) => Err(somebody_elses()),
            Err(Failed::NotSignedIn(_)) if by.is_some() => {
                Err(sign_in::and_go_on(console, &Kept::of(&fields)))
            }
            Err(failed) => Err(failed.into_response()),
        }
    }
}

fn somebody_elses() -> Response {
    render::problem(
        StatusCode::FORBIDDEN,
        "Somebody else has filled in this form",
        "Nothing was done. Open the page anew, and fill it in yourself.",
    )
}

/// What was filled in, without secrets, on its way through a page of sign-in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Kept(String);

impl Kept {
    fn of(fields: &Fields) -> Self {
        let kept: Vec<_> = fields.iter().filter(|(name, _)| !form::is_secret(name)).collect();
        Self(json!(kept).to_string())
    }

    pub fn text(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|kept| !kept.is_empty())
    }

    /// The page of the form, as it was filled in, for whoever has filled it in.
    pub async fn page(&self, console: &Console, browser: Browser) -> Response {
        let Ok(given) = serde_json::from_str::<Fields>(&self.0) else {
            return Failed::Nowhere.into_response();
        };
        let visitor = match Visitor::of(console, browser.who, None).await {
            Ok(visitor) => visitor,
            Err(Failed::NotSignedIn(_)) => return sign_in::and_go_on(console, self),
            Err(failed) => return failed.into_response(),
        };
        if form::own(&given, "_by") != Some(visitor.by().as_str()) {
            return somebody_elses();
        }
        let problem = json!({
            "status": 200, "kept": true, "title": "Nothing was done yet",
            "detail": "your session was over when you sent this form. What you have typed stands in it again, but for secrets",
            "remedy": "Look at it, and send it.",
        });
        let from = form::own(&given, "_from").unwrap_or_default().to_owned();
        let said = Said {
            problem: Some(problem),
            given,
            made: None,
        };
        match show::again(console, &visitor, &from, said).await {
            Ok(page) => page,
            Err(failed) => failed.into_response(),
        }
    }
}

#[derive(Deserialize)]
pub struct GoOn {
    kept: Kept,
}

/// `POST /console/go-on`: whoever has signed in beside a form that was kept
pub async fn go_on(
    State(console): State<Console>,
    browser: Browser,
    Form(GoOn { kept }): Form<GoOn>,
) -> Response {
    kept.page(&console, browser).await
}
