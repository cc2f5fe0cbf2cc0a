use super::TelemetryError;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, Targets},
    layer::{Context, Filter},
};

/// What is wanted, which may change.
pub(super) type Wanted = Box<dyn Filter<Registry> + Send + Sync>;

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
pub(super) fn logs(filter: &str) -> Result<Wanted, TelemetryError> {
    Ok(Box::new(FilterExt::<Registry>::and(cap(), asked(filter)?)))
}

/// INFO, and more where the operator asks for it, under the cap: a quiet log must not break a trace.
pub(super) fn spans(filter: &str) -> Result<Wanted, TelemetryError> {
    let wanted = FilterExt::<Registry>::or(LevelFilter::INFO, asked(filter)?);
    Ok(Box::new(FilterExt::<Registry>::and(cap(), wanted)))
}

fn asked(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|e| TelemetryError::Filter {
            filter: filter.to_owned(),
            reason: e.to_string(),
        })
}

/// Asks the filter for every event and span, never "always" ahead of time.
///
/// A library that only asks whether something would be logged (`log::trace!` through the bridge, sqlx for each statement)
/// leaves the answer "no" behind in the thread's filter state. An event that is enabled ahead of time does not ask again, takes that
/// answer for its own and is lost: at RUST_LOG=debug most of our lines and spans were.
pub(super) struct EachTime<F>(pub F);

impl<S: Subscriber, F: Filter<S>> Filter<S> for EachTime<F> {
    fn enabled(&self, meta: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        self.0.enabled(meta, cx)
    }

    fn callsite_enabled(&self, meta: &'static Metadata<'static>) -> Interest {
        match self.0.callsite_enabled(meta) {
            interest if interest.is_never() => interest,
            _ => Interest::sometimes(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn event_enabled(&self, event: &tracing::Event<'_>, cx: &Context<'_, S>) -> bool {
        self.0.event_enabled(event, cx)
    }

    fn on_new_span(&self, attrs: &tracing::span::Attributes<'_>, id: &tracing::span::Id, cx: Context<'_, S>) {
        self.0.on_new_span(attrs, id, cx);
    }

    fn on_record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>, cx: Context<'_, S>) {
        self.0.on_record(id, values, cx);
    }

    fn on_enter(&self, id: &tracing::span::Id, cx: Context<'_, S>) {
        self.0.on_enter(id, cx);
    }

    fn on_exit(&self, id: &tracing::span::Id, cx: Context<'_, S>) {
        self.0.on_exit(id, cx);
    }

    fn on_close(&self, id: tracing::span::Id, cx: Context<'_, S>) {
        self.0.on_close(id, cx);
    }
}
