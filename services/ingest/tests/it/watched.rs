//! Everything that is logged and traced, to be searched.

use ccm_testkit::canary;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub struct Watched {
    logs: Buffer,
    spans: InMemorySpanExporter,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Watched {
    /// Of this process, at the level that the product itself would allow at most.
    pub fn start() -> Self {
        let (logs, spans) = (Buffer::default(), InMemorySpanExporter::default());
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let cap = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("ccm", LevelFilter::TRACE);
        let writer = logs.clone();
        tracing_subscriber::registry()
            .with(cap)
            .with(fmt::layer().with_writer(move || writer.clone()))
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .init();
        Self { logs, spans }
    }

    pub fn logs(&self) -> String {
        String::from_utf8(self.logs.0.lock().unwrap().clone()).unwrap()
    }

    /// The spans of this name that have ended.
    pub fn spans(&self, name: &str) -> Vec<SpanData> {
        let mut all = self.spans.get_finished_spans().unwrap();
        all.retain(|span| span.name == name);
        all
    }

    /// Panics where a text or a number shows.
    pub fn assert_clean(&self) {
        let spans = format!("{:?}", self.spans.get_finished_spans().unwrap());
        for (place, text) in [("logs", self.logs()), ("spans", spans)] {
            assert!(!text.is_empty());
            let hits = canary::find_in(&text);
            assert!(hits.is_empty(), "in {place}: {hits:?}");
        }
    }
}
