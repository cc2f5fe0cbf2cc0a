//! A conversation as a document.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use super::slots::busy;
use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    conversations::Conversation,
    path::ConversationPath,
    schema,
};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use ccm_db::{ConversationRow, Look, MessageRow};
use ccm_model::{Body, Direction, MessageState, Origin};
use ccm_transcript::{Entry, Language, PdfError, Reader, Transcript, Zone};
use ccm_web::{Json, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

/// Texts of one transcript at most.
const MOST: usize = 2000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TranscriptQuery {
    /// `json`, `text` or `pdf`; if left out, `Accept` decides between `application/json`, `text/plain` and `application/pdf`.
    #[param(value_type = Option<String>, example = "pdf")]
    format: Option<Format>,
    /// The time zone that its times are of, as in the IANA database.
    #[param(default = "UTC", example = "Europe/Berlin")]
    tz: Option<String>,
    /// The language of what is not the conversation's own words: `en`, `de`, `fr` or `es`.
    #[param(default = "en", example = "de")]
    lang: Option<String>,
    /// Only texts with a larger `seq`.
    #[param(minimum = 0, default = 0)]
    after: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Text,
    Pdf,
}

/// A conversation with its texts, 2,000 at most.
#[derive(Debug, Serialize, ToSchema)]
pub struct TranscriptDocument {
    conversation: Conversation,
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    texts: Vec<TranscriptText>,
    /// To be given back as `after` for the texts that follow; absent if these are all for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
}

/// One text of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub struct TranscriptText {
    #[schema(minimum = 1)]
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// The same moment on the wall in `time_zone`.
    #[schema(example = "2026-11-30 09:15:00 +01:00")]
    local: String,
    #[schema(schema_with = schema::direction)]
    direction: Direction,
    #[schema(schema_with = schema::origin)]
    origin: Origin,
    /// The agent's name as AACC shows it to customers; `null` for customers.
    #[schema(required, example = "Mary")]
    author: Option<String>,
    /// `null`: it has been erased.
    #[schema(value_type = Option<String>, required, example = "How can I help you?")]
    body: Option<Body>,
    #[schema(schema_with = schema::message_state)]
    state: MessageState,
}

impl TranscriptQuery {
    fn reader(&self) -> Result<Reader, Problem> {
        let zone = self
            .tz
            .as_deref()
            .map_or(Ok(Zone::utc()), Zone::named)
            .map_err(|error| {
                Problem::invalid_field("tz", format!("tz {error}")).remedy("write it like tz=Europe/Berlin")
            })?;
        let language = self.lang.as_deref().map_or(Ok(Language::default()), str::parse);
        let language = language.map_err(|error: String| {
            Problem::invalid_field("lang", format!("lang {error}"))
                .remedy("take one of these, or leave it out")
        })?;
        Ok(Reader { zone, language })
    }

    /// What the caller takes first of what there is.
    fn format(&self, headers: &HeaderMap) -> Format {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let kinds = accept.unwrap_or_default().split(',');
        let mut known = kinds.filter_map(|kind| match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(Format::Json),
            "text/plain" => Some(Format::Text),
            "application/pdf" => Some(Format::Pdf),
            _ => None,
        });
        self.format.or_else(|| known.next()).unwrap_or(Format::Json)
    }
}

/// What was written, unless it has been erased.
fn body(of: &ConversationRow, text: &MessageRow) -> Option<Body> {
    let erased = of.bodies_erased_at.is_some() && text.body.as_str().is_empty();
    (!erased).then(|| text.body.clone())
}

fn document(
    of: ConversationRow,
    texts: Vec<MessageRow>,
    next_after: Option<i64>,
    reader: &Reader,
) -> TranscriptDocument {
    let read = |text: MessageRow| TranscriptText {
        seq: text.seq,
        at: text.created_at,
        local: reader.zone.moment(text.created_at),
        direction: text.direction,
        origin: text.origin,
        body: body(&of, &text),
        author: text.author,
        state: text.state,
    };
    TranscriptDocument {
        texts: texts.into_iter().map(read).collect(),
        time_zone: reader.zone.name().to_owned(),
        next_after,
        conversation: Conversation::read(of, true),
    }
}

fn transcript(tenant: String, of: &ConversationRow, texts: Vec<MessageRow>, cut: bool) -> Transcript {
    let read = |text: MessageRow| Entry {
        at: text.created_at,
        origin: text.origin,
        body: body(of, &text).map(String::from),
        author: text.author,
        state: text.state,
    };
    Transcript {
        id: of.id.to_string(),
        tenant,
        our_address: of.our_address.as_str().to_owned(),
        customer_address: of.customer_address.as_str().to_owned(),
        opened_at: of.opened_at,
        closed_at: of.closed_at,
        entries: texts.into_iter().map(read).collect(),
        cut,
    }
}

/// Read a conversation as a document
///
/// JSON, plain text or PDF, with times of the time zone that is asked for; 2,000 texts at most. Who reads it stands in the tenant's
/// audit. For the roles platform-admin and engineer;
/// tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/conversations/{conversation}/transcript", tag = "message-store",
    params(ConversationPath, TranscriptQuery),
    responses((status = 200, description = "The transcript.",
        content((TranscriptDocument = "application/json"), (String = "text/plain"), (Vec<u8> = "application/pdf"))),
        Always, InTenant))]
pub async fn get_transcript(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Path(path): Path<ConversationPath>,
    Query(query): Query<TranscriptQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (reader, format) = (query.reader()?, query.format(&headers));
    let Some(slot) = deps.store.take() else {
        return Ok(busy());
    };
    let db = deps.rows(&scope);
    let tenant = db.tenant().await?;
    let of = db.conversation(path.conversation).await?;
    let mut texts = db
        .messages(&of, query.after.unwrap_or(0), MOST as i64 + 1)
        .await?;
    let more = texts.len() > MOST;
    texts.truncate(MOST);
    let next_after = texts.last().filter(|_| more).map(|last| last.seq);
    deps.looks(&scope, Look::Transcript(of.id)).await?;
    let name = format!("transcript-{}", of.id);
    if format == Format::Json {
        return Ok(Json(document(of, texts, next_after, &reader)).into_response());
    }
    let of = transcript(tenant.name, &of, texts, more);
    // Letters are measured one by one: that takes a while.
    let made = spawn_blocking(move || {
        let _slot = slot;
        match format {
            Format::Pdf => ccm_transcript::pdf(&of, &reader),
            _ => Ok(ccm_transcript::text(&of, &reader).into_bytes()),
        }
    });
    let made = made.await.map_err(Problem::internal)?.map_err(not_made)?;
    let (kind, ending) = match format {
        Format::Pdf => ("application/pdf", "pdf"),
        _ => ("text/plain; charset=utf-8", "txt"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.{ending}\""),
        ),
    ];
    Ok((headers, made).into_response())
}

fn not_made(error: PdfError) -> Problem {
    match error {
        PdfError::TooLong => {
            Problem::invalid_field("format", error.to_string()).remedy("read it as text or JSON")
        }
        PdfError::Broken(_) => Problem::internal(error),
    }
}
