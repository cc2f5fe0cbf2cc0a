//! Deflections are kept for 90 days, and longer under a legal hold.

use crate::{DbError, Operator, TenantDb};
use ccm_model::{Id, TenantId};
use uuid::Uuid;

/// Rows that go with one transaction.
const AT_ONCE: i64 = 500;

/// A hold on a conversation keeps all of its customer's.
const DUE: &str = "
SELECT d.id FROM deflection d
WHERE d.tenant_id = $1 AND d.asked_at < now() - interval '90 days'
  AND NOT EXISTS (
    SELECT FROM legal_hold h LEFT JOIN conversation c ON c.tenant_id = h.tenant_id AND c.id = h.conversation_id
    WHERE h.tenant_id = $1 AND h.released_at IS NULL
      AND (h.scope = 'tenant' OR h.conversation_id = d.conversation_id OR h.customer_address = d.customer_address
           OR c.customer_address = d.customer_address))
ORDER BY d.asked_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED";

impl Operator<'_> {
    /// Forgets some of the old ones of each tenant. Returns how many rows, and whether there may be more.
    pub(crate) async fn forget_deflections(&self) -> Result<(u64, bool), DbError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT tenant_id FROM deflection WHERE asked_at < now() - interval '90 days'",
        )
        .fetch_all(self.pool())
        .await?;
        let (mut all, mut more) = (0, false);
        for tenant in tenants {
            let gone = self.db.tenant(TenantId(tenant)).forget_deflections().await?;
            all += gone;
            more |= gone as i64 == AT_ONCE;
        }
        Ok((all, more))
    }
}

impl TenantDb<'_> {
    async fn forget_deflections(&self) -> Result<u64, DbError> {
        let mut tx = self.begin().await?;
        self.keep_holds_away(&mut tx).await?;
        let ids: Vec<Uuid> = sqlx::query_scalar(DUE)
            .bind(self.tenant.uuid())
            .bind(AT_ONCE)
            .fetch_all(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO removal (tenant_id, deflection_id) SELECT $1, unnest($2::uuid[])")
            .bind(self.tenant.uuid())
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
        let sql = "DELETE FROM deflection WHERE tenant_id = $1 AND id = ANY ($2)".to_owned();
        let gone = self.delete(&mut tx, sql, &ids).await?;
        self.nothing_more_goes(&mut tx).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
