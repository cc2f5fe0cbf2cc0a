//! What customers text, and which skillset answers.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Made, Making, Taking},
    named::Named,
    patch::given,
    path::{NumberPath, TenantPath},
    query,
    removal::{Asked, RemovalQuery, Removing},
    schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::{extract::State, response::Response};
use ccm_db::{DbError, InTheWay, NumberChange, NumberFilter, NumberRow, TenantDb};
use ccm_model::{AccountId, Address, NumberId, NumberKind, SkillsetId};
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use phonenumber::{Type, metadata::DATABASE};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

const WHAT: &str = "number";

/// A number to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "address": "+14155550123",
    "account_id": "019331f0-7a00-7000-8000-000000000003",
    "skillset_id": "019331f0-7a00-7000-8000-000000000004"
}))]
pub struct NewNumber {
    /// What customers text: E.164 (`+` and 7 to 15 digits; spaces, dots, dashes and brackets are dropped) or a short code
    /// (3 to 8 digits). Unique in its account.
    address: String,
    /// The account that its texts come and go through.
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    /// The account that sends for it while the first one fails; it must have the number too. Left out: none.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    second_account_id: Option<AccountId>,
    /// The skillset whose agents answer.
    #[schema(value_type = Uuid)]
    skillset_id: SkillsetId,
    /// Left out: `short_code` for 3 to 8 digits, `toll_free` where its country's plan says so, else `long_code`.
    #[serde(default)]
    #[schema(schema_with = schema::optional_number_kind)]
    kind: Option<NumberKind>,
    /// Segments a second that may leave from it, as the provider allows. Left out: by its kind, 1 (`long_code`), 3
    /// (`toll_free`) or 100 (`short_code`).
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 1000)]
    per_second: Option<f32>,
}

/// What is to change of a number; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"per_second": 10, "second_account_id": null}))]
pub struct NumberPatch {
    /// Takes its texts in and sends from now on; it must have the number too.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Uuid, required = false)]
    account_id: Option<AccountId>,
    /// `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Uuid>)]
    second_account_id: Option<Option<AccountId>>,
    /// Whose agents get the texts of chats that begin from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Uuid, required = false)]
    skillset_id: Option<SkillsetId>,
    /// `null`: as when it is made without one. Its rate stays as it is, unless it is changed as well.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schema::optional_number_kind)]
    kind: Option<Option<NumberKind>>,
    /// Segments a second; `null`: by its kind.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f32>, minimum = 0.01, maximum = 1000)]
    per_second: Option<Option<f32>>,
}

/// Which numbers, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NumberQuery {
    /// Those with this address (`%2B` for `+`).
    #[param(example = "+14155550123")]
    address: Option<String>,
    /// Those that this account takes texts in or sends for, as the first or the second.
    #[param(value_type = Option<Uuid>)]
    account: Option<AccountId>,
    /// Those that this skillset answers.
    #[param(value_type = Option<Uuid>)]
    skillset: Option<SkillsetId>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
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
    /// Sends while the first one fails; `null`: none does.
    #[schema(value_type = Option<Uuid>, required)]
    second_account_id: Option<AccountId>,
    #[schema(value_type = Uuid)]
    skillset_id: SkillsetId,
    #[schema(schema_with = schema::number_kind)]
    kind: NumberKind,
    /// Segments a second that may leave from it.
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
            second_account_id: row.second_account,
            skillset_id: row.skillset,
            kind: row.kind,
            per_second: row.per_second,
            created_at: row.created_at,
        }
    }
}

/// What an address probably is to its carrier.
fn usual_kind(address: &Address) -> NumberKind {
    let toll_free = |full: &str| {
        phonenumber::parse(None, full).is_ok_and(|number| number.number_type(&DATABASE) == Type::TollFree)
    };
    match address {
        Address::E164(full) if toll_free(full) => NumberKind::TollFree,
        Address::E164(_) | Address::Alphanumeric(_) => NumberKind::LongCode,
        Address::ShortCode(_) => NumberKind::ShortCode,
    }
}

