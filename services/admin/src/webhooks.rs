//! Where a tenant's programs are told of what happens.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    conversations::may_read_texts,
    patch::given,
    path::{TenantPath, WebhookPath},
    query, schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    two_secrets::secret_bytes,
    valid::{self, Refused},
    webhook_deliveries::Attempt,
};
use axum::{extract::State, http::StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_db::{DbError, TenantDb, WebhookRow};
use ccm_model::{DeliveryState, WebhookId, WebhookState};
use ccm_web::{Json, Page, PageQuery, Path, Problem, Query, TenantScope, may};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

const WHAT: &str = "webhook";
const MOST: i64 = 20;
const MAX_OVERLAP_S: u32 = 7 * 86_400;
/// Between two looks at whether a test has been tried.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

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
    name: String,
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
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 8, max_length = 2000, required = false)]
    url: Option<String>,
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
    overlap_s: u32,
}

fn a_day() -> u32 {
    86_400
}

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Webhook {
    #[schema(value_type = Uuid)]
    id: WebhookId,
    #[schema(example = "CRM")]
    name: String,
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
    about: Webhook,
    /// As Standard Webhooks writes it: `whsec_` and the base64 of 32 bytes. Shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA=")]
    secret: String,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTest {
    /// The `webhook-id` of the call.
    delivery_id: Uuid,
    /// `delivered`, `failed`, or `pending`: no process of the role `events` has called within 20 seconds; one that comes up does.
    #[schema(schema_with = schema::delivery_state)]
    state: DeliveryState,
    /// What the receiver said, or why there is no answer; `null` while pending.
    #[schema(required)]
    attempt: Option<Attempt>,
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

fn generate() -> SecretString {
    format!("whsec_{}", BASE64_STANDARD.encode(&secret_bytes()[..])).into()
}

fn made(row: WebhookRow, secret: &SecretString) -> Made<MadeWebhook> {
    Made(MadeWebhook {
        about: row.into(),
        secret: secret.expose_secret().to_owned(),
    })
}

impl NewWebhook {
    fn check(self) -> Result<ccm_db::Webhook, Refused> {
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
    fn apply(&self, was: &WebhookRow) -> Result<(ccm_db::Webhook, WebhookState), Refused> {
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
    fn discloses(&self) -> bool {
        self.url.is_some() || self.include_numbers.is_some() || self.include_bodies.is_some()
    }
}

/// 403 when somebody would have told elsewhere what they may not read themselves.
fn may_disclose<P>(scope: &TenantScope<P>, webhook: &ccm_db::Webhook) -> Result<(), Problem> {
    let field = match (webhook.include_bodies, webhook.include_numbers) {
        (true, _) => "include_bodies",
        (false, true) => "include_numbers",
        (false, false) => return Ok(()),
    };
    if may_read_texts(scope) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "The token does not allow this",
    )
    .detail("the webhook would be told what you may not read yourself: the permission read-texts is needed")
    .field(field)
    .remedy("leave it out, or have it done by somebody who may read texts"))
}

impl Deps {
    async fn is_reachable(&self, url: &str) -> Result<(), Refused> {
        let refused = |problem: &str, remedy| Err(Refused::new("url", problem, remedy));
        match Url::parse(url) {
            Ok(url) if !self.egress.is_private(&url).await => Ok(()),
            Ok(_) => refused(
                "leads to a private address, and those are not called",
                "give a public address, or have the operator of the platform allow the network (egress.private_networks)",
            ),
            Err(_) => refused("is not an address", "write it like https://hooks.example.com/ccm"),
        }
    }
}

fn answer(row: WebhookRow) -> Tagged<Webhook> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

fn tag(row: &WebhookRow) -> String {
    let it = &row.webhook;
    content_tag(&(
        &it.name,
        &it.url,
        &it.events,
        it.include_numbers,
        it.include_bodies,
        row.state,
    ))
}

async fn taken(db: &TenantDb<'_>, name: &str) -> Result<Failure, DbError> {
    let all = db.webhooks_part(&query::FIRST_PART).await?;
    let taken = all.into_iter().find(|row| row.webhook.name == name);
    Ok(Failure::exists(WHAT, "name", taken.map(|row| row.id)))
}

/// Make a webhook
///
/// From now on it is called for what happens, signed as Standard Webhooks says; docs/webhooks.md is for whoever receives. Its secret is
/// shown in this answer and never again. A tenant has 20 at most. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhooks", tag = "webhooks",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = MadeWebhook), Always, InTenant, Making, Taking))]
pub async fn create_webhook(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewWebhook>,
) -> Result<Made<MadeWebhook>, Failure> {
    let new = new.check()?;
    may_disclose(&scope, &new)?;
    let db = deps.tenant(&scope).await?;
    deps.is_reachable(&new.url).await?;
    let (secret, now) = (generate(), deps.ids.clock().now());
    match db.create_webhook(deps.ids.next(), &new, &secret, MOST, now).await {
        Ok(Some(row)) => {
            deps.made(scope.tenant, WHAT, row.id, &scope.bearer.sub);
            Ok(made(row, &secret))
        }
        Ok(None) => Err(
            Problem::conflict(format!("the tenant has {MOST} webhooks already"))
                .remedy("delete one that nobody needs, or have one receiver pass on what it is told")
                .into(),
        ),
        Err(DbError::Conflict { .. }) => Err(taken(&db, &new.name).await?),
        Err(error) => Err(error.into()),
    }
}

/// List the webhooks, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/webhooks", tag = "webhooks",
    params(TenantPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<Webhook>), Always, InTenant))]
