//! What tenants use, by day: counted from the texts and chats themselves, over all tenants in one reading, so that carrying a text costs
//! nothing more.

use crate::{DbError, Operator, TenantDb};
use ccm_model::{Id, TenantId};
use sqlx::{Row, postgres::PgRow};
use time::{Date, OffsetDateTime};

/// What a tenant used on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    pub tenant: TenantId,
    pub day: Date,
    /// Texts of customers, and the segments that providers say they came in; a text of which none says it counts as one.
    pub mo_texts: i64,
    pub mo_segments: i64,
    /// Texts to phones that a provider took.
    pub mt_texts: i64,
    pub mt_segments: i64,
    /// … that none took.
    pub mt_failed: i64,
    pub chats_opened: i64,
    /// How many chats were open at the same time, at most.
    pub peak_chats: i64,
    /// Callers who took a chat instead of waiting.
    pub deflections: i64,
}

/// A tenant's usage on one day, among those of all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUsageRow {
    pub slug: String,
    pub name: String,
    pub usage: UsageRow,
}

impl UsageRow {
    /// A day without any.
    pub fn nothing(tenant: TenantId, day: Date) -> Self {
        Self {
            tenant,
            day,
            mo_texts: 0,
            mo_segments: 0,
            mt_texts: 0,
            mt_segments: 0,
            mt_failed: 0,
            chats_opened: 0,
            peak_chats: 0,
            deflections: 0,
        }
    }

    /// Together with another day's: the highest peak, and of all else the sum.
    pub fn add(&mut self, other: &Self) {
        self.mo_texts += other.mo_texts;
        self.mo_segments += other.mo_segments;
        self.mt_texts += other.mt_texts;
        self.mt_segments += other.mt_segments;
        self.mt_failed += other.mt_failed;
        self.chats_opened += other.chats_opened;
        self.peak_chats = self.peak_chats.max(other.peak_chats);
        self.deflections += other.deflections;
    }
}

macro_rules! columns {
    () => {
        "u.tenant_id, u.day, u.mo_texts, u.mo_segments, u.mt_texts, u.mt_segments, u.mt_failed, u.chats_opened, u.peak_chats,
         u.deflections"
    };
}

fn usage(row: &PgRow) -> Result<UsageRow, DbError> {
    Ok(UsageRow {
        tenant: TenantId(row.try_get("tenant_id")?),
        day: row.try_get("day")?,
        mo_texts: row.try_get("mo_texts")?,
        mo_segments: row.try_get("mo_segments")?,
        mt_texts: row.try_get("mt_texts")?,
        mt_segments: row.try_get("mt_segments")?,
        mt_failed: row.try_get("mt_failed")?,
        chats_opened: row.try_get("chats_opened")?,
        peak_chats: row.try_get("peak_chats")?,
        deflections: row.try_get("deflections")?,
    })
}

/// Days that want counting: those of the last month that were never counted, or not since they can have changed. Receipts change what
/// became of a text for some days.
const DUE: &str = "
WITH days AS (
  SELECT ($1::timestamptz AT TIME ZONE 'UTC')::date - ago AS day FROM generate_series(0, 35) AS ago
)
SELECT d.day FROM days d LEFT JOIN usage_count c ON c.day = d.day
WHERE c.day IS NULL
   OR (c.counted_at < (d.day + 4)::timestamp AT TIME ZONE 'UTC'
       AND c.counted_at <= $1 - CASE WHEN c.counted_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
                                     THEN make_interval(secs => $2) ELSE interval '6 hours' END)
ORDER BY d.day DESC";

/// Chats are looked for from a week before the day on, by the time in their ids; those that are open still are found whenever they were
/// opened. A peak that was seen once stays.
const COUNT: &str = "
WITH bounds AS MATERIALIZED (
  SELECT $1::date::timestamp AT TIME ZONE 'UTC' AS begins, ($1::date + 1)::timestamp AT TIME ZONE 'UTC' AS ends
), texts AS (
  SELECT m.tenant_id,
         count(*) FILTER (WHERE m.origin = 'customer') AS mo_texts,
         coalesce(sum(coalesce(m.segments, 1)) FILTER (WHERE m.origin = 'customer'), 0) AS mo_segments,
         count(*) FILTER (WHERE m.direction = 'mt' AND m.state IN ('sent', 'delivered', 'undeliverable', 'expired', 'unknown')) AS mt_texts,
         coalesce(sum(coalesce(m.segments, 1)) FILTER (WHERE m.direction = 'mt'
           AND m.state IN ('sent', 'delivered', 'undeliverable', 'expired', 'unknown')), 0) AS mt_segments,
         count(*) FILTER (WHERE m.direction = 'mt' AND m.state = 'failed') AS mt_failed
  FROM message m
  WHERE m.id >= uuid_v7_floor((SELECT begins FROM bounds)) AND m.id < uuid_v7_floor((SELECT ends FROM bounds))
  GROUP BY m.tenant_id
), span AS MATERIALIZED (
  SELECT c.tenant_id, c.opened_at, c.closed_at FROM chat c, bounds
  WHERE c.id >= uuid_v7_floor(bounds.begins - interval '7 days') AND c.id < uuid_v7_floor(bounds.ends)
    AND (c.closed_at IS NULL OR c.closed_at > bounds.begins)
  UNION ALL
  SELECT c.tenant_id, c.opened_at, c.closed_at FROM chat c, bounds
  WHERE c.state <> 'closed' AND c.id < uuid_v7_floor(bounds.begins - interval '7 days')
), step AS (
  SELECT tenant_id, greatest(opened_at, begins) AS at, 1 AS by FROM span, bounds
  UNION ALL
  SELECT tenant_id, closed_at, -1 FROM span, bounds WHERE closed_at < ends
), level AS (
  SELECT tenant_id, sum(by) OVER (PARTITION BY tenant_id ORDER BY at, by ROWS UNBOUNDED PRECEDING) AS open FROM step
), peak AS (
  SELECT tenant_id, max(open) AS peak_chats FROM level GROUP BY tenant_id
), deflected AS (
  SELECT d.tenant_id, count(*) AS deflections FROM deflection d
  WHERE d.id >= uuid_v7_floor((SELECT begins FROM bounds)) AND d.id < uuid_v7_floor((SELECT ends FROM bounds))
    AND d.answered_at IS NOT NULL
  GROUP BY d.tenant_id
), opened AS (
  SELECT tenant_id, count(*) AS chats_opened FROM span, bounds WHERE opened_at >= begins AND opened_at < ends GROUP BY tenant_id
)
INSERT INTO usage_day AS u (tenant_id, day, mo_texts, mo_segments, mt_texts, mt_segments, mt_failed, chats_opened, peak_chats,
                            deflections)
