//! What happened to provider accounts.

use crate::{DbError, TenantDb};
use ccm_model::{AccountId, Id};
use serde_json::Value;
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

/// Something that happened to a provider account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountEventRow {
    pub id: Uuid,
    pub account: AccountId,
    /// `failing`, `recovered`.
    pub kind: String,
    pub at: OffsetDateTime,
    /// The provider's code and the operator's words. Never a number, never a text.
    pub detail: Value,
}

impl TenantDb<'_> {
    /// Writes down that an account fails (`failing`) or works again (`recovered`), if the last one of these two was the other:
    /// several pods see the same, and one of them tells it. What never failed does not recover. Returns whether it was written.
    pub async fn account_turned(&self, event: &AccountEventRow) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        // One after the other, so that the second one sees the first one's row.
        sqlx::query("SELECT 1 FROM provider_account WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE")
            .bind(self.tenant.uuid())
            .bind(event.account.uuid())
            .execute(&mut *tx)
            .await?;
        let written = sqlx::query(
            "INSERT INTO account_event (id, tenant_id, account_id, kind, at, detail)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE $4 <> coalesce((SELECT kind FROM account_event
                                   WHERE tenant_id = $2 AND account_id = $3 AND kind IN ('failing', 'recovered')
                                   ORDER BY id DESC LIMIT 1), 'recovered')
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(event.id)
        .bind(self.tenant.uuid())
        .bind(event.account.uuid())
        .bind(&event.kind)
        .bind(event.at)
        .bind(&event.detail)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(written > 0)
    }

    /// What happened to an account, from the newest on, `before` excluded, `limit` at most.
    pub async fn account_events(
        &self,
        account: AccountId,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<AccountEventRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT id, account_id, kind, at, detail FROM account_event
             WHERE tenant_id = $1 AND account_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        )
        .bind(self.tenant.uuid())
        .bind(account.uuid())
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(AccountEventRow {
                    id: row.try_get("id")?,
                    account: AccountId(row.try_get("account_id")?),
                    kind: row.try_get("kind")?,
                    at: row.try_get("at")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }
}
