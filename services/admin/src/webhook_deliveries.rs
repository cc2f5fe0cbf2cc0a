//! What a webhook was told, what became of it, and how it is told again.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    conversations::may_read_texts,
    path::{DeliveryPath, WebhookPath},
    query, schema,
    valid::Refused,
};
use axum::extract::State;
use ccm_db::{DbError, DeliveryFilter, DeliveryRow, Look};
use ccm_model::{ConversationId, DeliveryState};
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// So many are replayed by one request at the most.
const MOST: i64 = 1000;
/// For so long they are kept.
const LONGEST: Duration = Duration::days(31);

/// One call, as it ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// How many milliseconds it took.
    #[schema(minimum = 0)]
    ms: u64,
    /// `delivered`; `status`: another status than 200 to 299; `timed_out` (15 s), `connect`, `broken`, `redirect`, `private`, `address`;
    /// `forgotten`: not called, since what it is about is not kept any more.
    #[schema(example = "status")]
    outcome: String,
    /// What the receiver answered with; `null` without an answer.
    #[schema(required, example = 500)]
    status: Option<u16>,
    /// Why it did not count, and what to do; `null` if it did.
    #[schema(required)]
    why: Option<String>,
    /// How the receiver's answer began: 1 KB at most. `null` without one, and if withheld, since a receiver may repeat what it was told.
    #[schema(required)]
    answer: Option<String>,
}

impl Attempt {
    pub fn read(tries: Vec<Value>, may_read_texts: bool) -> Result<Vec<Self>, DbError> {
        let read = |value| {
            let mut attempt: Self =
                serde_json::from_value(value).map_err(|e| DbError::Corrupt(format!("attempt: {e}")))?;
            attempt.answer = attempt.answer.filter(|_| may_read_texts);
            Ok(attempt)
        };
        tries.into_iter().map(read).collect()
    }
}

/// An event for a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// The `webhook-id` of its calls.
    id: Uuid,
    #[serde(rename = "type")]
    #[schema(example = "message.received")]
    kind: String,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// The conversation that it happened in; `null`: in none.
    #[schema(value_type = Option<Uuid>, required)]
    conversation_id: Option<ConversationId>,
    #[schema(schema_with = schema::delivery_state)]
    state: DeliveryState,
    /// How often it was tried, since it happened or was replayed: 10 times at most.
    attempts: i32,
    /// When it is tried next, if the webhook is enabled and not paused; `null`: it is not pending.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_at: Option<OffsetDateTime>,
    /// The last attempts, the oldest first: 20 at most.
    tries: Vec<Attempt>,
    /// Whether receivers' answers were left out, because the role may not read texts.
    withheld: bool,
}

impl Delivery {
    fn read(row: DeliveryRow, may_read_texts: bool) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            kind: row.kind,
            at: row.at,
            conversation_id: row.conversation,
            state: row.state,
            attempts: row.attempts,
            next_at: row.next_at,
            tries: Attempt::read(row.tries, may_read_texts)?,
            withheld: !may_read_texts,
        })
    }
}

/// Which deliveries, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// Those in this state: `pending`, `delivered` or `failed`.
    #[param(value_type = Option<String>, example = "failed")]
    state: Option<DeliveryState>,
    /// Those of this type.
    #[serde(rename = "type")]
    #[param(rename = "type", example = "message.received")]
    kind: Option<String>,
    /// Those of events from this moment on: RFC 3339, with `%2B` for a `+`.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-03-01T00:00:00Z")]
    since: Option<OffsetDateTime>,
    /// Those of events before this moment.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-04-01T00:00:00Z")]
    until: Option<OffsetDateTime>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Which deliveries are tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-11-30T08:00:00Z", "to": "2026-11-30T12:00:00Z"}))]
pub struct ReplayDeliveries {
    /// Those of events from this moment on.
    #[serde(with = "crate::moment")]
    #[schema(value_type = String, format = DateTime)]
    from: OffsetDateTime,
    /// Those of events before this moment: 31 days later at most.
    #[serde(with = "crate::moment")]
    #[schema(value_type = String, format = DateTime)]
    to: OffsetDateTime,
    /// Also those that were delivered.
    #[serde(default)]
    #[schema(default = false)]
    delivered_too: bool,
    /// The `rest_after` of the answer before.
    #[serde(default)]
    after: Option<Uuid>,
}

