//! Who was erased after opting out: a keyed hash is kept, so that nobody texts them all the same.

use crate::{DbError, TenantDb};
use ccm_model::{Address, Id};
use sqlx::{Postgres, Row, Transaction};
use time::OffsetDateTime;

/// What the hashes of erased numbers that opted out are for.
const PURPOSE: &str = "erased_opt_out.number_hash";

impl TenantDb<'_> {
    async fn opted_out_hash(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<[u8; 32], DbError> {
        self.keyed_hash(tx, PURPOSE, customer.as_str().as_bytes()).await
    }

    /// Remembers a customer's opt-outs without the number. Returns how many.
    pub(super) async fn keep_opt_outs(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<u64, DbError> {
        let hash = self.opted_out_hash(tx, customer).await?;
        let kept = sqlx::query(
            "INSERT INTO erased_opt_out (tenant_id, our_address, number_hash, since)
             SELECT tenant_id, our_address, $3, since FROM opt_out WHERE tenant_id = $1 AND customer_address = $2
             ON CONFLICT DO NOTHING",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .bind(&hash[..])
        .execute(&mut **tx)
        .await?;
        Ok(kept.rows_affected())
    }

    /// From which of our addresses an erased customer gets no texts, and since when. A tenant without any pays one look at an index.
    pub(crate) async fn erased_opt_outs(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<Vec<(Address, OffsetDateTime)>, DbError> {
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM erased_opt_out WHERE tenant_id = $1)")
            .bind(self.tenant.uuid())
            .fetch_one(&mut **tx)
            .await?;
        if !any {
            return Ok(Vec::new());
        }
        let hash = self.opted_out_hash(tx, customer).await?;
        let rows = sqlx::query(
            "SELECT our_address, since FROM erased_opt_out WHERE tenant_id = $1 AND number_hash = $2 ORDER BY our_address",
        )
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .fetch_all(&mut **tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get::<&str, _>("our_address")?.parse()?,
                    row.try_get("since")?,
                ))
            })
            .collect()
    }

    /// An erased customer wants texts again.
    pub(crate) async fn forget_erased_opt_out(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        ours: &Address,
        customer: &Address,
    ) -> Result<(), DbError> {
        if self.erased_opt_outs(tx, customer).await?.is_empty() {
            return Ok(());
        }
        let hash = self.opted_out_hash(tx, customer).await?;
        sqlx::query(
            "DELETE FROM erased_opt_out WHERE tenant_id = $1 AND number_hash = $2 AND our_address = $3",
        )
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .bind(ours.as_str())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
