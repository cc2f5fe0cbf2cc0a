//! How many segments a tenant may send in a day and in a month (UTC). The count is one row, changed in the transaction that begins a text:
//! it is exact over all pods. Tenants without a cap are not counted here.

use crate::{DbError, TenantDb};
use ccm_model::Id;
use serde_json::json;
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::{Date, OffsetDateTime, UtcOffset};

/// What a tenant may send; `None`: as much as it wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    pub daily_segments: Option<i64>,
    pub monthly_segments: Option<i64>,
}

/// A tenant's caps, and what it has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapsRow {
    pub caps: Caps,
    /// Segments of the day and the month at the moment that was asked about.
    pub day_segments: i64,
    pub month_segments: i64,
    pub updated_at: OffsetDateTime,
}

/// Shares of a cap that an operator is told of, in percent.
const TOLD: [i64; 2] = [80, 100];

/// A day of the count is never an earlier one: a pod with a slow clock does not begin yesterday anew.
pub(crate) const TAKE: &str = "
WITH was AS MATERIALIZED (
  SELECT tenant_id, greatest(day, $2) AS day, CASE WHEN day < $2 THEN 0 ELSE day_segments END AS day_segments,
         greatest(month, $3) AS month, CASE WHEN month < $3 THEN 0 ELSE month_segments END AS month_segments
  FROM sms_cap WHERE tenant_id = $1 FOR UPDATE
)
UPDATE sms_cap c
SET day = was.day, day_segments = was.day_segments + $4, day_told = CASE WHEN c.day < was.day THEN 0 ELSE c.day_told END,
    month = was.month, month_segments = was.month_segments + $4, month_told = CASE WHEN c.month < was.month THEN 0 ELSE c.month_told END
FROM was WHERE c.tenant_id = was.tenant_id
  AND ($5 OR (was.day_segments + $4 <= coalesce(c.daily_segments, was.day_segments + $4)
              AND was.month_segments + $4 <= coalesce(c.monthly_segments, was.month_segments + $4)))
RETURNING c.daily_segments, c.day_segments, c.day_told, c.monthly_segments, c.month_segments, c.month_told";

/// Segments of the texts that have begun to leave since a moment.
const BEGUN: &str = "
SELECT coalesce(sum(segments) FILTER (WHERE id >= uuid_v7_floor($2)), 0)::bigint AS day,
       coalesce(sum(segments), 0)::bigint AS month
FROM message WHERE tenant_id = $1 AND direction = 'mt' AND attempts > 0 AND id >= uuid_v7_floor($3)";

/// The day and the first of the month.
fn today(at: OffsetDateTime) -> (Date, Date) {
    let day = at.to_offset(UtcOffset::UTC).date();
    (day, day.replace_day(1).unwrap_or(day))
}

fn caps(row: &PgRow, at: OffsetDateTime) -> Result<CapsRow, DbError> {
    let (day, month) = today(at);
    let count = |of: &str, count: &str, now: Date| -> Result<i64, DbError> {
        Ok(match row.try_get::<Date, _>(of)? < now {
            true => 0,
            false => row.try_get(count)?,
        })
    };
    Ok(CapsRow {
        caps: Caps {
            daily_segments: row.try_get("daily_segments")?,
            monthly_segments: row.try_get("monthly_segments")?,
        },
        day_segments: count("day", "day_segments", day)?,
        month_segments: count("month", "month_segments", month)?,
        updated_at: row.try_get("updated_at")?,
    })
}

macro_rules! columns {
    () => {
        "daily_segments, monthly_segments, day, day_segments, month, month_segments, updated_at"
    };
}

