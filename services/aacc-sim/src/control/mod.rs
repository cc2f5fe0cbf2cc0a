//! The control API: an agent's desktop, faults and records over HTTP and JSON. The README lists every address.

mod chats;
mod faults;
mod problem;
mod records;
mod settings;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::shared::Shared;
use problem::Problem;

/// The routes, all under `/control`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/control/chats", get(chats::list))
        .route("/control/chats/{guid}", get(chats::one))
        .route("/control/chats/{guid}/join", post(chats::join))
        .route("/control/chats/{guid}/say", post(chats::say))
        .route("/control/chats/{guid}/typing", post(chats::typing))
        .route("/control/chats/{guid}/push", post(chats::push))
        .route("/control/chats/{guid}/leave", post(chats::leave))
        .route("/control/chats/{guid}/transfer", post(chats::transfer))
        .route("/control/chats/{guid}/requeue", post(chats::requeue))
        .route("/control/chats/{guid}/role", post(chats::role))
        .route("/control/chats/{guid}/file", post(chats::file))
        .route("/control/chats/{guid}/route-cancel", post(chats::route_cancel))
        .route("/control/chats/{guid}/read", post(chats::read))
        .route("/control/chats/{guid}/frame", post(chats::frame))
        .route("/control/faults", get(faults::show).post(faults::change))
        .route("/control/faults/break", post(faults::break_sockets))
        .route("/control/faults/expire", post(faults::expire))
        .route("/control/faults/freeze", post(faults::freeze))
        .route(
            "/control/faults/announce-maintenance",
            post(faults::announce_maintenance),
        )
        .route(
            "/control/chaos",
            get(faults::show_chaos).post(faults::start_chaos),
        )
        .route("/control/chaos/stop", post(faults::stop_chaos))
        .route("/control/violations", get(records::violations))
        .route("/control/record", get(records::record))
        .route("/control/stats", get(records::stats))
        .route("/control/stats/reset", post(records::reset_stats))
        .route("/control/reset", post(records::reset))
        .route("/control/events", get(records::events))
        .route("/control/settings", get(settings::show).post(settings::change))
        .route(
            "/control/edge",
            get(settings::show_edge).post(settings::change_edge),
        )
        .route("/control/skillsets/{name}", post(settings::change_skillset))
        .route("/control/tls", get(settings::show_tls).post(settings::change_tls))
        .route("/control/ca.pem", get(settings::ca_pem))
        .route("/control/issuer.pem", get(settings::issuer_pem))
        .route("/control/client.pem", get(settings::client_pem))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Wrong method",
                "GET reads, POST does",
            )
        })
        .with_state(shared)
}

/// Serves the control port until the simulator stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let unknown = async || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "No such address",
            "the README of aacc-sim lists them all",
        )
    };
    let stop = shared.stop.clone();
    let app = router(shared).fallback(unknown);
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(error.message = %error, "the control API ended");
    }
}
