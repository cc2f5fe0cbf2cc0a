//! The page that pops up in Agent Desktop with a call, from which agents text the caller; and what pages of a tenant's own ask about
//! a number before it is texted. A tenant's screen-pop key opens the door, and names the tenant.
//!
//! Number look-ups cost the tenant money: answers are kept, and questions have a rate. `docs/api.md` says what is answered.

mod failure;
mod look_up;
mod number_check;
mod pop;

pub use ccm_sms::{Allowed, Client, client};
pub use pop::Doors;

use axum::{Router, middleware::map_response, routing::get};
use ccm_auth::LookupKey;
use ccm_bus::Bus;
use ccm_db::Db;
use ccm_model::IdSource;
use ccm_runtime::{Lifecycle, serve};
use ccm_web::{KeyCheck, TrustedProxies, WebConfig, no_head, not_stored, wrap};
use std::{io, time::Duration};
use tokio::net::TcpListener;

/// How the role works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Larger request bodies are refused.
    pub max_body_bytes: usize,
    /// How long a provider may take to answer, if its account does not want less.
    pub look_up_timeout: Duration,
    /// Questions to providers, per tenant over all pods; 1 or more.
    pub look_ups_per_minute: u32,
    /// How long an answer is good for.
    pub look_ups_kept: Duration,
}

/// What requests are answered with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    /// Wakes those who carry what agents send.
    pub bus: Bus,
    /// The clock that keys expire by.
    pub ids: IdSource,
    /// Keys are stored as hashes under it.
    pub lookup_key: LookupKey,
    /// Proxies that are believed when they say for whom they ask: keys can be bound to networks.
    pub proxies: TrustedProxies,
    /// From [`client`].
    pub http: Client,
    pub settings: Settings,
    pub doors: Doors,
}

impl KeyCheck for Deps {
    fn db(&self) -> &Db {
        &self.db
    }
    fn ids(&self) -> &IdSource {
        &self.ids
    }
    fn lookup_key(&self) -> &LookupKey {
        &self.lookup_key
    }
    fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }
}

/// Besides the provider's time: longer than any request takes on a healthy database.
const TIMEOUT: Duration = Duration::from_secs(20);

/// All that is served to others.
pub fn router(deps: Deps) -> Router {
    let web = WebConfig {
        role: "screenpop",
        max_body_bytes: deps.settings.max_body_bytes,
        timeout: Some(TIMEOUT + deps.settings.look_up_timeout),
    };
    let ids = deps.ids.clone();
    let router = Router::new()
        .route(
            "/v1/number-check",
            get(number_check::check_number).head(no_head("GET")),
        )
        .layer(map_response(not_stored))
        .merge(pop::router())
        .with_state(deps);
    wrap(router, web, ids)
}

/// Serves until the process drains. The health pages are the process' own (`ccm_runtime::ops`).
pub async fn run(listener: TcpListener, deps: Deps, life: Lifecycle) -> io::Result<()> {
    serve(listener, router(deps), life).await
}