impl TenantDb<'_> {
    /// The tenant's caps; `None`: nobody has ever set any.
    pub async fn caps(&self, at: OffsetDateTime) -> Result<Option<CapsRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM sms_cap WHERE tenant_id = $1"))
            .bind(self.tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        row.map(|row| caps(&row, at)).transpose()
    }

    /// Sets the caps, and counts anew what has been sent in this month. `unless`: as for settings. `None` when somebody else was faster.
    pub async fn put_caps(
        &self,
        new: Caps,
        unless: crate::Unless,
        at: OffsetDateTime,
    ) -> Result<Option<CapsRow>, DbError> {
        let (day, month) = today(at);
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO sms_cap (tenant_id, day, day_segments, month, month_segments, updated_at)
             SELECT $1, $2, 0, $3, 0, '-infinity' WHERE NOT EXISTS (SELECT 1 FROM sms_cap WHERE tenant_id = $1)
             ON CONFLICT DO NOTHING",
        )
        .bind(self.tenant.uuid())
        .bind(day)
        .bind(month)
        .execute(&mut *tx)
        .await?;
        // In a statement of its own: the count sees what those have begun who held the lock before.
        let held: Option<OffsetDateTime> = sqlx::query_scalar(
            "SELECT nullif(updated_at, '-infinity') FROM sms_cap WHERE tenant_id = $1 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .fetch_one(&mut *tx)
        .await?;
        if unless.is_some_and(|of| of != held) {
            return Ok(None);
        }
        let begun = sqlx::query(BEGUN)
            .bind(self.tenant.uuid())
            .bind(day.midnight().assume_utc())
            .bind(month.midnight().assume_utc())
            .fetch_one(&mut *tx)
            .await?;
        let row = sqlx::query(concat!(
            "UPDATE sms_cap SET daily_segments = $2, monthly_segments = $3, day = $4, day_segments = $5, day_told = 0, month = $6,
                                month_segments = $7, month_told = 0, updated_at = clock_timestamp()
             WHERE tenant_id = $1 RETURNING ",
            columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(new.daily_segments)
        .bind(new.monthly_segments)
        .bind(day)
        .bind(begun.try_get::<i64, _>("day")?)
        .bind(month)
        .bind(begun.try_get::<i64, _>("month")?)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        caps(&row, at).map(Some)
    }

    /// Counts a text that begins to leave. Returns whether it may: with it, the caps would not be kept. `exempt` ones always may.
    pub(crate) async fn take_segments(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        segments: u16,
        exempt: bool,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let (day, month) = today(at);
        let row = sqlx::query(TAKE)
            .bind(self.tenant.uuid())
            .bind(day)
            .bind(month)
            .bind(i64::from(segments))
            .bind(exempt)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else { return Ok(false) };
        for period in ["day", "month"] {
            self.tell_of_share(tx, &row, period, at).await?;
        }
        Ok(true)
    }

    async fn tell_of_share(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        row: &PgRow,
        period: &'static str,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let (cap, sent, told) = match period {
            "day" => ("daily_segments", "day_segments", "day_told"),
            _ => ("monthly_segments", "month_segments", "month_told"),
        };
        let Some(cap) = row.try_get::<Option<i64>, _>(cap)? else {
            return Ok(());
        };
        let (sent, told): (i64, i16) = (row.try_get(sent)?, row.try_get(told)?);
        let share = TOLD.into_iter().rev().find(|share| sent * 100 >= cap * share);
        match share {
            Some(share) if share > i64::from(told) => {
                self.cap_event(tx, period, share, sent, cap, at).await
            }
            _ => Ok(()),
        }
    }

    async fn cap_event(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        period: &'static str,
        share: i64,
        sent: i64,
        cap: i64,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let told = match period {
            "day" => "UPDATE sms_cap SET day_told = $2 WHERE tenant_id = $1",
            _ => "UPDATE sms_cap SET month_told = $2 WHERE tenant_id = $1",
        };
        sqlx::query(told)
            .bind(self.tenant.uuid())
            .bind(i16::try_from(share).unwrap_or(i16::MAX))
            .execute(&mut **tx)
            .await?;
        sqlx::query("INSERT INTO tenant_event (id, tenant_id, kind, at, detail) VALUES (uuid_v7($3), $1, $2, $3, $4)")
            .bind(self.tenant.uuid())
            .bind(if share == 100 { "cap_reached" } else { "cap_near" })
            .bind(at)
            .bind(json!({ "period": period, "percent": share, "segments": sent, "cap": cap }))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
