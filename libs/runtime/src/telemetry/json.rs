use ccm_model::Clock;
use opentelemetry::{Context, trace::TraceContextExt};
use serde_json::{Map, Value};
use std::fmt;
use time::format_description::well_known::Rfc3339;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// One JSON object a line: `time`, `level`, `role`, `target`, `message`, `trace_id` and `span_id` where there are, then the
/// fields of the enclosing spans and of the event, the innermost winning.
pub(super) struct JsonLines {
    role: String,
    clock: Clock,
}

impl JsonLines {
    pub(super) fn new(role: &str, clock: Clock) -> Self {
        Self {
            role: role.to_owned(),
            clock,
        }
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<JsonFields>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
        }
        let mut fields = Fields {
            line: &mut line,
            log_target: None,
        };
        event.record(&mut fields);
        let target = fields
            .log_target
            .unwrap_or_else(|| event.metadata().target().to_owned());
        let mut put = |key: &str, value: String| line.insert(key.to_owned(), Value::String(value));
        put("time", self.clock.now().format(&Rfc3339).map_err(|_| fmt::Error)?);
        put("level", event.metadata().level().to_string());
        put("role", self.role.clone());
        put("target", target);
        Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            if span.is_valid() {
                put("trace_id", span.trace_id().to_string());
                put("span_id", span.span_id().to_string());
            }
        });
        let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writer.write_str(&text)?;
        writer.write_char('\n')
    }
}

struct Fields<'a> {
    line: &'a mut Map<String, Value>,
    /// Records of the `log` crate say in a field which target they are of.
    log_target: Option<String>,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        match field.name() {
            "log.target" => self.log_target = value.into().as_str().map(str::to_owned),
            "log.file" | "log.line" | "log.module_path" => {}
            name => {
                self.line.insert(name.to_owned(), value.into());
            }
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string());
    }
}
