//! What was texted, both ways.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::{ConversationPath, TenantPath},
    query::{address, limit},
    schema,
};
use axum::extract::State;
use ccm_auth::Permission;
use ccm_db::{ConversationRow, Look, MessageRow, MessageStep};
use ccm_model::{
    Address, Body, ChatId, ConversationId, ConversationState, Direction, MessageId, MessageState, NumberId,
    Origin,
};
use ccm_web::{Cursor, Json, Page, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// All texts between one of a tenant's numbers and one customer, from the first one until the last chat has ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversation {
    #[schema(value_type = Uuid)]
    id: ConversationId,
    #[schema(value_type = Uuid)]
    number_id: NumberId,
    /// The tenant's number that was texted; answers leave from it.
    #[schema(value_type = String, example = "+14155550123")]
    our_address: Address,
    /// `null` if withheld.
    #[schema(value_type = Option<String>, required, example = "+353861234567")]
    customer_address: Option<Address>,
    /// Whether the customer's number was left out, because the role may not read it.
    withheld: bool,
    #[schema(schema_with = schema::conversation_state)]
    state: ConversationState,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened_at: OffsetDateTime,
    /// When the last text came or went.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last_activity_at: OffsetDateTime,
    /// `null` while it is open.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    closed_at: Option<OffsetDateTime>,
    /// What its texts wait for, once that has lasted for 2 seconds: an `agent`; the `link`, which is down or paced; the
    /// end of the link's `maintenance` window; better `settings` of the link; the end of another of the customer's chats
    /// (`customer_limit`) or of the skillset's (`skillset_limit`). `null`: for nothing.
    #[schema(required, example = "link")]
    waits_for: Option<String>,
    /// Since when; `null` if for nothing.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    waits_since: Option<OffsetDateTime>,
    /// Since when what was written in it is gone (the tenant's retention); its texts' bodies are empty. `null`: it is there.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    bodies_erased_at: Option<OffsetDateTime>,
}

/// One text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    #[schema(value_type = Uuid)]
    id: MessageId,
    /// Its place in the conversation: 1 for the first, without gaps.
    #[schema(minimum = 1)]
    seq: i64,
    #[schema(schema_with = schema::direction)]
    direction: Direction,
    #[schema(schema_with = schema::origin)]
    origin: Origin,
    /// The agent's name as AACC shows it to customers; `null` for other origins.
    #[schema(required, example = "Mary")]
    author: Option<String>,
    /// What was written; `null` if withheld.
    #[schema(value_type = Option<String>, required, example = "How can I help you?")]
    body: Option<Body>,
    /// Whether `body` and `error_detail` were left out, because the role may not read texts.
    withheld: bool,
    #[schema(schema_with = schema::message_state)]
    state: MessageState,
    /// How often it was handed over, to AACC or to the provider.
    attempts: i32,
    /// How many of the attempts were made although the far side may have had it already: each may have doubled the text.
    resends: i32,
    /// The provider's id of it; `null` until the provider has given one.
    #[schema(required)]
    provider_message_id: Option<String>,
    /// The provider's code of the last failure.
    #[schema(required, example = "30003")]
    error_code: Option<String>,
    /// The last failure in words; `null` if there was none, or if withheld.
    #[schema(required)]
    error_detail: Option<String>,
    /// W3C `traceparent` that follows it through all roles.
    #[schema(required, example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    trace_parent: Option<String>,
    /// What became of it after it was taken, the oldest first: at most the last hundred.
    steps: Vec<Step>,
    /// The EWC chat that it went through; `null` if none yet.
    #[schema(value_type = Option<Uuid>, required)]
    chat_id: Option<ChatId>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When its state changed last.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

/// A state that a text came to, or an attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    #[schema(schema_with = schema::message_state)]
    state: MessageState,
    /// How often it was handed over until then.
    attempts: i32,
    /// The code of a failure.
    #[schema(required, example = "30003")]
    error_code: Option<String>,
}

impl From<MessageStep> for Step {
    fn from(step: MessageStep) -> Self {
        Self {
            at: step.at,
            state: step.state,
            attempts: step.attempts,
            error_code: step.error_code,
        }
    }
}

/// Texts in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Messages {
    items: Vec<Message>,
    /// To be given back as `after` for the texts that follow; absent if these are all for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
    /// Of the last texts alone: to be given back as `before` for the texts that precede them; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

impl Conversation {
    pub(crate) fn read(row: ConversationRow, may_read_texts: bool) -> Self {
        Self {
            id: row.id,
            number_id: row.number,
            our_address: row.our_address,
            customer_address: Some(row.customer_address).filter(|_| may_read_texts),
            withheld: !may_read_texts,
            state: row.state,
            opened_at: row.opened_at,
            last_activity_at: row.last_activity_at,
            closed_at: row.closed_at,
            waits_for: row.waits_for,
            waits_since: row.waits_since,
            bodies_erased_at: row.bodies_erased_at,
        }
    }
}

