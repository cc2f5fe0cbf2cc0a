//! How tenants do, at a glance.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of queries"
)]

mod health;
pub mod platform;

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::TenantPath,
    query, schema,
};
use axum::extract::State;
use ccm_db::{DbError, OverviewRow, TenantFilter, TenantRow};
use ccm_model::TenantId;
use ccm_web::{Cursor, Json, Page, Platform, Problem, Query, TenantScope, may};
pub use health::{Health, health_schema};
use health::{Reason, reasons, state_of};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Tenants that are looked at together.
const AT_ONCE: i64 = 100;
/// How often that is done for one page: a filter that few tenants pass must not read all of them.
const ROUNDS: usize = 5;

/// How a tenant does.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantOverview {
    #[schema(value_type = Uuid)]
    id: TenantId,
    #[schema(example = "acme-bank")]
    slug: String,
    #[schema(example = "Acme Bank")]
    name: String,
    #[schema(schema_with = schema::tenant_state)]
    state: String,
    #[schema(schema_with = health_schema)]
    health: Health,
    /// What should be seen to, the worst first.
    reasons: Vec<Reason>,
    /// How many of its links are in each state.
    links: LinksByState,
    /// 10,000 at most are counted, of this and of all that follows.
    #[schema(minimum = 0, example = 12)]
    open_conversations: i64,
    /// Open chats in which an agent is.
    #[schema(minimum = 0, example = 9)]
    chats_with_agent: i64,
    /// Open chats that wait for one.
    #[schema(minimum = 0, example = 3)]
    chats_without_agent: i64,
    /// Customers' texts that have not reached an agent; what waits for opening hours or the end of a
    /// maintenance window is left out.
    #[schema(minimum = 0, example = 3)]
    texts_for_agent: i64,
    /// Since when the oldest of them waits; for a text that was kept until the tenant opened, since it did.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    oldest_for_agent_at: Option<OffsetDateTime>,
    /// Texts that no provider has taken yet.
    #[schema(minimum = 0, example = 0)]
    texts_for_provider: i64,
    /// Since when the oldest of them waits.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    oldest_for_provider_at: Option<OffsetDateTime>,
    /// Dead letters that nobody has dealt with.
    #[schema(minimum = 0, example = 0)]
    dead_letters: i64,
    /// The last text of a customer in one of the tenant's latest conversations.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_text_in_at: Option<OffsetDateTime>,
    /// The last text to a customer in one of the tenant's latest conversations.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_text_out_at: Option<OffsetDateTime>,
}

/// Links by what their connector last said of them. What failed then, and nobody has used for three minutes, is `unknown`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct LinksByState {
    #[schema(minimum = 0, example = 1)]
    up: usize,
    #[schema(minimum = 0, example = 0)]
    down: usize,
    #[schema(minimum = 0, example = 0)]
    half_open: usize,
    #[schema(minimum = 0, example = 0)]
    held: usize,
    #[schema(minimum = 0, example = 0)]
    unusable: usize,
    /// No chat has tried it, or too few to tell.
    #[schema(minimum = 0, example = 0)]
    unknown: usize,
}

impl LinksByState {
    fn of(seen: &OverviewRow, now: OffsetDateTime) -> Self {
        let mut by = Self::default();
        for link in &seen.edges.links {
            *match state_of(link, now) {
                "up" => &mut by.up,
                "down" => &mut by.down,
                "half_open" => &mut by.half_open,
                "held" => &mut by.held,
                "unusable" => &mut by.unusable,
                _ => &mut by.unknown,
            } += 1;
        }
        by
    }
}

impl TenantOverview {
    fn of(tenant: TenantRow, seen: &OverviewRow, now: OffsetDateTime) -> Self {
        let reasons = reasons(&tenant, seen, now);
        Self {
            id: tenant.id,
            slug: tenant.slug,
            name: tenant.name,
            state: tenant.state,
            health: reasons
                .iter()
                .map(|reason| reason.health)
                .max()
                .unwrap_or(Health::Ok),
            reasons,
            links: LinksByState::of(seen, now),
            open_conversations: seen.open_conversations,
            chats_with_agent: seen.chats_with_agent,
            chats_without_agent: seen.chats_without_agent,
            texts_for_agent: seen.for_agents.count,
            oldest_for_agent_at: seen.for_agents.since,
            texts_for_provider: seen.for_providers.count,
            oldest_for_provider_at: seen.for_providers.since,
            dead_letters: seen.dead_letters.count,
            last_text_in_at: None,
            last_text_out_at: None,
        }
    }
}

