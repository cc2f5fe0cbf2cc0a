//! The console: pages for engineers, support, operators and tenants, drawn on the server.
//!
//! It knows no database and decides nothing: each page asks the admin API (in the same process, without a network between) with
//! the key of whoever has signed in, and shows what that answers. So what somebody may see and do, what is checked and what the
//! audit tells is said in one place. A page is a template and a line in [`pages`]; a form names the request of the API that it makes.

mod act;
mod address;
mod api;
mod assets;
mod doctor;
mod download;
mod form;
mod oidc;
mod origin;
mod pages;
mod render;
mod sent;
mod show;
mod sign_in;
mod visitor;

pub use oidc::{Issuers, IssuersError, IssuersSettings};

use api::Api;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    response::Redirect,
    routing::{get, post},
};
use ccm_model::IdSource;
use ccm_web::{WebConfig, wrap};
use std::{sync::Arc, time::Duration};
use url::Url;

/// Longer than the API takes to say that it takes too long.
const TIMEOUT: Duration = Duration::from_secs(40);
/// What the API takes in JSON is up to three times as long in a form.
const MAX_FORM_BYTES: usize = 4 << 20;

/// What the console is made of. Cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Parts>);

/// See [`Console::new`].
pub struct Parts {
    /// The admin API, whole.
    pub api: Router,
    pub ids: IdSource,
    /// How browsers reach the console, such as `https://console.example.com`. Cookies are for https alone unless it is `http`.
    pub url: Option<Url>,
    /// Where people sign in.
    pub issuers: Issuers,
    /// Where traces are looked at; `{trace}` is the trace's id.
    pub trace_url: Option<String>,
}

impl Console {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    fn api(&self) -> Api<'_> {
        Api::new(&self.0.api, &self.0.ids)
    }

    /// Whether browsers come over TLS: for a machine of one's own alone they may not.
    fn is_secure(&self) -> bool {
        self.0.url.as_ref().is_none_or(|url| url.scheme() == "https")
    }

    /// The whole site: the console below `/console`, and the admin API.
    pub fn site(self) -> Router {
        let api = self.0.api.clone();
        let web = WebConfig {
            role: "console",
            max_body_bytes: MAX_FORM_BYTES,
            timeout: Some(TIMEOUT),
        };
        let pages = Router::new()
            .route("/console/sign-in", get(sign_in::ask).post(sign_in::by_token))
            .route("/console/sign-in/{issuer}", get(sign_in::go_to_issuer))
            .route("/console/signed-in", get(sign_in::from_issuer))
            .route("/console/sign-out", post(sign_in::out))
            .route("/console/go-on", post(sent::go_on).get(show::home))
            // Whoever loads a page anew that a form's answer has drawn.
            .route("/console/act", post(act::act).get(show::home))
            .route(
                "/console/tenants/{tenant}/doctor",
                post(doctor::examine_new).get(show::home),
            )
            .route(
                "/console/tenants/{tenant}/links/{link}/doctor",
                post(doctor::examine).get(show::home),
            )
            .route(
                "/console/download/{*path}",
                get(download::download).post(download::made),
            )
            .route("/console/static/{file}", get(assets::serve))
            .route("/console", get(show::home))
            .route("/console/", get(show::home))
            .route("/console/{*page}", get(show::show))
            .layer(from_fn_with_state(self.clone(), origin::same))
            .layer(from_fn(render::dress))
            .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
            .with_state(self.clone());
        let pages = wrap(pages, web, self.0.ids.clone()).layer(from_fn(render::problems_are_pages));
        Router::new()
            .route("/", get(async || Redirect::to("/console")))
            .merge(pages)
            .fallback_service(api)
    }
}
