//! What could not be brought to an agent or a phone, or has no number to belong to: seen, mended, replayed, discarded.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

pub mod many;

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    conversations::may_read_texts,
    path::{DeadLetterPath, TenantPath},
    query::{OptionalJson, limit},
    schema,
    valid::Refused,
};
use axum::{extract::State, http::StatusCode};
use ccm_bus::Wake;
use ccm_db::{DbError, DeadLetterFilter, DeadLetterRow, Look, Mend, Replay, Replayed, TenantDb};
use ccm_model::{AccountId, Address, Body, ConversationId, MessageId, NumberId, TenantId};
use ccm_web::{Cursor, Json, Page, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A text that did not get through and that nobody has dealt with, or how it was dealt with.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    id: Uuid,
    #[schema(schema_with = schema::dead_letter_kind)]
    kind: String,
    /// The text in its conversation; `null` if it is `unrouted`.
    #[schema(value_type = Option<Uuid>, required)]
    message_id: Option<MessageId>,
    #[schema(value_type = Option<Uuid>, required)]
    conversation_id: Option<ConversationId>,
    /// The account that it came through, where it is `unrouted`.
    #[schema(value_type = Option<Uuid>, required)]
    account_id: Option<AccountId>,
    /// The tenant's address that it is for or from.
    #[schema(value_type = Option<String>, required, example = "+14155550123")]
    our_address: Option<Address>,
    /// `null` if withheld.
    #[schema(value_type = Option<String>, required, example = "+353861234567")]
    customer_address: Option<Address>,
    /// Why it is one: CCM's or the provider's code.
    #[schema(example = "30007")]
    code: String,
    /// The same in words; `null` if withheld, since a provider's words may repeat the text.
    #[schema(required)]
    detail: Option<String>,
    /// Whether the customer's number, `detail` and the text were left out, because the role may not read texts.
    withheld: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// `replayed` or `discarded`; `null` while it is open.
    #[schema(required, example = "replayed")]
    resolution: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    resolved_at: Option<OffsetDateTime>,
    /// Whose token it was.
    #[schema(required, example = "mary")]
    resolved_by: Option<String>,
    /// The text that it became.
    #[schema(value_type = Option<Uuid>, required)]
    replay_message_id: Option<MessageId>,
}

/// A dead letter with its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeDeadLetter {
    #[serde(flatten)]
    letter: DeadLetter,
    /// What was written; `null` if withheld.
    #[schema(value_type = Option<String>, required, example = "How can I help you?")]
    text: Option<Body>,
}

impl DeadLetter {
    fn read(row: DeadLetterRow, may_read_texts: bool) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            message_id: row.message,
            conversation_id: row.conversation,
            account_id: row.account,
            our_address: row.our_address,
            customer_address: row.customer_address.filter(|_| may_read_texts),
            code: row.code,
            detail: Some(row.detail).filter(|_| may_read_texts),
            withheld: !may_read_texts,
            created_at: row.created_at,
            resolution: row.resolution,
            resolved_at: row.resolved_at,
            resolved_by: row.resolved_by,
            replay_message_id: row.replay,
        }
    }
}

impl WholeDeadLetter {
    fn read(mut row: DeadLetterRow, may_read_texts: bool) -> Self {
        let text = row.body.take().filter(|_| may_read_texts);
        Self {
            letter: DeadLetter::read(row, may_read_texts),
            text,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersQuery {
    /// Those that somebody has replayed or discarded as well.
    #[serde(default)]
    #[param(required = false, default = false)]
    all: bool,
    /// Only those of this kind: `mo`, `mt` or `unrouted`.
    #[param(value_type = Option<String>, example = "mt")]
    kind: Option<Kind>,
    /// Only those with exactly this code.
    code: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Where a text was going.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Mo,
    Mt,
    Unrouted,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mo => "mo",
            Self::Mt => "mt",
            Self::Unrouted => "unrouted",
        }
    }
}

/// What is mended before a text goes its way again. What is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number_id": "019331f0-7a00-7000-8000-000000000005"}))]
pub struct MendedLetter {
    /// The number of the tenant's that it is for, for a text from a customer (`mo`, `unrouted`). Left out: the one with the
    /// address that was texted.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    number_id: Option<NumberId>,
    /// In place of what was written: 1 to 20,000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20000)]
    text: Option<String>,
}

/// Where the text went.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayedLetter {
    /// The text that it became.
    #[schema(value_type = Uuid)]
    message_id: MessageId,
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
}

