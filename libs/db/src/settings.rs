use crate::{DbError, Operator, TenantDb, seal::Place};
use ccm_model::{AccountId, Address, Id, LinkId, NumberId, NumberKind, ProviderKind, SkillsetId, TenantId};
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

/// A skillset of a tenant's AACC.
#[derive(Debug, Clone)]
pub struct SkillsetRow {
    pub id: SkillsetId,
    pub link: LinkId,
    pub name: String,
    pub created_at: OffsetDateTime,
}

pub struct NewSkillset<'a> {
    pub id: SkillsetId,
    pub link: LinkId,
    /// As AACC spells it, such as `WC_Default_Skillset`.
    pub name: &'a str,
}

/// One of a tenant's SMS numbers.
#[derive(Debug, Clone)]
pub struct NumberRow {
    pub id: NumberId,
    pub address: Address,
    pub account: AccountId,
    /// Sends in place of the first while that one fails.
    pub second_account: Option<AccountId>,
    pub skillset: SkillsetId,
    pub kind: NumberKind,
    /// Segments a second that may leave from it.
    pub per_second: f32,
    pub created_at: OffsetDateTime,
}

pub struct NewNumber<'a> {
    pub id: NumberId,
    pub address: &'a Address,
    pub account: AccountId,
    pub second_account: Option<AccountId>,
    pub skillset: SkillsetId,
    pub kind: NumberKind,
    pub per_second: f32,
}

/// What a number is to become.
#[derive(Debug, Clone)]
pub struct NumberChange {
    pub account: AccountId,
    pub second_account: Option<AccountId>,
    pub skillset: SkillsetId,
    pub kind: NumberKind,
    pub per_second: f32,
}

// Columns are named everywhere: under `*`, a migration that adds one would break the statements that are prepared.
macro_rules! account_columns {
    () => {
        "id, tenant_id, name, kind, settings, per_second, signature_mode, webhook_base, repeat_window_s, \
         signature_mismatches, signature_mismatch_at, created_at"
    };
}
macro_rules! skillset_columns {
    () => {
        "id, link_id, name, created_at"
    };
}
macro_rules! number_columns {
    () => {
        "id, address, account_id, second_account_id, skillset_id, kind, per_second, created_at"
    };
}
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
    })
}

fn skillset(row: &PgRow) -> Result<SkillsetRow, DbError> {
    Ok(SkillsetRow {
        id: SkillsetId(row.try_get("id")?),
        link: LinkId(row.try_get("link_id")?),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

fn number(row: &PgRow) -> Result<NumberRow, DbError> {
    Ok(NumberRow {
        id: NumberId(row.try_get("id")?),
        address: row.try_get::<&str, _>("address")?.parse()?,
        account: AccountId(row.try_get("account_id")?),
        second_account: row.try_get::<Option<_>, _>("second_account_id")?.map(AccountId),
        skillset: SkillsetId(row.try_get("skillset_id")?),
        kind: row.try_get::<&str, _>("kind")?.parse()?,
        per_second: row.try_get("per_second")?,
        created_at: row.try_get("created_at")?,
    })
}

impl TenantDb<'_> {
    pub(crate) async fn list<T>(
        &self,
        sql: &'static str,
        read: fn(&PgRow) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(sql)
            .bind(self.tenant.uuid())
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }

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
        let row = sqlx::query(concat!(
            "SELECT ",
            account_columns!(),
            " FROM provider_account WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await
        .map_err(DbError::from)?
        .ok_or(DbError::NotFound("provider account"))?;
        let new = change(&account(&row)?)?;
        let sealed = match &new.secret {
            Some(secret) => Some(self.seal(&mut tx, account_secret_place(id), secret).await?),
            None => None,
        };
        let row = sqlx::query(concat!(
            "UPDATE provider_account SET name = $3, settings = $4, secret_sealed = coalesce($5, secret_sealed),
                    per_second = $6, signature_mode = $7, webhook_base = $8, repeat_window_s = $9
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
        .ok_or(DbError::NotFound("provider account"))?;
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

    /// Makes a skillset. `Conflict { missing: true }` when the tenant has no such link.
    pub async fn create_skillset(&self, new: NewSkillset<'_>) -> Result<SkillsetRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO skillset (id, tenant_id, link_id, name) VALUES ($1, $2, $3, $4) RETURNING ",
            skillset_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.link.uuid())
        .bind(new.name)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        skillset(&row)
    }

    /// The tenant's skillsets, by name.
    pub async fn skillsets(&self) -> Result<Vec<SkillsetRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                skillset_columns!(),
                " FROM skillset WHERE tenant_id = $1 ORDER BY name"
            ),
            skillset,
        )
        .await
    }

    /// Makes a number. `Conflict { missing: true }` when the tenant has no such account or skillset, `Conflict` on
    /// `number_account_id_address_key` when the account has the address already.
    pub async fn create_number(&self, new: NewNumber<'_>) -> Result<NumberRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second, kind, second_account_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
            number_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.account.uuid())
        .bind(new.skillset.uuid())
        .bind(new.address.as_str())
        .bind(new.per_second)
        .bind(new.kind.as_str())
        .bind(new.second_account.map(Id::uuid))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        number(&row)
    }

    /// Changes a number to what `change` makes of it; nobody else changes it meanwhile. `Conflict` as when one is made.
    pub async fn change_number<E: From<DbError>>(
        &self,
        id: NumberId,
        change: impl FnOnce(&NumberRow) -> Result<NumberChange, E>,
    ) -> Result<NumberRow, E> {
        let mut tx = self.begin().await?;
        // A dispatcher that reserves the number's next moment holds this lock for a moment only.
        let row = sqlx::query(concat!(
            "SELECT ",
            number_columns!(),
            " FROM number WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await
        .map_err(DbError::from)?
        .ok_or(DbError::NotFound("number"))?;
        let new = change(&number(&row)?)?;
        let row = sqlx::query(concat!(
            "UPDATE number SET account_id = $3, second_account_id = $4, skillset_id = $5, kind = $6, per_second = $7
             WHERE tenant_id = $1 AND id = $2 RETURNING ",
            number_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(new.account.uuid())
        .bind(new.second_account.map(Id::uuid))
        .bind(new.skillset.uuid())
        .bind(new.kind.as_str())
        .bind(new.per_second)
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(number(&row)?)
    }

    /// The tenant's numbers, by address.
    pub async fn numbers(&self) -> Result<Vec<NumberRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                number_columns!(),
                " FROM number WHERE tenant_id = $1 ORDER BY address"
            ),
            number,
        )
        .await
    }
}

pub(crate) const FIND_NUMBER: &str = "
SELECT tenant_id, id FROM (
  SELECT tenant_id, id, 1 AS rank FROM number WHERE account_id = $1 AND address = $2
  UNION ALL SELECT tenant_id, id, 2 FROM number WHERE second_account_id = $1 AND address = $2) AS found
ORDER BY rank, id LIMIT 1";

fn account_secret_place(id: AccountId) -> Place<'static> {
    Place {
        table: "provider_account",
        column: "secret_sealed",
        row: id.uuid(),
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

    /// The number that was texted, as its account knows it: its first, or else its second.
    pub async fn find_number(
        &self,
        account: AccountId,
        address: &Address,
    ) -> Result<Option<(TenantId, NumberId)>, DbError> {
        let row = sqlx::query(FIND_NUMBER)
            .bind(account.uuid())
            .bind(address.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.map(|r| Ok((TenantId(r.try_get(0)?), NumberId(r.try_get(1)?))))
            .transpose()
    }
}
