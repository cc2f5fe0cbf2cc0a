//! How a link does, and what happened to it.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::LinkPath,
};
use axum::extract::State;
use ccm_db::{LinkEventRow, LinkStateRow};
use ccm_web::{Json, Page, PageQuery, Path, Query, TenantScope, may};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// How a link does, as the pod that carries the tenant last said.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkState {
    /// `unknown` (nobody has used it yet), `up`, `down`, `half_open` (down, and being tried), `held` (a maintenance window)
    /// or `unusable` (its settings).
    #[schema(example = "down")]
    state: String,
    /// Since when it is in this state; `null` as long as no pod has said anything.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<OffsetDateTime>,
    /// Which server is dialled: `primary` or `secondary`; `null` as long as no pod has said anything.
    #[schema(required, example = "primary")]
    endpoint: Option<String>,
    /// Why it is not up.
    #[schema(required)]
    error: Option<String>,
    /// What to do about it.
    #[schema(required)]
    remedy: Option<String>,
    /// Open sockets, one a chat.
    #[schema(minimum = 0)]
    chats: i32,
    /// Chats that wait to dial.
    #[schema(minimum = 0)]
    waiting: i32,
    /// Until when the server's certificate is valid; `null` if none was seen.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    certificate_until: Option<OffsetDateTime>,
    /// When this was said.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    updated_at: Option<OffsetDateTime>,
}

/// Something that happened to a link.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkEvent {
    id: Uuid,
    /// `link_down`, `link_up`, `failover`, `failback`, `certificate_expires`, `maintenance_began` or `maintenance_ended`.
    #[schema(example = "link_down")]
    kind: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// Whether nobody was to be woken for it: it happened in a maintenance window.
    muted: bool,
    /// More about it, by kind.
    #[schema(value_type = Object)]
    detail: Value,
}

impl LinkState {
    const UNKNOWN: &str = "unknown";

    fn read(row: Option<LinkStateRow>) -> Self {
        let Some(row) = row else {
            return Self {
                state: Self::UNKNOWN.to_owned(),
                since: None,
                endpoint: None,
                error: None,
                remedy: None,
                chats: 0,
                waiting: 0,
                certificate_until: None,
                updated_at: None,
            };
        };
        Self {
            state: row.state,
            since: Some(row.since),
            endpoint: Some(row.endpoint),
            error: row.error,
            remedy: row.remedy,
            chats: row.chats,
            waiting: row.waiting,
            certificate_until: row.certificate_until,
            updated_at: Some(row.updated_at),
        }
    }
}

impl From<LinkEventRow> for LinkEvent {
    fn from(row: LinkEventRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            at: row.at,
            muted: row.muted,
            detail: row.detail,
        }
    }
}

/// Read how a link does
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/state", tag = "links",
    params(LinkPath),
    responses((status = 200, description = "As last said.", body = LinkState), Always, InTenant))]
pub async fn get_link_state(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
) -> Result<Json<LinkState>, Failure> {
    let db = deps.tenant(&scope).await?;
    db.link(path.link).await?;
    let mut states = db.link_states().await?.into_iter();
    Ok(Json(LinkState::read(states.find(|row| row.link == path.link))))
}

/// List what happened to a link, the newest first
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/links/{link}/events", tag = "links",
    params(LinkPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<LinkEvent>), Always, InTenant))]
pub async fn list_link_events(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<LinkPath>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<LinkEvent>>, Failure> {
    let (limit, before) = (page.limit()?, page.position()?);
    let db = deps.tenant(&scope).await?;
    db.link(path.link).await?;
    let rows = db.link_events(path.link, before, limit as i64 + 1).await?;
    let items = rows.into_iter().map(LinkEvent::from).collect();
    Ok(Json(Page::cut(items, limit, |event: &LinkEvent| event.id)))
}
