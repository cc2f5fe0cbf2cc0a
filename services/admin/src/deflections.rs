//! Callers who were to be offered a chat instead of waiting: one by one, and how many came how far.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    conversations::may_read_texts,
    path::TenantPath,
    query, schema,
};
use axum::extract::State;
use ccm_db::{DeflectionFilter, DeflectionRow, FunnelRow, RefusalRow};
use ccm_model::{Address, ConversationId, DeflectionId, DeflectionState};
use ccm_web::{Cursor, Json, Page, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// The longest time that a funnel is of.
const LONGEST: Duration = Duration::days(92);

/// A caller who was to be offered a chat.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deflection {
    #[schema(value_type = Uuid)]
    id: DeflectionId,
    #[schema(schema_with = schema::deflection_state)]
    state: DeflectionState,
    /// Why it was refused, or ended as it did; `null` otherwise.
    #[schema(required, example = "no_agents")]
    reason: Option<String>,
    /// The tenant's number that the offer left from; `null` if none was made for want of one.
    #[schema(value_type = Option<String>, required, example = "+14155550123")]
    our_address: Option<Address>,
    /// `null` if the caller had none that can be texted, or if withheld.
    #[schema(value_type = Option<String>, required, example = "+353861234567")]
    customer_address: Option<Address>,
    /// Whether the caller's number and name and the context were left out, because the role may not read them.
    withheld: bool,
    /// Whose agents answer the chat.
    #[schema(example = "WC_Sales")]
    skillset: String,
    /// Whom the caller waited for, as the script said.
    #[schema(example = "Voice_Sales")]
    voice_skillset: String,
    #[schema(example = "en")]
    language: String,
    /// The call, as the script named it.
    #[schema(required)]
    contact_id: Option<String>,
    /// How long the caller had waited, in seconds.
    waited_s: i32,
    #[schema(required, example = "high")]
    priority: Option<String>,
    /// `null` if the script knew none, or if withheld.
    #[schema(required)]
    name: Option<String>,
    /// What else the script knew; `null` if withheld.
    #[schema(value_type = Option<Object>, required)]
    context: Option<Value>,
    /// The conversation that the offer stands in; `null` if none was made.
    #[schema(value_type = Option<Uuid>, required)]
    conversation_id: Option<ConversationId>,
    /// `text` or `link`; `null` without an answer.
    #[schema(required, example = "text")]
    answered_by: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    asked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    sent_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    delivered_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    answered_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    chat_at: Option<OffsetDateTime>,
    /// When an agent wrote for the first time.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    agent_at: Option<OffsetDateTime>,
    /// Since when nothing can happen to it any more.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    ended_at: Option<OffsetDateTime>,
    /// Until when an answer is waited for; `null` if no offer was made.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<OffsetDateTime>,
}

impl Deflection {
    fn read(row: DeflectionRow, may_read_texts: bool) -> Self {
        Self {
            id: row.id,
            state: row.state,
            reason: row.reason,
            our_address: row.our_address,
            customer_address: row.customer_address.filter(|_| may_read_texts),
            withheld: !may_read_texts,
            skillset: row.skillset,
            voice_skillset: row.voice_skillset,
            language: row.language,
            contact_id: row.contact,
            waited_s: row.waited_s,
            priority: row.priority,
            name: row.name.filter(|_| may_read_texts),
            context: Some(row.context).filter(|_| may_read_texts),
            conversation_id: row.conversation,
            answered_by: row.answered_by,
            asked_at: row.asked_at,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            answered_at: row.answered_at,
            chat_at: row.chat_at,
            agent_at: row.agent_at,
            ended_at: row.ended_at,
            expires_at: row.expires_at,
        }
    }
}

/// Which deflections, and which page of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeflectionsQuery {
    /// Those in this state.
    #[param(value_type = Option<String>, example = "abandoned")]
    state: Option<DeflectionState>,
    /// Those of this skillset of chats.
    skillset: Option<String>,
    /// Those of this call.
    contact_id: Option<String>,
    /// Those of this caller: E.164. A `+` is written `%2B`; a bare one is understood.
    #[param(example = "+353861234567")]
    customer: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// From when to when scripts asked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FunnelQuery {
    /// From this moment on: RFC 3339, with `%2B` for a `+`. Left out: a day before `to`.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<OffsetDateTime>,
    /// Before this moment. Left out: now.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<OffsetDateTime>,
}

