//! A tenant's accounts with SMS providers.

use crate::{
    DbError, InTheWay, Operator, Part, Removal, TenantDb,
    listing::row_of,
    removal::{Removable, referring},
    seal::Place,
};
use ccm_model::{AccountId, Id, ProviderKind, TenantId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A tenant's account with an SMS provider, without its secret.
#[derive(Debug, Clone)]
pub struct AccountRow {
    pub id: AccountId,
    pub tenant: TenantId,
    pub name: String,
    pub kind: ProviderKind,
    /// What the provider's adapter reads: addresses, account names. Never a secret.
    pub settings: Value,
    pub rules: AccountRules,
    /// Requests with a signature that does not fit, where they are only reported, and when the last one came.
    pub signature_mismatches: i64,
    pub signature_mismatch_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    /// Changes with everything that somebody may change, the secret too.
    pub updated_at: OffsetDateTime,
}

/// How an account may be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountRules {
    /// Segments a second over all of its numbers; `None`: what its numbers allow.
    pub per_second: Option<f32>,
    /// Requests whose signature does not fit are taken and counted, not refused.
    pub report_signatures: bool,
    /// Scheme, host and port that its provider was told, without a slash at the end; `None`: the platform's.
    pub webhook_base: Option<String>,
    /// The same words of the same phone within so many seconds are one text; 0: never. Up to 3600.
    pub repeat_window_s: u16,
}

impl AccountRules {
    fn signature_mode(&self) -> &'static str {
        match self.report_signatures {
            true => "report",
            false => "enforce",
        }
    }
}

/// An account with what is needed to speak for it. Deliberately without `Debug`.
pub struct AccountSecret {
    pub account: AccountRow,
    /// The adapter's secrets, JSON.
    pub secret: Zeroizing<Vec<u8>>,
}

pub struct NewAccount<'a> {
    pub id: AccountId,
    /// 1 to 100 characters, unique in the tenant.
    pub name: &'a str,
    pub kind: ProviderKind,
    pub settings: &'a Value,
    /// JSON, sealed at rest.
    pub secret: &'a [u8],
    pub rules: &'a AccountRules,
}

/// What an account is to become. Deliberately without `Debug`.
pub struct AccountChange {
    pub name: String,
    pub settings: Value,
    /// JSON; `None`: as it is.
    pub secret: Option<Zeroizing<Vec<u8>>>,
    pub rules: AccountRules,
}

// Columns are named everywhere: under `*`, a migration that adds one would break the statements that are prepared.
macro_rules! account_columns {
    () => {
        "id, tenant_id, name, kind, settings, per_second, signature_mode, webhook_base, repeat_window_s, \
         signature_mismatches, signature_mismatch_at, created_at, updated_at"
    };
}

const WHAT: &str = "provider account";

const LOCKED: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM provider_account WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

const REMOVABLE: Removable<AccountRow> = Removable {
    what: WHAT,
    locked: LOCKED,
    read: account,
    referring: &[
        (
            "numbers",
            referring!("number WHERE tenant_id = $1 AND $2 IN (account_id, second_account_id)"),
        ),
        (
            "planned moves of numbers",
            referring!(
                "number_move WHERE tenant_id = $1 AND to_account_id = $2 AND to_tenant_id IS NULL AND state = 'pending'"
            ),
        ),
    ],
    deletes: &["DELETE FROM provider_account WHERE tenant_id = $1 AND id = $2"],
};

