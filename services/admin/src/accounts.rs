//! A tenant's accounts with SMS providers.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Made, Making, Taking},
    patch::{self, given},
    path::{AccountPath, TenantPath},
    provider::{self, AccountSecret, AccountSettings, Secret},
    query,
    removal::{Asked, RemovalQuery, Removing},
    schema,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    valid::{self, Refused},
};
use axum::{extract::State, response::Response};
use ccm_db::{AccountChange, AccountEventRow, AccountRow, DbError, TenantDb};
use ccm_model::{AccountId, ProviderKind};
use ccm_web::{Cursor, Json, Page, PageQuery, Path, Query, TenantScope, may};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const WHAT: &str = "provider account";

/// An account to be used. Deliberately without `Debug`: it holds the secret as it came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Twilio main",
    "kind": "twilio",
    "settings": {"account_sid": "AC0123456789abcdef0123456789abcdef"},
    "secret": {"auth_token": "0123456789abcdef0123456789abcdef"},
    "rules": {"segments_per_second": 80}
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
    #[serde(default)]
    #[schema(required = false)]
    rules: AccountRules,
}

/// What is to change of an account; what is left out stays. Deliberately without `Debug`: it holds the secret as it came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "settings": {"messaging_service_sid": null},
    "secret": {
        "auth_token": "fedcba9876543210fedcba9876543210",
        "previous_auth_token": "0123456789abcdef0123456789abcdef"
    },
    "rules": {"signature_check": "report"}
}))]
pub struct AccountPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<String>,
    /// Merged: a member that is `null` is taken away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object, required = false)]
    settings: Option<Value>,
    /// Replaces the secret as a whole, since nobody can read the one that is there. Needed when scheme, host or port of
    /// `settings.api_base` or `settings.send_url` change.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = AccountSecret, required = false)]
    secret: Option<Value>,
    /// Merged: a member that is `null` takes its default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = AccountRules, required = false)]
    rules: Option<Value>,
}

/// Which accounts, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccountQuery {
    /// The one of this name.
    name: Option<String>,
    /// Those of this dialect.
    #[param(value_type = Option<String>, example = "twilio")]
    kind: Option<ProviderKind>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// How an account may be used. What is left out takes its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRules {
    /// Segments a second over all of its numbers, as the provider allows. `null`: what its numbers allow.
    #[schema(default = json!(null), minimum = 0.1, maximum = 10000)]
    segments_per_second: Option<f32>,
    #[schema(schema_with = signature_check)]
    signature_check: SignatureCheck,
    /// Scheme, host and port under which this account's provider was told its webhook, without anything behind them, such as
    /// `https://sms.example.com`: what it signs begins so. Never guessed from a request's headers, which anybody can
    /// write: when ingest moves behind another name, say so here until the provider's console has the new one. `null`: as
    /// the platform is configured.
    #[schema(default = json!(null), max_length = 300, example = "https://sms.example.com")]
    webhook_base: Option<String>,
    /// Seconds within which the same words of the same phone to the same number count as one text. For providers that post a
    /// text again under a new id. It also swallows what a customer really wrote twice. 0: never.
    #[schema(default = 0, minimum = 0, maximum = 3600)]
    repeat_window_s: u16,
}

/// What happens to a webhook whose signature does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SignatureCheck {
    #[default]
    Enforce,
    Report,
}

fn signature_check() -> utoipa::openapi::schema::Object {
    utoipa::openapi::ObjectBuilder::from(schema::one_of(
        "What happens to a webhook whose signature does not fit: it is refused with 403 (`enforce`), or taken and counted in \
         `signature_mismatches` (`report`: anybody who knows the address can then write texts; for the days of a move only).",
        ["enforce", "report"].into_iter(),
    ))
    .default(Some("enforce".into()))
    .build()
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
    rules: AccountRules,
    /// What the provider is to call when a text arrives. Set it there, exactly as it stands: Twilio signs it.
    #[schema(example = "https://sms.example.com/v1/sms/twilio/019331f0-7a00-7000-8000-000000000003")]
    webhook_url: String,
    /// Webhooks whose signature did not fit and that were taken all the same (`signature_check` was `report`).
    #[schema(minimum = 0)]
    signature_mismatches: i64,
    /// When the last of them came; `null`: none did.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    signature_mismatch_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// Something that happened to an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountEvent {
    id: Uuid,
    /// `failing`: the provider fails again and again, and numbers with a second account send through that one; `recovered`.
    #[schema(example = "failing")]
    kind: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// The provider's code and what to do. Never a number, never a text.
    #[schema(value_type = Object)]
    detail: Value,
}

