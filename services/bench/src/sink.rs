//! The provider: an HTTP server on a thread of its own that takes every text, in Kannel's dialect and in CCM's generic JSON,
//! and writes down when it came. Signatures are not looked at.

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
    serve::ListenerExt,
};
use ccm_model::Clock;
use hdrhistogram::Histogram;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::oneshot, time::Instant};

/// Where Kannel's HTTP SMSC sends to.
const KANNEL_PATH: &str = "/mt";
/// Where CCM's provider `http` sends to.
const JSON_PATH: &str = "/sms";
/// What Kannel wants to read (`system-type = kannel`).
const KANNEL_TOOK_IT: &str = "0: Accepted for delivery";

/// The body of the n-th text: one segment.
pub fn text(n: u64, marker: &str) -> String {
    format!(
        "{marker} n-{n}: the engineer comes tomorrow between eight and ten, please have somebody at the door"
    )
}

/// The text's number, and its moment in nanoseconds since 1970.
fn read(text: &str) -> Option<(u64, i128)> {
    let (moment, rest) = text.strip_prefix("TS")?.split_once(" n-")?;
    let (n, _) = rest.split_once(':')?;
    Some((n.parse().ok()?, moment.parse().ok()?))
}

/// What has come so far.
pub struct Arrivals {
    /// Different texts.
    pub texts: u64,
    /// Texts that had come before.
    pub again: u64,
    /// Requests without a text of ours.
    pub strange: u64,
    /// Of the last text.
    pub last: Option<Instant>,
    /// From a text's moment to its arrival, since it was last taken.
    latency_us: Histogram<u64>,
    seen: HashSet<u64>,
}

impl Arrivals {
    fn none() -> Self {
        Self {
            texts: 0,
            again: 0,
            strange: 0,
            last: None,
            latency_us: new_histogram(),
            seen: HashSet::new(),
        }
    }

    fn take(&mut self, text: &str, now_ns: i128, at: Instant) -> bool {
        let Some((n, moment)) = read(text) else {
            self.strange += 1;
            return false;
        };
        if self.seen.insert(n) {
            self.texts += 1;
            self.last = Some(at);
            let us = u64::try_from((now_ns - moment) / 1000).unwrap_or(0);
            self.latency_us.saturating_record(us.max(1));
        } else {
            self.again += 1;
        }
        true
    }
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid")
}

/// A provider that takes everything. It ends when dropped.
pub struct Sink {
    addr: SocketAddr,
    arrivals: Arc<Mutex<Arrivals>>,
    _ends: oneshot::Sender<()>,
}

#[derive(Clone)]
struct App {
    arrivals: Arc<Mutex<Arrivals>>,
    clock: Clock,
}

#[derive(Deserialize)]
struct KannelText {
    text: String,
}

#[derive(Deserialize)]
struct JsonText {
    id: String,
    text: String,
}

impl Sink {
    /// Starts it on a free loopback port. A thread of its own: what the load tool does meanwhile delays no arrival.
    pub fn start(clock: Clock) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let arrivals = Arc::new(Mutex::new(Arrivals::none()));
        let app = router(App {
            arrivals: arrivals.clone(),
            clock,
        });
        let (ends, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || runtime.block_on(serve(listener, app, ended)))
            .context("starting the sink")?;
        Ok(Self {
            addr,
            arrivals,
            _ends: ends,
        })
    }

    pub fn kannel_url(&self) -> String {
        format!("http://{}{KANNEL_PATH}", self.addr)
    }

    pub fn json_url(&self) -> String {
        format!("http://{}{JSON_PATH}", self.addr)
    }

    /// Looks at what has come so far.
    pub fn look<T>(&self, at: impl FnOnce(&Arrivals) -> T) -> T {
        at(&self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The latencies since this was last called.
    pub fn take_latencies(&self) -> Histogram<u64> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut arrivals.latency_us, new_histogram())
    }
}

async fn serve(listener: std::net::TcpListener, app: Router, ended: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener.tap_io(|socket| drop(socket.set_nodelay(true))),
        Err(error) => return eprintln!("the sink does not listen: {error}"),
    };
    tokio::select! {
        served = axum::serve(listener, app) => if let Err(error) = served {
            eprintln!("the sink ended: {error}");
        },
        _ = ended => {}
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route(KANNEL_PATH, get(from_kannel))
        .route(JSON_PATH, post(from_ccm))
        .with_state(app)
}

impl App {
    fn take(&self, text: &str) -> bool {
        let (now_ns, at) = (self.clock.now().unix_timestamp_nanos(), Instant::now());
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.take(text, now_ns, at)
    }
}

async fn from_kannel(State(app): State<App>, Query(text): Query<KannelText>) -> impl IntoResponse {
    match app.take(&text.text) {
        true => (StatusCode::ACCEPTED, KANNEL_TOOK_IT),
        false => (StatusCode::BAD_REQUEST, "no text of the bench's"),
    }
}

async fn from_ccm(State(app): State<App>, Json(text): Json<JsonText>) -> impl IntoResponse {
    match app.take(&text.text) {
        true => (StatusCode::OK, Json(json!({ "id": format!("sink-{}", text.id) }))),
        false => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "code": "strange", "message": "no text of the bench's" })),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use time::OffsetDateTime;

    const MARKER: &str = "TS1700000000000000000";

    #[test]
    fn a_text_is_one_segment_and_is_read_as_it_was_written() {
        let written = text(123_456_789, MARKER);
        assert!(written.is_ascii() && written.len() <= 160, "{}", written.len());
        assert_eq!(read(&written), Some((123_456_789, 1_700_000_000_000_000_000)));
        for other in ["", "hello", "TS17 n-1", "TSx n-1: hello", "TS17 n-x: hello"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn both_dialects_are_answered_and_each_text_is_counted_once() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let moment = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let sink = Sink::start(Clock::fixed(moment + Duration::from_millis(7))).unwrap();
        let http = reqwest::Client::new();
        let kannel = |text: String| {
            http.get(sink.kannel_url())
                .query(&[("username", "u"), ("text", &text)])
        };
        let ccm = |text: String| {
            http.post(sink.json_url())
                .json(&json!({ "id": "a", "text": text }))
        };

        let answer = kannel(text(1, MARKER)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(answer.text().await.unwrap(), KANNEL_TOOK_IT);
        let answer = ccm(text(2, MARKER)).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({ "id": "sink-a" }));
        ccm(text(1, MARKER)).send().await.unwrap();
        let answer = ccm("hello".to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);

        assert_eq!(sink.look(|a| (a.texts, a.again, a.strange)), (2, 1, 1));
        let latencies = sink.take_latencies();
        assert_eq!((latencies.len(), latencies.value_at_quantile(0.5) / 10), (2, 700));
        assert_eq!(sink.take_latencies().len(), 0);
    }
}
