//! What customers text, and which skillset answers.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making, Taking},
    path::TenantPath,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, NumberRow, TenantDb};
use ccm_model::{AccountId, Address, NumberId, SkillsetId};
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A number to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "address": "+14155550123",
    "account_id": "019331f0-7a00-7000-8000-000000000003",
    "skillset_id": "019331f0-7a00-7000-8000-000000000004",
    "per_second": 1.0
}))]
pub struct NewNumber {
    /// What customers text: E.164 (`+` and 7 to 15 digits; spaces, dots, dashes and brackets are dropped) or a short code
    /// (3 to 8 digits). Unique in its account.
    address: String,
    /// The account that its texts come and go through.
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    /// The skillset whose agents answer.
    #[schema(value_type = Uuid)]
    skillset_id: SkillsetId,
    /// Texts a second that may leave from it, as the provider allows.
    #[serde(default = "one")]
    #[schema(default = 1.0, minimum = 0.01, maximum = 1000)]
    per_second: f32,
}

fn one() -> f32 {
    1.0
}

/// One of a tenant's numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Number {
    #[schema(value_type = Uuid)]
    id: NumberId,
    #[schema(value_type = String, example = "+14155550123")]
    address: Address,
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    #[schema(value_type = Uuid)]
    skillset_id: SkillsetId,
    /// Texts a second that may leave from it.
    #[schema(example = 1.0)]
    per_second: f32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl From<NumberRow> for Number {
    fn from(row: NumberRow) -> Self {
        Self {
            id: row.id,
            address: row.address,
            account_id: row.account,
            skillset_id: row.skillset,
            per_second: row.per_second,
            created_at: row.created_at,
        }
    }
}

impl NewNumber {
    fn check(&self) -> Result<Address, Refused> {
        let refused = |problem: String| {
            Refused::new(
                "address",
                problem,
                "give a number like +14155550123, or a short code like 72345",
            )
        };
        let address = Address::parse(&self.address).map_err(|error| refused(error.to_string()))?;
        if !address.can_be_answered() {
            return Err(refused("is a sender name, which nobody can text".to_owned()));
        }
        valid::rate("per_second", self.per_second)?;
        Ok(address)
    }
}

/// Make a number known
///
/// The provider must have it on this account. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/numbers", tag = "numbers",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Number), Always, InTenant, Making, Taking))]
pub async fn create_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewNumber>,
) -> Result<Made<Number>, Failure> {
    let address = new.check()?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewNumber {
        id: deps.ids.next(),
        address: &address,
        account: new.account_id,
        skillset: new.skillset_id,
        per_second: new.per_second,
    };
    let row = match db.create_number(row).await {
        Err(DbError::Conflict { missing: true, .. }) => return Err(unknown(&db, &new).await?),
        Err(DbError::Conflict { .. }) => return Err(taken(&db, &new, &address).await?),
        made => made?,
    };
    deps.made(scope.tenant, "number", row.id, &scope.claims.sub);
    Ok(Made(row.into()))
}

async fn unknown(db: &TenantDb<'_>, new: &NewNumber) -> Result<Failure, DbError> {
    let has_account = db
        .accounts()
        .await?
        .iter()
        .any(|account| account.id == new.account_id);
    Ok(if has_account {
        Failure::unknown("skillset_id", "skillset", "GET …/skillsets lists them")
    } else {
        Failure::unknown("account_id", "provider account", "GET …/accounts lists them")
    })
}

async fn taken(db: &TenantDb<'_>, new: &NewNumber, address: &Address) -> Result<Failure, DbError> {
    let numbers = db.numbers().await?.into_iter();
    let taken = numbers
        .filter(|n| n.account == new.account_id)
        .find(|n| n.address == *address);
    Ok(Failure::exists(
        "number",
        "address",
        taken.map(|number| number.id),
    ))
}

/// List the numbers, by address
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/numbers", tag = "numbers",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<Number>), Always, InTenant))]
pub async fn list_numbers(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<Number>>, Failure> {
    let rows = deps.tenant(&scope).await?.numbers().await?;
    Ok(List::of(rows, Number::from))
}
