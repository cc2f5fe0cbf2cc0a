//! When a text may leave: each number sends so many segments a second, over all pods, and where they have a rate of their own
//! so do the account and the tenant. A row's `next_at` is its next free moment.

use crate::{DbError, TenantDb};
use ccm_model::{AccountId, Id};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use uuid::Uuid;

/// How far away the next free moment may be for a claim to be held until then.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What limits a text.
pub(super) struct Limits {
    pub number: Uuid,
    /// Where it has a rate.
    pub account: Option<AccountId>,
    /// Whether it has a rate.
    pub tenant: bool,
}

/// A text's moment, from now on.
pub(super) enum Moment {
    /// It is this text's alone.
    Reserved(Duration),
    /// Too far away; nothing is reserved.
    Far(Duration),
}

/// Reserves a number's next free moment and says how far away it is, if that is near enough; the next one is free when the
/// text's segments have passed. Under the row's lock: two lines of one number never get the same moment. By the clock of the
/// moment, not of the transaction's begin, which may have waited for a lock since: a moment that has passed would let two
/// texts leave at once.
pub(crate) const RESERVE: &str = "
UPDATE number SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => $4 / per_second::float8)
WHERE tenant_id = $1 AND id = $2 AND next_at <= clock_timestamp() + make_interval(secs => $3)
RETURNING greatest(0, extract(epoch FROM next_at - clock_timestamp())::float8 - $4 / per_second::float8)";

const LOCKS: [&str; 3] = [
    "SELECT 1 FROM number WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
    "SELECT 1 FROM provider_account WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
    "SELECT 1 FROM sms_settings WHERE tenant_id = $1 AND tenant_id = $2 FOR NO KEY UPDATE",
];

/// The same for several rates, under all rows' locks: the text leaves at the latest of the moments, and so none of the rows is
/// free before its segments have passed from there.
pub(crate) const RESERVE_ALL: &str = "
WITH free AS MATERIALIZED (
  SELECT greatest(now.at, n.next_at, a.next_at, s.next_at) AS at, now.at AS now
  FROM number n CROSS JOIN (SELECT clock_timestamp() AS at) AS now
  LEFT JOIN provider_account a ON a.tenant_id = n.tenant_id AND a.id = $3 AND a.per_second IS NOT NULL
  LEFT JOIN sms_settings s ON s.tenant_id = n.tenant_id AND $4 AND s.settings->>'segments_per_second' IS NOT NULL
  WHERE n.tenant_id = $1 AND n.id = $2
), near AS (
  SELECT at FROM free WHERE at <= now + make_interval(secs => $5)
), of_number AS (
  UPDATE number SET next_at = near.at + make_interval(secs => $6 / per_second::float8)
  FROM near WHERE tenant_id = $1 AND id = $2
), of_account AS (
  UPDATE provider_account SET next_at = near.at + make_interval(secs => $6 / per_second::float8)
  FROM near WHERE tenant_id = $1 AND id = $3 AND per_second IS NOT NULL
), of_tenant AS (
  UPDATE sms_settings SET next_at = near.at
    + make_interval(secs => $6 / (settings->>'segments_per_second')::float8)
  FROM near WHERE tenant_id = $1 AND $4 AND settings->>'segments_per_second' IS NOT NULL
)
SELECT extract(epoch FROM at - now)::float8, EXISTS (SELECT 1 FROM near) FROM free";

impl TenantDb<'_> {
    /// Reserves the moment at which a text of so many segments may leave.
    pub(super) async fn reserve(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        limits: &Limits,
        segments: u16,
    ) -> Result<Moment, DbError> {
        if limits.account.is_some() || limits.tenant {
            return self.reserve_all(tx, limits, segments).await;
        }
        let reserved: Option<f64> = sqlx::query_scalar(RESERVE)
            .bind(self.tenant.uuid())
            .bind(limits.number)
            .bind(LONGEST_WAIT.as_secs_f64())
            .bind(f64::from(segments))
            .fetch_optional(&mut **tx)
            .await?;
        if let Some(wait) = reserved {
            return Ok(Moment::Reserved(Duration::from_secs_f64(wait)));
        }
        let wait: f64 = sqlx::query_scalar(
            "SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()))::float8 FROM number
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(limits.number)
        .fetch_one(&mut **tx)
        .await?;
        Ok(Moment::Far(Duration::from_secs_f64(wait)))
    }

    async fn reserve_all(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        limits: &Limits,
        segments: u16,
    ) -> Result<Moment, DbError> {
        let rows = [
            Some(limits.number),
            limits.account.map(Id::uuid),
            limits.tenant.then(|| self.tenant.uuid()),
        ];
        // Always in this order, and before the statement that reads them: it sees what the last holders have written.
        for (lock, row) in LOCKS.into_iter().zip(rows) {
            if let Some(row) = row {
                sqlx::query(lock)
                    .bind(self.tenant.uuid())
                    .bind(row)
                    .execute(&mut **tx)
                    .await?;
            }
        }
        let row = sqlx::query(RESERVE_ALL)
            .bind(self.tenant.uuid())
            .bind(limits.number)
            .bind(limits.account.map(Id::uuid))
            .bind(limits.tenant)
            .bind(LONGEST_WAIT.as_secs_f64())
            .bind(f64::from(segments))
            .fetch_one(&mut **tx)
            .await?;
        let wait = Duration::from_secs_f64(row.try_get::<f64, _>(0)?.max(0.0));
        Ok(if row.try_get(1)? {
            Moment::Reserved(wait)
        } else {
            Moment::Far(wait)
        })
    }
}
