//! For how long a tenant keeps what was written, and that it was.

use super::holds::not_held;
use crate::{DbError, Operator, TenantDb, storable::storable};
use ccm_model::{ConversationId, Id, TenantId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What one statement has taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Where to go on; `None`: there are no more.
    pub last: Option<ConversationId>,
    pub conversations: u64,
    pub texts: u64,
}

/// What would be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Conversations whose words would go.
    pub bodies: i64,
    /// Conversations that would go.
    pub conversations: i64,
    /// Conversations that are old enough for either and stay, because of a legal hold.
    pub held: i64,
}

/// How far retention is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionProgress {
    /// Texts whose words are gone, over all time.
    pub texts_erased: i64,
    /// Texts that are gone.
    pub texts_gone: i64,
    pub conversations_gone: i64,
    /// When nothing was left to do.
    pub caught_up_at: Option<OffsetDateTime>,
    pub last_error: Option<String>,
}

/// More of each are not counted for a plan.
const COUNTED: i64 = 100_000;

macro_rules! due {
    ($what:literal, $which:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM conversation c
              WHERE c.tenant_id = $1 AND c.state = 'closed' AND c.id < uuid_v7_floor($2) AND c.last_activity_at < $2
                AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.conversation_id = c.id)",
            $which
        )
    };
}

macro_rules! refused {
    ($forgotten:literal, $which:literal) => {
        concat!(
            "UPDATE deflection SET ",
            $forgotten,
            " WHERE tenant_id = $1 AND id = ANY (ARRAY(SELECT c.id FROM deflection c
              WHERE c.tenant_id = $1 AND c.conversation_id IS NULL AND c.asked_at < $2 AND ",
            $which,
            " AND ",
            not_held!(),
            " ORDER BY c.asked_at LIMIT $3 FOR UPDATE OF c SKIP LOCKED))"
        )
    };
}

const BODIES_DUE: &str = concat!(
    due!("c.id", " AND c.bodies_erased_at IS NULL AND c.id > $3 AND "),
    not_held!(),
    " ORDER BY c.id LIMIT $4 FOR UPDATE OF c SKIP LOCKED"
);
const DUE: &str = concat!(
    due!("c.id", " AND c.id > $3 AND "),
    not_held!(),
    " ORDER BY c.id LIMIT $4 FOR UPDATE OF c SKIP LOCKED"
);
const COUNT_BODIES: &str = concat!(
    "SELECT count(*) FROM (",
    due!("1", " AND c.bodies_erased_at IS NULL AND "),
    not_held!(),
    " LIMIT $3) AS found"
);
const COUNT: &str = concat!(
    "SELECT count(*) FROM (",
    due!("1", " AND "),
    not_held!(),
    " LIMIT $3) AS found"
);
const COUNT_HELD: &str = concat!(
    "SELECT count(*) FROM (",
    due!("1", " AND NOT "),
    not_held!(),
    " LIMIT $3) AS found"
);

/// What was written in these conversations, wherever it stands. What says that something was written stays.
const ERASE: [&str; 5] = [
    "UPDATE message SET body = '', error_detail = NULL, heard = NULL WHERE tenant_id = $1 AND conversation_id = ANY ($2)",
    "UPDATE chat SET told = '{}' WHERE tenant_id = $1 AND conversation_id = ANY ($2)",
    "UPDATE deflection SET name = NULL, context = '{}' WHERE tenant_id = $1 AND conversation_id = ANY ($2)",
    // There is nothing to be replayed any more.
    "UPDATE dead_letter SET body = NULL, detail = '', resolution = coalesce(resolution, 'discarded'),
            resolved_at = coalesce(resolved_at, $3), resolved_by = coalesce(resolved_by, 'retention')
     WHERE tenant_id = $1 AND conversation_id = ANY ($2)",
    "UPDATE conversation SET bodies_erased_at = $3, about = '{}', held = NULL WHERE tenant_id = $1 AND id = ANY ($2)",
];

