use crate::{DbError, Operator};
use ccm_model::{Id, PodId, TenantId};
use sqlx::Row;
use std::time::Duration;

/// How long a heartbeat lasts. A pod stops sending at `lease - margin` after its last heartbeat *began* (monotonic
/// clock); others take its tenants `lease + margin` after Postgres wrote it. AACC cannot fence a paused pod, so the two
/// margins are what keeps two pods from speaking for one chat.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTimes {
    pub lease: Duration,
    pub margin: Duration,
}

/// A tenant that this pod owns, with the epoch that its writes carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnedTenant {
    pub tenant: TenantId,
    pub epoch: i64,
}

/// A pod as others see it.
#[derive(Debug, Clone)]
pub struct PodRow {
    pub id: PodId,
    pub name: String,
    pub alive: bool,
    pub draining: bool,
    /// It has been there for a whole lease: tenants may be moved to it.
    pub settled: bool,
}

fn interval(d: Duration) -> f64 {
    d.as_secs_f64()
}

impl Operator<'_> {
    /// Says that the pod lives; announces it the first time.
    pub async fn heartbeat(&self, pod: PodId, name: &str, draining: bool) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO pod (id, name, draining) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), draining = excluded.draining",
        )
        .bind(pod.uuid())
        .bind(name)
        .bind(draining)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// All pods; those dead for an hour are forgotten on the way.
    pub async fn pods(&self, times: LeaseTimes) -> Result<Vec<PodRow>, DbError> {
        sqlx::query("DELETE FROM pod WHERE heartbeat_at < now() - interval '1 hour'")
            .execute(self.pool())
            .await?;
        let rows = sqlx::query(
            "SELECT id, name, heartbeat_at > now() - make_interval(secs => $1) AS alive, draining,
                    started_at < now() - make_interval(secs => $2) AS settled FROM pod ORDER BY id",
        )
        .bind(interval(times.lease + times.margin))
        .bind(interval(times.lease))
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|r| {
                Ok(PodRow {
                    id: PodId(r.try_get("id")?),
                    name: r.try_get("name")?,
                    alive: r.try_get("alive")?,
                    draining: r.try_get("draining")?,
                    settled: r.try_get("settled")?,
                })
            })
            .collect()
    }

    /// Active tenants whose lease nobody holds, or whose holder has been silent for `lease + margin`.
    pub async fn free_tenants(&self, times: LeaseTimes) -> Result<Vec<TenantId>, DbError> {
        let rows = sqlx::query_scalar(
            "SELECT t.id FROM tenant t LEFT JOIN lease l ON l.tenant_id = t.id AND l.shard = 0
             LEFT JOIN pod p ON p.id = l.pod_id
             WHERE t.state = 'active'
               AND (p.id IS NULL OR p.heartbeat_at <= now() - make_interval(secs => $1)) ORDER BY t.id",
        )
        .bind(interval(times.lease + times.margin))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(TenantId).collect())
    }

    /// Takes those of `tenants` that are still free and active. Each has a new epoch. Nothing is taken by a pod that is silent itself.
    pub async fn take_leases(
        &self,
        pod: PodId,
        tenants: &[TenantId],
        times: LeaseTimes,
    ) -> Result<Vec<OwnedTenant>, DbError> {
        let wanted: Vec<_> = tenants.iter().map(|t| t.uuid()).collect();
        // In one order in every pod, so that two of them do not wait for each other.
        sqlx::query(
            "INSERT INTO lease (tenant_id) SELECT DISTINCT w FROM unnest($1::uuid[]) AS w ORDER BY w
             ON CONFLICT DO NOTHING",
        )
        .bind(&wanted)
        .execute(self.pool())
        .await?;
        let mut tx = self.pool().begin().await?;
        // The locks in a statement of their own. A condition on `pod` in it would be judged by the pod's row of before
        // the lock, and a lease that another pod took in between would look free.
        let locked: Vec<uuid::Uuid> = sqlx::query_scalar(
            "SELECT tenant_id FROM lease WHERE shard = 0 AND tenant_id = ANY ($1)
             ORDER BY tenant_id FOR UPDATE SKIP LOCKED",
        )
        .bind(&wanted)
        .fetch_all(&mut *tx)
        .await?;
        let rows = sqlx::query(
            "UPDATE lease l SET pod_id = $1, epoch = epoch + 1, taken_at = now()
             WHERE l.shard = 0 AND l.tenant_id = ANY ($2)
               AND EXISTS (SELECT 1 FROM tenant t WHERE t.id = l.tenant_id AND t.state = 'active')
               AND NOT EXISTS (SELECT 1 FROM pod p WHERE p.id = l.pod_id
                               AND p.heartbeat_at > clock_timestamp() - make_interval(secs => $3))
               AND EXISTS (SELECT 1 FROM pod p WHERE p.id = $1
                           AND p.heartbeat_at > clock_timestamp() - make_interval(secs => $3))
             RETURNING l.tenant_id, l.epoch",
        )
        .bind(pod.uuid())
        .bind(&locked)
        .bind(interval(times.lease + times.margin))
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        owned(&rows)
    }

    /// What the pod owns, as Postgres sees it.
    pub async fn leases_of(&self, pod: PodId) -> Result<Vec<OwnedTenant>, DbError> {
        let rows = sqlx::query("SELECT tenant_id, epoch FROM lease WHERE pod_id = $1")
            .bind(pod.uuid())
            .fetch_all(self.pool())
            .await?;
        owned(&rows)
    }

    /// Lets go of a tenant, so that another pod may take it at once.
    pub async fn release_lease(&self, pod: PodId, owned: OwnedTenant) -> Result<(), DbError> {
        sqlx::query("UPDATE lease SET pod_id = NULL WHERE tenant_id = $1 AND shard = 0 AND pod_id = $2 AND epoch = $3")
            .bind(owned.tenant.uuid())
            .bind(pod.uuid())
            .bind(owned.epoch)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Takes a pod off the list: it ends, and holds nothing any more.
    pub async fn forget_pod(&self, pod: PodId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM pod WHERE id = $1")
            .bind(pod.uuid())
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

fn owned(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<OwnedTenant>, DbError> {
    rows.iter()
        .map(|r| {
            Ok(OwnedTenant {
                tenant: TenantId(r.try_get("tenant_id")?),
                epoch: r.try_get("epoch")?,
            })
        })
        .collect()
}
