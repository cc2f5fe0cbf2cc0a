use super::problem::{Body, Problem};
use crate::{FaultOrder, Sim};
use axum::{Json, extract::State, http::StatusCode};

/// `GET /control/faults`
pub async fn list(State(sim): State<Sim>) -> Json<Vec<FaultOrder>> {
    Json(sim.faults())
}

/// `POST /control/faults`
pub async fn add(State(sim): State<Sim>, Body(order): Body<FaultOrder>) -> Result<StatusCode, Problem> {
    sim.fault(order);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /control/faults`
pub async fn clear(State(sim): State<Sim>) -> StatusCode {
    sim.clear_faults();
    StatusCode::NO_CONTENT
}
