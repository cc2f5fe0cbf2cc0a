//! One attempt to tell a receiver one thing.

use crate::{Events, payload, schedule};
use ccm_db::{ClaimedDelivery, DbError, DeliveryRow, Then, Tried, WebhookRow};
use ccm_egress::{Call, CallFailed, Said, Signers};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::{Duration, format_description::well_known::Rfc3339};
use tokio::time::Instant;
use url::Url;

/// So much of an answer is kept for whoever looks why something was not taken.
const KEPT_BYTES: usize = 1024;

/// A webhook whose receiver has taken nothing for so long is disabled.
const PATIENCE: Duration = Duration::days(5);

impl Events {
    pub(crate) async fn attempt(&self, claimed: ClaimedDelivery) {
        if let Err(error) = self.tell(&claimed).await {
            metrics::counter!("ccm_events_failures_total").increment(1);
            tracing::warn!(
                tenant.id = %claimed.tenant, webhook.id = %claimed.webhook, delivery.id = %claimed.id, %error,
                "a webhook's call is not recorded; it is made again when its claim runs out"
            );
        }
    }

    async fn tell(&self, claimed: &ClaimedDelivery) -> Result<(), DbError> {
        let db = self.db.tenant(claimed.tenant);
        let (webhook, secrets) = match db.webhook_to_call(claimed.webhook, self.ids.clock().now()).await {
            // It is deleted meanwhile: nobody asks for what was for it.
            Err(DbError::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let delivery = match db.delivery(claimed.webhook, claimed.id).await {
            // Its person was erased meanwhile.
            Err(DbError::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let tried = match payload::of(&db, &webhook.webhook, &delivery).await? {
            Some(json) => self.call(&webhook, &secrets, &delivery, json).await,
            None => self.nothing_left(),
        };
        let (held, disabled) = db.delivery_tried(claimed, &tried, PATIENCE).await?;
        if !held {
            metrics::counter!("ccm_events_doubled_total").increment(1);
        }
        if let Some(why) = disabled {
            metrics::counter!("ccm_events_webhooks_disabled_total", "why" => why.as_str()).increment(1);
            tracing::warn!(
                tenant.id = %claimed.tenant, webhook.id = %claimed.webhook, webhook.state = %why,
                "a webhook is disabled: its receiver takes nothing"
            );
        }
        Ok(())
    }

    async fn call(
        &self,
        webhook: &WebhookRow,
        secrets: &[SecretString],
        delivery: &DeliveryRow,
        json: String,
    ) -> Tried {
        let began = (self.ids.clock().now(), Instant::now());
        let said = self.post(webhook, secrets, delivery, json).await;
        let took = began.1.elapsed();
        let outcome = match &said {
            Ok(said) if (200..300).contains(&said.status) => "delivered",
            Ok(_) => "status",
            Err(failed) => failed.as_str(),
        };
        metrics::counter!("ccm_events_calls_total", "outcome" => outcome).increment(1);
        metrics::histogram!("ccm_events_call_seconds").record(took.as_secs_f64());
        let now = self.ids.clock().now();
        let made = u32::try_from(delivery.attempts).unwrap_or(0) + 1;
        let then = match schedule::then(&said, made, now, self.ids.next_u64()) {
            // Whoever tries a webhook asks again.
            Then::Again { .. } | Then::Gone if delivery.kind == ccm_db::TEST_EVENT => Then::Failed,
            then => then,
        };
        if then == Then::Failed {
            metrics::counter!("ccm_events_given_up_total").increment(1);
        }
        let attempt = json!({
            "at": began.0.format(&Rfc3339).unwrap_or_default(),
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "outcome": outcome,
            "status": said.as_ref().ok().map(|said| said.status),
            "why": why(&said),
            "answer": said.as_ref().ok().map(|said| String::from_utf8_lossy(&said.body)),
        });
        Tried { attempt, now, then }
    }

    async fn post(
        &self,
        webhook: &WebhookRow,
        secrets: &[SecretString],
        delivery: &DeliveryRow,
        json: String,
    ) -> Result<Said, CallFailed> {
        let url = Url::parse(&webhook.webhook.url).map_err(|_| CallFailed::Address)?;
        // They are made by the admin API, which makes good ones.
        let signers = Signers::new(secrets).map_err(|_| CallFailed::Address)?;
        let call = Call {
            url: &url,
            id: &delivery.id.to_string(),
            timestamp: self.ids.clock().now().unix_timestamp(),
            json,
            signers: &signers,
            timeout: self.settings.timeout,
            most: KEPT_BYTES,
        };
        self.egress.deliver(call).await
    }

    fn nothing_left(&self) -> Tried {
        metrics::counter!("ccm_events_calls_total", "outcome" => "forgotten").increment(1);
        let now = self.ids.clock().now();
        let attempt = json!({
            "at": now.format(&Rfc3339).unwrap_or_default(),
            "ms": 0,
            "outcome": "forgotten",
            "status": null,
            "why": "what it is about is not kept any more",
            "answer": null,
        });
        Tried {
            attempt,
            now,
            then: Then::Forgotten,
        }
    }
}

/// Why it was not taken, and what to do.
fn why(said: &Result<Said, CallFailed>) -> Value {
    match said {
        Ok(said) if (200..300).contains(&said.status) => Value::Null,
        Ok(said) => json!(CallFailed::Status(said.status).to_string()),
        Err(failed) => json!(failed.to_string()),
    }
}