/// Why a text does not go its way again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotReplayed {
    Resolved,
    NoNumber,
    OptedOut,
    NotFound,
    /// What it referred to is gone.
    Gone,
}

impl NotReplayed {
    fn reason(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::NoNumber => "no_number",
            Self::OptedOut => "opted_out",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
        }
    }

    fn problem(self) -> Problem {
        let refused = |kind, title: &'static str| Problem::new(StatusCode::CONFLICT, kind, title);
        match self {
            Self::Resolved => Problem::conflict("somebody has replayed or discarded it already")
                .remedy("read it again: resolution, resolved_by and replay_message_id say what became of it"),
            Self::OptedOut => refused("opted-out", "The customer gets no texts from this address")
                .detail("the customer has opted out of texts from the address that it would leave from")
                .remedy("discard it; or, if the customer asked for texts again, take the opt-out back with that as evidence"),
            Self::NoNumber => Failure::from(Refused::new(
                "number_id",
                "is needed: the text is for an address that none of the tenant's numbers has",
                "make that number, or name the one that the text is for",
            ))
            .into(),
            Self::NotFound => Failure::from(DbError::NotFound("dead letter")).into(),
            Self::Gone => Problem::conflict("the text that it is about is gone").remedy("discard it"),
        }
    }
}

/// List dead letters, the newest first
///
/// Without their texts. For the roles platform-admin and engineer, and support without customers' numbers; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/dead-letters", tag = "dead-letters",
    params(TenantPath, DeadLettersQuery),
    responses((status = 200, description = "One page.", body = Page<DeadLetter>), Always, InTenant))]
pub async fn list_dead_letters(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Json<Page<DeadLetter>>, Failure> {
    let limit = limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let filter = DeadLetterFilter {
        resolved_too: query.all,
        kind: query.kind.map(Kind::as_str),
        code: query.code.as_deref(),
        before: None,
    };
    let db = deps.tenant(&scope).await?;
    let rows = db.dead_letters(filter, before, limit as i64 + 1).await?;
    let readable = may_read_texts(&scope);
    // Providers repeat texts in their words.
    if readable {
        deps.looks(&scope, Look::DeadLetters).await?;
    }
    let items = rows
        .into_iter()
        .map(|row| DeadLetter::read(row, readable))
        .collect();
    Ok(Json(Page::cut(items, limit, |letter: &DeadLetter| letter.id)))
}

/// Read a dead letter with its text
///
/// For the roles platform-admin and engineer, and support without what was written; tenant-admin and tenant-viewer in their
/// own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/dead-letters/{letter}", tag = "dead-letters",
    params(DeadLetterPath),
    responses((status = 200, description = "The dead letter.", body = WholeDeadLetter), Always, InTenant))]
pub async fn get_dead_letter(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<DeadLetterPath>,
) -> Result<Json<WholeDeadLetter>, Failure> {
    let row = deps.tenant(&scope).await?.dead_letter(path.letter).await?;
    let readable = may_read_texts(&scope);
    if readable {
        deps.looks(&scope, Look::DeadLetter(row.id)).await?;
    }
    Ok(Json(WholeDeadLetter::read(row, readable)))
}

/// Replay a dead letter
///
/// The text goes its way again as a new text of its conversation: to an agent, or to the phone. Without a body it goes as it
/// was. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/dead-letters/{letter}/replay", tag = "dead-letters",
    params(DeadLetterPath), request_body = Option<MendedLetter>,
    responses((status = 200, description = "It goes its way.", body = ReplayedLetter), Always, InTenant,
        (status = 409, description = "It is resolved already, or the customer has opted out. Nothing was sent.",
            body = Problem, content_type = "application/problem+json"), Taking))]