impl From<AccountEventRow> for AccountEvent {
    fn from(row: AccountEventRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            at: row.at,
            detail: row.detail,
        }
    }
}

impl From<ccm_db::AccountRules> for AccountRules {
    fn from(rules: ccm_db::AccountRules) -> Self {
        Self {
            segments_per_second: rules.per_second,
            signature_check: match rules.report_signatures {
                true => SignatureCheck::Report,
                false => SignatureCheck::Enforce,
            },
            webhook_base: rules.webhook_base,
            repeat_window_s: rules.repeat_window_s,
        }
    }
}

impl AccountRules {
    fn check(self) -> Result<ccm_db::AccountRules, Refused> {
        if self
            .segments_per_second
            .is_some_and(|r| !(0.1..=10_000.0).contains(&r))
        {
            return Err(Refused::new(
                "rules.segments_per_second",
                "is not a rate from 0.1 to 10000 segments a second",
                "give what the provider allows the account, or null",
            ));
        }
        if let Some(base) = &self.webhook_base {
            valid::origin("rules.webhook_base", base)?;
        }
        if self.repeat_window_s > 3600 {
            return Err(Refused::new(
                "rules.repeat_window_s",
                "is not from 0 to 3600 seconds",
                "leave it out unless the provider posts texts again under new ids",
            ));
        }
        Ok(ccm_db::AccountRules {
            per_second: self.segments_per_second,
            report_signatures: self.signature_check == SignatureCheck::Report,
            webhook_base: self.webhook_base,
            repeat_window_s: self.repeat_window_s,
        })
    }
}

impl Account {
    fn read(row: AccountRow, webhook_base: &str) -> Self {
        let base = row.rules.webhook_base.as_deref().unwrap_or(webhook_base);
        Self {
            webhook_url: format!("{base}/v1/sms/{}/{}", row.kind, row.id),
            id: row.id,
            name: row.name,
            kind: row.kind,
            settings: row.settings,
            rules: row.rules.into(),
            signature_mismatches: row.signature_mismatches,
            signature_mismatch_at: row.signature_mismatch_at,
            created_at: row.created_at,
        }
    }
}

