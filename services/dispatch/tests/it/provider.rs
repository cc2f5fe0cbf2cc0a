//! A provider that speaks both dialects, notes what it is sent, and does as it is told.

use axum::{
    Form, Json, Router,
    extract::{Path, Query, State},
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
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
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
    /// Takes it, and answers nothing, ever.
    TakesSilently,
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
    /// Where receipts are to go.
    pub receipts_to: Option<String>,
}

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    /// What it has taken, with its ids.
    taken: Vec<(String, Call, OffsetDateTime)>,
    /// How often it was asked what it has.
    asked: usize,
    /// What it says to that, but for the list: a status.
    refuses_to_tell: Option<u16>,
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
    /// Nothing of its own: the provider is another one, at this address.
    pub fn elsewhere(url: String) -> Self {
        Self {
            inner: Arc::default(),
            url,
            server: tokio::spawn(async {}).abort_handle(),
        }
    }

    pub async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new()
            .route("/2010-04-01/Accounts/{sid}/Messages.json", post(twilio).get(list))
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

    /// How often it was asked what it has.
    pub fn asked(&self) -> usize {
        self.inner.lock().unwrap().asked
    }

    /// What it answers from now on when it is asked what it has; `None`: the list.
    pub fn refuse_to_tell(&self, status: Option<u16>) {
        self.inner.lock().unwrap().refuses_to_tell = status;
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
        receipts_to: form.get("StatusCallback").cloned(),
    };
    answer(&inner, call, |id| {
        (StatusCode::CREATED, json!({ "sid": id, "status": "queued" }))
    })
    .await
}

/// What was taken between two addresses, the newest first.
async fn list(
    State(inner): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
    let mut inner = inner.lock().unwrap();
    inner.asked += 1;
    if let Some(status) = inner.refuses_to_tell {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let messages: Vec<Value> = inner
        .taken
        .iter()
        .rev()
        .filter(|(_, call, _)| call.to == query["To"] && call.from == query["From"])
        .map(|(sid, call, at)| {
            json!({
                "sid": sid, "from": call.from, "to": call.to, "body": call.text, "direction": "outbound-api",
                "date_created": at.format(&Rfc2822).unwrap(), "date_sent": null, "status": "queued",
            })
        })
        .collect();
    Json(json!({ "messages": messages, "next_page_uri": null })).into_response()
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
        receipts_to: None,
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
        inner.calls.push(call.clone());
        let otherwise = inner.otherwise.clone().unwrap_or(Does::Takes);
        let (does, number) = (inner.script.pop_front().unwrap_or(otherwise), inner.calls.len());
        if !matches!(does, Does::Hangs | Does::Refuses(..)) {
            inner
                .taken
                .push((format!("SM{number}"), call, OffsetDateTime::now_utc()));
        }
        (does, number)
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
        Does::Hangs | Does::TakesSilently => pending().await,
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
