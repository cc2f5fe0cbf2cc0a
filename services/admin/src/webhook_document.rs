//! A webhook as the API shows and takes it.

use crate::{
    patch::given,
    schema,
    valid::{self, Refused},
    webhook_deliveries::Attempt,
};
use ccm_db::WebhookRow;
use ccm_model::{DeliveryState, WebhookId, WebhookState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What can be told. A group (`message.*`) is all of its types, also those that there will be.
pub const EVENTS: [&str; 39] = [
    "message.received",
    "message.queued",
    "message.sent",
    "message.delivered",
    "message.failed",
    "message.unknown",
    "conversation.opened",
    "conversation.agent_joined",
    "conversation.closed",
    "consent.opt_out",
    "consent.opt_in",
    "deflection.refused",
    "deflection.offered",
    "deflection.sent",
    "deflection.delivered",
    "deflection.answered",
    "deflection.chat",
    "deflection.abandoned",
    "deflection.expired",
    "deflection.failed",
    "deflection.withdrawn",
    "link.down",
    "link.up",
    "link.failover",
    "link.failback",
    "link.certificate_expires",
    "link.maintenance_began",
    "link.maintenance_ended",
    "account.failing",
    "account.recovered",
    "tenant.state_changed",
    "tenant.webhook_disabled",
    "tenant.cap_near",
    "tenant.cap_reached",
    "tenant.number_moved",
    "tenant.number_left",
    "tenant.number_came",
    "tenant.number_move_failed",
    "tenant.screenpop_sent",
];

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "CRM", "url": "https://hooks.example.com/ccm", "events": ["message.*", "consent.*"], "include_numbers": true}))]
pub struct NewWebhook {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Where it is called: a public `https` address without user name, query and fragment.
    #[schema(min_length = 8, max_length = 2000)]
    url: String,
    /// What it is told: types, or groups such as `message.*`; docs/webhooks.md lists them. Left out or `null`: everything, also what
    /// there will be.
    #[serde(default)]
    #[schema(schema_with = schema::webhook_events)]
    events: Option<Vec<String>>,
    /// Whether it is told customers' numbers. Only who may read texts can say so.
    #[serde(default)]
    #[schema(default = false)]
    include_numbers: bool,
    /// Whether it is told what was written. Only who may read texts can say so.
    #[serde(default)]
    #[schema(default = false)]
    include_bodies: bool,
}

/// What is to change of a webhook; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"enabled": true}))]
pub struct WebhookPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 8, max_length = 2000, required = false)]
    pub url: Option<String>,
    /// `null`: everything.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schema::webhook_events)]
    events: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    include_numbers: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    include_bodies: Option<bool>,
    /// `false`: it is not called; what happens meanwhile waits, for 30 days. `true`: it is called again, first with what waits.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

/// A secret that is to take another one's place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_s": 86400}))]
pub struct RotateWebhookSecret {
    /// For how many seconds calls are signed with the old secret too: 0 to 604800 (7 days).
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 604_800, default = 86_400)]
    pub overlap_s: u32,
}

