//! Finding texts again.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use super::{
    slots::busy,
    snippet::{MOST_WORDS, Snippet, Wanted},
};
use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    conversations::Message,
    path::TenantPath,
    query::{address, limit},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ccm_db::{DbError, FoundRow, Look, MessageSearch, SearchPart};
use ccm_model::{Address, ConversationId, Direction, MessageState, Origin};
use ccm_web::{Cursor, Json, Page, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, UtcOffset};
use utoipa::{IntoParams, ToSchema};

/// The longest period of one question.
const MOST_DAYS: i64 = 400;
/// The period when nothing is said.
const USUAL_DAYS: i64 = 90;
const MOST_CHARS: usize = 200;

/// Which texts. `q` or `customer` is needed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Up to 10 words, 200 characters: texts with words that begin like each of them, in any order and any case. What stands in double
    /// quotes is found as it stands.
    #[param(max_length = 200, example = "order 12345")]
    q: Option<String>,
    /// Those to and from this customer: E.164 or a short code. A `+` is written `%2B`; a bare one is understood.
    #[param(example = "+353861234567")]
    customer: Option<String>,
    /// Those to and from this number of the tenant.
    #[param(example = "+14155550123")]
    number: Option<String>,
    /// `mo` or `mt`.
    #[param(value_type = Option<String>, example = "mo")]
    direction: Option<Direction>,
    /// Those in this state.
    #[param(value_type = Option<String>, example = "failed")]
    state: Option<MessageState>,
    /// `customer`, `agent` or `system`.
    #[param(value_type = Option<String>, example = "agent")]
    origin: Option<Origin>,
    /// Those of the agent with exactly this name.
    #[param(example = "Mary")]
    author: Option<String>,
    /// Those that went through a chat of this skillset.
    #[param(example = "WC_Default_Skillset")]
    skillset: Option<String>,
    /// Those from this moment on; 90 days before `to` if left out, 400 days before it at most.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<OffsetDateTime>,
    /// Those before this moment; now if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<OffsetDateTime>,
    /// How many at most. A page may hold fewer, or none, and a `next_cursor` all the same.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// A text that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundMessage {
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    #[schema(value_type = String, example = "+14155550123")]
    our_address: Address,
    #[schema(value_type = String, example = "+353861234567")]
    customer_address: Address,
    /// Of the chat that it went through; `null` if it went through none.
    #[schema(required, example = "WC_Default_Skillset")]
    skillset: Option<String>,
    message: Message,
    snippet: Snippet,
}

impl FoundMessage {
    fn read(row: FoundRow, wanted: &Wanted) -> Self {
        Self {
            conversation_id: row.conversation,
            our_address: row.our_address,
            customer_address: row.customer_address,
            skillset: row.skillset,
            snippet: wanted.snippet(row.message.body.as_str()),
            message: Message::read(row.message, true),
        }
    }
}

impl SearchQuery {
    fn wanted(&self) -> Result<Wanted, Problem> {
        let Some(asked) = &self.q else {
            return match self.customer {
                Some(_) => Ok(Wanted::default()),
                None => Err(
                    Problem::invalid_field("q", "neither q nor customer says what to look for")
                        .remedy("give words as q, or a customer's number"),
                ),
            };
        };
        let bad = |detail: String| {
            Problem::invalid_field("q", detail)
                .remedy(format!("give 1 to {MOST_WORDS} words with letters or digits"))
        };
        if asked.chars().count() > MOST_CHARS {
            return Err(bad(format!("q is longer than {MOST_CHARS} characters")));
        }
        if asked.contains('\0') {
            return Err(bad("q has a NUL in it".to_owned()));
        }
        Wanted::parse(asked).ok_or_else(|| bad(format!("q has no word, or more than {MOST_WORDS}")))
    }

