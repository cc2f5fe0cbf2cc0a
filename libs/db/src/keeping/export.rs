//! Everything that is known of a person, by number: from the tables that an erasure would empty.

use super::{erasure::PURPOSE, tables_with};
use crate::{DbError, TenantDb, storable::storable};
use ccm_model::{Address, ConversationId, Id};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Somebody's wish to have it.
#[derive(Debug, Clone, Copy)]
pub struct NewExport<'a> {
    pub id: Uuid,
    pub customer: &'a Address,
    pub reason: &'a str,
    pub by: &'a str,
    pub at: OffsetDateTime,
}

/// A row as it is stored, without hashes and what is sealed.
#[derive(Debug, Clone)]
pub struct ExportedRow {
    pub table: String,
    pub row: Value,
}

/// Conversations that are read together.
const AT_ONCE: i64 = 20;
/// More rows of one table are not read together.
const MOST: i64 = 50_000;

fn exported(table: &str, row: &PgRow) -> Result<ExportedRow, DbError> {
    let mut value: Value = row.try_get(0)?;
    if let Value::Object(members) = &mut value {
        members
            .retain(|name, _| !name.ends_with("_sealed") && !name.ends_with("_hash") && name != "tenant_id");
    }
    Ok(ExportedRow {
        table: table.to_owned(),
        row: value,
    })
}

impl TenantDb<'_> {
    /// Notes that somebody is given what is known of a person: the audit tells it.
    pub async fn begin_export(&self, new: NewExport<'_>) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let hash = self
            .keyed_hash(&mut tx, PURPOSE, new.customer.as_str().as_bytes())
            .await?;
        sqlx::query(
            "INSERT INTO person_export (id, tenant_id, number_hash, reason, requested_by, requested_at)
             VALUES ($1, $2, $3, $4, left($5, 300), $6)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .bind(storable(new.reason))
        .bind(storable(new.by))
        .bind(new.at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What names the number itself, but for its conversations.
    pub async fn export_by_number(&self, customer: &Address) -> Result<Vec<ExportedRow>, DbError> {
        let mut tx = self.begin().await?;
        let mut rows = Vec::new();
        for table in tables_with(&mut tx, "customer_address", &["conversation"]).await? {
            let sql = format!(
                "SELECT to_jsonb(t) FROM {table} t WHERE tenant_id = $1 AND customer_address = $2 LIMIT {MOST}"
            );
            let found = sqlx::query(AssertSqlSafe(sql))
                .bind(self.tenant.uuid())
                .bind(customer.as_str())
                .fetch_all(&mut *tx)
                .await?;
            for row in &found {
                rows.push(exported(&table, row)?);
            }
        }
        let looked_up = self.looked_up(&mut tx, customer).await?;
        let found =
            sqlx::query("SELECT to_jsonb(t) FROM number_lookup t WHERE tenant_id = $1 AND number_hash = $2")
                .bind(self.tenant.uuid())
                .bind(&looked_up[..])
                .fetch_all(&mut *tx)
                .await?;
        for row in &found {
            rows.push(exported("number_lookup", row)?);
        }
        tx.commit().await?;
        Ok(rows)
    }

    /// Some of the customer's conversations, the oldest first, `after` excluded, with everything that names them, and the last of them.
    /// `None`: there are no more.
    pub async fn export_conversations(
        &self,
        customer: &Address,
        after: Option<ConversationId>,
    ) -> Result<Option<(ConversationId, Vec<ExportedRow>)>, DbError> {
        let mut tx = self.begin().await?;
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM conversation WHERE tenant_id = $1 AND customer_address = $2 AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .bind(after.map_or(Uuid::nil(), Id::uuid))
        .bind(AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
        let Some(last) = ids.last().copied().map(ConversationId) else {
            return Ok(None);
        };
        let mut rows = self.named(&mut tx, "conversation", "id", &ids, "").await?;
        let with_number = tables_with(&mut tx, "customer_address", &[]).await?;
        for table in tables_with(&mut tx, "conversation_id", &[]).await? {
            // Others were told by the number.
            let which = match with_number.contains(&table) {
                true => "AND customer_address IS NULL",
                false => "",
            };
            rows.extend(
                self.named(&mut tx, &table, "conversation_id", &ids, which)
                    .await?,
            );
        }
        tx.commit().await?;
        Ok(Some((last, rows)))
    }

    async fn named(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        table: &str,
        column: &str,
        ids: &[Uuid],
        which: &'static str,
    ) -> Result<Vec<ExportedRow>, DbError> {
        let sql = format!(
            "SELECT to_jsonb(t) FROM {table} t WHERE tenant_id = $1 AND {column} = ANY ($2) {which} ORDER BY {column} LIMIT {MOST}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .bind(ids)
            .fetch_all(&mut **tx)
            .await?;
        rows.iter().map(|row| exported(table, row)).collect()
    }
}
