//! What the link doctor found, to be read again and passed on.

use crate::{DbError, Operator, TenantDb, storable::storable};
use aws_lc_rs::digest::{SHA256, digest};
use ccm_model::{Id, LinkId, TenantId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// A report that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct DoctorReportRow {
    pub id: Uuid,
    /// `None`: a link that was not saved.
    pub link: Option<LinkId>,
    /// `passed`, `warned` or `failed`.
    pub outcome: String,
    /// As `ccm-doctor` writes it.
    pub report: Value,
    pub made_by: String,
    pub made_at: OffsetDateTime,
    /// Until when its shared address is good; `None`: it is not shared.
    pub shared_until: Option<OffsetDateTime>,
}

macro_rules! columns {
    () => {
        "id, link_id, outcome, report, made_by, made_at, share_until"
    };
}

fn report(row: &PgRow) -> Result<DoctorReportRow, DbError> {
    Ok(DoctorReportRow {
        id: row.try_get("id")?,
        link: row.try_get::<Option<Uuid>, _>("link_id")?.map(LinkId),
        outcome: row.try_get("outcome")?,
        report: row.try_get("report")?,
        made_by: row.try_get("made_by")?,
        made_at: row.try_get("made_at")?,
        shared_until: row.try_get("share_until")?,
    })
}

fn hash(token: &[u8]) -> Vec<u8> {
    digest(&SHA256, token).as_ref().to_vec()
}

impl TenantDb<'_> {
    /// Keeps a report.
    pub async fn put_doctor_report(&self, new: &DoctorReportRow) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO doctor_report (id, tenant_id, link_id, outcome, report, made_by, made_at)
             VALUES ($1, $2, $3, $4, $5, left($6, 300), $7)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(new.link.map(Id::uuid))
        .bind(&new.outcome)
        .bind(&new.report)
        .bind(storable(&new.made_by))
        .bind(new.made_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The tenant's reports, or those of one link, from the newest on, `before` excluded, `limit` at most.
    pub async fn doctor_reports(
        &self,
        link: Option<LinkId>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<DoctorReportRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM doctor_report
             WHERE tenant_id = $1 AND ($2::uuid IS NULL OR link_id = $2) AND id < $3 ORDER BY id DESC LIMIT $4"
        ))
        .bind(self.tenant.uuid())
        .bind(link.map(Id::uuid))
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(report).collect()
    }

    /// One report.
    pub async fn doctor_report(&self, id: Uuid) -> Result<DoctorReportRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM doctor_report WHERE tenant_id = $1 AND id = $2"
        ))
        .bind(self.tenant.uuid())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("report"))?;
        tx.commit().await?;
        report(&row)
    }

    /// Lets whoever has `token` read a report until then. One that was given out before is worth nothing any more.
    pub async fn share_doctor_report(
        &self,
        id: Uuid,
        token: &[u8],
        until: OffsetDateTime,
        by: &str,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let shared = sqlx::query(
            "UPDATE doctor_report SET share_hash = $3, share_until = $4, shared_by = left($5, 300)
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(hash(token))
        .bind(until)
        .bind(storable(by))
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        match shared {
            0 => Err(DbError::NotFound("report")),
            _ => Ok(()),
        }
    }

    /// Takes a report's shared address back. `NotFound` when it has none.
    pub async fn unshare_doctor_report(&self, id: Uuid) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query(
            "UPDATE doctor_report SET share_hash = NULL, share_until = NULL, shared_by = NULL
             WHERE tenant_id = $1 AND id = $2 AND share_hash IS NOT NULL",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        match gone {
            0 => Err(DbError::NotFound("share")),
            _ => Ok(()),
        }
    }
}

impl Operator<'_> {
    /// Which report a shared address leads to: nobody's who opens it is known.
    pub async fn shared_doctor_report(
        &self,
        token: &[u8],
        now: OffsetDateTime,
    ) -> Result<Option<(TenantId, Uuid)>, DbError> {
        let row =
            sqlx::query("SELECT tenant_id, id FROM doctor_report WHERE share_hash = $1 AND share_until > $2")
                .bind(hash(token))
                .bind(now)
                .fetch_optional(self.pool())
                .await?;
        row.map(|row| Ok((TenantId(row.try_get(0)?), row.try_get(1)?)))
            .transpose()
    }
}
