//! How AACC, its reverse proxy and its TLS side are set up, while they run.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Json, Path, Problem};
use crate::edge::Edge;
use crate::error::SimError;
use crate::settings::{Settings, Skillset};
use crate::shared::Shared;
use crate::tls::TlsSetup;

type App = State<Arc<Shared>>;

/// `GET /control/settings`.
pub(super) async fn show(State(shared): App) -> axum::Json<Settings> {
    axum::Json(shared.look(|book| Settings::clone(&book.settings)))
}

/// `POST /control/settings`: what is left out stays, in the tables too; lists are replaced.
pub(super) async fn change(
    State(shared): App,
    Json(change): Json<Value>,
) -> Result<axum::Json<Settings>, Problem> {
    let settings = apply(&shared, &change)?;
    Ok(axum::Json(Settings::clone(&settings)))
}

fn apply(shared: &Arc<Shared>, change: &Value) -> Result<Arc<Settings>, Problem> {
    shared.with(|book| {
        let changed = book.settings.changed(change).map_err(|error| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The settings are not as they should be",
                error.to_string(),
            )
        })?;
        book.settings = Arc::new(changed);
        Ok(book.settings.clone())
    })
}

/// `GET /control/edge`.
pub(super) async fn show_edge(State(shared): App) -> axum::Json<Edge> {
    axum::Json(shared.look(|book| book.settings.edge.clone()))
}

/// `POST /control/edge`: what is left out stays.
pub(super) async fn change_edge(
    State(shared): App,
    Json(change): Json<Value>,
) -> Result<axum::Json<Edge>, Problem> {
    let settings = apply(&shared, &json!({"edge": change}))?;
    Ok(axum::Json(settings.edge.clone()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkillsetChange {
    available_agents: Option<u32>,
    wait_per_place_s: Option<u32>,
    max_chats: Option<u32>,
}

/// `POST /control/skillsets/{name}`: what is left out stays; a skillset that is not listed is listed from now on.
pub(super) async fn change_skillset(
    State(shared): App,
    Path(name): Path<String>,
    Json(change): Json<SkillsetChange>,
) -> axum::Json<Skillset> {
    let skillset = shared.with(|book| {
        let skillset = Arc::make_mut(&mut book.settings).skillset_mut(&name);
        if let Some(agents) = change.available_agents {
            skillset.available_agents = agents;
        }
        if let Some(wait) = change.wait_per_place_s {
            skillset.wait_per_place_s = wait;
        }
        if change.max_chats.is_some() {
            skillset.max_chats = change.max_chats;
        }
        skillset.clone()
    });
    axum::Json(skillset)
}

/// `GET /control/tls`.
pub(super) async fn show_tls(State(shared): App) -> Result<axum::Json<TlsSetup>, Problem> {
    let serving = shared.serving().ok_or_else(no_tls)?;
    Ok(axum::Json(serving.setup))
}

/// `POST /control/tls`: what is left out is good again. Open sockets go on.
pub(super) async fn change_tls(
    State(shared): App,
    Json(setup): Json<TlsSetup>,
) -> Result<axum::Json<TlsSetup>, Problem> {
    shared.set_tls(setup).map_err(|error| match error {
        SimError::NoTls => no_tls(),
        error => Problem::new(
            StatusCode::CONFLICT,
            "The TLS side stays as it is",
            error.to_string(),
        ),
    })?;
    Ok(axum::Json(setup))
}

fn no_tls() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "No TLS", SimError::NoTls.to_string())
}

fn pem(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], text)
}

/// `GET /control/ca.pem`.
pub(super) async fn ca_pem(State(shared): App) -> Result<impl IntoResponse, Problem> {
    let identity = shared.identity().ok_or_else(no_tls)?;
    Ok(pem(identity.ca_pem.clone()))
}

/// `GET /control/issuer.pem`: the CA that is missing, where one is.
pub(super) async fn issuer_pem(State(shared): App) -> Result<impl IntoResponse, Problem> {
    let serving = shared.serving().ok_or_else(no_tls)?;
    let none = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "No CA is missing",
            "ca.pem is all that is needed",
        )
    };
    Ok(pem(serving.unknown_issuer_pem.ok_or_else(none)?))
}

/// `GET /control/client.pem`: a client certificate of the private CA, then its key.
pub(super) async fn client_pem(State(shared): App) -> Result<impl IntoResponse, Problem> {
    let identity = shared.identity().ok_or_else(no_tls)?;
    let none = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "No client certificate",
            SimError::NoCaKey.to_string(),
        )
    };
    let client = identity.client.as_ref().ok_or_else(none)?;
    Ok(pem(format!("{}{}", client.cert_pem, client.key_pem)))
}
