//! Texts handed over (posted over HTTP/1.1, if nothing else is said) at a fixed arrival rate (open loop) or as fast as the
//! connections go (closed loop).
//!
//! Open loop: each text has its moment, and its latency counts from that moment on, not from when a connection was free
//! to send it; so a server that stalls is charged with the texts that would have come meanwhile (coordinated omission).
//! The marker in the text is that moment, too.

use anyhow::{Context, Result, bail};
use ccm_model::Clock;
use hdrhistogram::Histogram;
use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};

/// tokio's timer wakes up to so much after the moment; that is no fault of the server's.
const TIMER: Duration = Duration::from_millis(2);
/// Before a text that was not taken is posted again.
const BEFORE_ANOTHER_TRY: Duration = Duration::from_secs(1);
/// An answer that takes longer is a failure.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A complete HTTP request for the n-th text; `marker` is to stand in its body.
pub type Request = Arc<dyn Fn(u64, &str) -> Vec<u8> + Send + Sync>;

/// How many texts, and when.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub texts: u64,
    /// Texts a second; `None`: each connection hands over the next text when the last one is taken.
    pub rate: Option<f64>,
    /// How often a text is offered at most, until it is taken: providers post again what was not, under the same id.
    pub tries: u32,
    /// The number of the first text: a second round offers other texts.
    pub first: u64,
}

/// What to post.
#[derive(Clone)]
pub struct Offer {
    pub to: SocketAddr,
    pub connections: u64,
    pub pace: Pace,
    pub request: Request,
}

/// A connection to whatever takes texts.
pub trait Submit: Send + 'static {
    /// Hands the n-th text over, with `marker` in its body. An error: it was not taken.
    fn submit(&mut self, n: u64, marker: &str) -> impl Future<Output = Result<()>> + Send;
}

/// What came of it. Latencies are from a text's moment to its being taken (2xx).
#[derive(Debug, Clone)]
pub struct Answered {
    pub ok: u64,
    pub failed: u64,
    pub seconds: f64,
    pub latency_us: Histogram<u64>,
    /// Why the first text failed that did.
    pub failure: Option<String>,
}

impl Answered {
    /// Nothing yet.
    pub fn none() -> Self {
        Self {
            ok: 0,
            failed: 0,
            seconds: 0.0,
            latency_us: Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid"),
            failure: None,
        }
    }

    /// Takes up what came of another offer; `seconds` are the caller's to add.
    pub fn add(&mut self, other: Self) -> Result<()> {
        self.ok += other.ok;
        self.failed += other.failed;
        self.latency_us.add(other.latency_us)?;
        self.failure = self.failure.take().or(other.failure);
        Ok(())
    }
}

/// `TS` and 19 digits: nanoseconds since 1970, of a moment that was `ago`. Receivers take a text's latency from it.
fn marker(clock: &Clock, ago: Duration) -> String {
    format!("TS{:019}", (clock.now() - ago).unix_timestamp_nanos())
}

/// Posts all texts of the offer and waits for all answers.
pub async fn run(offer: &Offer, clock: &Clock) -> Result<Answered> {
    let connections = (0..offer.connections).map(|_| Connection {
        to: offer.to,
        request: offer.request.clone(),
        socket: None,
        buffer: Vec::with_capacity(1024),
    });
    submit(offer.pace, connections.collect(), clock).await
}

/// Hands all texts over on these connections.
pub async fn submit<S: Submit>(pace: Pace, connections: Vec<S>, clock: &Clock) -> Result<Answered> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(submit_all(pace, connection, clock.clone(), next.clone(), start)))
        .collect();
    let mut total = Answered::none();
    for worker in workers {
        total.add(worker.await??)?;
    }
    total.seconds = start.elapsed().as_secs_f64();
    Ok(total)
}

async fn submit_all<S: Submit>(
    pace: Pace,
    mut connection: S,
    clock: Clock,
    next: Arc<AtomicU64>,
    start: Instant,
) -> Result<Answered> {
    let mut done = Answered::none();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= pace.texts {
            return Ok(done);
        }
        let moment = match pace.rate {
            Some(rate) => its_moment(start + Duration::from_secs_f64(n as f64 / rate)).await,
            None => Instant::now(),
        };
        let (n, marker) = (pace.first + n, marker(&clock, moment.elapsed()));
        let mut taken = connection.submit(n, &marker).await;
        for _ in 1..pace.tries {
            if taken.is_ok() {
                break;
            }
            sleep(BEFORE_ANOTHER_TRY).await;
            taken = connection.submit(n, &marker).await;
        }
        match taken {
            Ok(()) => done.ok += 1,
            Err(error) => {
                done.failed += 1;
                done.failure.get_or_insert_with(|| format!("{error:#}"));
            }
        }
        done.latency_us
            .saturating_record((moment.elapsed().as_micros() as u64).max(1));
    }
}

/// Waits for the moment and returns it, or the moment of waking where that is only the timer's coarseness later.
async fn its_moment(at: Instant) -> Instant {
    sleep_until(at).await;
    if at.elapsed() < TIMER { Instant::now() } else { at }
}

