use super::problem::{Body, Problem};
use crate::{PhoneText, SentText, Sim};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    to: String,
    text: String,
    #[serde(default)]
    id: Option<String>,
    /// Answer only when the webhook has accepted the text, or it was given up.
    #[serde(default)]
    wait: bool,
}

/// `POST /control/phones/{number}/send`
pub async fn send(
    State(sim): State<Sim>,
    Path(number): Path<String>,
    Body(new): Body<NewText>,
) -> Result<(StatusCode, Json<SentText>), Problem> {
    let sent = sim.text_with_id(&number, &new.to, &new.text, new.id)?;
    if !new.wait {
        return Ok((StatusCode::ACCEPTED, Json(sent)));
    }
    let settled = sim
        .wait_accepted(sent.seq, Duration::from_secs(600))
        .await
        .map_err(|e| Problem::new(StatusCode::GATEWAY_TIMEOUT, e.to_string()))?;
    Ok((StatusCode::OK, Json(settled)))
}

/// `GET /control/phones/{number}/messages`
pub async fn messages(State(sim): State<Sim>, Path(number): Path<String>) -> Json<Vec<PhoneText>> {
    Json(sim.phone(&number))
}

/// `GET /control/texts/{seq}`
pub async fn text(State(sim): State<Sim>, Path(seq): Path<u64>) -> Result<Json<SentText>, Problem> {
    Ok(Json(sim.sent(seq)?))
}
