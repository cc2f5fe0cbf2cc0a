//! Call deflection: a script asks whether the caller in a voice queue may be offered a text chat; if so they are texted, and their
//! answer opens the chat with all that the script knew.
//!
//! - [`offer`](offers) answers at once: what the number is, whether its owner wants texts, hours, agents, limits.
//! - [`worker`] moves deflections on, from the offer to the agent's first word. How far one is stands in the database; what comes next is
//!   decided in [`step`], without IO.
//! - [`queues`] asks AACC how busy a skillset is: once for all callers of some seconds.
//!
//! `docs/deflection.md` is for whoever writes the script.

mod answer;
mod calls;
mod given;
mod hours;
mod offers;
mod page;
mod queues;
mod step;
mod turns;
mod words;
mod worker;

pub use ccm_ewc_client::Guard;
pub use queues::{QueueTimes, Targets};

use axum::{
    Router,
    middleware::map_response,
    routing::{get, post},
};
use ccm_auth::LookupKey;
use ccm_bus::Bus;
use ccm_db::Db;
use ccm_model::IdSource;
use ccm_runtime::{Lifecycle, serve};
use ccm_web::{KeyCheck, TrustedProxies, WebConfig, WrongKeys, no_head, not_stored, wrap};
use std::{io, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// How the role works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Larger request bodies are refused.
    pub max_body_bytes: usize,
    /// How phones reach us, without a slash at the end. `None`: offers carry no links.
    pub public_base_url: Option<String>,
    /// What one key may ask of one pod.
    pub requests_per_minute: NonZeroU32,
    /// How often it is looked for what is due. 1 s.
    pub poll: Duration,
    /// How long what a provider said about a number is good for.
    pub look_ups_kept: Duration,
    pub queue: QueueTimes,
}

/// What requests are answered with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    pub lookup_key: LookupKey,
    pub proxies: TrustedProxies,
    pub settings: Arc<Settings>,
    queues: Arc<queues::Queues>,
    hours: Arc<hours::Hours>,
    pace: Arc<given::Pace>,
    wrong_keys: WrongKeys,
    turns: Arc<turns::Turns>,
}

/// What [`Deps::new`] is made of.
pub struct Parts {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    pub lookup_key: LookupKey,
    pub proxies: TrustedProxies,
    /// Where a link's AACC is.
    pub targets: Targets,
    /// Which addresses links may lead to. `None`: any.
    pub guard: Option<Guard>,
    pub settings: Settings,
}

impl Deps {
    pub fn new(parts: Parts) -> Self {
        Self {
            queues: Arc::new(queues::Queues::new(
                parts.db.clone(),
                parts.targets,
                parts.guard,
                parts.settings.queue,
            )),
            hours: Arc::default(),
            turns: Arc::default(),
            wrong_keys: WrongKeys::default(),
            pace: Arc::new(given::Pace::new(parts.settings.requests_per_minute)),
            db: parts.db,
            bus: parts.bus,
            ids: parts.ids,
            lookup_key: parts.lookup_key,
            proxies: parts.proxies,
            settings: Arc::new(parts.settings),
        }
    }
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

/// Longer than any request takes on a healthy database.
const TIMEOUT: Duration = Duration::from_secs(20);

/// All that is served to others.
pub fn router(deps: Deps) -> Router {
    let web = WebConfig {
        role: "deflection",
        max_body_bytes: deps.settings.max_body_bytes,
        timeout: Some(TIMEOUT),
    };
    let ids = deps.ids.clone();
    let router = Router::new()
        .route(
            "/v1/deflections",
            get(offers::offer).post(offers::offer).head(no_head("GET, POST")),
        )
        .route("/v1/deflections/{deflection}", get(calls::read))
        // Some scripts can only GET; to end twice is to end once.
        .route(
            "/v1/deflections/{deflection}/end",
            post(calls::end).get(calls::end).head(no_head("GET, POST")),
        )
        .route("/d/{token}", get(page::show).post(page::accept))
        .with_state(deps)
        .layer(map_response(not_stored));
    wrap(router, web, ids)
}

/// Serves, and moves deflections on, until the process drains.
pub async fn run(listener: TcpListener, deps: Deps, life: Lifecycle) -> io::Result<()> {
    let worker = worker::run(deps.clone(), life.clone());
    let (served, ()) = tokio::join!(serve(listener, router(deps), life), worker);
    served
}
