//! A configuration that changes while the process runs.

use crate::{
    Config, ConfigError, Sources, TenantLabels,
    telemetry::{LogFilter, TelemetryError},
};
use std::{collections::BTreeMap, convert::Infallible, io, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

/// How often the file is looked at: Kubernetes changes a mounted one without a word, within a minute.
const LOOK: Duration = Duration::from_secs(10);

/// What is taken up while the process runs; all else needs a restart.
const TAKEN_UP: [&str; 2] = ["telemetry.log_filter", "telemetry.metrics_tenants"];

/// Takes up what can be of a configuration that changes, and says what can not.
pub struct Reload {
    sources: Sources,
    filters: LogFilter,
    /// What the process began with, but for what was taken up since.
    runs_with: BTreeMap<String, u64>,
    /// What was taken last: a file that is wrong is looked at again.
    seen: BTreeMap<String, u64>,
    refused: bool,
    signals: Signal,
}

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Same,
    Changed {
        /// Is in force now.
        taken_up: Vec<String>,
        /// Is not what the process runs with.
        needs_restart: Vec<String>,
    },
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl Reload {
    /// Of a process that was started with `sources` as they are now.
    pub fn new(sources: Sources, filters: LogFilter) -> io::Result<Self> {
        let now = Config::fingerprints(&sources).unwrap_or_default();
        Ok(Self {
            sources,
            filters,
            runs_with: now.clone(),
            seen: now,
            refused: false,
            signals: signal(SignalKind::hangup())?,
        })
    }

    /// Looks whenever SIGHUP comes, and every ten seconds. Never returns.
    pub async fn run(mut self) -> Result<(), Infallible> {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        good(true);
        needs_restart_for(0);
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                signal = self.signals.recv() => signal.is_some(),
            };
            match self.look() {
                Ok(Look::Same) => {
                    if asked {
                        tracing::info!("the configuration was read again and has not changed");
                    }
                }
                Ok(Look::Changed {
                    taken_up,
                    needs_restart,
                }) => {
                    self.refused = false;
                    good(true);
                    needs_restart_for(needs_restart.len());
                    tracing::info!(taken_up = taken_up.join(" "), "the configuration has changed");
                    if !needs_restart.is_empty() {
                        tracing::warn!(
                            keys = needs_restart.join(" "),
                            "settings have changed that this process takes up with a restart only"
                        );
                    }
                }
                Err(error) => {
                    // The file stays as it is until somebody mends it: said once.
                    if !std::mem::replace(&mut self.refused, true) || asked {
                        tracing::error!(%error, "the configuration has changed and cannot be used; this process goes on with what it has");
                    }
                    // How many keys wait for a restart is not known anew: what was known still waits.
                    good(false);
                }
            }
        }
    }

    fn look(&mut self) -> Result<Look, Refused> {
        let now = Config::fingerprints(&self.sources)?;
        if now == self.seen && !self.refused {
            return Ok(Look::Same);
        }
        let config = Config::load(&self.sources)?;
        self.filters.set(&config.telemetry.log_filter)?;
        TenantLabels::name_at_most(config.telemetry.metrics_tenants);
        let mut taken_up = Vec::new();
        for key in TAKEN_UP {
            if let Some(value) = now.get(key)
                && self.runs_with.insert(key.to_owned(), *value) != Some(*value)
            {
                taken_up.push(key.to_owned());
            }
        }
        let differs = |(key, value): &(&String, &u64)| self.runs_with.get(*key) != Some(value);
        let needs_restart = now.iter().filter(differs).map(|(key, _)| key.clone()).collect();
        self.seen = now;
        Ok(Look::Changed {
            taken_up,
            needs_restart,
        })
    }
}

fn good(good: bool) {
    metrics::gauge!("ccm_config_good").set(if good { 1.0 } else { 0.0 });
}

fn needs_restart_for(keys: usize) {
    metrics::gauge!("ccm_config_keys_for_restart").set(keys as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn what_can_be_taken_up_is_and_a_wrong_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ccm.toml");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("[telemetry]\nlog_filter = \"info\"\n");
        let sources = Sources {
            file: Some(path.clone()),
            ..Sources::default()
        };
        let filters = crate::telemetry::unused_filters();
        let mut reload = Reload::new(sources, filters).unwrap();
        assert_eq!(reload.look().unwrap(), Look::Same);

        write("[telemetry]\nlog_filter = \"ccm=debug\"\n[dispatch]\npoll_ms = 400\n");
        let changed = |taken_up: &[&str], needs_restart: &[&str]| Look::Changed {
            taken_up: taken_up.iter().map(ToString::to_string).collect(),
            needs_restart: needs_restart.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            reload.look().unwrap(),
            changed(&["telemetry.log_filter"], &["dispatch.poll_ms"])
        );
        assert_eq!(reload.look().unwrap(), Look::Same);
        for wrong in [
            "[dispatch]\npol_ms = 1\n",
            "[dispatch]\npoll_ms = 0\n",
            "[telemetry]\nlog_filter = \"a=b=c\"\n",
            "[",
        ] {
            write(wrong);
            assert!(reload.look().is_err(), "{wrong}");
        }
        // Back to what it began with: nothing needs a restart any more.
        write("[telemetry]\nmetrics_tenants = 3\n");
        assert_eq!(
            reload.look().unwrap(),
            changed(&["telemetry.log_filter", "telemetry.metrics_tenants"], &[])
        );
    }
}
