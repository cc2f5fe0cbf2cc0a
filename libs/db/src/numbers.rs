//! A tenant's SMS numbers.

use crate::{
    DbError, InTheWay, Operator, Part, Removal, TenantDb,
    listing::{Asked, row_of},
    number_moves::open_on_number,
    removal::referring,
};
use ccm_model::{AccountId, Address, Id, NumberId, NumberKind, SkillsetId, TenantId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// One of a tenant's SMS numbers.
#[derive(Debug, Clone, PartialEq)]
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

/// Which numbers; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct NumberFilter {
    pub address: Option<Address>,
    /// The first account or the second.
    pub account: Option<AccountId>,
    pub skillset: Option<SkillsetId>,
}

macro_rules! number_columns {
    () => {
        "id, address, account_id, second_account_id, skillset_id, kind, per_second, created_at"
    };
}

pub(crate) const FIND_NUMBER: &str = "
SELECT tenant_id, id FROM (
  SELECT tenant_id, id, 1 AS rank FROM number WHERE account_id = $1 AND address = $2 AND released_at IS NULL
  UNION ALL SELECT tenant_id, id, 2 FROM number
            WHERE second_account_id = $1 AND address = $2 AND released_at IS NULL) AS found
ORDER BY rank, id LIMIT 1";

const REFERRING: &[(&str, &str)] = &[
    (
        "open conversations",
        concat!(
            "SELECT count(*), (array_agg(id::text ORDER BY id))[1:5] FROM ",
            open_on_number!()
        ),
    ),
    (
        "conversations with texts on their way to a phone",
        referring!(
            "conversation WHERE tenant_id = $1 AND number_id = $2 AND state <> 'open'
               AND id IN (SELECT conversation_id FROM outbox WHERE tenant_id = $1)"
        ),
    ),
    (
        "planned moves",
        referring!("number_move WHERE tenant_id = $1 AND number_id = $2 AND state = 'pending'"),
    ),
    (
        "texts of which parts are missing",
        "SELECT count(*), (array_agg(provider_message_id ORDER BY provider_message_id))[1:5] FROM inbound_part
         WHERE tenant_id = $1 AND number_id = $2",
    ),
];

