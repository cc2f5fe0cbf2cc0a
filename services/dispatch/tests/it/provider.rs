//! A provider that speaks both dialects, notes what it is sent, and does as it is told.

use axum::{
    Form, Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::AbortHandle,
    time::{Instant, sleep},
};

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Does {
    /// Takes the text.
    Takes,
    /// Takes it, and answers so much later.
    TakesSlowly(Duration),
    /// Takes it, and answers when it is given a permit.
    TakesWhen(Arc<Semaphore>),
    /// Answers nothing, ever.
    Hangs,
    /// Status, code, `Retry-After` in seconds.
    Refuses(u16, &'static str, Option<u64>),
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub to: String,
    pub from: String,
    pub text: String,
    pub idempotency_key: Option<String>,
}

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    script: VecDeque<Does>,
    /// When the script is over.
    otherwise: Option<Does>,
}

pub struct Provider {
    inner: Arc<Mutex<Inner>>,
    pub url: String,
    server: AbortHandle,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Provider {
    pub async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new()
            .route("/2010-04-01/Accounts/{sid}/Messages.json", post(twilio))
            .route("/send", post(generic))
            .with_state(inner.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { inner, url, server }
    }

    /// What it does with the next requests, one each; afterwards it takes texts again.
    pub fn next(&self, script: impl IntoIterator<Item = Does>) {
        self.inner.lock().unwrap().script.extend(script);
    }

    /// What it does from now on where no script says otherwise.
    pub fn always(&self, does: Does) {
        self.inner.lock().unwrap().otherwise = Some(does);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.inner.lock().unwrap().calls.clone()
    }

    /// The texts that came in, by customer, in the order of their coming.
    pub fn texts(&self) -> HashMap<String, Vec<String>> {
        let mut texts: HashMap<_, Vec<_>> = HashMap::new();
        for call in self.calls() {
            texts.entry(call.to).or_default().push(call.text);
        }
        texts
    }
}

async fn twilio(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
    assert_eq!(sid, super::rig::SID);
    let field = |name: &str| form[name].clone();
    let call = Call {
        at: Instant::now(),
        to: field("To"),
        from: field("From"),
        text: field("Body"),
        idempotency_key: None,
    };
    answer(&inner, call, |id| {
        (StatusCode::CREATED, json!({ "sid": id, "status": "queued" }))
    })
    .await
}

async fn generic(
    State(inner): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let field = |name: &str| body[name].as_str().unwrap().to_owned();
    let call = Call {
        at: Instant::now(),
        to: field("to"),
        from: field("from"),
        text: field("text"),
        idempotency_key: Some(headers["idempotency-key"].to_str().unwrap().to_owned()),
    };
    answer(&inner, call, |id| (StatusCode::ACCEPTED, json!({ "id": id }))).await
}

async fn answer(
    inner: &Mutex<Inner>,
    call: Call,
    taken: impl FnOnce(String) -> (StatusCode, Value),
) -> Response {
    let words = format!("cannot send '{}' to {}", call.text, call.to);
    let (does, number) = {
        let mut inner = inner.lock().unwrap();
        inner.calls.push(call);
        let otherwise = inner.otherwise.clone().unwrap_or(Does::Takes);
        (inner.script.pop_front().unwrap_or(otherwise), inner.calls.len())
    };
    let (status, body) = match does {
        Does::Takes => taken(format!("SM{number}")),
        Does::TakesSlowly(time) => {
            sleep(time).await;
            taken(format!("SM{number}"))
        }
        Does::TakesWhen(told) => {
            told.acquire().await.unwrap().forget();
            taken(format!("SM{number}"))
        }
        Does::Hangs => pending().await,
        Does::Refuses(status, code, rest) => {
            let status = StatusCode::from_u16(status).unwrap();
            let code = code
                .parse::<u32>()
                .map_or_else(|_| json!(code), |number| json!(number));
            let mut response = (status, Json(json!({ "code": code, "message": words }))).into_response();
            if let Some(seconds) = rest {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            return response;
        }
    };
    (status, Json(body)).into_response()
}
