//! The SMS edge out: texts in the outbox go to the provider, in order, at each number's rate.
//!
//! A conversation's texts are one *line*. A pod claims lines that are due, tenants in turn, works each in a task (begin, wait
//! for the next free moment of number, account and tenant, send, record) and lets go of it. A claim expires: a pod that dies leaves nothing behind for ever,
//! and a text whose fate it has taken along is sent again: where the provider can be asked, once that says that it does not
//! have it, and where it cannot tell, marked as a re-send.
//!
//! Postgres says what there is to do; a wake-up only says "look again". No tenant gets more than half of a pod's room, and
//! an account whose provider fails is paused, so that one provider's trouble is not everybody's; the number's second account
//! takes its texts meanwhile.

mod ask;
mod backoff;
mod circuit;
mod line;
mod outcome;
mod service;
mod slots;

pub use ccm_sms::{Allowed, Client, client};

use ccm_bus::{Bus, Topic};
use ccm_db::Db;
use ccm_model::IdSource;
use ccm_runtime::Lifecycle;
use std::time::Duration;

/// How a dispatch pod works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often the outbox is looked at when no wake-up comes. 1 s.
    pub poll: Duration,
    /// The most texts on their way to providers at once, 1 or more; one tenant gets half of them at most.
    pub concurrency: usize,
    /// How long a provider may take to answer.
    pub provider_timeout: Duration,
    /// How long a claim holds, from the moment that a text may leave; more than `provider_timeout`.
    pub claim: Duration,
    /// A text that no provider has taken at this age fails. [`GIVE_UP_AFTER`].
    pub give_up_after: Duration,
    /// Where providers reach us, without a slash at the end; empty: they are not told where to post receipts.
    pub receipts_base: String,
}

/// A day: an answer that comes later answers nothing any more.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A dispatch pod. Any number of them may run.
pub struct Dispatch {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    /// From [`client`].
    pub http: Client,
    pub settings: Settings,
}

impl Dispatch {
    /// Runs until the process drains: then nothing more is claimed, what is on its way to a provider gets its answer
    /// recorded, and claims are let go.
    pub async fn run(self, life: Lifecycle) {
        let worker = line::Worker::new(self.db, self.ids, self.http, &self.settings);
        let wakes = self.bus.subscribe(&[Topic::Outbound]);
        service::run(worker, wakes, &self.settings, life).await;
    }
}
