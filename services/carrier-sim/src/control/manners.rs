use super::problem::{Body, Problem};
use crate::{Manners, Sim};
use axum::{Json, extract::State, http::StatusCode};

/// `GET /control/manners`: `null` if there are none.
pub async fn show(State(sim): State<Sim>) -> Json<Option<Manners>> {
    Json(sim.manners())
}

/// `PUT /control/manners`: what is left out never happens.
pub async fn set(State(sim): State<Sim>, Body(manners): Body<Manners>) -> Result<StatusCode, Problem> {
    sim.set_manners(manners)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /control/manners`
pub async fn clear(State(sim): State<Sim>) -> StatusCode {
    sim.clear_manners();
    StatusCode::NO_CONTENT
}
