//! What is known about a number without asking anybody.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    consent::OptOut,
    path::TenantPath,
    schema::one_of,
};
use axum::extract::State;
use ccm_model::Address;
use ccm_numbers::Facts;
use ccm_web::{Json, Query, TenantScope, may, plus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema, openapi::schema::Object};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NumberQuery {
    /// As somebody wrote it: a full number with `+` (written `%2B`), a short code, a sender name; or, with `region`, a number as it is
    /// dialled there.
    #[param(example = "086 123 4567", min_length = 1, max_length = 50)]
    number: String,
    /// The country that a number without `+` is of: two letters (ISO 3166-1).
    #[param(example = "IE")]
    region: Option<String>,
}

/// What is known about a number.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberCheck {
    #[schema(schema_with = form)]
    form: &'static str,
    /// As CCM stores and compares it.
    #[schema(value_type = String, example = "+353861234567")]
    address: Address,
    /// Whether its country's plan has such a number; `null` for what is none.
    #[schema(required)]
    valid: Option<bool>,
    /// As it is written in its country; `null` for what is no full number.
    #[schema(required, example = "086 123 4567")]
    national: Option<String>,
    /// As it is written elsewhere.
    #[schema(required, example = "+353 86 123 4567")]
    international: Option<String>,
    /// Two letters (ISO 3166-1); `null` where the plan does not tell.
    #[schema(required, example = "IE")]
    region: Option<String>,
    #[schema(schema_with = kind, required)]
    kind: Option<&'static str>,
    /// Whether a text can be sent to it, as far as the number itself tells.
    textable: bool,
    /// Why not, in words; `null` if it is.
    #[schema(required)]
    not_textable_because: Option<&'static str>,
    /// Those of the tenant's numbers that it gets no texts from.
    opted_out_of: Vec<OptOut>,
}

fn form() -> Object {
    one_of(
        "`full`: a number with its country (E.164); `short_code`: 3 to 8 digits; `sender_name`: letters, which cannot be texted.",
        ccm_numbers::FORMS.into_iter(),
    )
}

fn kind() -> Object {
    utoipa::openapi::ObjectBuilder::from(one_of(
        "What the country's plan says it is; in some countries mobile numbers look like all others. `null` where it does not tell.",
        ccm_numbers::kinds(),
    ))
    .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
        utoipa::openapi::schema::Type::String,
        utoipa::openapi::schema::Type::Null,
    ]))
    .build()
}

impl NumberCheck {
    fn new(facts: Facts, opted_out_of: Vec<OptOut>) -> Self {
        Self {
            form: facts.form,
            address: facts.address,
            valid: facts.valid,
            national: facts.national,
            international: facts.international,
            region: facts.region,
            kind: facts.kind,
            textable: facts.textable,
            not_textable_because: facts.not_textable_because,
            opted_out_of,
        }
    }
}

/// Check a number
///
/// Says what the number itself tells and what the customer said about texts; no provider is asked. For the roles platform-admin,
/// engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/number-check", tag = "checks",
    params(TenantPath, NumberQuery),
    responses((status = 200, description = "What is known.", body = NumberCheck), Always, InTenant))]
pub async fn check_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<NumberQuery>,
) -> Result<Json<NumberCheck>, Failure> {
    let facts = ccm_numbers::examine(&plus(&query.number), query.region.as_deref())?;
    let db = deps.tenant(&scope).await?;
    let opt_outs = db.opt_outs_of(&facts.address).await?;
    Ok(Json(NumberCheck::new(
        facts,
        opt_outs.into_iter().map(OptOut::from).collect(),
    )))
}
