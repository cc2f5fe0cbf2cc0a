//! A tenant's texts, chats and deflections by time, for charts.
//!
//! No index finds texts by tenant and time. They are found by their conversations: those that were opened within 31 days before the
//! time in question, by the time in their ids, and those that are open still.

use crate::{DbError, TenantDb, search::too_broad};
use ccm_model::Id;
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use time::OffsetDateTime;

/// Longer no statement runs.
const LIMIT: &str = "SET LOCAL statement_timeout = '5s'";

/// From when to when, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: OffsetDateTime,
    /// Not included.
    pub to: OffsetDateTime,
    pub step: Duration,
}

/// What happened in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketRow {
    /// Texts of customers.
    pub texts_in: i64,
    pub segments_in: i64,
    /// Texts to customers, whatever became of them.
    pub texts_out: i64,
    pub segments_out: i64,
    /// From the moment that a text was stored to the agent's AACC's acknowledgement, of texts of this step that have it.
    pub to_agent_p50_ms: Option<i64>,
    pub to_agent_p95_ms: Option<i64>,
    /// How many chats were open at the same time, at most.
    pub peak_chats: i64,
    pub deflections_offered: i64,
    pub deflections_accepted: i64,
}

/// How many texts of a step failed for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    /// Which step, from 0 on.
    pub bucket: usize,
    /// CCM's or the provider's code; the text's state where there is none.
    pub reason: String,
    pub count: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// One for each step.
    pub buckets: Vec<BucketRow>,
    pub failures: Vec<FailureRow>,
}

/// What a rule or a keyword has answered came to no agent: it was never handed over.
/// Texts are read conversation by conversation (`OFFSET 0`), however many there are: never all of a month. A text's id is made within
/// moments of its time.
pub(crate) const TEXTS: &str = "
WITH texts AS MATERIALIZED (
  SELECT floor(extract(epoch FROM m.created_at - $2::timestamptz) / $4::float8)::integer AS bucket, m.direction, m.origin, m.state, m.error_code,
         coalesce(m.segments, 1) AS segments,
         CASE WHEN m.origin = 'customer' AND m.state = 'delivered' AND m.attempts > 0
              THEN (extract(epoch FROM m.updated_at - m.created_at) * 1000)::bigint END AS to_agent
  FROM (
    SELECT c.id FROM conversation c
    WHERE c.tenant_id = $1 AND c.id >= uuid_v7_floor($2::timestamptz - interval '31 days') AND c.id < uuid_v7_floor($3::timestamptz + interval '1 hour')
      AND c.last_activity_at >= $2::timestamptz - interval '1 hour'
    UNION ALL
    SELECT c.id FROM conversation c
    WHERE c.tenant_id = $1 AND c.state = 'open' AND c.id < uuid_v7_floor($2::timestamptz - interval '31 days')) AS c
  CROSS JOIN LATERAL (
    SELECT m.direction, m.origin, m.state, m.error_code, m.segments, m.attempts, m.created_at, m.updated_at FROM message m
    WHERE m.tenant_id = $1 AND m.conversation_id = c.id AND m.created_at >= $2::timestamptz AND m.created_at < $3::timestamptz
      AND m.id >= uuid_v7_floor($2::timestamptz - interval '1 hour') AND m.id < uuid_v7_floor($3::timestamptz + interval '1 hour') OFFSET 0) AS m
)
SELECT bucket, NULL AS reason, count(*) FILTER (WHERE origin = 'customer') AS texts_in,
       coalesce(sum(segments) FILTER (WHERE origin = 'customer'), 0)::bigint AS segments_in,
       count(*) FILTER (WHERE direction = 'mt') AS texts_out,
       coalesce(sum(segments) FILTER (WHERE direction = 'mt'), 0)::bigint AS segments_out,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY to_agent) AS p50, percentile_disc(0.95) WITHIN GROUP (ORDER BY to_agent) AS p95
FROM texts GROUP BY bucket
UNION ALL
SELECT bucket, coalesce(error_code, state), count(*), 0, 0, 0, NULL, NULL
FROM texts WHERE state IN ('failed', 'undeliverable', 'expired', 'refused') GROUP BY bucket, coalesce(error_code, state)";

