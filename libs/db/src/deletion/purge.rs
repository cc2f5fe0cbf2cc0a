//! What a tenant has, table by table, as the catalogue knows them: a table that is new tomorrow is counted and emptied as well.
//!
//! All of it runs under the tenant's own row-level security. Where services may not delete, the policy `purge_only` lets rows of tenants
//! go that are being purged, and no others (`purge_table` in the migrations).
//!
//! What is not in Postgres has its place here too: media, once there are any, go before the rows that name them.

use crate::{DbError, TenantDb};
use ccm_model::Id;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction};
use std::collections::BTreeMap;

/// Tables that keep a tenant's rows: who did what, and that it is gone.
pub const KEPT: &[&str] = &["audit_entry", "tenant_deletion"];

/// Counting may read whole tables.
const COUNTING: &str = "SET LOCAL statement_timeout = '15min'";

/// Blocks of 8 KiB that one statement looks through in a table that cannot be searched by tenant.
const BLOCKS: i64 = 4096;

/// How many rows of the tenant a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    pub table: String,
    pub rows: i64,
}

/// One statement's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub table: String,
    pub rows: u64,
}

/// A table that has rows of tenants.
#[derive(Debug)]
struct Table {
    /// As SQL writes it.
    name: String,
    /// The column with the tenant's id.
    tenant: &'static str,
    /// What tells one row from another in a statement: its place, or in a partitioned table its primary key.
    key: String,
    /// There is an index that begins with the tenant.
    searched: bool,
    refers_to: Vec<String>,
}

const TABLES: &str = "
SELECT c.oid::regclass::text AS name, c.relname = 'tenant' AS of_tenants, c.relkind = 'p' AS partitioned,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
                 AND i.indkey[0] = t.attnum) AS searched,
       ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
             WHERE i.indrelid = c.oid AND i.indisprimary) AS primary_key,
       ARRAY(SELECT f.confrelid::regclass::text FROM pg_constraint f
             WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid) AS refers_to
FROM pg_class c
JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped
  AND t.attname = CASE c.relname WHEN 'tenant' THEN 'id' ELSE 'tenant_id' END
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> ALL ($1)
ORDER BY 1";

