//! Making things fail.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Json, Problem};
use crate::book::Book;
use crate::chaos::{Chaos, ChaosView};
use crate::error::OpError;
use crate::fault::{Break, Faults, FaultsChange, Target};
use crate::shared::Shared;

type App = State<Arc<Shared>>;

/// `GET /control/faults`.
pub(super) async fn show(State(shared): App) -> axum::Json<Faults> {
    axum::Json(shared.look(|book| book.faults))
}

/// `POST /control/faults`: what is left out stays.
pub(super) async fn change(State(shared): App, Json(change): Json<FaultsChange>) -> axum::Json<Faults> {
    let faults = shared.with(|book| {
        change.apply(&mut book.faults);
        book.faults
    });
    axum::Json(faults)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakSockets {
    guid: Option<u64>,
    how: Break,
}

/// `POST /control/faults/break`.
pub(super) async fn break_sockets(
    State(shared): App,
    Json(fault): Json<BreakSockets>,
) -> Result<axum::Json<Value>, Problem> {
    known(&shared, fault.guid)?;
    let sockets = shared.with(|book| book.break_sockets(Target::from(fault.guid), fault.how));
    Ok(axum::Json(json!({"sockets": sockets})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expire {
    guid: Option<u64>,
}

/// `POST /control/faults/expire`.
pub(super) async fn expire(
    State(shared): App,
    Json(fault): Json<Expire>,
) -> Result<axum::Json<Value>, Problem> {
    known(&shared, fault.guid)?;
    let chats = shared.with(|book| book.expire(Target::from(fault.guid)));
    Ok(axum::Json(json!({"chats": chats})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freeze {
    guid: Option<u64>,
    ms: u64,
}

/// `POST /control/faults/freeze`.
pub(super) async fn freeze(
    State(shared): App,
    Json(fault): Json<Freeze>,
) -> Result<axum::Json<Value>, Problem> {
    known(&shared, fault.guid)?;
    let pause = Duration::from_millis(fault.ms);
    let sockets = shared.with(|book| book.freeze(Target::from(fault.guid), pause));
    Ok(axum::Json(json!({"sockets": sockets})))
}

/// `POST /control/faults/announce-maintenance`.
pub(super) async fn announce_maintenance(
    State(shared): App,
    Json(fault): Json<Expire>,
) -> Result<axum::Json<Value>, Problem> {
    known(&shared, fault.guid)?;
    let sockets = shared.with(|book| book.announce_maintenance(Target::from(fault.guid)));
    Ok(axum::Json(json!({"sockets": sockets})))
}

/// `GET /control/chaos`: `null` if there never was any.
pub(super) async fn show_chaos(State(shared): App) -> axum::Json<Option<ChaosView>> {
    axum::Json(shared.look(Book::chaos_view))
}

/// `POST /control/chaos`: begins anew.
pub(super) async fn start_chaos(
    State(shared): App,
    Json(chaos): Json<Chaos>,
) -> axum::Json<Option<ChaosView>> {
    shared.begin_chaos(chaos);
    axum::Json(shared.look(Book::chaos_view))
}

/// `POST /control/chaos/stop`: the log stays.
pub(super) async fn stop_chaos(State(shared): App) -> axum::Json<Option<ChaosView>> {
    shared.with(Book::stop_chaos);
    axum::Json(shared.look(Book::chaos_view))
}

fn known(shared: &Shared, guid: Option<u64>) -> Result<(), OpError> {
    match guid {
        Some(guid) if !shared.look(|book| book.chats.contains_key(&guid)) => Err(OpError::NoSuchChat(guid)),
        _ => Ok(()),
    }
}
