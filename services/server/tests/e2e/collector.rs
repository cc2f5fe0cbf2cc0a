//! A collector that keeps what it is sent.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A span, as far as the tests look.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
}

#[derive(Default)]
struct Seen {
    spans: Vec<Span>,
    raw: Vec<u8>,
}

#[derive(Clone)]
pub struct Collector {
    seen: Arc<Mutex<Seen>>,
    pub endpoint: String,
}

impl Collector {
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let app = Router::new()
            .route("/v1/traces", post(take))
            .layer(DefaultBodyLimit::disable())
            .with_state(seen.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { seen, endpoint }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.seen.lock().unwrap().spans.clone()
    }

    /// Everything that came in, as it was on the wire.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw).into_owned()
    }
}

async fn take(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP protobuf");
    let mut seen = seen.lock().unwrap();
    seen.raw.extend_from_slice(&body);
    for group in request.resource_spans {
        let service = group
            .resource
            .map(|r| text(&r.attributes, "service.name"))
            .unwrap_or_default();
        for span in group.scope_spans.into_iter().flat_map(|s| s.spans) {
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            seen.spans.push(Span {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
            });
        }
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes
        .iter()
        .find(|a| a.key == key)
        .and_then(|a| a.value.as_ref()?.value.as_ref());
    match found {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}