impl TenantDb<'_> {
    /// Rows of the tenant in every table, the tenant itself included.
    pub async fn count_rows(&self) -> Result<Vec<TableRows>, DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(COUNTING).execute(&mut *tx).await?;
        let mut counts = Vec::new();
        for table in tables(&mut tx).await? {
            let rows = self.count(&mut tx, &table).await?;
            counts.push(TableRows {
                table: table.name,
                rows,
            });
        }
        tx.commit().await?;
        counts.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(counts)
    }

    async fn count(&self, tx: &mut Transaction<'_, Postgres>, table: &Table) -> Result<i64, DbError> {
        let sql = format!("SELECT count(*) FROM {} WHERE {} = $1", table.name, table.tenant);
        let rows = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .fetch_one(&mut **tx)
            .await?;
        Ok(rows)
    }

    /// Deletes the tenant's rows, those that refer to others before those, `at_once` a statement and a transaction; the tenant itself
    /// comes last. `told` hears of each batch, and what it returns ends the work early.
    pub async fn purge<E: From<DbError>>(
        &self,
        at_once: i64,
        mut told: impl AsyncFnMut(Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.begin().await?;
        let tables = children_first(tables(&mut tx).await?);
        tx.commit().await.map_err(DbError::from)?;
        for table in &tables {
            match table.searched || table.key != "ctid" {
                true => self.purge_found(table, at_once, &mut told).await?,
                false => self.purge_through(table, &mut told).await?,
            }
        }
        Ok(())
    }

    async fn purge_found<E: From<DbError>>(
        &self,
        table: &Table,
        at_once: i64,
        told: &mut impl AsyncFnMut(Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let Table {
            name, tenant, key, ..
        } = table;
        let sql = format!(
            "DELETE FROM {name} WHERE {tenant} = $1 AND {key} = ANY (ARRAY(SELECT {key} FROM {name} WHERE {tenant} = $1 LIMIT $2))"
        );
        loop {
            let mut tx = self.begin().await?;
            let rows = sqlx::query(AssertSqlSafe(sql.as_str()))
                .bind(self.tenant.uuid())
                .bind(at_once)
                .execute(&mut *tx)
                .await
                .map_err(DbError::from)?
                .rows_affected();
            tx.commit().await.map_err(DbError::from)?;
            if rows == 0 {
                return Ok(());
            }
            told(Batch {
                table: name.clone(),
                rows,
            })
            .await?;
        }
    }

    /// From the first block to the last, some at a time.
    async fn purge_through<E: From<DbError>>(
        &self,
        table: &Table,
        told: &mut impl AsyncFnMut(Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let Table { name, tenant, .. } = table;
        let sql = format!(
            "DELETE FROM {name} WHERE {tenant} = $1 AND ctid >= format('(%s,0)', $2::bigint)::tid
               AND ctid < format('(%s,0)', $3::bigint)::tid"
        );
        let mut from = 0;
        loop {
            let mut tx = self.begin().await?;
            let blocks: i64 = sqlx::query_scalar(
                "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint",
            )
            .bind(name)
            .fetch_one(&mut *tx)
            .await
            .map_err(DbError::from)?;
            if from >= blocks {
                return Ok(());
            }
            let rows = sqlx::query(AssertSqlSafe(sql.as_str()))
                .bind(self.tenant.uuid())
                .bind(from)
                .bind(from + BLOCKS)
                .execute(&mut *tx)
                .await
                .map_err(DbError::from)?
                .rows_affected();
            tx.commit().await.map_err(DbError::from)?;
            from += BLOCKS;
            told(Batch {
                table: name.clone(),
                rows,
            })
            .await?;
        }
    }
}

async fn tables(tx: &mut Transaction<'_, Postgres>) -> Result<Vec<Table>, DbError> {
    let rows = sqlx::query(TABLES).bind(KEPT).fetch_all(&mut **tx).await?;
    rows.iter()
        .map(|row| {
            let name: String = row.try_get("name")?;
            let key = match row.try_get("partitioned")? {
                false => "ctid".to_owned(),
                true => match &row.try_get::<Vec<String>, _>("primary_key")?[..] {
                    [key] => key.clone(),
                    _ => return Err(DbError::Corrupt(format!("{name} has no single key to delete by"))),
                },
            };
            Ok(Table {
                tenant: if row.try_get("of_tenants")? {
                    "id"
                } else {
                    "tenant_id"
                },
                key,
                searched: row.try_get("searched")?,
                refers_to: row.try_get("refers_to")?,
                name,
            })
        })
        .collect()
}

/// Each table before those that it refers to. Tables that refer to each other in a ring come last, as they are.
fn children_first(tables: Vec<Table>) -> Vec<Table> {
    let mut left: BTreeMap<String, Table> = tables.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut ordered = Vec::new();
    loop {
        let free: Vec<String> = left
            .keys()
            .filter(|name| !left.values().any(|other| other.refers_to.contains(name)))
            .cloned()
            .collect();
        if free.is_empty() {
            ordered.extend(left.into_values());
            return ordered;
        }
        ordered.extend(free.iter().filter_map(|name| left.remove(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, refers_to: &[&str]) -> Table {
        Table {
            name: name.to_owned(),
            tenant: "tenant_id",
            key: "ctid".to_owned(),
            searched: true,
            refers_to: refers_to.iter().map(|&to| to.to_owned()).collect(),
        }
    }

    #[test]
    fn who_refers_to_another_goes_first() {
        let ordered = children_first(vec![
            table("account", &["tenant"]),
            table("chat", &["conversation", "tenant"]),
            table("conversation", &["number", "tenant"]),
            table("number", &["account", "tenant"]),
            table("tenant", &[]),
        ]);
        let names: Vec<_> = ordered.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["chat", "conversation", "number", "account", "tenant"]);
        assert_eq!(
            children_first(vec![table("a", &["b"]), table("b", &["a"])]).len(),
            2
        );
    }
}
