use super::TelemetryError;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, Targets},
    layer::Filter,
};

/// The most that any target may say, whatever RUST_LOG asks for.
///
/// At DEBUG and TRACE the libraries (tungstenite, hyper, h2, reqwest, sqlx, rustls, …) print frames, addresses and rows:
/// customers' texts and numbers. Only our own code, which is written not to, may go below INFO; an unknown target is
/// somebody else's. OpenTelemetry's own words are left out: the exporter's wrapper says once what they say each second.
fn cap() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("ccm", LevelFilter::TRACE)
        .with_target("opentelemetry", LevelFilter::OFF)
}

/// What the operator asks for, under the cap.
pub(super) fn logs(filter: &str) -> Result<impl Filter<Registry> + Send + Sync + 'static, TelemetryError> {
    Ok(FilterExt::<Registry>::and(cap(), asked(filter)?))
}

/// INFO, and more where the operator asks for it, under the cap: a quiet log must not break a trace.
pub(super) fn spans(filter: &str) -> Result<impl Filter<Registry> + Send + Sync + 'static, TelemetryError> {
    let wanted = FilterExt::<Registry>::or(LevelFilter::INFO, asked(filter)?);
    Ok(FilterExt::<Registry>::and(cap(), wanted))
}

fn asked(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|e| TelemetryError::Filter {
            filter: filter.to_owned(),
            reason: e.to_string(),
        })
}
