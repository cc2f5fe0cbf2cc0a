use crate::{Event, Record, Sim, StatsView};
use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::sse::{self, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;

#[derive(Deserialize)]
pub struct Page {
    /// Only texts whose `seq` is more.
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

/// `GET /control/record`
pub async fn record(State(sim): State<Sim>, Query(page): Query<Page>) -> Json<Record> {
    Json(sim.record_since(page.since, page.limit.unwrap_or(usize::MAX)))
}

/// `GET /control/stats`
pub async fn stats(State(sim): State<Sim>) -> Json<StatsView> {
    Json(sim.stats())
}

/// `POST /control/stats/reset`
pub async fn reset_stats(State(sim): State<Sim>) -> StatusCode {
    sim.reset_stats();
    StatusCode::NO_CONTENT
}

/// `POST /control/reset`
pub async fn reset(State(sim): State<Sim>) -> StatusCode {
    sim.reset();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
pub struct Only {
    /// One phone's events.
    phone: Option<String>,
}

/// `GET /control/events`: server-sent events `sent` and `received` with the text as data, and `lagged` for a reader that
/// has missed some and has to read the record anew.
pub async fn events(
    State(sim): State<Sim>,
    Query(only): Query<Only>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let all = stream::unfold(sim.events(), |mut events| async move {
        match events.recv().await {
            Ok(event) => Some((Some(event), events)),
            Err(RecvError::Lagged(_)) => Some((None, events)),
            Err(RecvError::Closed) => None,
        }
    });
    let wanted = all.filter_map(move |event: Option<Event>| {
        let line = match event {
            None => Some(sse::Event::default().event("lagged").data("{}")),
            Some(event) if only.phone.as_deref().is_none_or(|phone| phone == event.phone()) => {
                let data = match &event {
                    Event::Sent(text) => sse::Event::default().json_data(text),
                    Event::Received(text) => sse::Event::default().json_data(text),
                };
                data.ok().map(|data| data.event(event.name()))
            }
            Some(_) => None,
        };
        std::future::ready(line.map(Ok))
    });
    Sse::new(wanted).keep_alive(KeepAlive::default())
}
