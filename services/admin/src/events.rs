//! What happened to a tenant, in one list.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::TenantPath,
    query,
};
use axum::extract::State;
use ccm_db::{EventFilter, EventRow};
use ccm_model::{AccountId, LinkId};
use ccm_web::{Cursor, Json, Page, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which events, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Those of this kind.
    #[param(example = "link_down")]
    kind: Option<String>,
    /// Those from this moment on: RFC 3339, with `%2B` for a `+`.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-03-01T00:00:00Z")]
    since: Option<OffsetDateTime>,
    /// Those before this moment.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-04-01T00:00:00Z")]
    until: Option<OffsetDateTime>,
    /// Those of this link.
    #[param(value_type = Option<Uuid>)]
    link: Option<LinkId>,
    /// Those of this account.
    #[param(value_type = Option<Uuid>)]
    account: Option<AccountId>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Something that happened to a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    id: Uuid,
    /// Of a link: `link_down`, `link_up`, `failover`, `failback`, `certificate_expires`, `maintenance_began`,
    /// `maintenance_ended`. Of an account: `failing`, `recovered`. Of the tenant: `state_changed`, `deflection_offered` and so
    /// on with each state of a deflection. There will be others.
    #[schema(example = "link_down")]
    kind: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// The link that it happened to, which may be gone; `null`: to none.
    #[schema(value_type = Option<Uuid>, required)]
    link_id: Option<LinkId>,
    /// The account that it happened to, which may be gone; `null`: to none.
    #[schema(value_type = Option<Uuid>, required)]
    account_id: Option<AccountId>,
    /// Whether nobody was to be woken for it: it happened in a maintenance window.
    muted: bool,
    /// More about it, by kind. Never a customer's number, never a text.
    #[schema(value_type = Object)]
    detail: Value,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            at: row.at,
            link_id: row.link,
            account_id: row.account,
            muted: row.muted,
            detail: row.detail,
        }
    }
}

/// List what happened to a tenant, its links and its accounts, the newest first
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/events", tag = "tenants",
    params(TenantPath, EventQuery),
    responses((status = 200, description = "One page.", body = Page<Event>), Always, InTenant))]
pub async fn list_events(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<EventQuery>,
) -> Result<Json<Page<Event>>, Failure> {
    let limit = query::limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let filter = EventFilter {
        kind: query.kind,
        since: query.since,
        until: query.until,
        link: query.link,
        account: query.account,
    };
    let db = deps.tenant(&scope).await?;
    let rows = db.events(&filter, before, limit as i64 + 1).await?;
    let items = rows.into_iter().map(Event::from).collect();
    Ok(Json(Page::cut(items, limit, |event: &Event| event.id)))
}
