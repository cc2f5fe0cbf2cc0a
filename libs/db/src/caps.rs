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

/// The share of a cap that an operator is to be told of, in percent. `refused`: segments that did not fit.
fn share(sent: i64, refused: i64, cap: i64) -> i16 {
    match sent {
        _ if sent >= cap || sent + refused > cap => 100,
        _ if sent * 100 >= cap * 80 => 80,
        _ => 0,
    }
}

/// A day of the count is never an earlier one: a pod with a slow clock does not begin yesterday anew.
pub(crate) const TAKE: &str = "
UPDATE sms_cap
SET day = greatest(day, $2), day_segments = CASE WHEN day < $2 THEN 0 ELSE day_segments END + $4,
    day_told = CASE WHEN day < $2 THEN 0 ELSE day_told END,
    month = greatest(month, $3), month_segments = CASE WHEN month < $3 THEN 0 ELSE month_segments END + $4,
    month_told = CASE WHEN month < $3 THEN 0 ELSE month_told END
WHERE tenant_id = $1
  AND ($5 OR ((daily_segments IS NULL OR CASE WHEN day < $2 THEN 0 ELSE day_segments END + $4 <= daily_segments)
              AND (monthly_segments IS NULL OR CASE WHEN month < $3 THEN 0 ELSE month_segments END + $4 <= monthly_segments)))
RETURNING daily_segments, day_segments, day_told, monthly_segments, month_segments, month_told";

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
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sms_cap WHERE tenant_id = $1"
        ))
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
        let Some(row) = self.take(tx, segments, exempt, at).await? else {
            return Ok(false);
        };
        self.tell_of_shares(tx, &row, 0, at).await?;
        Ok(true)
    }

    /// Tells of a cap that a text of so many segments did not fit under, once.
    pub(crate) async fn cap_refused(&self, segments: u16, at: OffsetDateTime) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        if let Some(row) = self.take(&mut tx, 0, true, at).await? {
            self.tell_of_shares(&mut tx, &row, i64::from(segments), at)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn take(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        segments: u16,
        exempt: bool,
        at: OffsetDateTime,
    ) -> Result<Option<PgRow>, DbError> {
        let (day, month) = today(at);
        let row = sqlx::query(TAKE)
            .bind(self.tenant.uuid())
            .bind(day)
            .bind(month)
            .bind(i64::from(segments))
            .bind(exempt)
            .fetch_optional(&mut **tx)
            .await?;
        Ok(row)
    }

    async fn tell_of_shares(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        row: &PgRow,
        refused: i64,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        for (period, cap, sent, told) in [
            ("day", "daily_segments", "day_segments", "day_told"),
            ("month", "monthly_segments", "month_segments", "month_told"),
        ] {
            let Some(cap) = row.try_get::<Option<i64>, _>(cap)? else {
                continue;
            };
            let (sent, told): (i64, i16) = (row.try_get(sent)?, row.try_get(told)?);
            let share = share(sent, refused, cap);
            if share > told {
                self.cap_event(tx, period, share, sent, cap, at).await?;
            }
        }
        Ok(())
    }

    async fn cap_event(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        period: &'static str,
        share: i16,
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
            .bind(share)
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO tenant_event (id, tenant_id, kind, at, detail) VALUES (uuid_v7($3), $1, $2, $3, $4)",
        )
        .bind(self.tenant.uuid())
        .bind(if share == 100 { "cap_reached" } else { "cap_near" })
        .bind(at)
        .bind(json!({ "period": period, "percent": share, "segments": sent, "cap": cap }))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
