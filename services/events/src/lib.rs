//! Tells tenants' programs what happens: webhooks out.
//!
//! What happens and to whom it is told is written by triggers, in the transaction of what happened. Here it is taken up, told and told
//! again: [`worker`] claims what is due, [`call`] makes one attempt, [`schedule`] says what follows, [`payload`] what is told.
//! `docs/webhooks.md` is for whoever receives.

mod call;
mod payload;
mod schedule;
mod worker;

use ccm_db::Db;
use ccm_egress::Egress;
use ccm_model::IdSource;
use ccm_runtime::Lifecycle;
use std::time::Duration;

/// How the role works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often it is looked for what is due. 1 s.
    pub poll: Duration,
    /// Calls of this process at a time.
    pub concurrency: u32,
    /// Calls of one webhook at a time: the others do not wait for a slow one.
    pub per_webhook: u32,
    /// How long a receiver may take.
    pub timeout: Duration,
    /// When another process takes up what this one had in hand, should it die. More than `timeout`.
    pub claim: Duration,
}

/// The role. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    pub db: Db,
    pub ids: IdSource,
    pub egress: Egress,
    pub settings: Settings,
}

impl Events {
    /// Calls webhooks until the process drains; what is under way then is ended.
    pub async fn run(self, life: Lifecycle) {
        worker::run(self, life).await;
    }
}
