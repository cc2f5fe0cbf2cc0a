//! The pages that the cluster reads.

use crate::{Health, Metrics};
use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

/// `/healthz`: 200 while this process answers. `/readyz`: each dependency's state as JSON, 200 when the role can do its job,
/// else 503. `/metrics`: Prometheus' text format.
pub fn router(health: Health, metrics: Metrics) -> Router {
    let ready = move || async move {
        let report = health.report();
        let status = if report.ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(report)).into_response()
    };
    let metrics = move || async move {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        (kind, metrics.render())
    };
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}