/// Chats as for usage: from a week before on, and those that are open. What goes ends before what comes at the same moment.
pub(crate) const CHATS: &str = "
WITH span AS MATERIALIZED (
  SELECT c.opened_at, c.closed_at FROM chat c
  WHERE c.tenant_id = $1 AND c.id >= uuid_v7_floor($2::timestamptz - interval '7 days') AND c.id < uuid_v7_floor($3::timestamptz)
    AND (c.closed_at IS NULL OR c.closed_at > $2::timestamptz)
  UNION ALL
  SELECT c.opened_at, c.closed_at FROM chat c
  WHERE c.tenant_id = $1 AND c.state <> 'closed' AND c.id < uuid_v7_floor($2::timestamptz - interval '7 days')
), step AS (
  SELECT greatest(opened_at, $2::timestamptz) AS at, 1 AS by FROM span WHERE opened_at < $3::timestamptz
  UNION ALL
  SELECT closed_at, -1 FROM span WHERE closed_at < $3::timestamptz
  UNION ALL
  SELECT $2::timestamptz + make_interval(secs => n * $4::float8), 0
  FROM generate_series(0, (extract(epoch FROM $3::timestamptz - $2::timestamptz) / $4::float8)::integer - 1) AS n
), level AS (
  SELECT at, sum(by) OVER (ORDER BY at, by ROWS UNBOUNDED PRECEDING) AS open FROM step
)
SELECT floor(extract(epoch FROM at - $2::timestamptz) / $4::float8)::integer AS bucket, max(open)::bigint AS peak FROM level GROUP BY bucket";

pub(crate) const DEFLECTIONS: &str = "
SELECT floor(extract(epoch FROM asked_at - $2::timestamptz) / $4::float8)::integer AS bucket, count(*) FILTER (WHERE state <> 'refused') AS offered,
       count(answered_at) AS accepted
FROM deflection WHERE tenant_id = $1 AND asked_at >= $2::timestamptz AND asked_at < $3::timestamptz GROUP BY bucket";

impl Span {
    /// How many steps there are.
    pub fn buckets(&self) -> usize {
        let whole = (self.to - self.from).as_seconds_f64() / self.step.as_secs_f64();
        whole as usize
    }
}

impl TenantDb<'_> {
    /// What happened from one time to another, step by step; there is a row for each step. `TooBroad` when finding that out takes longer
    /// than it may.
    pub async fn statistics(&self, span: Span) -> Result<Statistics, DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(LIMIT).execute(&mut *tx).await?;
        let mut found = Statistics {
            buckets: vec![BucketRow::default(); span.buckets()],
            failures: Vec::new(),
        };
        for row in self.by_step(&mut tx, TEXTS, span).await? {
            let Some((at, bucket)) = bucket(&row, &mut found.buckets)? else {
                continue;
            };
            if let Some(reason) = row.try_get("reason")? {
                found.failures.push(FailureRow {
                    bucket: at,
                    reason,
                    count: row.try_get("texts_in")?,
                });
                continue;
            }
            bucket.texts_in = row.try_get("texts_in")?;
            bucket.segments_in = row.try_get("segments_in")?;
            bucket.texts_out = row.try_get("texts_out")?;
            bucket.segments_out = row.try_get("segments_out")?;
            bucket.to_agent_p50_ms = row.try_get("p50")?;
            bucket.to_agent_p95_ms = row.try_get("p95")?;
        }
        for row in self.by_step(&mut tx, CHATS, span).await? {
            if let Some((_, bucket)) = bucket(&row, &mut found.buckets)? {
                bucket.peak_chats = row.try_get("peak")?;
            }
        }
        for row in self.by_step(&mut tx, DEFLECTIONS, span).await? {
            if let Some((_, bucket)) = bucket(&row, &mut found.buckets)? {
                bucket.deflections_offered = row.try_get("offered")?;
                bucket.deflections_accepted = row.try_get("accepted")?;
            }
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn by_step(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        sql: &'static str,
        span: Span,
    ) -> Result<Vec<sqlx::postgres::PgRow>, DbError> {
        sqlx::query(sql)
            .bind(self.tenant.uuid())
            .bind(span.from)
            .bind(span.to)
            .bind(span.step.as_secs_f64())
            .fetch_all(&mut **tx)
            .await
            .map_err(too_broad)
    }
}

/// Which one a row is of.
fn bucket<'a>(
    row: &sqlx::postgres::PgRow,
    buckets: &'a mut [BucketRow],
) -> Result<Option<(usize, &'a mut BucketRow)>, DbError> {
    let at = usize::try_from(row.try_get::<i32, _>("bucket")?).unwrap_or(usize::MAX);
    Ok(buckets.get_mut(at).map(|bucket| (at, bucket)))
}
