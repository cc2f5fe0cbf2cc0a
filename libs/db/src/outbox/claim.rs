//! Whose turn it is, and who has which line.

use crate::{DbError, Operator, TenantDb};
use ccm_model::{ConversationId, Id, TenantId};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use uuid::Uuid;

/// The right to send a conversation's texts until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub tenant: TenantId,
    pub conversation: ConversationId,
    pub(super) token: Uuid,
}

/// Tenants take turns: of each one that has something due, its most urgent lines, the longest waiting first, in equal
/// shares. Each step of `pair` is one look into `outbox_line_turns`, which has the oldest line of a tenant's priority at its
/// place. Where more tenants wait than there is room for, the token draws them.
///
/// The array makes the inner query run once. Under `IN` it may become the inner side of a loop, and then every round
/// locks another `LIMIT` of rows.
pub(crate) const CLAIM_LINES: &str = "
WITH RECURSIVE pair AS (
  (SELECT tenant_id, priority, due_at FROM outbox_line ORDER BY tenant_id, priority, due_at LIMIT 1)
  UNION ALL
  SELECT following.tenant_id, following.priority, following.due_at FROM pair CROSS JOIN LATERAL (
    SELECT l.tenant_id, l.priority, l.due_at FROM outbox_line l
    WHERE (l.tenant_id, l.priority) > (pair.tenant_id, pair.priority)
    ORDER BY l.tenant_id, l.priority, l.due_at LIMIT 1) AS following
), urgent AS (
  SELECT DISTINCT ON (tenant_id) tenant_id, priority FROM pair
  WHERE due_at <= now() AND tenant_id <> ALL ($4) ORDER BY tenant_id, priority
), turn AS MATERIALIZED (
  SELECT tenant_id, priority FROM urgent
  ORDER BY priority, uuid_hash_extended(tenant_id, uuid_hash_extended($1, 0)) LIMIT $3
)
UPDATE outbox_line SET claim = $1, due_at = now() + make_interval(secs => $2)
WHERE conversation_id = ANY (ARRAY(
  SELECT line.conversation_id FROM turn CROSS JOIN LATERAL (
    SELECT l.conversation_id FROM outbox_line l
    WHERE l.tenant_id = turn.tenant_id AND l.priority = turn.priority AND l.due_at <= now()
    ORDER BY l.due_at LIMIT (SELECT $3 / count(*) FROM turn) FOR UPDATE SKIP LOCKED) AS line))
RETURNING tenant_id, conversation_id";

impl Operator<'_> {
    /// Claims lines that are due, `limit` at most and in fair shares, of all tenants but `except` (those that have enough
    /// under way already). There may be more as long as it returns any. `token` makes this claim distinct; it expires after
    /// `hold`.
    pub async fn claim_lines(
        &self,
        token: Uuid,
        hold: Duration,
        limit: i64,
        except: &[TenantId],
    ) -> Result<Vec<Claim>, DbError> {
        let rows = sqlx::query(CLAIM_LINES)
            .bind(token)
            .bind(hold.as_secs_f64())
            .bind(limit)
            .bind(except.iter().map(|t| t.uuid()).collect::<Vec<_>>())
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|r| {
                Ok(Claim {
                    tenant: TenantId(r.try_get("tenant_id")?),
                    conversation: ConversationId(r.try_get("conversation_id")?),
                    token,
                })
            })
            .collect()
    }

    /// Until the next line is due; zero when one is; `None` when there is none.
    pub async fn next_line_due(&self) -> Result<Option<Duration>, DbError> {
        let seconds: Option<f64> =
            sqlx::query_scalar("SELECT extract(epoch FROM min(due_at) - now())::float8 FROM outbox_line")
                .fetch_one(self.pool())
                .await?;
        Ok(seconds.map(|s| Duration::from_secs_f64(s.max(0.0))))
    }
}

impl TenantDb<'_> {
    /// Locks the line, and returns whether the claim still holds.
    ///
    /// The lock is taken in any case: whoever changes a text of the line does so under it, the one with a late answer
    /// too.
    pub(super) async fn lock_line(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        claim: &Claim,
    ) -> Result<bool, DbError> {
        let holds: Option<bool> = sqlx::query_scalar(
            "SELECT claim IS NOT DISTINCT FROM $3 FROM outbox_line
             WHERE tenant_id = $1 AND conversation_id = $2 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(claim.conversation.uuid())
        .bind(claim.token)
        .fetch_optional(&mut **tx)
        .await?;
        Ok(holds == Some(true))
    }

    pub(super) async fn put_back(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        claim: &Claim,
        after: Duration,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE outbox_line SET claim = NULL, due_at = clock_timestamp() + make_interval(secs => $3)
             WHERE tenant_id = $1 AND conversation_id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(claim.conversation.uuid())
        .bind(after.as_secs_f64())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Drops the line when nothing waits in it. Runs under the line's lock, in a statement after the one that took it, so
    /// that it sees what the last holder of the lock has put in.
    pub(super) async fn drop_if_empty(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        conversation: ConversationId,
    ) -> Result<bool, DbError> {
        let gone = sqlx::query(
            "DELETE FROM outbox_line l WHERE l.tenant_id = $1 AND l.conversation_id = $2
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_id = $1 AND o.conversation_id = $2)",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .execute(&mut **tx)
        .await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Gives a claimed line back without having sent anything, due after `after`.
    pub async fn release_line(&self, claim: &Claim, after: Duration) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        if self.lock_line(&mut tx, claim).await? {
            self.put_back(&mut tx, claim, after).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