pub async fn replay_dead_letter(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<DeadLetterPath>,
    OptionalJson(mended): OptionalJson<MendedLetter>,
) -> Result<Json<ReplayedLetter>, Failure> {
    let db = deps.tenant(&scope).await?;
    let mend = mend(&db, path.letter, mended.unwrap_or_default()).await?;
    let replayed = replay(&deps, &db, scope.tenant, path.letter, mend, &scope.bearer.sub).await?;
    replayed.map(Json).map_err(|not| not.problem().into())
}

/// What can be mended of this one.
async fn mend(db: &TenantDb<'_>, letter: Uuid, mended: MendedLetter) -> Result<Mend, Failure> {
    if let Some(number) = mended.number_id {
        if db.dead_letter(letter).await?.kind == Kind::Mt.as_str() {
            return Err(Refused::new(
                "number_id",
                "is given for a text to a phone, which leaves from its conversation's number",
                "leave it out",
            )
            .into());
        }
        if db.numbers().await?.iter().all(|known| known.id != number) {
            return Err(Failure::unknown(
                "number_id",
                "number",
                "GET …/numbers lists them",
            ));
        }
    }
    let body = mended.text.map(text).transpose()?;
    Ok(Mend {
        number: mended.number_id,
        body,
    })
}

fn text(text: String) -> Result<Body, Refused> {
    let refused =
        |problem: String| Refused::new("text", problem, "write 1 to 20000 characters, or leave it out");
    if text.trim().is_empty() {
        return Err(refused("is empty".to_owned()));
    }
    Body::new(text).map_err(|error| refused(error.to_string()))
}

async fn replay(
    deps: &Deps,
    db: &TenantDb<'_>,
    tenant: TenantId,
    id: Uuid,
    mend: Mend,
    by: &str,
) -> Result<Result<ReplayedLetter, NotReplayed>, DbError> {
    let replay = Replay {
        message: deps.ids.next(),
        conversation: deps.ids.next(),
        by,
        at: deps.ids.clock().now(),
        mend,
    };
    let (message, conversation, to_phone) = match db.replay_dead_letter(id, replay).await {
        Ok(Replayed::Yes {
            message,
            conversation,
            to_phone,
        }) => (message, conversation, to_phone),
        Ok(Replayed::Resolved) => return Ok(Err(NotReplayed::Resolved)),
        Ok(Replayed::NoNumber) => return Ok(Err(NotReplayed::NoNumber)),
        Ok(Replayed::OptedOut) => return Ok(Err(NotReplayed::OptedOut)),
        Err(DbError::NotFound("dead letter")) => return Ok(Err(NotReplayed::NotFound)),
        Err(DbError::NotFound(_)) => return Ok(Err(NotReplayed::Gone)),
        Err(error) => return Err(error),
    };
    deps.bus.publish(match to_phone {
        true => Wake::Outbound { tenant, conversation },
        false => Wake::Inbound { tenant, conversation },
    });
    deps.dealt_with(tenant, "dead letter", id, "replayed", by);
    Ok(Ok(ReplayedLetter {
        message_id: message,
        conversation_id: conversation,
    }))
}

/// Discard a dead letter
///
/// Nothing more is done about it; it stays in the list with `all=true`. For the roles platform-admin and engineer; tenant-admin
/// in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/dead-letters/{letter}/discard", tag = "dead-letters",
    params(DeadLetterPath),
    responses((status = 200, description = "Discarded.", body = WholeDeadLetter), Always, InTenant,
        (status = 409, description = "It is resolved already.",
            body = Problem, content_type = "application/problem+json")))]
pub async fn discard_dead_letter(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<DeadLetterPath>,
) -> Result<Json<WholeDeadLetter>, Failure> {
    let (db, by) = (deps.tenant(&scope).await?, &scope.bearer.sub);
    // What is discarded is answered, with its text.
    if may_read_texts(&scope) {
        db.dead_letter(path.letter).await?;
        deps.looks(&scope, Look::DeadLetter(path.letter)).await?;
    }
    if !db
        .discard_dead_letter(path.letter, by, deps.ids.clock().now())
        .await?
    {
        return Err(NotReplayed::Resolved.problem().into());
    }
    deps.dealt_with(scope.tenant, "dead letter", path.letter, "discarded", by);
    let row = db.dead_letter(path.letter).await?;
    Ok(Json(WholeDeadLetter::read(row, may_read_texts(&scope))))
}
