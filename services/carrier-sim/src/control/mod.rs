//! The control API: phones, accounts, faults and records over HTTP and JSON. The README lists every address.

mod accounts;
mod faults;
mod manners;
mod numbers;
mod phones;
mod problem;
mod records;

use crate::Sim;
use axum::{
    Router,
    http::StatusCode,
    routing::{get, post, put},
};
use problem::Problem;

/// The routes, all under `/control`.
pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        .route("/control/accounts", get(accounts::list))
        .route("/control/accounts/{name}", put(accounts::set))
        .route("/control/accounts/{name}/webhook", put(accounts::set_webhook))
        .route("/control/accounts/{name}/options", put(accounts::set_options))
        .route("/control/numbers/{number}", put(numbers::set))
        .route("/control/numbers/{number}/opt-outs", get(numbers::opt_outs))
        .route(
            "/control/numbers/{number}/opt-outs/{phone}",
            put(numbers::opt_out).delete(numbers::opt_in),
        )
        .route("/control/phones/{number}/send", post(phones::send))
        .route("/control/phones/{number}/messages", get(phones::messages))
        .route("/control/phones/{number}/line", put(phones::set_line))
        .route("/control/texts/{seq}", get(phones::text))
        .route("/control/events", get(records::events))
        .route("/control/record", get(records::record))
        .route("/control/stats", get(records::stats))
        .route("/control/stats/reset", post(records::reset_stats))
        .route("/control/reset", post(records::reset))
        .route(
            "/control/faults",
            get(faults::list).post(faults::add).delete(faults::clear),
        )
        .route(
            "/control/manners",
            get(manners::show).put(manners::set).delete(manners::clear),
        )
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "the README of carrier-sim lists every address and its method",
            )
        })
        .with_state(sim)
}

pub(crate) async fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no such address; the README of carrier-sim lists them all",
    )
}
