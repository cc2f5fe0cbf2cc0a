//! A tenant's accounts with SMS providers.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, List, Made, Making, Taking},
    path::TenantPath,
    provider::{self, AccountSecret, AccountSettings},
    schema, valid,
};
use axum::extract::State;
use ccm_db::{AccountRow, DbError, TenantDb};
use ccm_model::{AccountId, ProviderKind};
use ccm_web::{Json, TenantScope, may};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An account to be used. Deliberately without `Debug`: it holds the secret as it came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Twilio main",
    "kind": "twilio",
    "settings": {"account_sid": "AC0123456789abcdef0123456789abcdef"},
    "secret": {"auth_token": "0123456789abcdef0123456789abcdef"}
}))]
pub struct NewAccount {
    /// For people, unique in the tenant.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(schema_with = schema::provider_kind)]
    kind: ProviderKind,
    #[schema(value_type = AccountSettings)]
    settings: Value,
    #[schema(value_type = AccountSecret)]
    secret: Value,
}

/// An account with an SMS provider. Its secret is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[schema(value_type = Uuid)]
    id: AccountId,
    #[schema(example = "Twilio main")]
    name: String,
    #[schema(schema_with = schema::provider_kind)]
    kind: ProviderKind,
    #[schema(value_type = AccountSettings)]
    settings: Value,
    /// What the provider is to call when a text arrives. Set it there, exactly as it stands: Twilio signs it.
    #[schema(example = "https://sms.example.com/v1/sms/twilio/019331f0-7a00-7000-8000-000000000003")]
    webhook_url: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl Account {
    fn read(row: AccountRow, webhook_base: &str) -> Self {
        Self {
            webhook_url: format!("{webhook_base}/v1/sms/{}/{}", row.kind, row.id),
            id: row.id,
            name: row.name,
            kind: row.kind,
            settings: row.settings,
            created_at: row.created_at,
        }
    }
}

/// Make a provider account
///
/// The secret is sealed at rest and no answer shows it. For the roles platform-admin and engineer; tenant-admin in their
/// own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/accounts", tag = "accounts",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Account), Always, InTenant, Making, Taking))]
pub async fn create_account(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewAccount>,
) -> Result<Made<Account>, Failure> {
    valid::name("name", &new.name, 100)?;
    let checked = provider::check(new.kind, new.settings, new.secret)?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewAccount {
        id: deps.ids.next(),
        name: &new.name,
        kind: new.kind,
        settings: &checked.settings,
        secret: checked.secret.expose_secret().as_bytes(),
    };
    let row = match db.create_account(row).await {
        Err(DbError::Conflict { .. }) => return Err(name_taken(&db, &new.name).await?),
        made => made?,
    };
    deps.made(scope.tenant, "account", row.id, &scope.claims.sub);
    Ok(Made(Account::read(row, &deps.webhook_base)))
}

async fn name_taken(db: &TenantDb<'_>, name: &str) -> Result<Failure, DbError> {
    let taken = db
        .accounts()
        .await?
        .into_iter()
        .find(|account| account.name == name);
    Ok(Failure::exists(
        "account",
        "name",
        taken.map(|account| account.id),
    ))
}

/// List the provider accounts, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/accounts", tag = "accounts",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = List<Account>), Always, InTenant))]
pub async fn list_accounts(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Json<List<Account>>, Failure> {
    let rows = deps.tenant(&scope).await?.accounts().await?;
    Ok(List::of(rows, |row| Account::read(row, &deps.webhook_base)))
}
