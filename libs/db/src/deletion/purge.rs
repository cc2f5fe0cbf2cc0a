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
use std::collections::{BTreeMap, VecDeque};

/// Tables that keep a tenant's rows: who did what, and that it is gone.
pub const KEPT: &[&str] = &["audit_entry", "audit_head", "tenant_deletion"];

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

/// What is left to be emptied.
#[derive(Debug)]
pub struct Purge {
    left: VecDeque<Table>,
    /// The next block of the first one, where it has to be gone through.
    block: i64,
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

impl Table {
    fn is_searched(&self) -> bool {
        self.searched || self.key != "ctid"
    }
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

    /// What there is to be emptied: tables that refer to others before those; the tenant itself comes last.
    pub async fn purge(&self) -> Result<Purge, DbError> {
        let mut tx = self.begin().await?;
        let tables = tables(&mut tx).await?;
        tx.commit().await?;
        Ok(Purge {
            left: children_first(tables).into(),
            block: 0,
        })
    }

    /// Deletes some rows, `at_once` at most where they can be searched, in a transaction of its own. `None`: all tables have been gone
    /// through.
    pub async fn purge_some(&self, purge: &mut Purge, at_once: i64) -> Result<Option<Batch>, DbError> {
        while let Some(table) = purge.left.front() {
            let rows = match table.is_searched() {
                true => self.purge_found(table, at_once).await?,
                false => self.purge_blocks(table, purge.block).await?,
            };
            let batch = rows.map(|rows| Batch {
                table: table.name.clone(),
                rows,
            });
            if batch.is_some() {
                purge.block += BLOCKS;
                return Ok(batch);
            }
            purge.left.pop_front();
            purge.block = 0;
        }
        Ok(None)
    }

    async fn purge_found(&self, table: &Table, at_once: i64) -> Result<Option<u64>, DbError> {
        let Table {
            name, tenant, key, ..
        } = table;
        let sql = format!(
            "DELETE FROM {name} WHERE {tenant} = $1 AND {key} = ANY (ARRAY(SELECT {key} FROM {name} WHERE {tenant} = $1 LIMIT $2))"
        );
        let mut tx = self.begin().await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .bind(at_once)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        Ok(Some(rows).filter(|rows| *rows > 0))
    }

    /// Those in some blocks; `None` behind the last one.
    async fn purge_blocks(&self, table: &Table, from: i64) -> Result<Option<u64>, DbError> {
        let Table { name, tenant, .. } = table;
        let sql = format!(
            "DELETE FROM {name} WHERE {tenant} = $1 AND ctid >= format('(%s,0)', $2::bigint)::tid
               AND ctid < format('(%s,0)', $3::bigint)::tid"
        );
        let mut tx = self.begin().await?;
        let blocks: i64 = sqlx::query_scalar(
            "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint",
        )
        .bind(name)
        .fetch_one(&mut *tx)
        .await?;
        if from >= blocks {
            return Ok(None);
        }
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .bind(from)
            .bind(from + BLOCKS)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        Ok(Some(rows))
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
