//! Who wants no texts from which of a tenant's addresses, and the ledger that proves it.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Taking},
    consent_csv,
    path::TenantPath,
    query,
    valid::{self, Refused},
};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use ccm_db::{ConsentChange, ConsentEventRow, ConsentSource, DbError, OptOutRow};
use ccm_model::{Address, MessageId};
use ccm_web::{Cursor, Json, Page, PageQuery, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A customer who gets no texts from one of the tenant's addresses.
#[derive(Debug, Serialize, ToSchema)]
pub struct OptOut {
    #[schema(value_type = String, example = "+14155550123")]
    our_address: Address,
    #[schema(value_type = String, example = "+353861234567")]
    customer_address: Address,
    /// How it became known: by a `keyword` that the customer texted, from the `carrier`, or over the `api`.
    #[schema(example = "keyword")]
    source: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    since: OffsetDateTime,
}

impl From<OptOutRow> for OptOut {
    fn from(row: OptOutRow) -> Self {
        Self {
            our_address: row.our_address,
            customer_address: row.customer_address,
            source: row.source,
            since: row.since,
        }
    }
}

/// A customer who said in another way that no texts are wanted: on the phone, by mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "our_address": "+14155550123",
    "customer_address": "+353861234567",
    "evidence": "asked on the phone on 27 November, ticket 4711"
}))]
pub struct NewOptOut {
    /// One of the tenant's numbers.
    our_address: String,
    /// E.164 or a short code.
    customer_address: String,
    /// How it is known, on one line. The ledger keeps it with the token's `sub`.
    #[schema(min_length = 1, max_length = 300)]
    evidence: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OptOutQuery {
    /// The address of ours. A `+` is written `%2B`; a bare one is understood.
    #[param(example = "+14155550123")]
    our_address: String,
    /// The customer's.
    #[param(example = "+353861234567")]
    customer_address: String,
    /// How it is known that the customer wants texts again, on one line. The ledger keeps it with the token's `sub`.
    #[param(min_length = 1, max_length = 300)]
    evidence: String,
}

/// An entry of the ledger. Nothing in it ever changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentEvent {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// `opt_out` or `opt_in`.
    #[schema(example = "opt_out")]
    kind: String,
    #[schema(value_type = String, example = "+14155550123")]
    our_address: Address,
    #[schema(value_type = String, example = "+353861234567")]
    customer_address: Address,
    /// `keyword`, `carrier` or `api`.
    #[schema(example = "keyword")]
    source: String,
    /// The customer's text, or ours that the carrier refused; `null`: there was none.
    #[schema(value_type = Option<Uuid>, required)]
    message_id: Option<MessageId>,
    /// The keyword as it was written, the carrier's code, or who said it over the API and why.
    #[schema(required, example = "Stop!")]
    evidence: Option<String>,
}

impl From<ConsentEventRow> for ConsentEvent {
    fn from(row: ConsentEventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            kind: row.kind,
            our_address: row.our_address,
            customer_address: row.customer_address,
            source: row.source,
            message_id: row.message,
            evidence: row.evidence,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsentQuery {
    /// Only those of this customer: E.164 or a short code. A `+` is written `%2B`; a bare one is understood.
    #[param(example = "+353861234567")]
    customer: Option<String>,
    /// How many at most. A CSV file holds all of them.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// An address of a body.
fn address(field: &'static str, raw: &str) -> Result<Address, Refused> {
    let refused = |problem: String| {
        Refused::new(
            field,
            problem,
            "write a number like +14155550123, or a short code like 72345",
        )
    };
    let address = Address::parse(raw).map_err(|error| refused(error.to_string()))?;
    match address.can_be_answered() {
        true => Ok(address),
        false => Err(refused("is a sender name, which nobody can text".to_owned())),
    }
}

/// Who says so comes first: what is too long is cut at its end.
fn evidence(by: &str, given: &str) -> Result<String, Refused> {
    valid::reason("evidence", given, 300)?;
    let by: String = by.chars().take(150).collect();
    Ok(format!("{by}: {given}"))
}

/// List opt-outs, by our address and the customer's
///
/// For the roles platform-admin and engineer; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/opt-outs", tag = "consent",
    params(TenantPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<OptOut>), Always, InTenant))]
