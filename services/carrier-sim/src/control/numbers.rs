use super::problem::{Body, Problem};
use crate::{Rate, Sim};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    account: String,
    /// Without it, the number sends as fast as it can.
    #[serde(default)]
    segments_per_second: Option<f64>,
    #[serde(default)]
    burst: Option<f64>,
}

/// `PUT /control/numbers/{number}`
pub async fn set(
    State(sim): State<Sim>,
    Path(number): Path<String>,
    Body(owned): Body<Owned>,
) -> Result<StatusCode, Problem> {
    sim.set_number(&number, &owned.account)?;
    let rate = owned.segments_per_second.map(|segments_per_second| Rate {
        segments_per_second,
        burst: owned.burst,
    });
    sim.set_rate(&number, rate)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /control/numbers/{number}/opt-outs`
pub async fn opt_outs(State(sim): State<Sim>, Path(number): Path<String>) -> Json<Vec<String>> {
    Json(sim.opt_outs(&number))
}

/// `PUT /control/numbers/{number}/opt-outs/{phone}`
pub async fn opt_out(
    State(sim): State<Sim>,
    Path((number, phone)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    sim.set_opt_out(&number, &phone, true)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /control/numbers/{number}/opt-outs/{phone}`
pub async fn opt_in(
    State(sim): State<Sim>,
    Path((number, phone)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    sim.set_opt_out(&number, &phone, false)?;
    Ok(StatusCode::NO_CONTENT)
}
