use super::*;
use crate::trace;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use std::sync::{Arc, Mutex};
use tracing::{Level, span};

/// A writer that the test reads back.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(filter: &str, log_format: LogFormat) -> TelemetryConfig {
    TelemetryConfig {
        log_format,
        log_filter: filter.to_owned(),
        otlp_endpoint: None,
        metrics_tenants: 0,
    }
}

fn write_to(page: &Page, filter: &str, log_format: LogFormat) -> (Subscriber, SdkTracerProvider) {
    let config = config(filter, log_format);
    let provider = provider(&config, "test").unwrap();
    let page = page.clone();
    let (subscriber, _) = subscriber(&config, "test", &provider, move || page.clone()).unwrap();
    (subscriber, provider)
}

#[test]
fn third_parties_stay_above_debug_whatever_is_asked_for() {
    for filter in ["trace", "tungstenite=trace,hyper=debug,sqlx=trace,ccm=trace"] {
        for format in [LogFormat::Json, LogFormat::Text] {
            let page = Page::default();
            let (subscriber, _provider) = write_to(&page, filter, format);
            tracing::subscriber::with_default(subscriber, || {
                tracing::trace!(target: "tungstenite::protocol", "canary frame");
                tracing::debug!(target: "hyper::client", "canary address");
                tracing::debug!(target: "sqlx::query", "canary row");
                tracing::trace!(target: "somebody::new", "canary other");
                tracing::trace!(target: "ccm_connector::chat", "ours");
            });
            let text = page.text();
            assert!(!text.contains("canary"), "{filter}: {text}");
            assert!(text.contains("ours"), "{filter}: {text}");
        }
    }
}

#[test]
fn the_cap_holds_for_the_log_crate_which_tungstenite_uses() {
    let page = Page::default();
    let (subscriber, _provider) = write_to(&page, "trace", LogFormat::Json);
    subscriber
        .try_init()
        .expect("the only global subscriber in this process");
    log::trace!(target: "tungstenite::protocol::frame", "canary frame");
    log::debug!(target: "rustls::client", "canary key");
    log::warn!(target: "tungstenite::protocol", "a warning");
    log::trace!(target: "ccm_ewc_client", "ours");
    let text = page.text();
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("ours"), "{text}");
    let warning = text.lines().find(|line| line.contains("a warning")).unwrap();
    let warning: serde_json::Value = serde_json::from_str(warning).unwrap();
    assert_eq!(warning["target"], "tungstenite::protocol");
    assert_eq!(warning["log.line"], serde_json::Value::Null);
}

#[test]
fn spans_of_third_parties_are_capped_and_ours_survive_a_quiet_log() {
    for filter in ["error", "trace"] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let config = config(filter, LogFormat::Json);
        let (subscriber, _) = subscriber(&config, "test", &provider, io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _ours = span!(target: "ccm_ingest", Level::INFO, "accept").entered();
            let _detail = span!(target: "ccm_ingest", Level::DEBUG, "detail").entered();
            let _theirs = span!(target: "h2::client", Level::TRACE, "canary").entered();
            tracing::trace!(target: "tungstenite", "canary frame");
        });
        let spans = exporter.get_finished_spans().unwrap();
        let names: Vec<_> = spans.iter().map(|s| s.name.as_ref()).collect();
        let expected: &[&str] = if filter == "trace" {
            &["detail", "accept"]
        } else {
            &["accept"]
        };
        assert_eq!(names, expected);
        for span in spans {
            assert_eq!(span.events.len(), 0, "nor are their events attached to ours");
        }
    }
}

/// A collector that a test switches off and on.
#[derive(Debug, Default)]
struct Collector(Arc<std::sync::atomic::AtomicBool>);

impl opentelemetry_sdk::trace::SpanExporter for Collector {
    async fn export(
        &self,
        _batch: Vec<opentelemetry_sdk::trace::SpanData>,
    ) -> opentelemetry_sdk::error::OTelSdkResult {
        match self.0.load(std::sync::atomic::Ordering::Relaxed) {
            true => Ok(()),
            false => Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure(
                "away".to_owned(),
            )),
        }
    }
}

#[tokio::test]
async fn a_failing_collector_is_told_of_once() {
    use opentelemetry_sdk::trace::SpanExporter;
    let page = Page::default();
    let (subscriber, _provider) = write_to(&page, "trace", LogFormat::Json);
    let _default = tracing::subscriber::set_default(subscriber);
    let up = Arc::default();
    let quiet = export::Quiet::new(Collector(Arc::clone(&up)));
    for _ in 0..5 {
        quiet.export(Vec::new()).await.unwrap();
    }
    assert_eq!(page.text().lines().count(), 1, "{}", page.text());
    up.store(true, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..5 {
        quiet.export(Vec::new()).await.unwrap();
    }
    assert_eq!(page.text().lines().count(), 2, "{}", page.text());
    assert!(page.text().contains("takes spans again"));
}

#[test]
fn a_panic_is_one_line_with_its_place_and_without_data() {
    let page = Page::default();
    let (subscriber, _provider) = write_to(&page, "info", LogFormat::Json);
    let hook = std::panic::take_hook();
    crate::log_panics();
    tracing::subscriber::with_default(subscriber, || {
        let _ = std::panic::catch_unwind(|| {
            let row = "canary".parse::<u32>().map_err(|_| "canary");
            row.unwrap();
        });
        let _ = std::panic::catch_unwind(|| panic!("said literally"));
    });
    std::panic::set_hook(hook);
    let text = page.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains("telemetry/tests.rs:") && text.contains("said literally"),
        "{text}"
    );
}

