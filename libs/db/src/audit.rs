//! Who changed what: rows that triggers write, each with a hash over the one before it.

use crate::{AccessDb, DbError, Operator, storable::storable};
use ccm_model::{Id, TenantId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
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
    /// What rows are searched by. The hash is not over it.
    by: SearchedBy,
}

#[derive(Debug, Clone)]
struct SearchedBy {
    tenant: Uuid,
    at: OffsetDateTime,
    actor: String,
    kind: String,
    object: Uuid,
}

/// A place in a chain: the row of this number has this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    pub seq: i64,
    pub hash: [u8; 32],
}

impl AuditHead {
    /// Before a chain's first row.
    pub const BEGINS: Self = Self {
        seq: 0,
        hash: AUDIT_BEGINS,
    };
}

impl AuditRow {
    /// What the record says.
    pub fn read(&self) -> Result<Value, DbError> {
        serde_json::from_str(&self.record).map_err(|e| DbError::Corrupt(format!("audit: {e}")))
    }

    /// Where it stands.
    pub fn head(&self) -> AuditHead {
        AuditHead {
            seq: self.seq,
            hash: self.hash,
        }
    }

    /// Whether it is found by what its record says: in a list of what somebody did, of what was done to something, or of a day,
    /// no row is missing and none is too many.
    pub fn is_found_by_its_record(&self) -> bool {
        let Ok(record) = self.read() else { return false };
        let by = &self.by;
        let says = |member: &Value, text: &str| member.as_str() == Some(text);
        let at = record["at"]
            .as_str()
            .map(|at| OffsetDateTime::parse(at, &Rfc3339));
        record["seq"] == self.seq
            && says(&record["tenant"], &by.tenant.to_string())
            && says(&record["actor"]["sub"], &by.actor)
            && says(&record["kind"], &by.kind)
            && says(&record["id"], &by.object.to_string())
            && matches!(at, Some(Ok(at)) if at == by.at)
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

macro_rules! columns {
    () => {
        "tenant_id, seq, record, hash, at, actor, kind, object_id"
    };
}

fn entry(row: &PgRow) -> Result<AuditRow, DbError> {
    let AuditHead { seq, hash } = head(row)?;
    Ok(AuditRow {
        seq,
        hash,
        record: row.try_get("record")?,
        by: SearchedBy {
            tenant: row.try_get("tenant_id")?,
            at: row.try_get("at")?,
            actor: row.try_get("actor")?,
            kind: row.try_get("kind")?,
            object: row.try_get("object_id")?,
        },
    })
}

fn head(row: &PgRow) -> Result<AuditHead, DbError> {
    let hash: &[u8] = row.try_get("hash")?;
    Ok(AuditHead {
        seq: row.try_get("seq")?,
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
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM audit_entry
             WHERE tenant_id = $1 AND seq < $2 AND ($3::text IS NULL OR kind = $3) AND ($4::uuid IS NULL OR object_id = $4)
               AND ($5::text IS NULL OR actor = $5) AND ($6::timestamptz IS NULL OR at >= $6)
               AND ($7::timestamptz IS NULL OR at < $7)
             ORDER BY seq DESC LIMIT $8",
        ))
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
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM audit_entry WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
        ))
        .bind(self.owner.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(entry).collect()
    }
    /// How far the chain has come, as it is written beside it. `None`: nothing has been audited.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT seq, hash FROM audit_head WHERE tenant_id = $1")
            .bind(self.owner.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        row.as_ref().map(head).transpose()
    }
}

impl Operator<'_> {
    /// How far all chains have come that have got an entry since then, `after` excluded, `limit` at most.
    pub async fn audit_heads(
        &self,
        since: OffsetDateTime,
        after: Option<TenantId>,
        limit: i64,
    ) -> Result<Vec<(TenantId, AuditHead)>, DbError> {
        let rows = sqlx::query(
            "SELECT tenant_id, seq, hash FROM audit_head
             WHERE at >= $1 AND ($2::uuid IS NULL OR tenant_id > $2) ORDER BY tenant_id LIMIT $3",
        )
        .bind(since)
        .bind(after.map(Id::uuid))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| Ok((TenantId(row.try_get("tenant_id")?), head(row)?));
        rows.iter().map(read).collect()
    }
}
