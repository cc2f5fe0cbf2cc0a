use crate::{Topic, backoff::Backoff, queue::Queue, wire};
use ccm_model::IdSource;
use deadpool_redis::redis::{
    Client,
    aio::{PubSubSink, PubSubStream},
};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How long connecting and a ping may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How often the connection is pinged: one that went silent looks like one on which nothing happens.
const PING: Duration = Duration::from_secs(5);

/// The task that fills a [`crate::Subscription`]'s queue from a connection of its own.
pub(crate) struct Subscriber {
    client: Client,
    channels: Vec<String>,
    incoming: Arc<Queue>,
    backoff: Backoff,
}

impl Subscriber {
    pub(crate) fn new(
        client: Client,
        prefix: &str,
        topics: &[Topic],
        ids: IdSource,
        incoming: Arc<Queue>,
    ) -> Self {
        Self {
            client,
            channels: topics.iter().map(|t| wire::channel(prefix, *t)).collect(),
            incoming,
            backoff: Backoff::new(ids),
        }
    }

    /// Connects, listens, and connects again, for as long as the subscription lives.
    pub(crate) async fn run(mut self) {
        let mut told = false;
        loop {
            match self.connect().await {
                Ok((sink, stream)) => {
                    tracing::info!("wake-ups arrive");
                    told = false;
                    self.backoff.reset();
                    metrics::counter!("ccm_bus_subscribed_total").increment(1);
                    self.incoming.look_again();
                    self.listen(sink, stream).await;
                    tracing::warn!("the connection for wake-ups is lost: texts wait for the next poll");
                }
                Err(error) if !told => {
                    tracing::warn!(error, "no connection for wake-ups: texts wait for the next poll");
                    told = true;
                }
                Err(_) => {}
            }
            sleep(self.backoff.next()).await;
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), String> {
        let connecting = async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&self.channels).await?;
            Ok::<_, deadpool_redis::redis::RedisError>((sink, stream))
        };
        match timeout(LIMIT, connecting).await {
            Ok(result) => result.map_err(|e| e.to_string()),
            Err(_) => Err(format!("no answer within {} ms", LIMIT.as_millis())),
        }
    }

    /// Returns when the connection is lost.
    async fn listen(&self, mut sink: PubSubSink, mut stream: PubSubStream) {
        loop {
            match timeout(PING, stream.next()).await {
                Ok(Some(message)) => self.take(message.get_payload_bytes()),
                Ok(None) => return,
                Err(_) => {
                    if !matches!(
                        timeout(LIMIT, sink.ping::<deadpool_redis::redis::Value>()).await,
                        Ok(Ok(_))
                    ) {
                        return;
                    }
                }
            }
        }
    }

    fn take(&self, bytes: &[u8]) {
        match wire::decode(bytes) {
            Some(wake) => {
                metrics::counter!("ccm_bus_received_total").increment(1);
                self.incoming.push_or_look_again(wake);
            }
            None => metrics::counter!("ccm_bus_ignored_total").increment(1),
        }
    }
}
