//! A tenant's program that is told things, and behaves as its path says.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::watch, time::sleep};

/// A request as it came.
#[derive(Clone)]
pub struct Heard {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// As the library of Standard Webhooks says.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let known = standardwebhooks::Webhook::new(secret).unwrap();
        known.verify(self.body.as_bytes(), &self.headers).is_ok()
    }
}

#[derive(Clone)]
pub struct Receiver {
    pub at: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// What `/scripted` answers with: the last one for ever.
    script: Arc<Mutex<Vec<u16>>>,
    /// Whether `/gate` answers.
    gate: Arc<watch::Sender<bool>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            at: listener.local_addr().unwrap(),
            heard: Arc::default(),
            script: Arc::default(),
            gate: Arc::new(watch::Sender::new(false)),
        };
        let router = Router::new()
            .route("/{how}", post(hear))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn url(&self, how: &str) -> String {
        format!("http://{}/{how}", self.at)
    }

    pub fn script(&self, answers: &[u16]) {
        *self.script.lock().unwrap() = answers.iter().rev().copied().collect();
    }

    /// From now on `/gate` answers, also those who wait before it.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// All that came on a path.
    pub fn heard(&self, how: &str) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .filter(|one| one.path == format!("/{how}"))
            .cloned()
            .collect()
    }

    pub async fn wait(&self, how: &str, many: usize) -> Vec<Heard> {
        for _ in 0..600 {
            let heard = self.heard(how);
            if heard.len() >= many {
                return heard;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{how} heard {} of {many}", self.heard(how).len());
    }
}

async fn hear(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    receiver.heard.lock().unwrap().push(Heard {
        path: uri.path().to_owned(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let words = |status: StatusCode, words: &'static str| (status, words).into_response();
    match uri.path() {
        "/fails" => words(StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
        "/gone" => words(StatusCode::GONE, "we have moved"),
        "/busy" => (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, "600")],
            "later",
        )
            .into_response(),
        "/redirects" => Redirect::temporary("http://169.254.169.254/latest/meta-data/").into_response(),
        "/hangs" => std::future::pending().await,
        "/gate" => {
            let _ = receiver.gate.subscribe().wait_for(|open| *open).await;
            words(StatusCode::OK, "come in")
        }
        "/slow" => {
            sleep(Duration::from_millis(400)).await;
            words(StatusCode::OK, "at last")
        }
        // Status 200 and then for ever something.
        "/floods" => Body::from_stream(endless(Duration::ZERO, 64 * 1024)).into_response(),
        "/drips" => Body::from_stream(endless(Duration::from_millis(300), 1)).into_response(),
        "/scripted" => {
            let mut script = receiver.script.lock().unwrap();
            let status = if script.len() > 1 {
                script.pop()
            } else {
                script.last().copied()
            };
            StatusCode::from_u16(status.unwrap_or(200))
                .unwrap()
                .into_response()
        }
        _ => words(StatusCode::OK, "thank you"),
    }
}

fn endless(
    every: Duration,
    many: usize,
) -> impl futures::Stream<Item = Result<String, std::io::Error>> + Send {
    futures::stream::unfold((), move |()| async move {
        sleep(every).await;
        Some((Ok("x".repeat(many)), ()))
    })
}

/// Takes a connection, reads what comes, says `words` and cuts it off.
pub async fn liar(words: &'static str) -> String {
    use tokio::io::AsyncReadExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut read = [0; 16 * 1024];
            let _ = socket.read(&mut read).await;
            let _ = socket.write_all(words.as_bytes()).await;
        }
    });
    format!("http://{at}/")
}
