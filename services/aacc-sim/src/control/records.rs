//! What happened, for checkers, benches and pages.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;

use crate::shared::Shared;
use crate::stats::StatsView;
use crate::views::{Record, Violation};

type App = State<Arc<Shared>>;

/// `GET /control/violations`.
pub(super) async fn violations(State(shared): App) -> axum::Json<Vec<Violation>> {
    axum::Json(shared.look(|book| book.violations.clone()))
}

/// `GET /control/record`.
pub(super) async fn record(State(shared): App) -> axum::Json<Record> {
    axum::Json(shared.look(|book| Record {
        chats: book.chats.values().map(|c| c.record()).collect(),
    }))
}

/// `GET /control/stats`.
pub(super) async fn stats(State(shared): App) -> axum::Json<StatsView> {
    axum::Json(shared.stats())
}

/// `POST /control/stats/reset`.
pub(super) async fn reset_stats(State(shared): App) -> StatusCode {
    shared.reset_stats();
    StatusCode::NO_CONTENT
}

/// `POST /control/reset`.
pub(super) async fn reset(State(shared): App) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

/// `GET /control/events`: server-sent events from now on. A reader too slow for them gets `lagged`, and should read
/// the chats again.
pub(super) async fn events(State(shared): App) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let stop = shared.stop.clone();
    let events = futures::stream::unfold(shared.events(), |mut events| async move {
        let event = match events.recv().await {
            Ok(event) => {
                let data = serde_json::to_string(&event).unwrap_or_default();
                sse::Event::default().event(event.name()).data(data)
            }
            Err(RecvError::Lagged(_)) => sse::Event::default().event("lagged").data("{}"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), events))
    });
    Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default())
}
