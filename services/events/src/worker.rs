//! Takes up what is due. Any number of processes may do it at the same time, and any of them may be killed at any instant: what one had
//! in hand is due again when its claim runs out.

use crate::Events;
use ccm_db::{ClaimedDelivery, DbError, DeliveryClaim};
use ccm_model::WebhookId;
use ccm_runtime::Lifecycle;
use std::{collections::HashMap, time::Duration};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

/// How often it is looked how far behind all are.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// What is in hand, and of which webhook.
#[derive(Default)]
struct Hand {
    calls: JoinSet<()>,
    of: HashMap<Id, WebhookId>,
    busy: HashMap<WebhookId, i64>,
}

impl Hand {
    fn take(&mut self, events: &Events, claimed: ClaimedDelivery) {
        let events = events.clone();
        let task = self.calls.spawn(async move { events.attempt(claimed).await });
        self.of.insert(task.id(), claimed.webhook);
        *self.busy.entry(claimed.webhook).or_default() += 1;
    }

    async fn one_done(&mut self) {
        // Pending for ever when there is none: its branch of the `select` is off then.
        let Some(done) = self.calls.join_next_with_id().await else {
            return;
        };
        let task = match &done {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        if let Err(error) = done.as_ref().map_err(JoinError::to_string) {
            tracing::error!(%error, "a webhook's call ended in a panic; it is made again when its claim runs out");
        }
        let Some(webhook) = self.of.remove(&task) else {
            return;
        };
        if let Some(many) = self.busy.get_mut(&webhook) {
            *many -= 1;
            if *many == 0 {
                self.busy.remove(&webhook);
            }
        }
    }
}

pub async fn run(events: Events, life: Lifecycle) {
    let mut ticks = interval(events.settings.poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hand = Hand::default();
    let (mut more, mut told) = (false, false);
    let mut measured: Option<Instant> = None;
    loop {
        tokio::select! {
            () = life.draining() => break,
            _ = ticks.tick() => {}
            () = hand.one_done(), if !hand.calls.is_empty() => {
                // Nothing was due a moment ago: the next tick looks again.
                if !more {
                    continue;
                }
            }
        }
        let looked = async {
            if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
                events.measure().await?;
                measured = Some(Instant::now());
            }
            events.take_up(&mut hand).await
        };
        match looked.await {
            Ok(any) => (more, told) = (any, false),
            Err(error) => {
                more = false;
                metrics::counter!("ccm_events_failures_total").increment(1);
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "webhooks are not called; it is tried again");
                }
            }
        }
    }
    while !hand.calls.is_empty() {
        hand.one_done().await;
    }
}

impl Events {
    /// Whether anything was due.
    async fn take_up(&self, hand: &mut Hand) -> Result<bool, DbError> {
        let limit = i64::from(self.settings.concurrency) - hand.calls.len() as i64;
        if limit <= 0 {
            return Ok(true);
        }
        let now = self.ids.clock().now();
        let busy: Vec<_> = hand
            .busy
            .iter()
            .map(|(webhook, many)| (*webhook, *many))
            .collect();
        let claim = DeliveryClaim {
            claim: self.ids.next::<Uuid>(),
            now,
            until: now + self.settings.claim,
            limit,
            per_webhook: self.settings.per_webhook.into(),
            busy: &busy,
        };
        let claimed = self.db.operator().claim_deliveries(claim).await?;
        let any = !claimed.is_empty();
        for one in claimed {
            hand.take(self, one);
        }
        metrics::gauge!("ccm_events_calls_under_way").set(hand.calls.len() as f64);
        Ok(any)
    }

    async fn measure(&self) -> Result<(), DbError> {
        let now = self.ids.clock().now();
        let oldest = self.db.operator().oldest_due_delivery(now).await?;
        // A test is due since 1970, so as to come first.
        let late = oldest.filter(|due| due.unix_timestamp() > 0);
        let late = late.map_or(0.0, |due| (now - due).as_seconds_f64().max(0.0));
        metrics::gauge!("ccm_events_oldest_due_seconds").set(late);
        Ok(())
    }
}
