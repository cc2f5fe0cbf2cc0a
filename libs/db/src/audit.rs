//! Who changed what: rows that triggers write, each with a hash over the one before it.

use crate::{AccessDb, DbError, storable::storable};
use ccm_model::Id;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// The hash before a chain's first row.
pub const AUDIT_BEGINS: [u8; 32] = [0; 32];

/// One change.
#[derive(Debug, Clone)]
pub struct AuditRow {
    pub seq: i64,
    /// All there is to know, JSON, as it was hashed.
    pub record: String,
    /// SHA-256 of the row before's hash (32 zero bytes before the first) and `record`.
    pub hash: [u8; 32],
}

impl AuditRow {
    /// What the record says.
    pub fn read(&self) -> Result<Value, DbError> {
        serde_json::from_str(&self.record).map_err(|e| DbError::Corrupt(format!("audit: {e}")))
    }

    /// The hash that it must have, coming after one with the hash `before`.
    pub fn expected_hash(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut all = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        all.update(before);
        all.update(self.record.as_bytes());
        let hash = all.finish();
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// Which changes. `None`: all.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    /// What was changed: `link`, `number`, …
    pub kind: Option<&'a str>,
    pub object: Option<Uuid>,
    pub actor: Option<&'a str>,
    pub from: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
}

fn entry(row: &PgRow) -> Result<AuditRow, DbError> {
    let hash: &[u8] = row.try_get("hash")?;
    Ok(AuditRow {
        seq: row.try_get("seq")?,
        record: row.try_get("record")?,
        hash: hash
            .try_into()
            .map_err(|_| DbError::Corrupt("audit: a hash has 32 bytes".to_owned()))?,
    })
}

impl AccessDb<'_> {
    /// The changes before the one numbered `before`, the newest first, `limit` at most.
    pub async fn audit(
        &self,
        filter: AuditFilter<'_>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AuditRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT seq, record, hash FROM audit_entry
             WHERE tenant_id = $1 AND seq < $2 AND ($3::text IS NULL OR kind = $3) AND ($4::uuid IS NULL OR object_id = $4)
               AND ($5::text IS NULL OR actor = $5) AND ($6::timestamptz IS NULL OR at >= $6)
               AND ($7::timestamptz IS NULL OR at < $7)
             ORDER BY seq DESC LIMIT $8",
        )
        .bind(self.owner.uuid())
        .bind(before.unwrap_or(i64::MAX))
        .bind(filter.kind.map(storable))
        .bind(filter.object)
        .bind(filter.actor.map(storable))
        .bind(filter.from)
        .bind(filter.until)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(entry).collect()
    }

    /// The changes after the one numbered `after`, in their order, for whoever checks or exports the chain.
    pub async fn audit_chain(&self, after: i64, limit: i64) -> Result<Vec<AuditRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT seq, record, hash FROM audit_entry WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(self.owner.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(entry).collect()
    }
}
