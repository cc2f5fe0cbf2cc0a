use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{sync::OnceLock, thread, time::Duration};

/// Why metrics cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another recorder is installed in this process.
    #[error("another metrics recorder is installed in this process: {0}")]
    Taken(String),
    /// The system gives no thread.
    #[error("no thread for metrics' upkeep: {0}")]
    Thread(#[from] std::io::Error),
}

/// This process' Prometheus recorder, behind the `metrics` crate's macros. Cheap to clone.
///
/// Names end in their unit: `_seconds` are histograms with buckets from a millisecond to a minute, `_total` are counters.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// From a millisecond (an insert) to a minute (a provider that hangs), the poll interval's second in the middle.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Installs the recorder for the whole process; the second call returns the first one's.
    pub fn install() -> Result<Self, MetricsError> {
        if let Some(metrics) = INSTALLED.get() {
            return Ok(metrics.clone());
        }
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .expect("the buckets are not empty")
            .install_recorder()
            .map_err(|e| MetricsError::Taken(e.to_string()))?;
        let upkeep = handle.clone();
        // Without it histograms keep each sample until the next scrape, which may never come.
        thread::Builder::new()
            .name("metrics-upkeep".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(Duration::from_secs(5));
                    upkeep.run_upkeep();
                }
            })?;
        Ok(INSTALLED.get_or_init(|| Self(handle)).clone())
    }

    /// Says which version and role this is.
    pub fn say_who(&self, version: &'static str, role: &'static str) {
        metrics::gauge!("ccm_build_info", "version" => version, "role" => role).set(1.0);
    }

    /// Everything measured so far, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}