#[test]
fn a_line_is_one_json_object_with_the_spans_fields_and_the_trace() {
    let page = Page::default();
    let (subscriber, _provider) = write_to(&page, "info", LogFormat::Json);
    let parent = tracing::subscriber::with_default(subscriber, || {
        let span = span!(target: "ccm_x", Level::INFO, "work", tenant.id = "t1", attempt = 1);
        let _in = span.entered();
        tracing::info!(target: "ccm_x", attempt = 2, ok = true, "two\nlines");
        trace::current_traceparent().unwrap()
    });
    let text = page.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "two\nlines");
    assert_eq!(line["tenant.id"], "t1");
    assert_eq!(line["attempt"], 2, "the innermost wins");
    assert_eq!(line["ok"], true);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["role"], "test");
    let trace_id = line["trace_id"].as_str().unwrap();
    assert!(parent.as_str().contains(trace_id), "{parent:?} {trace_id}");
}

#[test]
fn a_stored_context_links_two_roles_without_a_collector() {
    let stored = {
        let (subscriber, _provider) = write_to(&Page::default(), "info", LogFormat::Json);
        assert_eq!(trace::current_traceparent(), None, "no span, no context");
        tracing::subscriber::with_default(subscriber, || {
            let _in = span!(target: "ccm_ingest", Level::INFO, "accept").entered();
            trace::current_traceparent().unwrap()
        })
    };
    let (subscriber, _provider) = write_to(&Page::default(), "info", LogFormat::Json);
    let here = tracing::subscriber::with_default(subscriber, || {
        let span = span!(target: "ccm_connector", Level::INFO, "deliver");
        trace::follow(&span, &stored);
        let _in = span.entered();
        trace::current_traceparent().unwrap()
    });
    let part = |t: &ccm_model::TraceParent, n| t.as_str().split('-').nth(n).unwrap().to_owned();
    assert_eq!(part(&here, 1), part(&stored, 1), "one trace");
    assert_ne!(part(&here, 2), part(&stored, 2), "two spans");
}

#[test]
fn bad_settings_are_refused_with_a_remedy() {
    let page = Page::default();
    let mut bad = config("ccm=loud", LogFormat::Json);
    let provider_ok = provider(&bad, "test").unwrap();
    let Err(error) = subscriber(&bad, "test", &provider_ok, move || page.clone()) else {
        panic!("ccm=loud is no filter")
    };
    assert!(error.to_string().contains("ccm_connector=debug"), "{error}");
    bad.otlp_endpoint = Some("collector:4318".to_owned());
    let error = provider(&bad, "test").unwrap_err();
    assert!(error.to_string().contains("http://collector:4318"), "{error}");
}

/// What sqlx does before each statement: it asks whether DEBUG would be logged, and then logs nothing.
struct OnlyAsks;

static ONLY_ASKS: OnlyAsks = OnlyAsks;
static QUESTION: tracing::Metadata<'static> = tracing::metadata! {
    name: "question",
    target: "sqlx::query",
    level: Level::DEBUG,
    fields: &[],
    callsite: &ONLY_ASKS,
    kind: tracing::metadata::Kind::HINT,
};

impl tracing::Callsite for OnlyAsks {
    fn set_interest(&self, _: tracing::subscriber::Interest) {}
    fn metadata(&self) -> &tracing::Metadata<'_> {
        &QUESTION
    }
}

#[test]
fn a_librarys_question_costs_none_of_our_lines() {
    let page = Page::default();
    let (subscriber, _provider) = write_to(&page, "trace", LogFormat::Json);
    tracing::subscriber::with_default(subscriber, || {
        for n in 1..=3 {
            let _ = tracing::dispatcher::get_default(|d| d.enabled(&QUESTION));
            tracing::info!(target: "ccm_dispatch", n, "after the question");
        }
    });
    let text = page.text();
    assert_eq!(text.matches("after the question").count(), 3, "{text}");
}

#[test]
fn what_is_logged_changes_while_the_process_runs() {
    let page = Page::default();
    let config = config("info", LogFormat::Json);
    let provider = provider(&config, "test").unwrap();
    let written = page.clone();
    let (subscriber, filters) = subscriber(&config, "test", &provider, move || written.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let say = |what: &'static str| tracing::debug!(target: "ccm_connector::chat", what);
        say("before");
        filters.set("info,ccm=debug").unwrap();
        say("during");
        tracing::trace!(target: "hyper::client", "canary address");
        assert!(filters.set("a=b=c").is_err());
        say("still");
        filters.set("info").unwrap();
        say("after");
    });
    let text = page.text();
    let said = |what| text.contains(what);
    assert!(said("during") && said("still"), "{text}");
    assert!(!said("before") && !said("after") && !said("canary"), "{text}");
}