pub async fn list_opt_outs(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OptOut>>, Failure> {
    let (limit, after) = (page.limit()?, page.position::<(String, String)>()?);
    let after = after
        .as_ref()
        .map(|(ours, customer)| (ours.as_str(), customer.as_str()));
    let db = deps.tenant(&scope).await?;
    let rows = db.opt_outs(after, limit as i64 + 1).await?;
    let items = rows.into_iter().map(OptOut::from).collect();
    Ok(Json(Page::cut(items, limit, |opt_out: &OptOut| {
        (opt_out.our_address.clone(), opt_out.customer_address.clone())
    })))
}

/// Record an opt-out
///
/// From now on the customer gets no texts from this address; one that waits to be sent is not. Recording it again adds to the
/// ledger and changes nothing else. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/opt-outs", tag = "consent",
    params(TenantPath),
    responses((status = 200, description = "Recorded.", body = OptOut), Always, InTenant, Taking))]
pub async fn put_opt_out(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewOptOut>,
) -> Result<Json<OptOut>, Failure> {
    let ours = address("our_address", &new.our_address)?;
    let customer = address("customer_address", &new.customer_address)?;
    let evidence = evidence(&scope.bearer.sub, &new.evidence)?;
    let db = deps.tenant(&scope).await?;
    if db.numbers().await?.iter().all(|number| number.address != ours) {
        return Err(Refused::new(
            "our_address",
            "is not a number of this tenant",
            "GET …/numbers lists them",
        )
        .into());
    }
    let change = ConsentChange {
        event: deps.ids.next(),
        our_address: &ours,
        customer_address: &customer,
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: Some(&evidence),
        at: deps.ids.clock().now(),
    };
    db.change_consent(&change).await?;
    deps.dealt_with(
        scope.tenant,
        "consent",
        change.event,
        "opted_out",
        &scope.bearer.sub,
    );
    let stored = db.opt_out(&ours, &customer).await?;
    // Somebody may have taken it back in the meantime; it was recorded all the same.
    let stored = stored.unwrap_or(OptOutRow {
        our_address: ours.clone(),
        customer_address: customer.clone(),
        source: change.source.as_str().to_owned(),
        since: change.at,
    });
    Ok(Json(stored.into()))
}

/// Take an opt-out back
///
/// Only if the customer asked for texts again: the evidence is the proof. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/opt-outs", tag = "consent",
    params(TenantPath, OptOutQuery),
    responses((status = 204, description = "Taken back."), Always, InTenant,
        (status = 422, description = "The evidence is not taken.",
            body = Problem, content_type = "application/problem+json")))]
pub async fn delete_opt_out(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Query(query): Query<OptOutQuery>,
) -> Result<Gone, Failure> {
    let ours = query::address("our_address", &query.our_address)?;
    let customer = query::address("customer_address", &query.customer_address)?;
    let evidence = evidence(&scope.bearer.sub, &query.evidence)?;
    let db = deps.tenant(&scope).await?;
    if !db.has_opted_out(&ours, &customer).await? {
        return Err(DbError::NotFound("opt-out").into());
    }
    let change = ConsentChange {
        event: deps.ids.next(),
        our_address: &ours,
        customer_address: &customer,
        opted_out: false,
        source: ConsentSource::Api,
        message: None,
        evidence: Some(&evidence),
        at: deps.ids.clock().now(),
    };
    db.change_consent(&change).await?;
    deps.dealt_with(
        scope.tenant,
        "consent",
        change.event,
        "opted_in",
        &scope.bearer.sub,
    );
    Ok(Gone)
}

/// List what was said about consent, the oldest first
///
/// With `Accept: text/csv` all of it, as a file. For the roles platform-admin and engineer; tenant-admin and tenant-viewer in
/// their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/consent-events", tag = "consent",
    params(TenantPath, ConsentQuery),
    responses((status = 200, description = "One page; or all, as CSV (RFC 4180) with a line of names first.",
        content((Page<ConsentEvent> = "application/json"), (String = "text/csv"))), Always, InTenant))]
pub async fn list_consent_events(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Query(query): Query<ConsentQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let customer = query
        .customer
        .as_deref()
        .map(|raw| query::address("customer", raw));
    let (customer, limit) = (customer.transpose()?, query::limit(query.limit)?);
    let after = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let db = deps.tenant(&scope).await?;
    if wants_csv(&headers) {
        let file = consent_csv::file(deps.db.clone(), scope.tenant, customer, after).await?;
        return Ok(file.into_response());
    }
    let rows = db
        .consent_events(customer.as_ref(), after, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(ConsentEvent::from).collect();
    Ok(Json(Page::cut(items, limit, |event: &ConsentEvent| event.id)).into_response())
}

pub fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|list| list.split(','));
    kinds.any(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/csv")
    })
}