SELECT t.id, $1, coalesce(mo_texts, 0), coalesce(mo_segments, 0), coalesce(mt_texts, 0), coalesce(mt_segments, 0),
       coalesce(mt_failed, 0), coalesce(chats_opened, 0), coalesce(peak_chats, 0), coalesce(deflected.deflections, 0)
FROM tenant t
LEFT JOIN texts ON texts.tenant_id = t.id LEFT JOIN peak ON peak.tenant_id = t.id LEFT JOIN opened ON opened.tenant_id = t.id
LEFT JOIN deflected ON deflected.tenant_id = t.id
WHERE (texts.tenant_id IS NOT NULL OR peak.tenant_id IS NOT NULL OR opened.tenant_id IS NOT NULL OR deflected.tenant_id IS NOT NULL)
  AND NOT EXISTS (SELECT FROM tenant_deletion d WHERE d.tenant_id = t.id AND d.state = 'purging')
ON CONFLICT (tenant_id, day) DO UPDATE
  SET mo_texts = excluded.mo_texts, mo_segments = excluded.mo_segments, mt_texts = excluded.mt_texts,
      mt_segments = excluded.mt_segments, mt_failed = excluded.mt_failed, chats_opened = excluded.chats_opened,
      peak_chats = greatest(u.peak_chats, excluded.peak_chats), deflections = excluded.deflections";

impl Operator<'_> {
    /// Days whose usage wants counting now, the newest first; the current day each `every`.
    pub async fn usage_due(
        &self,
        now: OffsetDateTime,
        every: std::time::Duration,
    ) -> Result<Vec<Date>, DbError> {
        let days = sqlx::query_scalar(DUE)
            .bind(now)
            .bind(every.as_secs_f64())
            .fetch_all(self.pool())
            .await?;
        Ok(days)
    }

    /// Counts a day, of all tenants. Returns whether it did: it does not while somebody else is counting that day.
    pub async fn count_usage(&self, day: Date, now: OffsetDateTime) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        // A day's reading is long, and meets no time limit that is meant for texts.
        sqlx::query("SET LOCAL statement_timeout = '10min'")
            .execute(&mut *tx)
            .await?;
        let ours: bool = sqlx::query_scalar(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('ccm usage', $1::date - '2000-01-01'::date))",
        )
        .bind(day)
        .fetch_one(&mut *tx)
        .await?;
        if !ours {
            return Ok(false);
        }
        sqlx::query(COUNT).bind(day).execute(&mut *tx).await?;
        sqlx::query(
            "INSERT INTO usage_count (day, counted_at) VALUES ($1, $2) ON CONFLICT (day) DO UPDATE SET counted_at = excluded.counted_at",
        )
        .bind(day)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What tenants used on a day, by tenant, after one, `limit` at most; those that used nothing are left out. With it when that was counted.
    pub async fn usage_of_all(
        &self,
        day: Date,
        after: Option<TenantId>,
        limit: i64,
    ) -> Result<(Vec<TenantUsageRow>, Option<OffsetDateTime>), DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            ", t.slug, t.name FROM usage_day u JOIN tenant t ON t.id = u.tenant_id
             WHERE u.day = $1 AND u.tenant_id > $2 ORDER BY u.tenant_id LIMIT $3"
        ))
        .bind(day)
        .bind(after.map_or(uuid::Uuid::nil(), Id::uuid))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        let counted = sqlx::query_scalar("SELECT counted_at FROM usage_count WHERE day = $1")
            .bind(day)
            .fetch_optional(self.pool())
            .await?;
        let rows = rows.iter().map(|row| {
            Ok(TenantUsageRow {
                slug: row.try_get("slug")?,
                name: row.try_get("name")?,
                usage: usage(row)?,
            })
        });
        Ok((rows.collect::<Result<_, DbError>>()?, counted))
    }
}

impl TenantDb<'_> {
    /// What the tenant used from one day to another, both included, by day; days on which it used nothing are left out. With it when the
    /// last day was counted.
    pub async fn usage(
        &self,
        from: Date,
        to: Date,
    ) -> Result<(Vec<UsageRow>, Option<OffsetDateTime>), DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM usage_day u WHERE u.tenant_id = $1 AND u.day BETWEEN $2 AND $3 ORDER BY u.day"
        ))
        .bind(self.tenant.uuid())
        .bind(from)
        .bind(to)
        .fetch_all(&mut *tx)
        .await?;
        let counted = sqlx::query_scalar("SELECT counted_at FROM usage_count WHERE day = $1")
            .bind(to)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((rows.iter().map(usage).collect::<Result<_, _>>()?, counted))
    }
}