/// The given kind, if the address can be one, else what it probably is.
fn kind_of(address: &Address, given: Option<NumberKind>) -> Result<NumberKind, Refused> {
    let Some(kind) = given else {
        return Ok(usual_kind(address));
    };
    match (
        matches!(address, Address::ShortCode(_)),
        kind == NumberKind::ShortCode,
    ) {
        (true, false) => Err(Refused::new(
            "kind",
            "does not fit an address of 3 to 8 digits, which is a short code",
            "leave it out",
        )),
        (false, true) => Err(Refused::new(
            "kind",
            "does not fit a full number: a short code has 3 to 8 digits and no +",
            "leave it out",
        )),
        _ => Ok(kind),
    }
}

fn two_accounts(account: AccountId, second: Option<AccountId>) -> Result<(), Refused> {
    if second != Some(account) {
        return Ok(());
    }
    Err(Refused::new(
        "second_account_id",
        "is the first account too",
        "name another account, or leave it out",
    ))
}

impl NewNumber {
    fn check(&self) -> Result<(Address, NumberKind), Refused> {
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
        let kind = kind_of(&address, self.kind)?;
        two_accounts(self.account_id, self.second_account_id)?;
        if let Some(rate) = self.per_second {
            valid::rate("per_second", rate)?;
        }
        Ok((address, kind))
    }
}

impl NumberPatch {
    fn apply(&self, was: &NumberRow) -> Result<NumberChange, Refused> {
        let kind = match self.kind {
            Some(kind) => kind_of(&was.address, kind)?,
            None => was.kind,
        };
        let per_second = match self.per_second {
            Some(Some(rate)) => valid::rate("per_second", rate).map(|()| rate)?,
            Some(None) => kind.usual_rate(),
            None => was.per_second,
        };
        let change = NumberChange {
            account: self.account_id.unwrap_or(was.account),
            second_account: self.second_account_id.unwrap_or(was.second_account),
            skillset: self.skillset_id.unwrap_or(was.skillset),
            kind,
            per_second,
        };
        two_accounts(change.account, change.second_account)?;
        Ok(change)
    }
}

/// Make a number known
///
/// The provider must have it on this account. A number that the tenant released keeps its id when it comes back, and with it its
/// conversations. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/numbers", tag = "numbers",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Number), Always, InTenant, Making, Taking))]
pub async fn create_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewNumber>,
) -> Result<Made<Number>, Failure> {
    let (address, kind) = new.check()?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewNumber {
        id: deps.ids.next(),
        address: &address,
        account: new.account_id,
        second_account: new.second_account_id,
        skillset: new.skillset_id,
        kind,
        per_second: new.per_second.unwrap_or(kind.usual_rate()),
    };
    let row = match db.create_number(row).await {
        Err(DbError::Conflict { missing, constraint }) => {
            return Err(conflict(&db, missing, &constraint, new.account_id, &address).await?);
        }
        made => made?,
    };
    deps.made(scope.tenant, "number", row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

/// What a number collides with, or which id it names that the tenant does not have.
async fn conflict(
    db: &TenantDb<'_>,
    missing: bool,
    constraint: &str,
    account: AccountId,
    address: &Address,
) -> Result<Failure, DbError> {
    let has_account = db.accounts().await?.iter().any(|known| known.id == account);
    // Another tenant's account may have the address too; what it has is not for the caller to know.
    if !missing && has_account {
        let mut numbers = db.numbers().await?.into_iter();
        let taken = numbers.find(|n| n.account == account && n.address == *address);
        return Ok(Failure::exists(
            "number",
            "address",
            taken.map(|number| number.id),
        ));
    }
    let unknown_account = |field| Failure::unknown(field, "provider account", "GET …/accounts lists them");
    if constraint == "number_second_account" {
        return Ok(unknown_account("second_account_id"));
    }
    Ok(match has_account {
        true => Failure::unknown("skillset_id", "skillset", "GET …/skillsets lists them"),
        false => unknown_account("account_id"),
    })
}

/// Change a number
///
/// What is left out stays. Its address cannot change. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/numbers/{number}", tag = "numbers",
    params(NumberPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Number,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<NumberPath>,
    unless: IfMatch,
    Json(patch): Json<NumberPatch>,
) -> Result<Tagged<Number>, Failure> {
    let db = deps.tenant(&scope).await?;
    let mut wanted = None;
    let changed = db
        .change_number(path.number, |was| {
            unless.check(WHAT, &tag(was))?;
            let change = patch.apply(was)?;
            wanted = Some((change.account, was.address.clone()));
            Ok::<_, Failure>(change)
        })
        .await;
    let row = match (changed, wanted) {
        (Err(Failure::Db(DbError::Conflict { missing, constraint })), Some((account, address))) => {
            return Err(conflict(&db, missing, &constraint, account, &address).await?);
        }
        (changed, _) => changed?,
    };
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

fn answer(row: NumberRow) -> Tagged<Number> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

fn tag(row: &NumberRow) -> String {
    content_tag(&Number::from(row.clone()))
}

/// Release a number
///
/// The tenant has it no more: texts to it are kept as dead letters that nobody was meant to get, and none leave from it. Its
/// conversations stay. Refused as long as a conversation on it is open, a text is on its way from it, or routing or
/// other settings name it. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/numbers/{number}", tag = "numbers",
    params(NumberPath, RemovalQuery, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Removing, Always, InTenant, Guarded))]
pub async fn delete_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<NumberPath>,
    Query(query): Query<RemovalQuery>,
    unless: IfMatch,
) -> Result<Response, Failure> {
    let asked = Asked {
        what: WHAT,
        dry_run: query.dry_run,
    };
    let db = deps.tenant(&scope).await?;
    let named = Named::read(&db).await?;
    let removal = asked.removal_of_named(named.state, places(&db, &named, path.number).await?);
    let now = deps.ids.clock().now();
    let in_the_way = db
        .release_number(path.number, removal, |was| unless.check(WHAT, &tag(was)), now)
        .await?;
    asked.answer(in_the_way, || {
        deps.removed(scope.tenant, WHAT, path.number, &scope.bearer.sub);
    })
}