pub async fn list_webhooks(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Webhook>>, Failure> {
    let limit = page.limit()?;
    let part = ccm_db::Part {
        after: page.position()?,
        limit: limit as i64 + 1,
    };
    let rows = deps.tenant(&scope).await?.webhooks_part(&part).await?;
    let items = rows.into_iter().map(Webhook::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &Webhook| {
        (one.name.clone(), one.id)
    })))
}

/// Read a webhook
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/webhooks/{webhook}", tag = "webhooks",
    params(WebhookPath),
    responses((status = 200, description = "The webhook.", body = Webhook,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_webhook(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<WebhookPath>,
) -> Result<Tagged<Webhook>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.webhook(path.webhook).await?))
}

/// Change a webhook
///
/// A merge patch (RFC 7396). What has not been delivered yet goes where the webhook leads now. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/webhooks/{webhook}", tag = "webhooks",
    params(WebhookPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Webhook,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_webhook(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookPath>,
    unless: IfMatch,
    Json(patch): Json<WebhookPatch>,
) -> Result<Tagged<Webhook>, Failure> {
    let db = deps.tenant(&scope).await?;
    if let Some(url) = &patch.url {
        deps.is_reachable(url).await?;
    }
    let changed = db
        .change_webhook(path.webhook, deps.ids.clock().now(), |was| {
            unless.check(WHAT, &tag(was))?;
            let new = patch.apply(was)?;
            if patch.discloses() {
                may_disclose(&scope, &new.0)?;
            }
            Ok::<_, Failure>(new)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { .. })) => {
            return Err(taken(&db, patch.name.as_deref().unwrap_or_default()).await?);
        }
        changed => changed?,
    };
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

/// Delete a webhook
///
/// It is not called any more; what has not been delivered to it, it is not told. For the roles platform-admin and engineer; tenant-admin
/// in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/webhooks/{webhook}", tag = "webhooks",
    params(WebhookPath, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Always, InTenant, Guarded))]
pub async fn delete_webhook(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookPath>,
    unless: IfMatch,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    db.delete_webhook(path.webhook, |was| unless.check(WHAT, &tag(was)))
        .await?;
    deps.removed(scope.tenant, WHAT, path.webhook, &scope.bearer.sub);
    Ok(Gone)
}

/// Put a new secret in a webhook's old one's place
///
/// Calls carry the signatures of both for as long as they overlap; what the one before was is forgotten at once. The new secret is shown
/// in this answer and never again. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhooks/{webhook}/rotate", tag = "webhooks",
    params(WebhookPath),
    responses((status = 201, description = "Made.", body = MadeWebhook), Always, InTenant, Taking))]
pub async fn rotate_webhook_secret(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookPath>,
    Json(asked): Json<RotateWebhookSecret>,
) -> Result<Made<MadeWebhook>, Failure> {
    if asked.overlap_s > MAX_OVERLAP_S {
        let remedy = "give the time that it takes to bring the new secret everywhere";
        return Err(Refused::new(
            "overlap_s",
            "is more than 604800 seconds, which are 7 days",
            remedy,
        )
        .into());
    }
    let db = deps.tenant(&scope).await?;
    let old_until = deps.ids.clock().now() + Duration::from_secs(asked.overlap_s.into());
    let secret = generate();
    let row = db.rotate_webhook_secret(path.webhook, &secret, old_until).await?;
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(made(row, &secret))
}

/// Call a webhook now
///
/// With an event of the type `ccm.test`, whatever types it is told; the answer says what its receiver said. It is tried once, and counts
/// neither for nor against the receiver. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhooks/{webhook}/test", tag = "webhooks",
    params(WebhookPath),
    responses((status = 200, description = "It was called, or waits to be.", body = WebhookTest),
        (status = 409, description = "It is disabled.", body = Problem, content_type = "application/problem+json"),
        Always, InTenant))]
pub async fn test_webhook(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookPath>,
) -> Result<Json<WebhookTest>, Failure> {
    let db = deps.tenant(&scope).await?;
    if db.webhook(path.webhook).await?.state != WebhookState::Enabled {
        return Err(Problem::conflict("the webhook is disabled, so it is not called")
            .remedy("PATCH it with {\"enabled\": true}, then test it")
            .into());
    }
    let id: Uuid = deps.ids.next();
    db.create_test_delivery(path.webhook, id, deps.ids.clock().now())
        .await?;
    let began = Instant::now();
    let mut row = db.delivery(path.webhook, id).await?;
    while row.state == DeliveryState::Pending && began.elapsed() < deps.webhook_test_wait {
        sleep(LOOK_AGAIN).await;
        row = db.delivery(path.webhook, id).await?;
    }
    deps.dealt_with(scope.tenant, WHAT, path.webhook, "tested", &scope.bearer.sub);
    let attempts = Attempt::read(row.tries, may_read_texts(&scope))?;
    Ok(Json(WebhookTest {
        delivery_id: id,
        state: row.state,
        attempt: attempts.into_iter().next_back(),
    }))
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