/// Callers who were offered nothing have no conversation: what the script said of them goes with the words of others, …
const WORDS_OF_REFUSED: &str = refused!(
    "name = NULL, context = '{}'",
    "(c.name IS NOT NULL OR c.context <> '{}')"
);
/// … their number with the conversations of others; that somebody was refused is counted on.
const REFUSED: &str = refused!(
    "name = NULL, context = '{}', customer_address = NULL",
    "c.customer_address IS NOT NULL"
);

fn progress(row: &PgRow) -> Result<RetentionProgress, DbError> {
    Ok(RetentionProgress {
        texts_erased: row.try_get("texts_erased")?,
        texts_gone: row.try_get("texts_gone")?,
        conversations_gone: row.try_get("conversations_gone")?,
        caught_up_at: row.try_get("caught_up_at")?,
        last_error: row.try_get("last_error")?,
    })
}

impl Operator<'_> {
    /// A tenant whose retention is due; nobody else gets it for `hold`.
    pub async fn claim_retention(&self, hold: Duration) -> Result<Option<TenantId>, DbError> {
        let tenant = sqlx::query_scalar(
            "UPDATE retention_run SET due_at = now() + make_interval(secs => $1)
             WHERE tenant_id = (SELECT tenant_id FROM retention_run WHERE due_at <= now()
                                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING tenant_id",
        )
        .bind(hold.as_secs_f64())
        .fetch_optional(self.pool())
        .await?;
        Ok(tenant.map(TenantId))
    }
}