    fn period(&self, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), Problem> {
        for (field, at) in [("from", self.from), ("to", self.to)] {
            // The database is told in UTC.
            if at.is_some_and(|at| at.checked_to_offset(UtcOffset::UTC).is_none()) {
                return Err(Problem::invalid_field(field, "is beyond the year 9999 of UTC")
                    .remedy("give a moment in UTC, like 2026-11-30T08:00:00Z"));
            }
        }
        // A text that is stored at this very moment is in it.
        let until = self.to.unwrap_or(now + Duration::MINUTE);
        let since = match self.from {
            Some(from) => from,
            None => until.checked_sub(Duration::days(USUAL_DAYS)).unwrap_or(until),
        };
        if since > until || until - since > Duration::days(MOST_DAYS) {
            return Err(Problem::invalid_field(
                "from",
                format!("from is after to, or more than {MOST_DAYS} days before it"),
            )
            .remedy("ask for one year, then for the year before it"));
        }
        Ok((since, until))
    }
}

fn refused(error: DbError) -> Failure {
    match error {
        DbError::TooBroad => Problem::invalid_field(
            "q",
            "so many texts have these words that finding them took too long",
        )
        .remedy("add a rarer word, a customer or a shorter period")
        .into(),
        error => error.into(),
    }
}

/// Find texts by their words, or a customer's texts, the newest first
///
/// Matches come as places in a snippet. Who has searched stands in the tenant's audit, and not for what. For the roles platform-admin and engineer; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/messages/search", tag = "message-store",
    params(TenantPath, SearchQuery),
    responses((status = 200, description = "One page.", body = Page<FoundMessage>), Always, InTenant))]
pub async fn search_messages(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Failure> {
    let wanted = query.wanted()?;
    let (since, until) = query.period(deps.ids.clock().now())?;
    let read = |field, raw: &Option<String>| raw.as_deref().map(|raw| address(field, raw)).transpose();
    let search = MessageSearch {
        customer: read("customer", &query.customer)?,
        ours: read("number", &query.number)?,
        beginnings: wanted.beginnings.clone(),
        phrases: wanted.phrases.clone(),
        direction: query.direction,
        state: query.state,
        origin: query.origin,
        author: query.author,
        skillset: query.skillset,
    };
    let part = SearchPart {
        since,
        until,
        before: query.cursor.as_ref().map(Cursor::position).transpose()?,
        limit: limit(query.limit)?,
    };
    let Some(_slot) = deps.store.take() else {
        return Ok(busy());
    };
    let db = deps.tenant(&scope).await?;
    let found = db.search_messages(&search, part).await.map_err(refused)?;
    deps.looks(&scope, Look::Search).await?;
    let items = found
        .items
        .into_iter()
        .map(|row| FoundMessage::read(row, &wanted));
    let page = Page {
        items: items.collect(),
        next_cursor: found.go_on.map(|last| Cursor::at(&last)),
    };
    Ok(Json(page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn asked(query: &str) -> SearchQuery {
        let uri = format!("/?{query}").parse().unwrap();
        axum::extract::Query::try_from_uri(&uri)
            .map(|axum::extract::Query(asked)| asked)
            .unwrap()
    }

    #[test]
    fn there_is_something_to_look_for_in_a_year_at_most() {
        let field = |query: &str| {
            let asked = asked(query);
            let refused = asked
                .wanted()
                .and_then(|_| asked.period(datetime!(2026-11-30 08:00 UTC)));
            refused
                .map_err(|problem| problem.status().as_u16())
                .map(|(since, until)| (until - since).whole_days())
        };
        assert_eq!(field("q=hello"), Ok(90));
        assert_eq!(field("customer=%2B353861234567"), Ok(90));
        assert_eq!(field("q=a&from=2025-11-01T00:00:00Z"), Ok(394));
        assert_eq!(
            field("q=a&from=0001-01-01T00:00:00Z&to=0001-01-02T00:00:00Z"),
            Ok(1)
        );
        for bad in [
            "",
            "q=",
            "q=%22%22",
            "q=a%00",
            &format!("q={}", "x".repeat(201)),
            "q=a&from=2025-10-01T00:00:00Z",
            "q=a&from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z",
        ] {
            assert_eq!(field(bad), Err(400), "{bad}");
        }
    }
}
