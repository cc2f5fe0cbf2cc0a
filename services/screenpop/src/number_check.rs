//! What is known about a number before an agent texts it.

use crate::{Deps, failure::Failure, look_up::LookedUp};
use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use ccm_db::{NumberLookupRow, OptOutRow};
use ccm_model::{Address, KeyUse, LineType};
use ccm_numbers::Facts;
use ccm_web::{Json, KeyHolder, Problem, Query, bearer, plus};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Deliberately without `Debug`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberQuery {
    number: String,
    region: Option<String>,
    /// Which of the tenant's numbers the customer is to be texted from: its provider is asked.
    from: Option<String>,
    #[serde(default)]
    lookup: bool,
}

/// What is known about a number.
#[derive(Serialize)]
pub struct NumberCheck {
    #[serde(flatten)]
    facts: Facts,
    opted_out_of: Vec<OptOut>,
    lookup_status: LookupStatus,
    lookup: Option<Lookup>,
    lookup_failure: Option<LookupFailure>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LookupStatus {
    Done,
    NotAsked,
    Unavailable,
    Failed,
}

/// What the provider says.
#[derive(Serialize)]
struct Lookup {
    valid: bool,
    country: Option<String>,
    line_type: Option<LineType>,
    carrier_name: Option<String>,
    mobile_country_code: Option<String>,
    mobile_network_code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    looked_up_at: OffsetDateTime,
}

/// Why there is nothing.
#[derive(Serialize)]
struct LookupFailure {
    message: &'static str,
    retryable: bool,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct OptOut {
    our_address: Address,
    source: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

/// Somebody whose key opens this: what the handler asks for.
pub struct Checker(KeyHolder);

impl FromRequestParts<Deps> for Checker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, deps: &Deps) -> Result<Self, Problem> {
        let admitted = KeyHolder::admit(bearer(&parts.headers), parts, KeyUse::NumberCheck, deps).await;
        let bounded = |refused| deps.doors.wrong.bound(refused, parts, deps);
        admitted.map(Self).map_err(bounded)
    }
}

/// `GET /v1/number-check`
pub async fn check_number(
    State(deps): State<Deps>,
    Checker(holder): Checker,
    Query(query): Query<NumberQuery>,
) -> Result<Json<NumberCheck>, Failure> {
    let facts = ccm_numbers::examine(&plus(&query.number), query.region.as_deref())?;
    let from = query.from.as_deref().map(address).transpose()?;
    let db = deps.db.tenant(holder.tenant);
    let opt_outs = db.opt_outs_of(&facts.address).await?;
    let looked_up = match query.lookup {
        true => Some(deps.look_up(&db, &facts.address, from.as_ref()).await?),
        false => None,
    };
    Ok(Json(answer(facts, opt_outs, looked_up)))
}

fn address(raw: &str) -> Result<Address, Problem> {
    Address::parse(&plus(raw)).map_err(|error| {
        Problem::invalid_field("from", format!("from {error}")).remedy("write it like from=%2B353861234567")
    })
}

fn answer(mut facts: Facts, opt_outs: Vec<OptOutRow>, looked_up: Option<LookedUp>) -> NumberCheck {
    let (lookup_status, lookup, lookup_failure) = match looked_up {
        None => (LookupStatus::NotAsked, None, None),
        Some(LookedUp::Done(row)) => {
            facts.looked_up(row.valid, row.line);
            (LookupStatus::Done, Some(row.into()), None)
        }
        Some(LookedUp::Unavailable(message)) => (
            LookupStatus::Unavailable,
            None,
            Some(LookupFailure {
                message,
                retryable: false,
                retry_after_s: None,
            }),
        ),
        Some(LookedUp::Failed {
            user,
            retryable,
            after,
        }) => (
            LookupStatus::Failed,
            None,
            Some(LookupFailure {
                message: user,
                retryable,
                retry_after_s: after.map(|after| after.as_secs()),
            }),
        ),
    };
    NumberCheck {
        facts,
        opted_out_of: opt_outs.into_iter().map(OptOut::from).collect(),
        lookup_status,
        lookup,
        lookup_failure,
    }
}

impl From<NumberLookupRow> for Lookup {
    fn from(row: NumberLookupRow) -> Self {
        Self {
            valid: row.valid,
            country: row.country,
            line_type: row.line,
            carrier_name: row.carrier,
            mobile_country_code: row.mobile_country_code,
            mobile_network_code: row.mobile_network_code,
            looked_up_at: row.at,
        }
    }
}

impl From<OptOutRow> for OptOut {
    fn from(row: OptOutRow) -> Self {
        Self {
            our_address: row.our_address,
            source: row.source,
            since: row.since,
        }
    }
}
