//! How the platform does: its processes, who owns which tenant, what waits over all tenants, and whose links and accounts fail. No
//! text and no customer's number is read here.

use crate::{DbError, LINK_STATE_LASTS, LeaseTimes, Operator};
use ccm_model::{Id, MessageId, PodId, TenantId};
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

/// Of each queue no more are counted, and of each list no more are read.
pub const MOST_WAITING: i64 = 10_000;

/// A process of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    pub id: Uuid,
    pub role: String,
    /// The pod's name.
    pub name: String,
    pub version: String,
    pub started_at: OffsetDateTime,
    pub seen_at: OffsetDateTime,
    pub draining: bool,
    /// How long ago it was seen, in seconds of the database's clock.
    pub silent_s: i64,
    /// Tenants that it owns.
    pub leases: i64,
    /// Another one of its role has started since it was last seen.
    pub replaced: bool,
}

/// Who owns a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    pub tenant: TenantId,
    pub slug: String,
    pub state: LeaseState,
    /// The owner's name; `None`: nobody's.
    pub owner: Option<String>,
    /// Until when nobody else takes it, if its owner is not seen before.
    pub until: Option<OffsetDateTime>,
    pub epoch: i64,
    pub taken_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    Owned,
    /// Its owner was not seen for longer than a lease lasts, and nobody has taken it yet.
    Overdue,
    /// The tenant is active, and nobody owns it.
    Nobodys,
}

impl LeaseState {
    pub const ALL: [Self; 3] = [Self::Owned, Self::Overdue, Self::Nobodys];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Overdue => "overdue",
            Self::Nobodys => "nobodys",
        }
    }
}

/// The leases of active tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    pub owned: i64,
    pub overdue: i64,
    pub nobodys: i64,
    /// Those that are not owned first.
    pub first: Vec<LeaseRow>,
}

/// A queue, over all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    pub name: String,
    /// At most [`MOST_WAITING`].
    pub waiting: i64,
    /// Since when the first of them waits, or has been due.
    pub oldest: Option<OffsetDateTime>,
}

/// The text to a phone that waits longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentRow {
    pub message: MessageId,
    pub tenant: TenantId,
    pub since: OffsetDateTime,
}

const LEASES: &str = "
WITH mine AS (
  SELECT t.id, t.slug, l.epoch, l.taken_at, p.name AS owner, p.heartbeat_at + make_interval(secs => $1) AS until,
         CASE WHEN p.id IS NULL THEN 'nobodys' WHEN p.heartbeat_at <= now() - make_interval(secs => $1) THEN 'overdue' ELSE 'owned' END
           AS state
  FROM tenant t LEFT JOIN lease l ON l.tenant_id = t.id AND l.shard = 0 LEFT JOIN pod p ON p.id = l.pod_id
  WHERE t.state = 'active'
)
SELECT id, slug, coalesce(epoch, 0) AS epoch, taken_at, owner, until, state, count(*) FILTER (WHERE state = 'owned') OVER () AS owned,
       count(*) FILTER (WHERE state = 'overdue') OVER () AS overdue, count(*) FILTER (WHERE state = 'nobodys') OVER () AS nobodys
FROM mine ORDER BY state = 'owned', until NULLS FIRST, id LIMIT $2";

/// Texts by the time in their ids, those to phones of tenants that are carried; of all else what is due. Each in the order of an index, and no more of it than are counted.
pub(crate) const QUEUES: &str = "
SELECT 'texts_for_agents' AS name, count(*) AS waiting, uuid_v7_time(min(message_id::text)::uuid) AS oldest
FROM (SELECT message_id FROM inbox ORDER BY message_id LIMIT $2) AS waiting
UNION ALL
SELECT 'texts_for_providers', count(*), uuid_v7_time(min(message_id::text)::uuid)
FROM (SELECT message_id FROM outbox WHERE tenant_id <> ALL (ARRAY(SELECT id FROM tenant WHERE state <> 'active'))
      ORDER BY message_id LIMIT $2) AS waiting
