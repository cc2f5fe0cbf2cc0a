use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A request as the provider got it.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// A provider that gives one answer to everything.
pub struct Provider {
    pub addr: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

type Answer = (u16, Vec<(&'static str, &'static str)>, String);

impl Provider {
    pub async fn answering(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: impl ToString,
    ) -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&got), (status, headers.to_vec(), body.to_string())));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { addr, got }
    }

    pub fn only(&self) -> Got {
        let got = self.got.lock().unwrap();
        assert_eq!(got.len(), 1, "one request");
        got[0].clone()
    }
}

async fn answer(State((got, answer)): State<(Arc<Mutex<Vec<Got>>>, Answer)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    got.lock().unwrap().push(Got {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let (status, headers, body) = answer;
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

/// What a server does that breaks off.
#[derive(Debug, Clone, Copy)]
pub enum Break {
    /// Nothing listens there.
    Refused,
    /// Reads the request and says nothing.
    Hang,
    /// Reads the request and resets the connection.
    Reset,
    /// Reads the request, begins an answer with this status and closes in its middle.
    Half(u16),
}

pub async fn breaking(how: Break) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    if matches!(how, Break::Refused) {
        return addr;
    }
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let _ = socket.read(&mut request).await;
            match how {
                Break::Hang => open.push(socket),
                Break::Half(status) => {
                    let half = format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"id\": \"1");
                    let _ = socket.write_all(half.as_bytes()).await;
                }
                Break::Reset => socket.set_zero_linger().unwrap(),
                Break::Refused => unreachable!(),
            }
        }
    });
    addr
}
