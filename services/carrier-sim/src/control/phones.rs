use super::problem::{Body, Problem};
use crate::{NewParts, OpError, PhoneLine, PhoneText, SentText, Sim};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    to: String,
    /// This or `parts`.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    parts: Option<NewParts>,
    #[serde(default)]
    id: Option<String>,
    /// Answer only when the webhook has accepted the text, or it was given up.
    #[serde(default)]
    wait: bool,
}

/// One text, or its parts.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Sent {
    Whole(SentText),
    Parts { parts: Vec<SentText> },
}

/// `POST /control/phones/{number}/send`
pub async fn send(
    State(sim): State<Sim>,
    Path(number): Path<String>,
    Body(new): Body<NewText>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let either = OpError::Invalid {
        field: "text",
        remedy: "or parts must be given, not both; parts have no id of your own",
    };
    let (sent, in_parts) = match (&new.text, &new.parts, new.id) {
        (Some(text), None, id) => (vec![sim.text_with_id(&number, &new.to, text, id)?], false),
        (None, Some(parts), None) => (sim.text_in_parts(&number, &new.to, parts)?, true),
        _ => return Err(either.into()),
    };
    let status = match new.wait {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let mut now = Vec::new();
    for text in sent {
        // Parts that are left out are never accepted.
        let posted = !in_parts || new.parts.as_ref().is_some_and(|parts| parts.comes(&text));
        now.push(match new.wait && posted {
            true => settled(&sim, text.seq).await?,
            false => text,
        });
    }
    let sent = match now.len() {
        1 if !in_parts => Sent::Whole(now.remove(0)),
        _ => Sent::Parts { parts: now },
    };
    Ok((status, Json(sent)))
}

async fn settled(sim: &Sim, seq: u64) -> Result<SentText, Problem> {
    sim.wait_accepted(seq, Duration::from_secs(600))
        .await
        .map_err(|e| Problem::new(StatusCode::GATEWAY_TIMEOUT, e.to_string()))
}

/// `PUT /control/phones/{number}/line`
pub async fn set_line(
    State(sim): State<Sim>,
    Path(number): Path<String>,
    Body(line): Body<PhoneLine>,
) -> StatusCode {
    sim.set_line(&number, line);
    StatusCode::NO_CONTENT
}

/// `GET /control/phones/{number}/messages`
pub async fn messages(State(sim): State<Sim>, Path(number): Path<String>) -> Json<Vec<PhoneText>> {
    Json(sim.phone(&number))
}

/// `GET /control/texts/{seq}`
pub async fn text(State(sim): State<Sim>, Path(seq): Path<u64>) -> Result<Json<SentText>, Problem> {
    Ok(Json(sim.sent(seq)?))
}