UNION ALL
SELECT 'lines_to_providers', count(*), min(due_at)
FROM (SELECT due_at FROM outbox_line WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'parts_of_texts', count(*), min(due_at)
FROM (SELECT due_at FROM inbound_part WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'timers', count(*), min(due_at)
FROM (SELECT due_at FROM timer WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'deflections', count(*), min(due_at)
FROM (SELECT due_at FROM deflection WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'retention', count(*), min(due_at)
FROM (SELECT due_at FROM retention_run WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'erasures', count(*), min(due_at)
FROM (SELECT due_at FROM erasure WHERE state = 'erasing' AND due_at <= $1::timestamptz ORDER BY due_at LIMIT $2) AS due
UNION ALL
SELECT 'number_moves', count(*), min(at)
FROM (SELECT at FROM number_move WHERE state = 'pending' AND at <= $1::timestamptz ORDER BY at LIMIT $2) AS due";

/// Of a tenant that is carried.
pub(crate) const UNSENT: &str = "
SELECT message_id, tenant_id, created_at FROM outbox
WHERE tenant_id <> ALL (ARRAY(SELECT id FROM tenant WHERE state <> 'active')) ORDER BY message_id LIMIT 1";

/// Of tenants that are carried: whose, and since when, the longest first.
pub(crate) const FAILING: &str = "
SELECT failing.tenant_id, min(failing.since) AS since FROM (
  SELECT tenant_id, since FROM link_state WHERE state IN ('down', 'half_open', 'unusable') AND updated_at > $2
  UNION ALL
  SELECT a.tenant_id, e.at FROM provider_account a CROSS JOIN LATERAL (
    SELECT e.kind, e.at FROM account_event e
    WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id AND e.kind IN ('failing', 'recovered') ORDER BY e.id DESC LIMIT 1) AS e
  WHERE e.kind = 'failing') AS failing
JOIN tenant t ON t.id = failing.tenant_id AND t.state = 'active' AND t.closing_since IS NULL
GROUP BY failing.tenant_id ORDER BY since, tenant_id LIMIT $1";

impl Operator<'_> {
    /// Says that a process is there; announces it the first time. Those that were silent for an hour are forgotten on the way.
    pub async fn process_is_there(
        &self,
        id: PodId,
        role: &str,
        name: &str,
        version: &str,
        draining: bool,
    ) -> Result<(), DbError> {
        sqlx::query("DELETE FROM process WHERE seen_at < now() - interval '1 hour'")
            .execute(self.pool())
            .await?;
        sqlx::query(
            "INSERT INTO process (id, role, name, version, draining) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET seen_at = now(), draining = excluded.draining",
        )
        .bind(id.uuid())
        .bind(role)
        .bind(name)
        .bind(version)
        .bind(draining)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The processes of the last hour, those that are there first, by role and name; `limit` at most.
    pub async fn processes(&self, limit: i64) -> Result<Vec<ProcessRow>, DbError> {
        let rows = sqlx::query(
            "SELECT s.id, s.role, s.name, s.version, s.started_at, s.seen_at, s.draining,
                    extract(epoch FROM now() - s.seen_at)::bigint AS silent_s,
                    (SELECT count(*) FROM lease l WHERE l.pod_id = s.id) AS leases,
                    EXISTS (SELECT FROM process o WHERE o.role = s.role AND o.started_at > s.seen_at) AS replaced
             FROM process s ORDER BY s.seen_at < now() - interval '45 seconds', s.role, s.name, s.started_at, s.id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ProcessRow {
                    id: row.try_get("id")?,
                    role: row.try_get("role")?,
                    name: row.try_get("name")?,
                    version: row.try_get("version")?,
                    started_at: row.try_get("started_at")?,
                    seen_at: row.try_get("seen_at")?,
                    draining: row.try_get("draining")?,
                    silent_s: row.try_get("silent_s")?,
                    leases: row.try_get("leases")?,
                    replaced: row.try_get("replaced")?,
                })
            })
            .collect()
    }

    /// Who owns which active tenant: how many there are of each kind, and the first `limit`.
    pub async fn lease_states(&self, times: LeaseTimes, limit: i64) -> Result<Leases, DbError> {
        let rows = sqlx::query(LEASES)
            .bind((times.lease + times.margin).as_secs_f64())
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        let mut leases = Leases::default();
        for row in &rows {
            leases.owned = row.try_get("owned")?;
            leases.overdue = row.try_get("overdue")?;
            leases.nobodys = row.try_get("nobodys")?;
            let state: &str = row.try_get("state")?;
            leases.first.push(LeaseRow {
                tenant: TenantId(row.try_get("id")?),
                slug: row.try_get("slug")?,
                state: LeaseState::ALL
                    .into_iter()
                    .find(|known| known.as_str() == state)
                    .ok_or_else(|| DbError::Corrupt(format!("a lease that is {state}")))?,
                owner: row.try_get("owner")?,
                until: row.try_get("until")?,
                epoch: row.try_get("epoch")?,
                taken_at: row.try_get("taken_at")?,
            });
        }
        Ok(leases)
    }

    /// What waits in each queue.
    pub async fn queues(&self, now: OffsetDateTime) -> Result<Vec<QueueRow>, DbError> {
        let rows = sqlx::query(QUEUES)
            .bind(now)
            .bind(MOST_WAITING)
            .fetch_all(self.pool())
            .await?;
        let queues = rows.iter().map(|row| {
            Ok(QueueRow {
                name: row.try_get("name")?,
                waiting: row.try_get("waiting")?,
                oldest: row.try_get("oldest")?,
            })
        });
        queues.collect()
    }

    /// The text that has waited longest for a provider.
    pub async fn oldest_unsent(&self) -> Result<Option<UnsentRow>, DbError> {
        let row = sqlx::query(UNSENT).fetch_optional(self.pool()).await?;
        row.map(|row| {
            Ok(UnsentRow {
                message: MessageId::from_uuid(row.try_get("message_id")?),
                tenant: TenantId(row.try_get("tenant_id")?),
                since: row.try_get("created_at")?,
            })
        })
        .transpose()
    }

    /// Tenants with links or provider accounts that fail, the longest first.
    pub async fn failing_tenants(&self, limit: i64, now: OffsetDateTime) -> Result<Vec<TenantId>, DbError> {
        let rows = sqlx::query(FAILING)
            .bind(limit)
            .bind(now - LINK_STATE_LASTS)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok(TenantId(row.try_get("tenant_id")?)))
            .collect()
    }
}
