//! Rates of a tenant that hold over all pods: a row says when the next one is due.

use crate::DbError;
use ccm_model::{Id, TenantId};
use sqlx::{Postgres, Transaction};
use std::time::Duration;
use time::OffsetDateTime;

/// What has a rate, with columns `tenant_id` and `next_at` in a table of its own.
pub(crate) struct Pace {
    pub(crate) take: &'static str,
    pub(crate) next: &'static str,
}

macro_rules! pace {
    ($table:literal) => {
        $crate::pace::Pace {
            take: concat!(
                "INSERT INTO ", $table, " AS pace (tenant_id, next_at) VALUES ($1, $2 + make_interval(secs => $3))
                 ON CONFLICT (tenant_id) DO UPDATE SET next_at = greatest(pace.next_at, $2) + make_interval(secs => $3)
                 WHERE pace.next_at <= $4"
            ),
            next: concat!("SELECT next_at FROM ", $table, " WHERE tenant_id = $1"),
        }
    };
}
pub(crate) use pace;

impl Pace {
    /// Takes one of `per_minute` (1 or more); a minute's worth may be taken at once. Otherwise says how long there is none.
    pub async fn take(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        tenant: TenantId,
        per_minute: u32,
        now: OffsetDateTime,
    ) -> Result<Option<Duration>, DbError> {
        let each = Duration::from_secs(60) / per_minute.max(1);
        let ahead = Duration::from_secs(60).saturating_sub(each);
        let taken = sqlx::query(self.take)
            .bind(tenant.uuid())
            .bind(now)
            .bind(each.as_secs_f64())
            .bind(now + ahead)
            .execute(&mut **tx)
            .await?
            .rows_affected();
        if taken > 0 {
            return Ok(None);
        }
        let next: OffsetDateTime = sqlx::query_scalar(self.next)
            .bind(tenant.uuid())
            .fetch_one(&mut **tx)
            .await?;
        Ok(Some(Duration::try_from(next - ahead - now).unwrap_or_default()))
    }
}
