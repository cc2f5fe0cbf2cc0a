//! Reading what a tenant, or the platform, is configured with: all of it, a part of a list, one row.

use crate::{DbError, TenantDb};
use ccm_model::{Id, TenantId};
use sqlx::{
    Postgres, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

/// Which part of a list that is sorted by names (or addresses), then ids.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The last row of the part before; `None`: from the beginning.
    pub after: Option<(String, Uuid)>,
    /// At most so many.
    pub limit: i64,
}

pub(crate) type Asked<'q> = Query<'q, Postgres, PgArguments>;
pub(crate) type Read<T> = fn(&PgRow) -> Result<T, DbError>;

/// The owner's row of this id: `$1` is the owner, `$2` the id; `what` it is, as in "link". With `FOR UPDATE` at the end of `sql`,
/// nobody else changes it until the transaction is over.
pub(crate) async fn row_of<T>(
    tx: &mut Transaction<'_, Postgres>,
    owner: TenantId,
    sql: &'static str,
    id: Uuid,
    what: &'static str,
    read: Read<T>,
) -> Result<T, DbError> {
    let found = sqlx::query(sql)
        .bind(owner.uuid())
        .bind(id)
        .fetch_optional(&mut **tx)
        .await?;
    read(&found.ok_or(DbError::NotFound(what))?)
}

impl TenantDb<'_> {
    /// All rows of a statement about the tenant, `$1`.
    pub(crate) async fn list<T>(&self, sql: &'static str, read: Read<T>) -> Result<Vec<T>, DbError> {
        self.rows(sqlx::query(sql).bind(self.tenant.uuid()), read).await
    }

    /// One part of a list: `$1` is the tenant, `$2` and `$3` the row that it comes after, `$4` its limit, and what follows
    /// is bound by `filter`.
    pub(crate) async fn part<'q, T>(
        &self,
        sql: &'static str,
        part: &'q Part,
        filter: impl FnOnce(Asked<'q>) -> Asked<'q>,
        read: Read<T>,
    ) -> Result<Vec<T>, DbError> {
        let (name, id) = part.after.as_ref().map(|(name, id)| (name, *id)).unzip();
        let asked = sqlx::query(sql)
            .bind(self.tenant.uuid())
            .bind(name)
            .bind(id)
            .bind(part.limit);
        self.rows(filter(asked), read).await
    }

    pub(crate) async fn rows<T>(&self, asked: Asked<'_>, read: Read<T>) -> Result<Vec<T>, DbError> {
        let mut tx = self.begin().await?;
        let rows = asked.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }

    /// As [`row_of`], in a transaction of its own.
    pub(crate) async fn one<T>(
        &self,
        sql: &'static str,
        id: Uuid,
        what: &'static str,
        read: Read<T>,
    ) -> Result<T, DbError> {
        let mut tx = self.begin().await?;
        let found = row_of(&mut tx, self.tenant, sql, id, what, read).await?;
        tx.commit().await?;
        Ok(found)
    }
}
