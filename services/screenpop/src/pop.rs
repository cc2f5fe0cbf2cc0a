//! The agents' page: it pops up in Agent Desktop with a call, and texts the caller.
//!
//! The key in the page's address is exchanged at once for a page of its own, `/pop/{token}`: what an agent sees, writes and sends
//! hangs on that address, never on a cookie, so that the pages of two calls do not mix. Everything works without a script; the script
//! saves what is being written, counts it and keeps the history new.

mod act;
mod address;
mod assets;
mod check;
mod dress;
mod fields;
mod history;
mod meter;
mod open;
mod page;
mod send;
mod stop;
mod told;
mod view;
mod words;

pub use open::Doors;

use crate::Deps;
use axum::{
    Router,
    middleware::map_response,
    routing::{get, post},
};
use ccm_web::{no_head, not_stored};

/// The page's routes. Their addresses hold keys and tokens, which stand in no log: only these templates do.
pub(crate) fn router() -> Router<Deps> {
    let pages = Router::new()
        // A link is used up by its first reader: whoever only asks for headers is none.
        .route("/", get(open::by_address).head(no_head("GET")))
        .route("/scrpop/minpop.html", get(open::by_address).head(no_head("GET")))
        .route("/pop/{token}", get(view::show).post(act::act))
        .route("/pop/{token}/draft", post(act::draft))
        .route("/pop/{token}/check", post(act::check))
        .route("/pop/{token}/history", get(history::show).post(history::again))
        .layer(map_response(not_stored));
    // What never changes under its name is kept.
    Router::new()
        .route("/static/{name}", get(assets::serve))
        .merge(pages)
}
