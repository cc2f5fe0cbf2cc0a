//! What a script is told: JSON, or one word that it can branch on.

use crate::given::Format;
use axum::response::{IntoResponse, Response};
use ccm_db::{DeflectionRow, Refusal};
use ccm_model::{DeflectionId, DeflectionState, MessageState};
use ccm_web::Json;
use serde::Serialize;
use time::OffsetDateTime;

/// Whether the caller was offered a chat.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    Accepted {
        deflection: DeflectionId,
        state: DeflectionState,
        #[serde(with = "time::serde::rfc3339::option")]
        expires_at: Option<OffsetDateTime>,
        /// The same call was answered so before.
        repeated: bool,
    },
    Refused {
        reason: String,
        /// In words, for whoever writes the script.
        detail: &'static str,
        repeated: bool,
    },
}

impl Answer {
    pub fn refused(refusal: Refusal, detail: &'static str) -> Self {
        Self::Refused {
            reason: refusal.to_string(),
            detail,
            repeated: false,
        }
    }

    /// What the same call was told before.
    pub fn before(row: DeflectionRow) -> Self {
        match row.state {
            DeflectionState::Refused => Self::Refused {
                reason: row.reason.unwrap_or_default(),
                detail: "the same call was told so a moment ago",
                repeated: true,
            },
            state => Self::Accepted {
                deflection: row.id,
                state,
                expires_at: row.expires_at,
                repeated: true,
            },
        }
    }

    /// The word to branch on; a metric's label too.
    pub fn word(&self) -> &str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { reason, .. } => reason,
        }
    }

    pub fn into_response(self, format: Format) -> Response {
        match format {
            Format::Json => Json(self).into_response(),
            Format::Text => self.word().to_owned().into_response(),
        }
    }
}

/// Where the offer's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Text {
    Waiting,
    /// A dispatcher has it under way, or a provider may have it: it goes.
    Leaving,
    Left,
    NotSent,
}

impl Text {
    fn of(deflection: DeflectionState, message: MessageState) -> Self {
        match message {
            // What an offer that has ended could not take back.
            MessageState::Queued if !deflection.is_open() => Self::Leaving,
            MessageState::Queued => Self::Waiting,
            MessageState::Sending => Self::Leaving,
            MessageState::Failed => Self::NotSent,
            _ => Self::Left,
        }
    }
}

/// How far a deflection is.
#[derive(Debug, Serialize)]
pub struct State {
    deflection: DeflectionId,
    state: DeflectionState,
    text: Option<Text>,
    reason: Option<String>,
    skillset: String,
    #[serde(with = "time::serde::rfc3339")]
    offered_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    sent_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    delivered_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    answered_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    chat_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

impl State {
    pub fn into_response(self, format: Format) -> Response {
        match format {
            Format::Json => Json(self).into_response(),
            Format::Text => self.state.as_str().into_response(),
        }
    }

    pub fn new(row: DeflectionRow, message: Option<MessageState>) -> Self {
        Self {
            deflection: row.id,
            state: row.state,
            text: message.map(|message| Text::of(row.state, message)),
            reason: row.reason,
            skillset: row.skillset,
            offered_at: row.asked_at,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            answered_at: row.answered_at,
            chat_at: row.chat_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        }
    }
}