/// Under the lock that a new conversation waits for. A dispatcher that reserves the number's next moment holds it for a
/// moment only.
const LOCKED: &str = concat!(
    "SELECT ",
    number_columns!(),
    " FROM number WHERE tenant_id = $1 AND id = $2 AND released_at IS NULL FOR UPDATE"
);

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
    /// Makes a number, or takes one back that was released: it keeps its id then. `Conflict { missing: true }` when the tenant has no such account or skillset, `Conflict` on
    /// `number_account_id_address_key` when the account has the address already.
    pub async fn create_number(&self, new: NewNumber<'_>) -> Result<NumberRow, DbError> {
        let mut tx = self.begin().await?;
        let row = match self.revive(&mut tx, &new).await? {
            Some(row) => row,
            None => {
                let sql = concat!(
                    "INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second, kind, second_account_id)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
                    number_columns!()
                );
                self.bound(sql, new.id, &new).fetch_one(&mut *tx).await?
            }
        };
        tx.commit().await?;
        number(&row)
    }

    /// A number that the tenant had before: it keeps its id, and so its conversations.
    async fn revive(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        new: &NewNumber<'_>,
    ) -> Result<Option<PgRow>, DbError> {
        let was: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM number WHERE tenant_id = $1 AND address = $2 AND released_at IS NOT NULL
             ORDER BY released_at DESC, id LIMIT 1 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(new.address.as_str())
        .fetch_optional(&mut **tx)
        .await?;
        let Some(was) = was else {
            return Ok(None);
        };
        let sql = concat!(
            "UPDATE number SET account_id = $3, skillset_id = $4, address = $5, per_second = $6, kind = $7,
                    second_account_id = $8, released_at = NULL
             WHERE id = $1 AND tenant_id = $2 RETURNING ",
            number_columns!()
        );
        Ok(Some(
            self.bound(sql, NumberId(was), new).fetch_one(&mut **tx).await?,
        ))
    }

    fn bound<'q>(&self, sql: &'static str, id: NumberId, new: &NewNumber<'q>) -> Asked<'q> {
        sqlx::query(sql)
            .bind(id.uuid())
            .bind(self.tenant.uuid())
            .bind(new.account.uuid())
            .bind(new.skillset.uuid())
            .bind(new.address.as_str())
            .bind(new.per_second)
            .bind(new.kind.as_str())
            .bind(new.second_account.map(Id::uuid))
    }

    /// Changes a number to what `change` makes of it; nobody else changes it meanwhile. `Conflict` as when one is made.
    pub async fn change_number<E: From<DbError>>(
        &self,
        id: NumberId,
        change: impl FnOnce(&NumberRow) -> Result<NumberChange, E>,
    ) -> Result<NumberRow, E> {
        let mut tx = self.begin().await?;
        let new = change(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), "number", number).await?)?;
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
                " FROM number WHERE tenant_id = $1 AND released_at IS NULL ORDER BY address"
            ),
            number,
        )
        .await
    }

    /// A part of the tenant's numbers, by address.
    pub async fn numbers_part(&self, filter: &NumberFilter, part: &Part) -> Result<Vec<NumberRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                number_columns!(),
                " FROM number WHERE tenant_id = $1 AND released_at IS NULL
                   AND ($2::text IS NULL OR (address, id) > ($2, $3)) AND ($5::text IS NULL OR address = $5)
                   AND ($6::uuid IS NULL OR $6 IN (account_id, second_account_id))
                   AND ($7::uuid IS NULL OR skillset_id = $7)
                 ORDER BY address, id LIMIT $4"
            ),
            part,
            |asked| {
                asked
                    .bind(filter.address.as_ref().map(Address::as_str))
                    .bind(filter.account.map(Id::uuid))
                    .bind(filter.skillset.map(Id::uuid))
            },
            number,
        )
        .await
    }

    /// One of the tenant's numbers.
    pub async fn number(&self, id: NumberId) -> Result<NumberRow, DbError> {
        let sql = concat!(
            "SELECT ",
            number_columns!(),
            " FROM number WHERE tenant_id = $1 AND id = $2 AND released_at IS NULL"
        );
        self.one(sql, id.uuid(), "number", number).await
    }

    /// Takes a number away, if `allowed` and if nothing is in the way; returns what is. Its conversations stay, and so does
    /// its row, which nothing finds but they.
    pub async fn release_number<E: From<DbError>>(
        &self,
        id: NumberId,
        mut removal: Removal,
        allowed: impl FnOnce(&NumberRow) -> Result<(), E>,
        at: OffsetDateTime,
    ) -> Result<Vec<InTheWay>, E> {
        let mut tx = self.begin().await?;
        removal.begin(&mut tx, self).await?;
        allowed(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), "number", number).await?)?;
        removal.look(&mut tx, self, id.uuid(), REFERRING).await?;
        if removal.goes() {
            sqlx::query(
                "UPDATE number SET released_at = $3, account_id = NULL, second_account_id = NULL, skillset_id = NULL
                 WHERE tenant_id = $1 AND id = $2",
            )
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .bind(at)
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
        }
        tx.commit().await.map_err(DbError::from)?;
        Ok(removal.in_the_way)
    }

    /// Nothing leaves any more from a number that was released: its account and its skillset are not kept by it from now on.
    /// Returns whether it came to that.
    pub async fn finish_release(&self, id: NumberId) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let mut under_way = Removal::default();
        under_way.look(&mut tx, self, id.uuid(), REFERRING).await?;
        if !under_way.goes() {
            return Ok(false);
        }
        let done = sqlx::query(
            "UPDATE number SET account_id = NULL, second_account_id = NULL, skillset_id = NULL
             WHERE tenant_id = $1 AND id = $2 AND released_at IS NOT NULL",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

impl Operator<'_> {
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