impl TenantDb<'_> {
    /// How far retention is; `None`: it was never asked for.
    pub async fn retention_progress(&self) -> Result<Option<RetentionProgress>, DbError> {
        let query = sqlx::query(
            "SELECT texts_erased, texts_gone, conversations_gone, caught_up_at, last_error FROM retention_run WHERE tenant_id = $1",
        );
        let rows = self.rows(query.bind(self.tenant.uuid()), progress).await?;
        Ok(rows.into_iter().next())
    }

    /// It is looked at now, because its settings have changed.
    pub async fn retention_is_due(&self) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO retention_run (tenant_id, due_at) VALUES ($1, now())
             ON CONFLICT (tenant_id) DO UPDATE SET due_at = now(), caught_up_at = NULL",
        )
        .bind(self.tenant.uuid())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What would go of what is older; up to 100,000 of each are counted.
    pub async fn plan_retention(
        &self,
        bodies_before: Option<OffsetDateTime>,
        before: Option<OffsetDateTime>,
    ) -> Result<RetentionPlan, DbError> {
        let mut tx = self.begin().await?;
        let mut count = async |sql: &'static str, before: Option<OffsetDateTime>| match before {
            None => Ok(0),
            Some(before) => {
                let query = sqlx::query_scalar(sql)
                    .bind(self.tenant.uuid())
                    .bind(before)
                    .bind(COUNTED);
                query.fetch_one(&mut *tx).await
            }
        };
        let plan = RetentionPlan {
            bodies: count(COUNT_BODIES, bodies_before).await?,
            conversations: count(COUNT, before).await?,
            held: count(COUNT_HELD, bodies_before.max(before)).await?,
        };
        tx.commit().await?;
        Ok(plan)
    }

    /// Takes away what was written in some conversations that ended before `before`, from the oldest on, `after` excluded.
    pub async fn erase_bodies(
        &self,
        before: OffsetDateTime,
        after: Option<ConversationId>,
        at_once: i64,
        now: OffsetDateTime,
    ) -> Result<Kept, DbError> {
        let mut tx = self.begin().await?;
        let ids = self.retained(&mut tx, BODIES_DUE, before, after, at_once).await?;
        let mut texts = 0;
        for (n, sql) in ERASE.into_iter().enumerate() {
            let mut query = sqlx::query(sql).bind(self.tenant.uuid()).bind(&ids);
            if n >= 3 {
                query = query.bind(now);
            }
            let changed = query.execute(&mut *tx).await?.rows_affected();
            texts += if n == 0 { changed } else { 0 };
        }
        let kept = Kept {
            last: ids.last().copied().map(ConversationId),
            conversations: ids.len() as u64,
            texts,
        };
        self.forget_refused(&mut tx, WORDS_OF_REFUSED, before, at_once)
            .await?;
        self.note(&mut tx, texts, 0, 0).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Takes some conversations away that ended before `before`, with everything that names them.
    pub async fn remove_conversations(
        &self,
        before: OffsetDateTime,
        after: Option<ConversationId>,
        at_once: i64,
    ) -> Result<Kept, DbError> {
        let mut tx = self.begin().await?;
        let ids = self.retained(&mut tx, DUE, before, after, at_once).await?;
        let (_, texts) = self.take_away(&mut tx, &ids).await?;
        self.forget_refused(&mut tx, REFUSED, before, at_once).await?;
        self.note(&mut tx, 0, texts, ids.len() as u64).await?;
        tx.commit().await?;
        Ok(Kept {
            last: ids.last().copied().map(ConversationId),
            conversations: ids.len() as u64,
            texts,
        })
    }

    async fn forget_refused(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        sql: &'static str,
        before: OffsetDateTime,
        at_once: i64,
    ) -> Result<(), DbError> {
        let query = sqlx::query(sql).bind(self.tenant.uuid());
        query.bind(before).bind(at_once).execute(&mut **tx).await?;
        Ok(())
    }

    /// Takes away what came for no number of the tenant's, and is older than `before`. Returns how many.
    pub async fn remove_unrouted(&self, before: OffsetDateTime, at_once: i64) -> Result<u64, DbError> {
        let mut tx = self.begin().await?;
        self.keep_holds_away(&mut tx).await?;
        let rows = sqlx::query(concat!(
            "SELECT c.id, c.customer_address FROM dead_letter c
             WHERE c.tenant_id = $1 AND c.kind = 'unrouted' AND c.id < uuid_v7_floor($2) AND c.customer_address IS NOT NULL AND ",
            not_held!(),
            " ORDER BY c.id LIMIT $3"
        ))
        .bind(self.tenant.uuid())
        .bind(before)
        .bind(at_once)
        .fetch_all(&mut *tx)
        .await?;
        let mut ids = Vec::with_capacity(rows.len());
        let mut customers = Vec::with_capacity(rows.len());
        for row in rows {
            ids.push(row.try_get::<Uuid, _>("id")?);
            customers.push(row.try_get::<String, _>("customer_address")?);
        }
        sqlx::query(
            "INSERT INTO removal (tenant_id, customer_address) SELECT DISTINCT $1::uuid, unnest($2::text[])",
        )
        .bind(self.tenant.uuid())
        .bind(customers)
        .execute(&mut *tx)
        .await?;
        let sql = "DELETE FROM dead_letter WHERE tenant_id = $1 AND id = ANY ($2)".to_owned();
        let gone = self.delete(&mut tx, sql, &ids).await?;
        self.nothing_more_goes(&mut tx).await?;
        tx.commit().await?;
        Ok(gone)
    }

    async fn retained(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        sql: &'static str,
        before: OffsetDateTime,
        after: Option<ConversationId>,
        at_once: i64,
    ) -> Result<Vec<Uuid>, DbError> {
        self.keep_holds_away(tx).await?;
        let ids = sqlx::query_scalar(sql)
            .bind(self.tenant.uuid())
            .bind(before)
            .bind(after.map_or(Uuid::nil(), Id::uuid))
            .bind(at_once)
            .fetch_all(&mut **tx)
            .await?;
        Ok(ids)
    }

    async fn note(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        erased: u64,
        gone: u64,
        conversations: u64,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE retention_run SET texts_erased = texts_erased + $2, texts_gone = texts_gone + $3,
                    conversations_gone = conversations_gone + $4
             WHERE tenant_id = $1",
        )
        .bind(self.tenant.uuid())
        .bind(erased as i64)
        .bind(gone as i64)
        .bind(conversations as i64)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// It is looked at again after `pause`: nothing is left to do since `caught_up_at`, or there is, or it `failed`.
    pub async fn retention_rests(
        &self,
        pause: Duration,
        caught_up_at: Option<OffsetDateTime>,
        failed: Option<&str>,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE retention_run SET due_at = now() + make_interval(secs => $2), last_error = left($3, 500),
                    caught_up_at = $4
             WHERE tenant_id = $1",
        )
        .bind(self.tenant.uuid())
        .bind(pause.as_secs_f64())
        .bind(failed.map(storable))
        .bind(caught_up_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