struct Connection {
    to: SocketAddr,
    request: Request,
    socket: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Submit for Connection {
    async fn submit(&mut self, n: u64, marker: &str) -> Result<()> {
        let request = (self.request)(n, marker);
        match self.post(&request).await? {
            200..=299 => Ok(()),
            status => bail!("status {status}"),
        }
    }
}

impl Connection {
    async fn post(&mut self, request: &[u8]) -> Result<u16> {
        let answer = timeout(ANSWER_LIMIT, self.try_post(request)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no answer after {ANSWER_LIMIT:?}"));
        if answer.is_err() {
            self.socket = None;
        }
        answer
    }

    async fn try_post(&mut self, request: &[u8]) -> Result<u16> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            empty => {
                let socket = TcpStream::connect(self.to).await?;
                socket.set_nodelay(true)?;
                empty.insert(socket)
            }
        };
        socket.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?.to_ascii_lowercase();
                let status = head
                    .get(9..12)
                    .and_then(|s| s.parse().ok())
                    .context("no status")?;
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length:"))
                    .map_or(Ok(0), |l| l.trim().parse())?;
                let whole: usize = end + 4 + length;
                while self.buffer.len() < whole {
                    if socket.read_buf(&mut self.buffer).await? == 0 {
                        bail!("the answer ends early");
                    }
                }
                return Ok(status);
            }
            if socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("closed without an answer");
            }
        }
    }
}

/// Twilio's webhook as a complete request, signed as Twilio documents it: base64 of the HMAC-SHA1 over the address and the sorted
/// parameters, with the account's token.
pub fn twilio(host: &str, path: &str, token: &str, params: &mut [(&str, String)]) -> Vec<u8> {
    use aws_lc_rs::hmac;
    use base64::{Engine, prelude::BASE64_STANDARD};
    params.sort_by_key(|p| p.0);
    let mut signed = format!("http://{host}{path}");
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in params.iter() {
        signed.push_str(name);
        signed.push_str(value);
        body.append_pair(name, value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let body = body.finish();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         X-Twilio-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, extract::State, http::StatusCode, routing::post};
    use std::collections::HashSet;
    use std::sync::Mutex;

    async fn server(pause: Duration) -> (SocketAddr, Arc<Mutex<HashSet<String>>>) {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let take = move |State(seen): State<Arc<Mutex<HashSet<String>>>>, body: String| async move {
            sleep(pause).await;
            let is_new = seen.lock().unwrap().insert(body);
            if is_new {
                StatusCode::OK
            } else {
                StatusCode::CONFLICT
            }
        };
        let app = Router::new().route("/", post(take)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (addr, seen)
    }

    #[test]
    fn markers_are_19_digits_and_may_lie_in_the_past() {
        let clock = Clock::fixed(time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(
            marker(&clock, Duration::from_millis(1500)),
            "TS1699999998500000000"
        );
    }

    fn offer(to: SocketAddr, rate: Option<f64>) -> Offer {
        let request: Request = Arc::new(|n, _| {
            let body = n.to_string();
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        });
        Offer {
            to,
            connections: 2,
            pace: Pace {
                texts: 40,
                rate,
                tries: 1,
                first: 100,
            },
            request,
        }
    }

    #[tokio::test]
    async fn every_text_is_posted_once() {
        let (to, seen) = server(Duration::ZERO).await;
        let answered = run(&offer(to, None), &Clock::system()).await.unwrap();
        assert_eq!((answered.ok, answered.failed), (40, 0));
        let expected: HashSet<String> = (100..140).map(|n: u32| n.to_string()).collect();
        assert_eq!(*seen.lock().unwrap(), expected);
        let again = run(&offer(to, None), &Clock::system()).await.unwrap();
        assert_eq!(
            (again.ok, again.failed),
            (0, 40),
            "refused answers are counted as failed"
        );
    }

    #[tokio::test]
    async fn a_text_that_is_not_taken_is_posted_again() {
        // The first try of each text is answered with 409, and the second is the first that counts.
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let take = move |State(seen): State<Arc<Mutex<HashSet<String>>>>, body: String| async move {
            let is_new = seen.lock().unwrap().insert(body);
            if is_new {
                StatusCode::CONFLICT
            } else {
                StatusCode::OK
            }
        };
        let app = Router::new().route("/", post(take)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut patient = offer(to, None);
        (patient.pace.texts, patient.pace.tries) = (3, 2);
        let answered = run(&patient, &Clock::system()).await.unwrap();
        assert_eq!((answered.ok, answered.failed), (3, 0));
        assert_eq!(seen.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_open_loop_charges_the_server_with_texts_that_had_to_wait() {
        // 2 connections and 20 ms a text carry 100/s; 400/s are offered, so the last texts wait about 300 ms.
        let (to, _) = server(Duration::from_millis(20)).await;
        let answered = run(&offer(to, Some(400.0)), &Clock::system()).await.unwrap();
        assert!(
            answered.latency_us.max() > 200_000,
            "max {} us",
            answered.latency_us.max()
        );
    }
}
