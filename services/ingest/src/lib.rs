//! The SMS edge in: providers' webhooks become rows, and a 2xx is given for what is committed.
//!
//! The way of a webhook: whose account does its address name, does the signature fit ([`ccm_sms::receive`]), which number
//! was texted, then the text goes into the next batch ([`Batcher`]) and a wake-up to the tenant's connector. Nothing is
//! kept here: a process that dies has not answered what it has not stored, and the provider posts it again.

mod batch;
mod events;
mod flood;
mod forget;
mod lookup;
mod parts;
mod refusal;
mod unanswered;
mod webhook;

pub use batch::{AcceptError, Batcher, Batching, Workers};

use ccm_bus::Bus;
use ccm_db::Db;
use ccm_model::IdSource;
use ccm_runtime::{Lifecycle, serve};
use ccm_web::{WebConfig, wrap};
use std::{future::pending, io, time::Duration};
use tokio::net::TcpListener;

/// How ingest works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How providers reach us, without a slash at the end: the beginning of the address that they sign.
    pub public_base_url: String,
    /// The largest body that is read.
    pub max_body_bytes: usize,
    /// A text that is not committed within this time gets 503.
    pub request_timeout: Duration,
    pub batching: Batching,
}

/// How long a provider may take to send its request, besides [`Settings::request_timeout`].
const SLOW_SENDER: Duration = Duration::from_secs(5);

/// The edge in. Any number of them may run.
pub struct Ingest {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    pub settings: Settings,
}

impl Ingest {
    /// Serves webhooks on `listener` until the process drains; requests under way are finished. An error is the end of the
    /// process: a part of the texts would never be stored.
    pub async fn run(self, listener: TcpListener, life: Lifecycle) -> io::Result<()> {
        let settings = self.settings;
        let (batcher, mut workers) = Batcher::start(&self.db, &self.bus, settings.batching);
        let forget = forget::run(self.db.clone(), life.clone());
        let parts = parts::run(self.db.clone(), self.bus.clone(), self.ids.clone(), life.clone());
        let unanswered = unanswered::run(self.db.clone(), self.ids.clock().clone(), life.clone());
        let router = webhook::router(webhook::Webhooks {
            events: events::Events {
                lookups: lookup::Lookups::new(self.db.clone()),
                db: self.db,
                bus: self.bus,
                ids: self.ids.clone(),
                batcher,
                floods: flood::Floods::default(),
            },
            public_base_url: settings.public_base_url,
            request_timeout: settings.request_timeout,
        });
        let web = WebConfig {
            role: "ingest",
            max_body_bytes: settings.max_body_bytes,
            timeout: Some(settings.request_timeout + SLOW_SENDER),
        };
        let ending = life.clone();
        // As the process ends the router goes, and with it what the workers wait for.
        let died = async {
            workers.died().await;
            if ending.is_draining() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            (served, (), (), ()) = async {
                tokio::join!(serve(listener, wrap(router, web, self.ids), life), parts, forget, unanswered)
            } => served?,
            () = died => return Err(io::Error::other("a worker that stores texts has died")),
        }
        // The last handle went with the router.
        workers.finish().await;
        Ok(())
    }
}
