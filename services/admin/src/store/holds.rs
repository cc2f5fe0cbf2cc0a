//! Legal holds: what is neither retained away nor erased.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Taking},
    path::{HoldPath, TenantPath},
    query::limit,
    schema,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{HoldRow, HoldScope, NewHold};
use ccm_model::{Address, ConversationId};
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema, openapi::schema::Object};
use uuid::Uuid;

/// What is to stay: a customer's texts, a conversation, or with neither everything of the tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"customer": "+353861234567", "reason": "case 2026-117"}))]
pub struct LegalHoldRequest {
    /// A customer's number.
    #[schema(example = "+353861234567")]
    customer: Option<String>,
    #[schema(value_type = Option<Uuid>)]
    conversation_id: Option<ConversationId>,
    /// On one line. The audit keeps it for ever: no numbers and no names of customers.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

fn scope() -> Object {
    schema::one_of(
        "What is held: everything of the `tenant`, all texts of a `customer`, or one `conversation`.",
        ["tenant", "customer", "conversation"].into_iter(),
    )
}

/// A legal hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct LegalHold {
    id: Uuid,
    #[schema(schema_with = scope)]
    scope: &'static str,
    /// Of the scope `customer`; `null` once that customer has been erased.
    #[schema(value_type = Option<String>, required, example = "+353861234567")]
    customer: Option<Address>,
    /// Of the scope `conversation`.
    #[schema(value_type = Option<Uuid>, required)]
    conversation_id: Option<ConversationId>,
    #[schema(example = "case 2026-117")]
    reason: String,
    #[schema(example = "mary")]
    placed_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    placed_at: OffsetDateTime,
    /// `null` as long as it stands.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    released_at: Option<OffsetDateTime>,
    #[schema(required)]
    released_by: Option<String>,
}

impl From<HoldRow> for LegalHold {
    fn from(row: HoldRow) -> Self {
        let scope = row.scope.as_str();
        let (customer, conversation_id) = match row.scope {
            HoldScope::Tenant => (None, None),
            HoldScope::Customer(customer) => (customer, None),
            HoldScope::Conversation(id) => (None, Some(id)),
        };
        Self {
            id: row.id,
            scope,
            customer,
            conversation_id,
            reason: row.reason,
            placed_by: row.placed_by,
            placed_at: row.placed_at,
            released_at: row.released_at,
            released_by: row.released_by,
        }
    }
}

impl LegalHoldRequest {
    fn scope(&self) -> Result<HoldScope, Refused> {
        valid::reason("reason", &self.reason, 500)?;
        match (&self.customer, self.conversation_id) {
            (None, None) => Ok(HoldScope::Tenant),
            (None, Some(id)) => Ok(HoldScope::Conversation(id)),
            (Some(customer), None) => {
                let customer = number("customer", customer)?;
                valid::reason_about("reason", &self.reason, 500, &customer)?;
                Ok(HoldScope::Customer(Some(customer)))
            }
            (Some(_), Some(_)) => Err(Refused::new(
                "conversation_id",
                "is given beside customer",
                "place a hold on one of them: a customer's covers all its conversations",
            )),
        }
    }
}

/// A customer's number in a body.
pub(super) fn number(field: &'static str, raw: &str) -> Result<Address, Refused> {
    Address::parse(raw).map_err(|error| Refused::new(field, error.to_string(), "write it like +353861234567"))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LegalHoldsQuery {
    /// Those that were released as well.
    #[serde(default)]
    #[param(required = false, default = false)]
    all: bool,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Place a legal hold
///
/// Nothing of it is retained away or erased from now on, and the tenant is not deleted, until it is released. For the roles platform-admin and
/// engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/legal-holds", tag = "message-store",
    params(TenantPath), request_body = LegalHoldRequest,
    responses((status = 201, description = "It stands.", body = LegalHold), Always, InTenant, Taking))]
pub async fn create_legal_hold(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<LegalHoldRequest>,
) -> Result<Made<LegalHold>, Failure> {
    let held = new.scope()?;
    let by = &scope.bearer.sub;
    let row = deps
        .tenant(&scope)
        .await?
        .place_hold(NewHold {
            id: deps.ids.next(),
            scope: &held,
            reason: &new.reason,
            by,
            at: deps.ids.clock().now(),
        })
        .await?;
    deps.made(scope.tenant, "legal hold", row.id, by);
    Ok(Made(row.into()))
}

/// List legal holds, the newest first
///
/// For the roles platform-admin and engineer; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/legal-holds", tag = "message-store",
    params(TenantPath, LegalHoldsQuery),
    responses((status = 200, description = "One page.", body = Page<LegalHold>), Always, InTenant))]
pub async fn list_legal_holds(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Query(query): Query<LegalHoldsQuery>,
) -> Result<Json<Page<LegalHold>>, Failure> {
    let limit = limit(query.limit)?;
    let before = query.cursor.as_ref().map(Cursor::position).transpose()?;
    let rows = deps
        .tenant(&scope)
        .await?
        .holds(query.all, before, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(LegalHold::from).collect();
    Ok(Json(Page::cut(items, limit, |hold: &LegalHold| hold.id)))
}

/// Read a legal hold
///
/// For the roles platform-admin and engineer; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/legal-holds/{hold}", tag = "message-store",
    params(HoldPath),
    responses((status = 200, description = "The hold.", body = LegalHold), Always, InTenant))]
pub async fn get_legal_hold(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Path(path): Path<HoldPath>,
) -> Result<Json<LegalHold>, Failure> {
    Ok(Json(deps.tenant(&scope).await?.hold(path.hold).await?.into()))
}

/// Release a legal hold
///
/// What it held goes again when its time has come. The hold itself stays, with who released it. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/legal-holds/{hold}", tag = "message-store",
    params(HoldPath),
    responses((status = 204, description = "It is released."), Always, InTenant))]
pub async fn release_legal_hold(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<HoldPath>,
) -> Result<Gone, Failure> {
    let by = &scope.bearer.sub;
    let at = deps.ids.clock().now();
    let row = deps.tenant(&scope).await?.release_hold(path.hold, by, at).await?;
    deps.changed(scope.tenant, "legal hold", row.id, by);
    Ok(Gone)
}
