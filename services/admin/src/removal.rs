//! Taking something away: what is in the way, and what would happen.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::answer::{Failure, Gone};
use axum::response::{IntoResponse, Response};
use ccm_db::{InTheWay, NamingState};
use ccm_web::{Json, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema};

/// How something is to be taken away.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RemovalQuery {
    /// `true`: say what would happen, and change nothing.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub dry_run: bool,
}

/// What would happen.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovalPlan {
    /// `remove`, or `refuse` as long as something is in the way.
    #[schema(example = "refuse")]
    would: &'static str,
    /// What still needs it.
    in_the_way: Vec<Obstacle>,
}

/// What still needs something that is to go.
#[derive(Debug, Serialize, ToSchema)]
pub struct Obstacle {
    #[schema(example = "numbers")]
    what: &'static str,
    #[schema(minimum = 1)]
    count: i64,
    /// The first of them: ids, or places in a document.
    #[schema(example = json!(["019331f0-7a00-7000-8000-000000000005"]))]
    which: Vec<String>,
}

/// How a request that takes something away can be answered, besides 204.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Removing {
    /// With `dry_run`: what would happen.
    #[response(status = 200)]
    Plan(RemovalPlan),
    /// Something still needs it; `detail` says what. Nothing was taken away.
    #[response(status = 409, content_type = "application/problem+json")]
    InTheWay(Problem),
}

/// A request to take something away.
pub struct Asked {
    /// As in "link".
    pub what: &'static str,
    pub dry_run: bool,
}

impl Asked {
    pub fn removal(&self, in_the_way: Vec<InTheWay>) -> ccm_db::Removal {
        ccm_db::Removal {
            dry_run: self.dry_run,
            in_the_way,
            named: None,
        }
    }

    /// Of something that documents of this state name in these places.
    pub fn removal_of_named(&self, state: NamingState, places: Vec<InTheWay>) -> ccm_db::Removal {
        ccm_db::Removal {
            named: Some(state),
            ..self.removal(places)
        }
    }

    /// What to answer, and `gone` before that if it is gone.
    pub fn answer(&self, in_the_way: Vec<InTheWay>, gone: impl FnOnce()) -> Result<Response, Failure> {
        if self.dry_run {
            let would = match in_the_way.is_empty() {
                true => "remove",
                false => "refuse",
            };
            let in_the_way = in_the_way.into_iter().map(Obstacle::from).collect();
            return Ok(Json(RemovalPlan { would, in_the_way }).into_response());
        }
        if in_the_way.is_empty() {
            gone();
            return Ok(Gone.into_response());
        }
        let list: Vec<String> = in_the_way.iter().map(told).collect();
        let detail = format!("the {} is still needed by {}", self.what, list.join("; "));
        Err(Problem::conflict(detail)
            .remedy("take these away first, or have them use another; ?dry_run=true tells what is left")
            .into())
    }
}

pub fn told(one: &InTheWay) -> String {
    let more = if one.count > one.which.len() as i64 {
        ", …"
    } else {
        ""
    };
    format!("{} {} ({}{more})", one.count, one.what, one.which.join(", "))
}

impl From<InTheWay> for Obstacle {
    fn from(found: InTheWay) -> Self {
        Self {
            what: found.what,
            count: found.count,
            which: found.which,
        }
    }
}
