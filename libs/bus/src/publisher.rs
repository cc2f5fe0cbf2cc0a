use crate::{Link, Topic, Wake, backoff::Backoff, queue::Queue, wire};
use ccm_model::IdSource;
use deadpool_redis::{
    Manager, Pool, Runtime,
    redis::{ConnectionInfo, RedisResult, pipe},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How many wake-ups go out in one round trip.
const BATCH: usize = 512;
/// How often an idle connection is looked at, so that [`crate::Bus::link`] is fresh.
const IDLE: Duration = Duration::from_secs(5);
/// How long one round trip, and connecting, may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The task that sends what [`crate::Bus::publish`] leaves in the queue.
pub(crate) struct Publisher {
    pool: Pool,
    prefix: String,
    outgoing: Arc<Queue>,
    link: Arc<Mutex<Link>>,
    backoff: Backoff,
}

impl Publisher {
    pub(crate) fn new(
        info: ConnectionInfo,
        prefix: &str,
        ids: IdSource,
        outgoing: Arc<Queue>,
        link: Arc<Mutex<Link>>,
    ) -> RedisResult<Self> {
        let pool = Pool::builder(Manager::new(info)?)
            .max_size(1)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is named");
        Ok(Self {
            pool,
            prefix: prefix.to_owned(),
            outgoing,
            link,
            backoff: Backoff::new(ids),
        })
    }

    pub(crate) async fn run(mut self) {
        self.send(&[]).await;
        loop {
            // Without Redis nobody is woken by hurrying: wake-ups wait here, merged, until the next attempt.
            if !self.is_up() {
                sleep(self.backoff.next()).await;
                if self.outgoing.is_closed() {
                    return;
                }
                self.send(&[]).await;
                continue;
            }
            match timeout(IDLE, self.outgoing.take(BATCH)).await {
                Ok(Some(wakes)) => self.send(&wakes).await,
                Ok(None) => return,
                Err(_) => self.send(&[]).await,
            }
        }
    }

    /// Sends, or only looks whether Redis answers.
    async fn send(&mut self, wakes: &[Wake]) {
        let result = match timeout(LIMIT, self.round_trip(wakes)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", LIMIT.as_millis())),
        };
        let count = wakes.len() as u64;
        match result {
            Ok(()) => {
                metrics::counter!("ccm_bus_published_total").increment(count);
                self.backoff.reset();
                self.become_link(Link::Up);
            }
            Err(why) => {
                metrics::counter!("ccm_bus_dropped_total", "reason" => "failed").increment(count);
                self.become_link(Link::Down { why });
            }
        }
    }

    async fn round_trip(&self, wakes: &[Wake]) -> Result<(), String> {
        // Taking a connection pings it, so one that died while idle costs no wake-up.
        let mut connection = self.pool.get().await.map_err(|e| e.to_string())?;
        if wakes.is_empty() {
            return Ok(());
        }
        let mut pipe = pipe();
        for wake in wakes {
            if let (Some(topic), Some(bytes)) = (Topic::of(wake), wire::encode(wake)) {
                pipe.publish(wire::channel(&self.prefix, topic), bytes).ignore();
            }
        }
        pipe.query_async::<()>(&mut connection)
            .await
            .map_err(|e| e.to_string())
    }

    fn is_up(&self) -> bool {
        *self.link.lock().unwrap_or_else(|e| e.into_inner()) == Link::Up
    }

    fn become_link(&self, now: Link) {
        let mut link = self.link.lock().unwrap_or_else(|e| e.into_inner());
        match (&*link, &now) {
            (Link::Up, Link::Up) | (Link::Down { .. }, Link::Down { .. }) => {}
            (_, Link::Down { why }) => {
                tracing::warn!(error = why, "Redis is away: texts wait for the next poll");
            }
            (_, _) => tracing::info!("Redis takes wake-ups"),
        }
        metrics::gauge!("ccm_bus_connected").set(if now == Link::Up { 1.0 } else { 0.0 });
        *link = now;
    }
}