/// Which tenants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    /// Those with this in their name or slug, in any case.
    #[param(example = "bank")]
    name: Option<String>,
    /// Those that do so: `ok`, `attention` or `failing`.
    #[param(value_type = Option<String>, example = "failing")]
    health: Option<Health>,
    /// How many at most. With `health` a page may have fewer, and there may be more all the same: `next_cursor` says so.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

async fn look(deps: &Deps, tenants: Vec<TenantRow>) -> Result<Vec<TenantOverview>, DbError> {
    let now = deps.ids.clock().now();
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id).collect();
    let seen = deps.db.batch().overviews(&ids, now).await?;
    let both = tenants.into_iter().zip(&seen);
    Ok(both
        .map(|(tenant, seen)| TenantOverview::of(tenant, seen, now))
        .collect())
}

/// Of the tenants of a page alone: it is the dearest of all that is looked at.
async fn with_last_texts(
    deps: &Deps,
    mut items: Vec<TenantOverview>,
) -> Result<Vec<TenantOverview>, DbError> {
    let ids: Vec<_> = items.iter().map(|item| item.id).collect();
    let last = deps.db.batch().last_texts(&ids).await?;
    for (item, last) in items.iter_mut().zip(last) {
        item.last_text_in_at = last.from_customer;
        item.last_text_out_at = last.to_customer;
    }
    Ok(items)
}

/// See how all tenants do
///
/// In the order of their making. What is counted is counted at this moment. For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/overview", tag = "overview", params(OverviewQuery),
    responses((status = 200, description = "One page.", body = Page<TenantOverview>), Always))]
pub async fn list_overviews(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(query): Query<OverviewQuery>,
) -> Result<Json<Page<TenantOverview>>, Failure> {
    let limit = query::limit(query.limit)?;
    let mut after: Option<TenantId> = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let filter = TenantFilter {
        part: query.name,
        ..TenantFilter::default()
    };
    let mut items = Vec::new();
    for _ in 0..ROUNDS {
        let wanted = match query.health {
            Some(_) => AT_ONCE,
            None => AT_ONCE.min((limit - items.len()) as i64),
        };
        // The surplus one says that there are more.
        let mut tenants = deps.db.operator().tenants_of(&filter, after, wanted + 1).await?;
        let more = tenants.len() as i64 > wanted;
        tenants.truncate(usize::try_from(wanted).unwrap_or_default());
        for overview in look(&deps, tenants).await? {
            if items.len() == limit {
                return Ok(page(with_last_texts(&deps, items).await?, after));
            }
            after = Some(overview.id);
            if query.health.is_none_or(|health| health == overview.health) {
                items.push(overview);
            }
        }
        if !more {
            return Ok(page(with_last_texts(&deps, items).await?, None));
        }
        if items.len() == limit {
            break;
        }
    }
    Ok(page(with_last_texts(&deps, items).await?, after))
}

fn page(items: Vec<TenantOverview>, go_on: Option<TenantId>) -> Json<Page<TenantOverview>> {
    Json(Page {
        items,
        next_cursor: go_on.as_ref().map(Cursor::at),
    })
}

/// See how a tenant does
///
/// What is counted is counted at this moment. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their
/// own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/overview", tag = "overview", params(TenantPath),
    responses((status = 200, description = "How it does.", body = TenantOverview), Always, InTenant))]
pub async fn get_overview(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<TenantOverview>, Failure> {
    let tenant = deps.rows(&scope).tenant().await?;
    let looked = look(&deps, vec![tenant]).await?;
    let overview = with_last_texts(&deps, looked).await?.pop();
    Ok(Json(overview.ok_or_else(|| {
        Problem::internal("a tenant was not looked at")
    })?))
}
