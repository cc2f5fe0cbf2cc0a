//! The W3C trace context, carried over rows and queues so that one trace follows a text through every role.

use ccm_model::TraceParent;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The context of the span that is entered now, to be stored with a message. Nothing outside of any span, or before
/// [`crate::telemetry::init`].
pub fn current_traceparent() -> Option<TraceParent> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        TraceParent::parse(&format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        ))
    })
}

/// Makes `span` a child of the stored context. To be called before `span` is entered; later it has no effect.
pub fn follow(span: &Span, parent: &TraceParent) {
    let mut parts = parent.as_str().split('-').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (Ok(trace), Ok(id), Ok(flags)) = (
        TraceId::from_hex(part()),
        SpanId::from_hex(part()),
        u8::from_str_radix(part(), 16),
    ) else {
        return;
    };
    let remote = SpanContext::new(trace, id, TraceFlags::new(flags), true, TraceState::default());
    // It fails when the span is filtered out or telemetry is off; then there is nothing to link.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}