fn account(row: &PgRow) -> Result<AccountRow, DbError> {
    Ok(AccountRow {
        id: AccountId(row.try_get("id")?),
        tenant: TenantId(row.try_get("tenant_id")?),
        name: row.try_get("name")?,
        kind: row.try_get::<&str, _>("kind")?.parse()?,
        settings: row.try_get("settings")?,
        rules: AccountRules {
            per_second: row.try_get("per_second")?,
            report_signatures: row.try_get::<&str, _>("signature_mode")? == "report",
            webhook_base: row.try_get("webhook_base")?,
            repeat_window_s: u16::try_from(row.try_get::<i32, _>("repeat_window_s")?).unwrap_or(0),
        },
        signature_mismatches: row.try_get("signature_mismatches")?,
        signature_mismatch_at: row.try_get("signature_mismatch_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn account_secret_place(id: AccountId) -> Place<'static> {
    Place {
        table: "provider_account",
        column: "secret_sealed",
        row: id.uuid(),
    }
}

impl TenantDb<'_> {
    /// Makes a provider account; its secret is sealed under the tenant's data key.
    pub async fn create_account(&self, new: NewAccount<'_>) -> Result<AccountRow, DbError> {
        let mut tx = self.begin().await?;
        let sealed = self
            .seal(&mut tx, account_secret_place(new.id), new.secret)
            .await?;
        let row = sqlx::query(concat!(
            "INSERT INTO provider_account (id, tenant_id, name, kind, settings, secret_sealed, per_second,
                                           signature_mode, webhook_base, repeat_window_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ",
            account_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.name)
        .bind(new.kind.as_str())
        .bind(new.settings)
        .bind(sealed)
        .bind(new.rules.per_second)
        .bind(new.rules.signature_mode())
        .bind(new.rules.webhook_base.as_deref())
        .bind(i32::from(new.rules.repeat_window_s))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        account(&row)
    }

    /// Changes an account to what `change` makes of it; nobody else changes it meanwhile. `Conflict` when the name is taken.
    pub async fn change_account<E: From<DbError>>(
        &self,
        id: AccountId,
        change: impl FnOnce(&AccountRow) -> Result<AccountChange, E>,
    ) -> Result<AccountRow, E> {
        let mut tx = self.begin().await?;
        let new = change(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, account).await?)?;
        let sealed = match &new.secret {
            Some(secret) => Some(self.seal(&mut tx, account_secret_place(id), secret).await?),
            None => None,
        };
        let row = sqlx::query(concat!(
            "UPDATE provider_account SET name = $3, settings = $4, secret_sealed = coalesce($5, secret_sealed),
                    per_second = $6, signature_mode = $7, webhook_base = $8, repeat_window_s = $9,
                    updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 RETURNING ",
            account_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(&new.name)
        .bind(&new.settings)
        .bind(sealed)
        .bind(new.rules.per_second)
        .bind(new.rules.signature_mode())
        .bind(new.rules.webhook_base.as_deref())
        .bind(i32::from(new.rules.repeat_window_s))
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(account(&row)?)
    }

    /// The tenant's provider accounts, without secrets, by name.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                account_columns!(),
                " FROM provider_account WHERE tenant_id = $1 ORDER BY name"
            ),
            account,
        )
        .await
    }

    /// A part of the tenant's provider accounts, by name; those of one kind, or all.
    pub async fn accounts_part(
        &self,
        kind: Option<ProviderKind>,
        name: Option<&str>,
        part: &Part,
    ) -> Result<Vec<AccountRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                account_columns!(),
                " FROM provider_account WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
                   AND ($5::text IS NULL OR kind = $5) AND ($6::text IS NULL OR name = $6)
                 ORDER BY name, id LIMIT $4"
            ),
            part,
            |asked| asked.bind(kind.map(ProviderKind::as_str)).bind(name),
            account,
        )
        .await
    }

    /// One of the tenant's provider accounts, without its secret.
    pub async fn account(&self, id: AccountId) -> Result<AccountRow, DbError> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM provider_account WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), WHAT, account).await
    }

    /// Takes an account away, if `allowed` and if nothing is in the way; returns what is. What happened to it stays.
    pub async fn remove_account<E: From<DbError>>(
        &self,
        id: AccountId,
        removal: Removal,
        allowed: impl FnOnce(&AccountRow) -> Result<(), E>,
    ) -> Result<Vec<InTheWay>, E> {
        self.remove(&REMOVABLE, id.uuid(), removal, allowed).await
    }

    /// An account with its secret opened: for the edges that speak to the provider.
    pub async fn account_secret(&self, id: AccountId) -> Result<AccountSecret, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            account_columns!(),
            ", secret_sealed FROM provider_account WHERE tenant_id = $1 AND id = $2"
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound(WHAT))?;
        let sealed: &[u8] = row.try_get("secret_sealed")?;
        let secret = self.unseal(&mut tx, account_secret_place(id), sealed).await?;
        tx.commit().await?;
        Ok(AccountSecret {
            account: account(&row)?,
            secret,
        })
    }

    /// Counts requests whose signature did not fit and that were taken all the same.
    pub async fn signatures_mismatched(
        &self,
        account: AccountId,
        times: i64,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE provider_account SET signature_mismatches = signature_mismatches + $3, signature_mismatch_at = $4
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(account.uuid())
        .bind(times)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Operator<'_> {
    /// Whose account it is: a webhook's address names the account before a tenant is known. Nobody's, once its tenant is being
    /// deleted.
    pub async fn account_owner(&self, id: AccountId) -> Result<Option<TenantId>, DbError> {
        let owner = sqlx::query_scalar(
            "SELECT a.tenant_id FROM provider_account a JOIN tenant t ON t.id = a.tenant_id
             WHERE a.id = $1 AND t.closing_since IS NULL",
        )
        .bind(id.uuid())
        .fetch_optional(self.pool())
        .await?;
        Ok(owner.map(TenantId))
    }
}
