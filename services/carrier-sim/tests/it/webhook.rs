use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// A post as the webhook got it.
#[derive(Debug, Clone)]
pub struct Post {
    pub headers: HeaderMap,
    pub body: String,
}

impl Post {
    pub fn form(&self) -> std::collections::BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inner {
    posts: Vec<Post>,
    answers: VecDeque<u16>,
    now: usize,
    most: usize,
}

/// A webhook that answers with the ordered statuses and then with 200.
#[derive(Clone)]
pub struct Webhook {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Webhook {
    pub async fn answering(answers: &[u16]) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), answers).await
    }

    pub async fn at(addr: SocketAddr, answers: &[u16]) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let url = format!("http://{}/hooks/sms?a=1", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            posts: Vec::new(),
            answers: answers.iter().copied().collect(),
            ..Inner::default()
        }));
        let app = Router::new().fallback(take).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inner }
    }

    /// How many posts there were at the same time.
    pub fn most_at_once(&self) -> usize {
        self.inner.lock().unwrap().most
    }

    pub fn posts(&self) -> Vec<Post> {
        self.inner.lock().unwrap().posts.clone()
    }
}

/// 0 is a webhook that takes its time.
async fn take(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> StatusCode {
    {
        let mut inner = inner.lock().unwrap();
        inner.now += 1;
        inner.most = inner.most.max(inner.now);
    }
    // The others have time to come.
    tokio::task::yield_now().await;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let post = Post {
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let answer = {
        let mut inner = inner.lock().unwrap();
        inner.posts.push(post);
        inner.now -= 1;
        inner.answers.pop_front().unwrap_or(200)
    };
    if answer == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answer).unwrap()
}