fn a_day() -> u32 {
    86_400
}

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Webhook {
    #[schema(value_type = Uuid)]
    pub id: WebhookId,
    #[schema(example = "CRM")]
    pub name: String,
    #[schema(example = "https://hooks.example.com/ccm")]
    url: String,
    /// What it is told; `null`: everything.
    #[schema(required, example = json!(["message.*"]))]
    events: Option<Vec<String>>,
    include_numbers: bool,
    include_bodies: bool,
    #[schema(schema_with = schema::webhook_state)]
    state: WebhookState,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    state_since: OffsetDateTime,
    /// Since when nothing was taken: after 5 days it is disabled. `null`: the last call was taken, or there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    failing_since: Option<OffsetDateTime>,
    /// Until when it is not called, because its receiver asked for a pause (`Retry-After`); `null`: it did not.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    paused_until: Option<OffsetDateTime>,
    /// Until when calls are signed with the secret before this one too; `null`: there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    old_secret_until: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

/// A webhook whose secret is new: the only answer that ever shows it. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct MadeWebhook {
    #[serde(flatten)]
    pub about: Webhook,
    /// As Standard Webhooks writes it: `whsec_` and the base64 of 32 bytes. Shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA=")]
    pub secret: String,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTest {
    /// The `webhook-id` of the call.
    pub delivery_id: Uuid,
    /// `delivered`, `failed`, or `pending`: no process of the role `events` has called within 20 seconds; one that comes up does.
    #[schema(schema_with = schema::delivery_state)]
    pub state: DeliveryState,
    /// What the receiver said, or why there is no answer; `null` while pending.
    #[schema(required)]
    pub attempt: Option<Attempt>,
}

impl From<WebhookRow> for Webhook {
    fn from(row: WebhookRow) -> Self {
        Self {
            id: row.id,
            name: row.webhook.name,
            url: row.webhook.url,
            events: row.webhook.events,
            include_numbers: row.webhook.include_numbers,
            include_bodies: row.webhook.include_bodies,
            state: row.state,
            state_since: row.state_since,
            failing_since: row.failing_since,
            paused_until: row.paused_until,
            old_secret_until: row.old_secret_until,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl NewWebhook {
    pub fn check(self) -> Result<ccm_db::Webhook, Refused> {
        valid::name("name", &self.name, 100)?;
        valid::http_url("url", &self.url)?;
        if let Some(events) = &self.events {
            known(events)?;
        }
        Ok(ccm_db::Webhook {
            name: self.name,
            url: self.url,
            events: self.events,
            include_numbers: self.include_numbers,
            include_bodies: self.include_bodies,
        })
    }
}

fn known(events: &[String]) -> Result<(), Refused> {
    let refused = |problem: String| {
        Refused::new(
            "events",
            problem,
            "docs/webhooks.md lists the types and groups; leave it out for all of them",
        )
    };
    if events.is_empty() || events.len() > 50 {
        return Err(refused("does not hold 1 to 50 types".to_owned()));
    }
    let is_known = |event: &str| match event.strip_suffix(".*") {
        Some(group) => EVENTS.iter().any(|known| known.split('.').next() == Some(group)),
        None => EVENTS.contains(&event),
    };
    match events.iter().position(|event| !is_known(event)) {
        None => Ok(()),
        Some(n) => Err(refused(format!(
            "holds at {n} what is neither a type nor a group"
        ))),
    }
}

impl WebhookPatch {
    pub fn apply(&self, was: &WebhookRow) -> Result<(ccm_db::Webhook, WebhookState), Refused> {
        let kept = was.webhook.clone();
        let new = NewWebhook {
            name: self.name.clone().unwrap_or(kept.name),
            url: self.url.clone().unwrap_or(kept.url),
            events: self.events.clone().unwrap_or(kept.events),
            include_numbers: self.include_numbers.unwrap_or(kept.include_numbers),
            include_bodies: self.include_bodies.unwrap_or(kept.include_bodies),
        };
        let state = match self.enabled {
            None => was.state,
            Some(true) => WebhookState::Enabled,
            Some(false) => WebhookState::Disabled,
        };
        Ok((new.check()?, state))
    }

    /// Whether it changes who is told what.
    pub fn discloses(&self) -> bool {
        self.url.is_some() || self.include_numbers.is_some() || self.include_bodies.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_groups_are_known_and_nothing_else() {
        let check = |events: &[&str]| known(&events.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(check(&["message.*", "link.down"]), Ok(()));
        assert_eq!(check(&EVENTS), Ok(()));
        for bad in [
            &[][..],
            &["*"],
            &["message"],
            &["message.gone"],
            &["gone.*"],
            &["ccm.test"],
            &["link.down"; 51],
        ] {
            assert_eq!(check(bad).unwrap_err().field, "events", "{bad:?}");
        }
    }
}