/// Where documents need the number: not as long as another account's has the same address.
async fn places(db: &TenantDb<'_>, named: &Named, number: NumberId) -> Result<Vec<InTheWay>, Failure> {
    let address = db.number(number).await?.address;
    let mut others = db.numbers().await?.into_iter().filter(|one| one.id != number);
    Ok(match others.any(|one| one.address == address) {
        true => Vec::new(),
        false => named.number(&address),
    })
}

/// List the numbers, by address
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/numbers", tag = "numbers",
    params(TenantPath, NumberQuery),
    responses((status = 200, description = "One page.", body = Page<Number>), Always, InTenant))]
pub async fn list_numbers(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<NumberQuery>,
) -> Result<Json<Page<Number>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let address = query.address.as_deref();
    let filter = NumberFilter {
        address: address.map(|raw| query::address("address", raw)).transpose()?,
        account: query.account,
        skillset: query.skillset,
    };
    let rows = deps.tenant(&scope).await?.numbers_part(&filter, &part).await?;
    let items = rows.into_iter().map(Number::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &Number| {
        (one.address.as_str().to_owned(), one.id)
    })))
}

/// Read a number
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/numbers/{number}", tag = "numbers",
    params(NumberPath),
    responses((status = 200, description = "The number.", body = Number,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<NumberPath>,
) -> Result<Tagged<Number>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.number(path.number).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberKind::{LongCode, ShortCode, TollFree};

    #[test]
    fn a_number_is_what_its_countrys_plan_says() {
        for (address, kind) in [
            ("+14155550123", LongCode),
            ("+18005550123", TollFree),
            ("+18335550123", TollFree),
            ("+3531800555555", TollFree),
            ("+353861234567", LongCode),
            ("+999123456789", LongCode),
            ("72345", ShortCode),
            ("12345678", ShortCode),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(usual_kind(&address), kind, "{}", String::from(address.clone()));
            assert_eq!(kind_of(&address, None).unwrap(), kind);
        }
    }

    #[test]
    fn a_kind_must_fit_its_address() {
        let (full, short) = ("+14155550123".parse().unwrap(), "72345".parse().unwrap());
        assert_eq!(
            kind_of(&full, Some(TollFree)),
            Ok(TollFree),
            "carriers know better"
        );
        assert_eq!(kind_of(&full, Some(ShortCode)).unwrap_err().field, "kind");
        assert_eq!(kind_of(&short, Some(LongCode)).unwrap_err().field, "kind");
    }
}