impl Message {
    pub(crate) fn read(row: MessageRow, may_read_texts: bool) -> Self {
        Self {
            id: row.id,
            seq: row.seq,
            direction: row.direction,
            origin: row.origin,
            author: row.author,
            body: Some(row.body).filter(|_| may_read_texts),
            withheld: !may_read_texts,
            state: row.state,
            attempts: row.attempts,
            resends: row.resends,
            provider_message_id: row.provider_message_id,
            error_code: row.error_code,
            // Providers repeat numbers and texts in their words.
            error_detail: row.error_detail.filter(|_| may_read_texts),
            trace_parent: row.trace_parent,
            steps: row.steps.into_iter().map(Step::from).collect(),
            chat_id: row.chat,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub(crate) fn may_read_texts<P>(scope: &TenantScope<P>) -> bool {
    scope
        .bearer
        .permit_on(Permission::ReadTexts, scope.tenant)
        .is_ok()
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConversationsQuery {
    /// Only those with this customer: E.164 or a short code. A `+` is written `%2B`; a bare one is understood.
    #[param(example = "+353861234567")]
    customer: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MessagesQuery {
    /// Only those with a larger `seq`.
    #[param(minimum = 0, default = 0)]
    after: Option<i64>,
    /// The last texts instead of the first ones; they too are in order.
    #[param(default = false)]
    latest: Option<bool>,
    /// The last ones of those with a smaller `seq`.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
}

impl MessagesQuery {
    /// Whether the last texts are asked for, and before which.
    fn latest(&self) -> Result<Option<i64>, Failure> {
        let before = self.before.or((self.latest == Some(true)).then_some(i64::MAX));
        match (before, self.after) {
            (Some(_), Some(_)) => Err(Problem::invalid_field("after", "does not go with the last texts")
                .remedy("ask for the first texts by after, or for the last ones by latest or before")
                .into()),
            (Some(..1), None) => Err(Problem::invalid_field("before", "is less than 1")
                .remedy("give back next_before as it was")
                .into()),
            (before, _) => Ok(before),
        }
    }
}

/// List conversations, the newest first
///
/// For the roles platform-admin and engineer, and support without customers' numbers; tenant-admin and tenant-viewer in
/// their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/conversations", tag = "conversations",
    params(TenantPath, ConversationsQuery),
    responses((status = 200, description = "One page.", body = Page<Conversation>), Always, InTenant))]
pub async fn list_conversations(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<ConversationsQuery>,
) -> Result<Json<Page<Conversation>>, Failure> {
    let customer = query.customer.as_deref().map(|raw| address("customer", raw));
    let (customer, limit) = (customer.transpose()?, limit(query.limit)?);
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let db = deps.tenant(&scope).await?;
    let rows = db
        .conversations(customer.as_ref(), before, limit as i64 + 1)
        .await?;
    let readable = may_read_texts(&scope);
    let items = rows
        .into_iter()
        .map(|row| Conversation::read(row, readable))
        .collect();
    Ok(Json(Page::cut(items, limit, |conversation: &Conversation| {
        conversation.id
    })))
}

/// Read a conversation
///
/// For the roles platform-admin and engineer, and support without the customer's number; tenant-admin and tenant-viewer
/// in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/conversations/{conversation}", tag = "conversations",
    params(ConversationPath),
    responses((status = 200, description = "The conversation.", body = Conversation), Always, InTenant))]
pub async fn get_conversation(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<ConversationPath>,
) -> Result<Json<Conversation>, Failure> {
    let row = deps.tenant(&scope).await?.conversation(path.conversation).await?;
    Ok(Json(Conversation::read(row, may_read_texts(&scope))))
}

/// Read a conversation's texts, in order
///
/// Who sees what was written stands in the tenant's audit. For the roles platform-admin and engineer, and support without what was
/// written; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/conversations/{conversation}/messages", tag = "conversations",
    params(ConversationPath, MessagesQuery),
    responses((status = 200, description = "Texts after `after`, or the last ones.", body = Messages), Always, InTenant))]
pub async fn list_messages(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<ConversationPath>,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<Messages>, Failure> {
    let limit = limit(query.limit)?;
    let latest = query.latest()?;
    let db = deps.tenant(&scope).await?;
    let conversation = db.conversation(path.conversation).await?;
    let most = limit as i64 + 1;
    let mut rows = match latest {
        Some(before) => db.last_messages(&conversation, before, most).await?,
        None => db.messages(&conversation, query.after.unwrap_or(0), most).await?,
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.seq);
    let (next_after, next_before) = match latest {
        Some(_) => (None, next),
        None => (next, None),
    };
    if latest.is_some() {
        rows.reverse();
    }
    let readable = may_read_texts(&scope);
    if readable {
        deps.looks(&scope, Look::Messages(conversation.id)).await?;
    }
    let items = rows.into_iter().map(|row| Message::read(row, readable)).collect();
    Ok(Json(Messages {
        items,
        next_after,
        next_before,
    }))
}
