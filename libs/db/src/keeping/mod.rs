//! What a tenant keeps and for how long: retention, legal holds, the erasure of a person and the export of what is known of one; and the
//! months that texts stand in.
//!
//! What goes, goes by conversation or by a customer's number, from every table that names either, as the catalogue knows them: a table
//! that is new tomorrow is emptied as well. The policies let rows go that the transaction has named in `removal`, and no others; what is
//! open or under a hold cannot be named there (migration 0156).

mod closing;
mod erasure;
mod export;
mod holds;
mod months;
mod old_deflections;
mod opt_outs;
mod retention;

pub(crate) use closing::ERASURE;
pub use erasure::{Begin, ErasureRow, ErasureState, NewErasure};
pub use export::{ExportedRow, NewExport};
pub(crate) use holds::standing_hold;
pub use holds::{HoldRow, HoldScope, NewHold};
pub use retention::{Kept, RetentionPlan, RetentionProgress};

use crate::{DbError, TenantDb};
use ccm_model::{Id, TenantId};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use uuid::Uuid;

/// Tables that name a conversation and are left to their own end: `provider_message` has neither words nor numbers, is forgotten after 90
/// days, and has no index by conversation; `removal` is what lets the others go.
const LEFT: [&str; 2] = ["provider_message", "removal"];

/// Tables with this column, those that refer to others before those.
const WITH_COLUMN: &str = "
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL ($2)
  AND a.attname = $1
ORDER BY (SELECT count(*) FROM pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f'), 1";

async fn tables_with(
    tx: &mut Transaction<'_, Postgres>,
    column: &'static str,
    but: &[&'static str],
) -> Result<Vec<String>, DbError> {
    let left: Vec<&str> = LEFT.iter().chain(but).copied().collect();
    let tables = sqlx::query_scalar(WITH_COLUMN)
        .bind(column)
        .bind(left)
        .fetch_all(&mut **tx)
        .await?;
    Ok(tables)
}

/// Until the transaction is over, no legal hold of the tenant's is placed: what was looked at stays as it was. Several may do so at once.
pub(crate) async fn keep_holds_away(
    tx: &mut Transaction<'_, Postgres>,
    tenant: TenantId,
) -> Result<(), DbError> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared(hashtextextended('ccm hold ' || $1::text, 0))")
        .bind(tenant.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl TenantDb<'_> {
    async fn keep_holds_away(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), DbError> {
        keep_holds_away(tx, self.tenant).await
    }

    /// Takes conversations away with everything that names them. Returns how many rows went, and how many of them were texts.
    async fn take_away(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        conversations: &[Uuid],
    ) -> Result<(u64, u64), DbError> {
        sqlx::query("INSERT INTO removal (tenant_id, conversation_id) SELECT $1, unnest($2::uuid[])")
            .bind(self.tenant.uuid())
            .bind(conversations)
            .execute(&mut **tx)
            .await?;
        let (mut rows, mut texts) = (0, 0);
        for table in tables_with(tx, "conversation_id", &[]).await? {
            let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND conversation_id = ANY ($2)");
            let gone = self.delete(tx, sql, conversations).await?;
            rows += gone;
            if table == "message" {
                texts = gone;
            }
        }
        let sql = "DELETE FROM conversation WHERE tenant_id = $1 AND id = ANY ($2)".to_owned();
        rows += self.delete(tx, sql, conversations).await?;
        self.nothing_more_goes(tx).await?;
        Ok((rows, texts))
    }

    async fn delete(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        sql: String,
        of: &[Uuid],
    ) -> Result<u64, DbError> {
        let gone = sqlx::query(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .bind(of)
            .execute(&mut **tx)
            .await?;
        Ok(gone.rows_affected())
    }

    async fn nothing_more_goes(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), DbError> {
        sqlx::query("DELETE FROM removal WHERE tenant_id = $1")
            .bind(self.tenant.uuid())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