impl AccountPatch {
    /// What the account becomes. The same checks as when one is made. `stored` is its secret as it is, needed where settings
    /// change and no secret is given.
    fn apply(self, was: &AccountRow, stored: Option<SecretString>) -> Result<AccountChange, Refused> {
        let name = self.name.unwrap_or_else(|| was.name.clone());
        valid::name("name", &name, 100)?;
        let secret = self.secret.map(Secret::Given);
        let given = secret.is_some();
        let (settings, secret) = match (self.settings, secret.or(stored.map(Secret::Stored))) {
            (None, None) => (was.settings.clone(), None),
            (patch, secret) => {
                let settings = patch::merge(was.settings.clone(), patch.unwrap_or_else(|| json!({})));
                let secret = secret.unwrap_or(Secret::Given(json!({})));
                provider::check(was.kind, settings, secret)?
            }
        };
        // Else whoever may write settings could have a secret that nobody is shown sent to a server of their own.
        if !given && provider::goes_to(was.kind, &settings) != provider::goes_to(was.kind, &was.settings) {
            return Err(Refused::new(
                "secret",
                "is missing, and the account would send the stored one to another server",
                "give the secret again with the new address",
            ));
        }
        let rules = match self.rules {
            Some(patch) => {
                let rules = json!(AccountRules::from(was.rules.clone()));
                patch::read::<AccountRules>("rules", patch::merge(rules, patch))?.check()?
            }
            None => was.rules.clone(),
        };
        let sealed = |secret: SecretString| secret.expose_secret().as_bytes().to_vec().into();
        Ok(AccountChange {
            name,
            settings,
            secret: secret.map(sealed),
            rules,
        })
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
    let (settings, secret) = provider::check(new.kind, new.settings, Secret::Given(new.secret))?;
    let secret = secret.unwrap_or_default();
    let rules = new.rules.check()?;
    let db = deps.tenant(&scope).await?;
    let row = ccm_db::NewAccount {
        id: deps.ids.next(),
        name: &new.name,
        kind: new.kind,
        settings: &settings,
        secret: secret.expose_secret().as_bytes(),
        rules: &rules,
    };
    let row = match db.create_account(row).await {
        Err(DbError::Conflict { .. }) => return Err(name_taken(&db, &new.name).await?),
        made => made?,
    };
    deps.made(scope.tenant, "account", row.id, &scope.bearer.sub);
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

/// Change a provider account
///
/// A merge patch (RFC 7396) of its name, settings and rules; a secret replaces the one that is there as a whole. The same
/// checks as when one is made. Its kind cannot change. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/accounts/{account}", tag = "accounts",
    params(AccountPath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Account,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_account(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<AccountPath>,
    unless: IfMatch,
    Json(patch): Json<AccountPatch>,
) -> Result<Tagged<Account>, Failure> {
    let db = deps.tenant(&scope).await?;
    let name = patch.name.clone().unwrap_or_default();
    // Looked at, and neither stored anew nor shown.
    let stored = match patch.settings.is_some() && patch.secret.is_none() {
        true => {
            let stored = db.account_secret(path.account).await?;
            Some(String::from_utf8_lossy(&stored.secret).into_owned().into())
        }
        false => None,
    };
    let changed = db
        .change_account(path.account, |was| {
            unless.check(WHAT, &tag(was))?;
            patch.apply(was, stored).map_err(Failure::from)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { .. })) => return Err(name_taken(&db, &name).await?),
        changed => changed?,
    };
    deps.changed(scope.tenant, "account", row.id, &scope.bearer.sub);
    Ok(answer(row, &deps))
}

fn answer(row: AccountRow, deps: &Deps) -> Tagged<Account> {
    let tag = tag(&row);
    with_tag(Account::read(row, &deps.webhook_base), tag)
}

/// Not of what is counted. The moment tells of its secret too.
fn tag(row: &AccountRow) -> String {
    let rules = AccountRules::from(row.rules.clone());
    content_tag(&(
        &row.name,
        &row.settings,
        rules,
        row.updated_at.unix_timestamp_nanos(),
    ))
}

/// Forget a provider account
///
/// With its secret; what happened to it stays among the tenant's events. Its webhook is answered with 404 from now on, so take it
/// out of the provider's console first. Refused as long as numbers need it. For the roles platform-admin and engineer;
/// tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/accounts/{account}", tag = "accounts",
    params(AccountPath, RemovalQuery, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Removing, Always, InTenant, Guarded))]
pub async fn delete_account(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<AccountPath>,
    Query(query): Query<RemovalQuery>,
    unless: IfMatch,
) -> Result<Response, Failure> {
    let asked = Asked {
        what: WHAT,
        dry_run: query.dry_run,
    };
    let db = deps.tenant(&scope).await?;
    let removal = asked.removal(Vec::new());
    let in_the_way = db
        .remove_account(path.account, removal, |was| unless.check(WHAT, &tag(was)))
        .await?;
    asked.answer(in_the_way, || {
        deps.removed(scope.tenant, "account", path.account, &scope.bearer.sub);
    })
}

/// List what happened to a provider account, the newest first
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/accounts/{account}/events", tag = "accounts",
    params(AccountPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<AccountEvent>), Always, InTenant))]
pub async fn list_account_events(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<AccountPath>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AccountEvent>>, Failure> {
    let (limit, before) = (page.limit()?, page.position()?);
    let db = deps.tenant(&scope).await?;
    db.account(path.account).await?;
    let rows = db.account_events(path.account, before, limit as i64 + 1).await?;
    let items = rows.into_iter().map(AccountEvent::from).collect();
    Ok(Json(Page::cut(items, limit, |event: &AccountEvent| event.id)))
}

/// List the provider accounts, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/accounts", tag = "accounts",
    params(TenantPath, AccountQuery),
    responses((status = 200, description = "One page.", body = Page<Account>), Always, InTenant))]
pub async fn list_accounts(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<AccountQuery>,
) -> Result<Json<Page<Account>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let db = deps.tenant(&scope).await?;
    let rows = db.accounts_part(query.kind, query.name.as_deref(), &part).await?;
    let read = |row| Account::read(row, &deps.webhook_base);
    let items = rows.into_iter().map(read).collect();
    Ok(Json(Page::cut(items, limit, |one: &Account| {
        (one.name.clone(), one.id)
    })))
}

/// Read a provider account
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/accounts/{account}", tag = "accounts",
    params(AccountPath),
    responses((status = 200, description = "The account.", body = Account,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_account(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<AccountPath>,
) -> Result<Tagged<Account>, Failure> {
    let row = deps.tenant(&scope).await?.account(path.account).await?;
    Ok(answer(row, &deps))
}
