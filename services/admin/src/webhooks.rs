//! Where a tenant's programs are told of what happens.

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    conversations::may_read_texts,
    path::{TenantPath, WebhookPath},
    query,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    two_secrets::secret_bytes,
    valid::Refused,
    webhook_deliveries::Attempt,
    webhook_document::{MadeWebhook, NewWebhook, RotateWebhookSecret, Webhook, WebhookPatch, WebhookTest},
};
use axum::{extract::State, http::StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_db::{DbError, TenantDb, WebhookRow};
use ccm_model::{DeliveryState, WebhookState};
use ccm_web::{Json, Page, PageQuery, Path, Problem, Query, TenantScope, may};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use url::Url;
use uuid::Uuid;

const WHAT: &str = "webhook";
const MOST: i64 = 20;
const MAX_OVERLAP_S: u32 = 7 * 86_400;
/// Between two looks at whether a test has been tried.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

fn generate() -> SecretString {
    format!("whsec_{}", BASE64_STANDARD.encode(&secret_bytes()[..])).into()
}

fn made(row: WebhookRow, secret: &SecretString) -> Made<MadeWebhook> {
    Made(MadeWebhook {
        about: row.into(),
        secret: secret.expose_secret().to_owned(),
    })
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