/// How many callers of a skillset came how far. Who came further counts in each step before.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Funnel {
    #[schema(example = "WC_Sales")]
    skillset: String,
    /// Callers who were offered a chat.
    offered: i64,
    /// Whose offer a provider took.
    sent: i64,
    /// Whose phone has it. Not all providers say it.
    delivered: i64,
    /// Who texted back or clicked in time.
    answered: i64,
    /// Whose chat AACC opened.
    chat: i64,
    /// To whom an agent wrote.
    served: i64,
    /// Who answered, and no agent wrote before it was over.
    abandoned: i64,
    /// Who did not answer in time.
    expired: i64,
    /// Whose offer did not reach the phone.
    failed: i64,
    /// Whose script took the offer back, or who want no texts.
    withdrawn: i64,
    /// Callers who were offered nothing, by reason.
    #[schema(example = json!({"no_agents": 3}))]
    refused: BTreeMap<String, i64>,
}

/// How many callers came how far.
#[derive(Debug, Serialize, ToSchema)]
pub struct FunnelReport {
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: OffsetDateTime,
    /// By the chats' skillset.
    items: Vec<Funnel>,
}

impl FunnelQuery {
    fn times(&self, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), Problem> {
        let to = self.to.unwrap_or(now);
        let day_before = || to.checked_sub(Duration::DAY).unwrap_or(to);
        let from = self.from.unwrap_or_else(day_before);
        match to - from {
            length if length > Duration::ZERO && length <= LONGEST => Ok((from, to)),
            _ => Err(
                Problem::invalid_field("from", "from is not before to, or more than 92 days before")
                    .remedy("ask for 92 days at most, the earlier moment as from"),
            ),
        }
    }
}

fn funnels(rows: Vec<FunnelRow>, refusals: Vec<RefusalRow>) -> Vec<Funnel> {
    let made = rows.into_iter().map(|row| Funnel {
        skillset: row.skillset,
        offered: row.offered,
        sent: row.sent,
        delivered: row.delivered,
        answered: row.answered,
        chat: row.chat,
        served: row.served,
        abandoned: row.abandoned,
        expired: row.expired,
        failed: row.failed,
        withdrawn: row.withdrawn,
        refused: BTreeMap::new(),
    });
    let mut all: BTreeMap<String, Funnel> = made.map(|row| (row.skillset.clone(), row)).collect();
    for refusal in refusals {
        let skillset = all.entry(refusal.skillset.clone()).or_insert_with(|| Funnel {
            skillset: refusal.skillset,
            ..Funnel::default()
        });
        skillset.refused.insert(refusal.reason, refusal.count);
    }
    all.into_values().collect()
}

/// List callers who were to be offered a chat, the newest first
///
/// For the roles platform-admin and engineer, and support without callers' numbers and what scripts know of them; tenant-admin and
/// tenant-viewer in their own tenant. They are kept for 90 days.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/deflections", tag = "deflection",
    params(TenantPath, DeflectionsQuery),
    responses((status = 200, description = "One page.", body = Page<Deflection>), Always, InTenant))]
pub async fn list_deflections(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<DeflectionsQuery>,
) -> Result<Json<Page<Deflection>>, Failure> {
    let limit = query::limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let customer = query
        .customer
        .as_deref()
        .map(|raw| query::address("customer", raw));
    let filter = DeflectionFilter {
        state: query.state,
        skillset: query.skillset,
        contact: query.contact_id,
        customer: customer.transpose()?,
    };
    let db = deps.tenant(&scope).await?;
    let rows = db.deflections(&filter, before, limit as i64 + 1).await?;
    let readable = may_read_texts(&scope);
    let items = rows
        .into_iter()
        .map(|row| Deflection::read(row, readable))
        .collect();
    Ok(Json(Page::cut(items, limit, |deflection: &Deflection| {
        deflection.id
    })))
}

/// Read how many callers came how far, by skillset
///
/// From the offer to the agent's first word, and why others were offered nothing; 92 days at most, of the last 90. For the roles
/// platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/deflection-funnel", tag = "deflection",
    params(TenantPath, FunnelQuery),
    responses((status = 200, description = "Each skillset.", body = FunnelReport), Always, InTenant))]
pub async fn get_deflection_funnel(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<FunnelQuery>,
) -> Result<Json<FunnelReport>, Failure> {
    let (from, to) = query.times(deps.ids.clock().now())?;
    let (rows, refusals) = deps.tenant(&scope).await?.deflection_funnel(from, to).await?;
    let items = funnels(rows, refusals);
    Ok(Json(FunnelReport { from, to, items }))
}
