//! How far a deflection is, and that it is over.

use crate::{
    Deps,
    answer::State,
    given::Script,
    step::{Asked, Tenant, step},
};
use axum::{extract::State as Shared, response::Response};
use ccm_db::DbError;
use ccm_model::DeflectionId;
use ccm_web::{Path, Problem};

/// `GET /v1/deflections/{deflection}`
pub async fn read(
    Shared(deps): Shared<Deps>,
    Path(id): Path<DeflectionId>,
    script: Script,
) -> Result<Response, Problem> {
    script.given.nothing_else()?;
    let db = deps.db.tenant(script.holder.tenant);
    let (row, text) = made(db.deflection_and_text(id).await)?;
    Ok(State::new(row, text).into_response(script.format))
}

/// `POST /v1/deflections/{deflection}/end`: the call is over, so an offer that nobody has taken is taken back, and its text
/// if that has not left.
pub async fn end(
    Shared(deps): Shared<Deps>,
    Path(id): Path<DeflectionId>,
    script: Script,
) -> Result<Response, Problem> {
    script.given.nothing_else()?;
    let db = deps.db.tenant(script.holder.tenant);
    made(db.deflection_and_text(id).await)?;
    let tenant = Tenant::read(&db).await?;
    let now = deps.ids.clock().now();
    let moved = db
        .advance_deflection(id, now, |seen| step(seen, &tenant, Asked::End, now))
        .await?;
    deps.has_moved(script.holder.tenant, moved);
    let (row, text) = made(db.deflection_and_text(id).await)?;
    Ok(State::new(row, text).into_response(script.format))
}

fn made<T>(read: Result<T, DbError>) -> Result<T, Problem> {
    read.map_err(|error| match error {
        DbError::NotFound(what) => Problem::not_found(what)
            .remedy("take the id from the answer `accepted`; it belongs to the key's tenant"),
        error => error.into(),
    })
}
