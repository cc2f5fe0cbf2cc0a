//! Logs to standard error, spans to an OpenTelemetry collector.

mod export;
mod filter;
mod json;

use crate::config::{LogFormat, TelemetryConfig};
use ccm_model::Clock;
use filter::{EachTime, Wanted};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use std::{io, time::Duration};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// How long one export may take, and the last one at the end of the process.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a finished span waits for company.
const EXPORT_EVERY: Duration = Duration::from_secs(1);

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_filter` is not a filter.
    #[error(
        "telemetry.log_filter {filter:?} is not a filter: {reason}; write it like info,ccm_connector=debug"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// `telemetry.otlp_endpoint` cannot be used.
    #[error(
        "telemetry.otlp_endpoint {endpoint:?} cannot be used: {reason}; write it like http://collector:4318"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// Called twice in one process.
    #[error("telemetry is started already in this process")]
    Twice,
}

/// Keeps telemetry running; dropping it sends the spans that wait (at most three seconds).
#[must_use = "telemetry ends when the guard is dropped"]
pub struct Guard {
    provider: SdkTracerProvider,
    filters: LogFilter,
}

/// What is logged and traced, while the process runs. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter {
    logs: reload::Handle<Wanted, Registry>,
    spans: reload::Handle<Wanted, Registry>,
}

impl LogFilter {
    /// From now on this, in RUST_LOG's spelling. A filter that is none changes nothing.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        let (logs, spans) = (filter::logs(filter)?, filter::spans(filter)?);
        let gone = |e: reload::Error| TelemetryError::Filter {
            filter: filter.to_owned(),
            reason: e.to_string(),
        };
        self.logs.reload(logs).map_err(gone)?;
        self.spans.reload(spans).map_err(gone)
    }
}

/// Whether `telemetry.log_filter` is a filter.
pub fn valid_filter(filter: &str) -> Result<(), TelemetryError> {
    filter::logs(filter).map(drop)
}

/// Filters that nothing is logged through.
#[cfg(test)]
pub(crate) fn unused_filters() -> LogFilter {
    let filter = || {
        let (layer, handle) = reload::Layer::new(filter::logs("info").expect("a filter"));
        // It works for as long as its layer is there.
        std::mem::forget(layer);
        handle
    };
    LogFilter {
        logs: filter(),
        spans: filter(),
    }
}

impl Guard {
    /// To change what is logged.
    pub fn filters(&self) -> LogFilter {
        self.filters.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A failure was counted and logged by the exporter; there is nobody left to tell.
        let _ = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT);
    }
}

/// Starts logs and spans for this process, as `ccm-<role>`.
///
/// Install rustls' default provider before; an endpoint with https needs it. A collector that is away costs spans, never
/// time, and one log line when it goes and one when it comes back. Spans carry real trace ids even without a collector,
/// so that stored trace contexts link up.
pub fn init(config: &TelemetryConfig, role: &str) -> Result<Guard, TelemetryError> {
    let provider = provider(config, role)?;
    let (subscriber, filters) = subscriber(config, role, &provider, io::stderr)?;
    subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(Guard { provider, filters })
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(
    config: &TelemetryConfig,
    role: &str,
    provider: &SdkTracerProvider,
    writer: W,
) -> Result<(Subscriber, LogFilter), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (wanted_logs, logs_handle) = reload::Layer::new(filter::logs(&config.log_filter)?);
    let (wanted_spans, spans_handle) = reload::Layer::new(filter::spans(&config.log_filter)?);
    let logs: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Json => fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(json::JsonLines::new(role, Clock::system()))
            .with_writer(writer)
            .with_filter(EachTime(wanted_logs))
            .boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(false)
            .with_writer(writer)
            .with_filter(EachTime(wanted_logs))
            .boxed(),
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("ccm"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(EachTime(wanted_spans))
        .boxed();
    let filters = LogFilter {
        logs: logs_handle,
        spans: spans_handle,
    };
    Ok((Box::new(Registry::default().with(vec![logs, spans])), filters))
}

fn provider(config: &TelemetryConfig, role: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(
            Resource::builder()
                .with_service_name(format!("ccm-{role}"))
                .build(),
        );
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(builder.build());
    };
    let refused = |reason: String| TelemetryError::Endpoint {
        endpoint: endpoint.clone(),
        reason,
    };
    if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
        return Err(refused("it does not start with http:// or https://".to_owned()));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .with_retry_policy(opentelemetry_otlp::RetryPolicy::disabled())
        .build()
        .map_err(|e| refused(e.to_string()))?;
    let processor = BatchSpanProcessor::builder(export::Quiet::new(exporter))
        .with_batch_config(
            BatchConfigBuilder::default()
                .with_scheduled_delay(EXPORT_EVERY)
                .build(),
        )
        .build();
    Ok(builder.with_span_processor(processor).build())
}

#[cfg(test)]
mod tests;
