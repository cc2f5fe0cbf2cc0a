//! Faults by the clock: what a script does at which time.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;

use crate::chaos::Chaos;
use crate::fault::{Break, FaultsChange, Target};
use crate::shared::Shared;
use crate::tls::TlsSetup;

/// What happens at one time, to all chats. In the order of the fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// Changes of the settings, as over the control API.
    pub settings: Option<Value>,
    pub faults: Option<FaultsChange>,
    /// For new connections.
    pub tls: Option<TlsSetup>,
    /// Every session ends.
    pub expire: bool,
    /// Open sockets get error 503.
    pub announce_maintenance: bool,
    /// Every socket stands still for so long.
    pub freeze_ms: Option<u64>,
    /// Every socket is broken.
    #[serde(rename = "break")]
    pub break_sockets: Option<Break>,
    pub chaos: Option<Chaos>,
    pub stop_chaos: bool,
}

/// Waits for the step's time, and takes it.
pub(crate) async fn take(shared: Arc<Shared>, step: Step) {
    tokio::select! {
        () = sleep(Duration::from_millis(step.at_ms)) => {}
        () = shared.stop.cancelled() => return,
    }
    shared.with(|book| {
        if let Some(change) = &step.settings {
            match book.settings.changed(change) {
                Ok(settings) => book.settings = Arc::new(settings),
                Err(error) => tracing::error!(error.message = %error, "a step's settings are wrong"),
            }
        }
        if let Some(change) = step.faults {
            change.apply(&mut book.faults);
        }
        if step.expire {
            book.expire(Target::All);
        }
        if step.announce_maintenance {
            book.announce_maintenance(Target::All);
        }
        if let Some(ms) = step.freeze_ms {
            book.freeze(Target::All, Duration::from_millis(ms));
        }
        if let Some(how) = step.break_sockets {
            book.break_sockets(Target::All, how);
        }
        if step.stop_chaos {
            book.stop_chaos();
        }
    });
    if let Some(setup) = step.tls
        && let Err(error) = shared.set_tls(setup)
    {
        tracing::error!(error.message = %error, "a step's TLS side cannot be had");
    }
    if let Some(chaos) = step.chaos {
        shared.begin_chaos(chaos);
    }
}