/// How many are tried again.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayedDeliveries {
    #[schema(minimum = 0)]
    replayed: usize,
    /// To be given back as `after` for those that follow; absent if these were all.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest_after: Option<Uuid>,
}

/// List what a webhook was told or will be, the newest first
///
/// For 30 days. For the roles platform-admin and engineer, and support without receivers' answers; tenant-admin and tenant-viewer in
/// their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/webhooks/{webhook}/deliveries", tag = "webhooks",
    params(WebhookPath, DeliveryQuery),
    responses((status = 200, description = "One page.", body = Page<Delivery>), Always, InTenant))]
pub async fn list_deliveries(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<WebhookPath>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<Page<Delivery>>, Failure> {
    let limit = query::limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let filter = DeliveryFilter {
        state: query.state,
        kind: query.kind,
        since: query.since,
        until: query.until,
    };
    let db = deps.tenant(&scope).await?;
    db.webhook(path.webhook).await?;
    let rows = db
        .deliveries(path.webhook, &filter, before, limit as i64 + 1)
        .await?;
    let readable = may_read_texts(&scope);
    // Receivers repeat texts in their answers.
    if readable {
        deps.looks(&scope, Look::WebhookDeliveries(path.webhook)).await?;
    }
    let items: Result<Vec<_>, _> = rows
        .into_iter()
        .map(|row| Delivery::read(row, readable))
        .collect();
    Ok(Json(Page::cut(items?, limit, |delivery: &Delivery| delivery.id)))
}

/// Have a webhook told again
///
/// From the first attempt on, under the same `webhook-id`, whatever became of it. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhooks/{webhook}/deliveries/{delivery}/replay", tag = "webhooks",
    params(DeliveryPath),
    responses((status = 200, description = "It is tried again.", body = Delivery), Always, InTenant))]
pub async fn replay_delivery(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<DeliveryPath>,
) -> Result<Json<Delivery>, Failure> {
    let db = deps.tenant(&scope).await?;
    db.webhook(path.webhook).await?;
    let readable = may_read_texts(&scope);
    if readable {
        deps.looks(&scope, Look::WebhookDeliveries(path.webhook)).await?;
    }
    let now = deps.ids.clock().now();
    let row = db.replay_delivery(path.webhook, path.delivery, now).await?;
    deps.dealt_with(
        scope.tenant,
        "webhook delivery",
        row.id,
        "replayed",
        &scope.bearer.sub,
    );
    Ok(Json(Delivery::read(row, readable)?))
}

/// Have a webhook told again what happened in a time
///
/// What failed, and with `delivered_too` all of it; what is pending comes anyway. 1000 at a time: give `rest_after` back as `after`
/// until there is none. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/webhooks/{webhook}/replay", tag = "webhooks",
    params(WebhookPath),
    responses((status = 200, description = "They are tried again.", body = ReplayedDeliveries), Always, InTenant, Taking))]
pub async fn replay_deliveries(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<WebhookPath>,
    Json(asked): Json<ReplayDeliveries>,
) -> Result<Json<ReplayedDeliveries>, Failure> {
    let length = asked.to - asked.from;
    if length <= Duration::ZERO || length > LONGEST {
        let remedy = "give 31 days at most, the earlier moment as from";
        return Err(Refused::new("from", "is not before to, or more than 31 days before", remedy).into());
    }
    let filter = DeliveryFilter {
        state: (!asked.delivered_too).then_some(DeliveryState::Failed),
        kind: None,
        since: Some(asked.from),
        until: Some(asked.to),
    };
    let db = deps.tenant(&scope).await?;
    db.webhook(path.webhook).await?;
    let now = deps.ids.clock().now();
    let (replayed, last) = db
        .replay_deliveries(path.webhook, &filter, asked.after, MOST, now)
        .await?;
    deps.dealt_with(
        scope.tenant,
        "webhook",
        path.webhook,
        "replayed",
        &scope.bearer.sub,
    );
    Ok(Json(ReplayedDeliveries {
        replayed,
        rest_after: last.filter(|_| replayed as i64 == MOST),
    }))
}
