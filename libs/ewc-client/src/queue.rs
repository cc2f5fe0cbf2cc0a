//! How busy a skillset is: `currentqueue` (PROTOCOL section 8).

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout_at;

use crate::dial::Dialer;
use crate::error::{DialError, TlsProblem};

/// No list of queues is larger.
const MAX_ANSWER: usize = 1 << 20;

/// One queue (skillset) at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMetrics {
    pub queue_name: String,
    pub customers_in_queue: u32,
    pub available_agents: u32,
    pub max_concurrent_chats: u32,
}

impl QueueMetrics {
    /// Avaya's reference client's rule.
    pub fn is_open(&self) -> bool {
        self.available_agents > 0
            && u64::from(self.customers_in_queue) <= 2 * u64::from(self.available_agents)
            && self.customers_in_queue <= self.max_concurrent_chats
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("no HTTP answer: {0}")]
    Http(String),
    #[error("answered with HTTP status {0}")]
    Status(u16),
    #[error("the answer is no list of queue metrics")]
    BadAnswer,
    #[error("no answer in time")]
    Timeout,
}

impl QueueError {
    /// Whether another try can succeed without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            QueueError::Dial(error) => error.retryable(),
            QueueError::Http(_) | QueueError::Timeout => true,
            QueueError::Status(status) => *status >= 500 || *status == 429,
            QueueError::BadAnswer => false,
        }
    }
}

/// Asks for one skillset's queue, or for all with `""`, over the same link and trust as the chats.
pub async fn currentqueue(dialer: &Dialer, skillset: &str) -> Result<Vec<QueueMetrics>, QueueError> {
    let deadline = dialer.deadline();
    let stream = Box::pin(dialer.stream(deadline)).await?;
    let answer = timeout_at(deadline, Box::pin(ask(dialer, stream, skillset)));
    let body = answer.await.map_err(|_| QueueError::Timeout)??;
    parse(&body).ok_or(QueueError::BadAnswer)
}

async fn ask(dialer: &Dialer, stream: crate::dial::Stream, skillset: &str) -> Result<Bytes, QueueError> {
    let target = dialer.target();
    let client_auth = stream.client_auth;
    // A server that misses or refuses a client certificate says so only after the TLS 1.3 handshake.
    let failed = |e: &(dyn std::error::Error + 'static)| match TlsProblem::within(e, client_auth) {
        Some(problem) => QueueError::Dial(DialError::Tls(problem)),
        None => QueueError::Http(e.to_string()),
    };
    let request = http::Request::post(target.beside("currentqueue"))
        .header(http::header::HOST, target.authority())
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(
            serde_json::json!({ "skillset": skillset }).to_string(),
        )))
        .map_err(|e| failed(&e))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream.io)).await;
    let (mut sender, connection) = handshake.map_err(|e| failed(&e))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        if !response.status().is_success() {
            return Err(QueueError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok(body.map_err(|e| failed(&*e))?.to_bytes())
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The connection's end can be seen before the answer that came with it is read.
        _ = &mut connection => exchange.await,
    }
}

fn parse(body: &[u8]) -> Option<Vec<QueueMetrics>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let metrics = answer.get("body")?.get("metrics")?.as_array()?;
    Some(metrics.iter().filter_map(queue).collect())
}

fn queue(value: &Value) -> Option<QueueMetrics> {
    Some(QueueMetrics {
        queue_name: value.get("queueName")?.as_str()?.to_owned(),
        customers_in_queue: count(value, "customersInQueue"),
        available_agents: count(value, "availableAgentsInQueue"),
        max_concurrent_chats: count(value, "maxConcurrentChats"),
    })
}

/// Numbers come as texts too.
fn count(value: &Value, key: &str) -> u32 {
    match &value[key] {
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        number => number
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_read_with_tolerance() {
        let body = br#"{"body": {"metrics": [
            {"queueName": "WC_Default_Skillset", "customersInQueue": 0, "availableAgentsInQueue": "1",
             "maxConcurrentChats": 50, "more": null},
            {"queueName": "B"}, {"customersInQueue": 3}, 17]}}"#;
        let metrics = parse(body).unwrap();
        let named = |queue_name: &str, available_agents, max_concurrent_chats| QueueMetrics {
            queue_name: queue_name.into(),
            customers_in_queue: 0,
            available_agents,
            max_concurrent_chats,
        };
        assert_eq!(metrics, [named("WC_Default_Skillset", 1, 50), named("B", 0, 0)]);
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"<html>"), None);
    }

    #[test]
    fn a_queue_is_open_by_the_reference_clients_rule() {
        let open = |customers_in_queue, available_agents, max_concurrent_chats| {
            let queue_name = String::new();
            QueueMetrics {
                queue_name,
                customers_in_queue,
                available_agents,
                max_concurrent_chats,
            }
            .is_open()
        };
        assert!(open(0, 1, 50));
        assert!(!open(0, 0, 50));
        assert!(open(2, 1, 50));
        assert!(!open(3, 1, 50));
        assert!(!open(2, 5, 1));
        assert!(!open(u32::MAX, u32::MAX / 2, u32::MAX - 1));
    }
}
