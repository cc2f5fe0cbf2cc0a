use crate::{DbError, Operator, TenantDb, storable::storable};
use ccm_model::{
    AccountId, Address, Body, ConversationId, Id, MessageId, MessageState, ProviderKind, TenantId,
    TraceParent,
};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// The right to send a conversation's texts until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub tenant: TenantId,
    pub conversation: ConversationId,
    token: Uuid,
}

/// The head of a claimed line.
#[derive(Debug)]
pub enum Head {
    /// Send this one, after [`Sending::wait`].
    Send(Box<Sending>),
    /// The account is paused, or the number's next free moment is too far away to hold the claim: the line was put back
    /// until then.
    Later,
    /// Nothing waits; the line is gone.
    Empty,
    /// The claim expired, and the line is somebody else's.
    Lost,
}

/// One text on its way to a provider.
#[derive(Debug, Clone)]
pub struct Sending {
    pub message: MessageId,
    pub account: AccountId,
    pub kind: ProviderKind,
    pub from: Address,
    pub to: Address,
    pub body: Body,
    /// 1 for the first attempt.
    pub attempt: i32,
    /// Whether an earlier attempt may have reached the provider, and it cannot tell that this is the same text.
    pub resend: bool,
    /// Until the number's next free moment, which is reserved for this text.
    pub wait: Duration,
    pub trace: Option<TraceParent>,
    pub created_at: OffsetDateTime,
}

/// What the provider said.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It took the text. `provider_id` is its name for it, where that was heard.
    Sent { provider_id: Option<String> },
    /// Not now. `in_doubt`: it may have taken the text all the same.
    Retry {
        after: Duration,
        in_doubt: bool,
        code: Option<String>,
        detail: String,
    },
    /// Never.
    Failed { code: Option<String>, detail: String },
}

/// How far away a number's next free moment may be for a claim to be held until then.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The array makes the inner query run once. Under `IN` it may become the inner side of a loop, and then every round
/// locks another `LIMIT` of rows.
pub(crate) const CLAIM_LINES: &str = "
UPDATE outbox_line SET claim = $1, due_at = now() + make_interval(secs => $2)
WHERE conversation_id = ANY (ARRAY(
  SELECT conversation_id FROM outbox_line WHERE due_at <= now() AND tenant_id <> ALL ($4)
  ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING tenant_id, conversation_id";

pub(crate) const HEAD: &str = "
SELECT o.message_id, o.state, o.attempts, o.created_at, m.body, m.trace_parent, c.our_address, c.customer_address,
       c.number_id, n.account_id, a.kind
FROM outbox o
JOIN message m ON m.id = o.message_id AND m.tenant_id = o.tenant_id
JOIN conversation c ON c.tenant_id = o.tenant_id AND c.id = o.conversation_id
JOIN number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
JOIN provider_account a ON a.tenant_id = n.tenant_id AND a.id = n.account_id
WHERE o.tenant_id = $1 AND o.conversation_id = $2 ORDER BY o.seq LIMIT 1";

/// Reserves a number's next free moment and says how far away it is, if that is near enough. Under the row's lock: two
/// lines of one number never get the same moment. By the clock of the moment, not of the transaction's begin, which may
/// have waited for a lock since: a moment that has passed would let two texts leave at once.
pub(crate) const RESERVE: &str = "
UPDATE number SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => 1 / per_second::float8)
WHERE tenant_id = $1 AND id = $2 AND next_at <= clock_timestamp() + make_interval(secs => $3)
RETURNING greatest(0, extract(epoch FROM next_at - clock_timestamp())::float8 - 1 / per_second::float8)";

impl Operator<'_> {
    /// Claims lines that are due, the longest waiting first, of all tenants but `except` (those that have enough under
    /// way already). `token` makes this claim distinct; it expires after `hold`.
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
    async fn lock_line(&self, tx: &mut Transaction<'_, Postgres>, claim: &Claim) -> Result<bool, DbError> {
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

    async fn put_back(
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
    async fn drop_if_empty(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        claim: &Claim,
    ) -> Result<bool, DbError> {
        let gone = sqlx::query(
            "DELETE FROM outbox_line l WHERE l.tenant_id = $1 AND l.conversation_id = $2
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_id = $1 AND o.conversation_id = $2)",
        )
        .bind(self.tenant.uuid())
        .bind(claim.conversation.uuid())
        .execute(&mut **tx)
        .await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Takes the head of a claimed line: reserves the number's next free moment, extends the claim by `hold` and marks the
    /// text as being sent. `idempotent` says of which providers a second attempt is no re-send; `paused`, for how long
    /// nothing is to go to an account: its line is put back untouched.
    pub async fn begin_send(
        &self,
        claim: &Claim,
        hold: Duration,
        idempotent: fn(ProviderKind) -> bool,
        paused: &(dyn Fn(AccountId) -> Option<Duration> + Sync),
        at: OffsetDateTime,
    ) -> Result<Head, DbError> {
        let mut tx = self.begin().await?;
        if !self.lock_line(&mut tx, claim).await? {
            return Ok(Head::Lost);
        }
        let head = sqlx::query(HEAD)
            .bind(self.tenant.uuid())
            .bind(claim.conversation.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = head else {
            self.drop_if_empty(&mut tx, claim).await?;
            tx.commit().await?;
            return Ok(Head::Empty);
        };
        let account = AccountId(row.try_get("account_id")?);
        if let Some(after) = paused(account) {
            self.put_back(&mut tx, claim, after).await?;
            tx.commit().await?;
            return Ok(Head::Later);
        }
        let number: Uuid = row.try_get("number_id")?;
        let reserved: Option<f64> = sqlx::query_scalar(RESERVE)
            .bind(self.tenant.uuid())
            .bind(number)
            .bind(LONGEST_WAIT.as_secs_f64())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(wait) = reserved else {
            let wait: f64 = sqlx::query_scalar(
                "SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()))::float8 FROM number
                 WHERE tenant_id = $1 AND id = $2",
            )
            .bind(self.tenant.uuid())
            .bind(number)
            .fetch_one(&mut *tx)
            .await?;
            let after = Duration::from_secs_f64(wait).saturating_sub(LONGEST_WAIT / 2);
            self.put_back(&mut tx, claim, after).await?;
            tx.commit().await?;
            return Ok(Head::Later);
        };
        let wait = Duration::from_secs_f64(wait);
        let kind: ProviderKind = row.try_get::<&str, _>("kind")?.parse()?;
        let message = MessageId(row.try_get("message_id")?);
        let resend = row.try_get::<&str, _>("state")? == "sending" && !idempotent(kind);
        sqlx::query("UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE message SET state = 'sending', attempts = attempts + 1, resends = resends + $3, updated_at = $4
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(i32::from(resend))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE outbox_line SET due_at = clock_timestamp() + make_interval(secs => $3)
             WHERE tenant_id = $1 AND conversation_id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(claim.conversation.uuid())
        .bind((wait + hold).as_secs_f64())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Head::Send(Box::new(Sending {
            message,
            account,
            kind,
            from: row.try_get::<&str, _>("our_address")?.parse()?,
            to: row.try_get::<&str, _>("customer_address")?.parse()?,
            body: Body::new(row.try_get::<String, _>("body")?)?,
            attempt: row.try_get::<i32, _>("attempts")? + 1,
            resend,
            wait,
            trace: row
                .try_get::<Option<&str>, _>("trace_parent")?
                .and_then(TraceParent::parse),
            created_at: row.try_get("created_at")?,
        })))
    }

    /// Records what the provider said. Returns whether the claim still holds and the line has more.
    ///
    /// A `Sent` that comes after the claim was lost is recorded all the same if the text is still on its way: a text that
    /// the provider took is not sent once more because its answer was slow. Other late answers change nothing.
    ///
    /// Can be called again when it is not known whether a call was committed.
    pub async fn finish_send(
        &self,
        claim: &Claim,
        message: MessageId,
        outcome: &Outcome,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let holds = self.lock_line(&mut tx, claim).await?;
        let (state, provider_id, code, detail) = match outcome {
            // Whoever has the claim now asks the provider again, and hears for himself.
            Outcome::Failed { .. } | Outcome::Retry { .. } if !holds => return Ok(false),
            Outcome::Sent { provider_id } => (MessageState::Sent, provider_id.as_deref(), None, None),
            Outcome::Failed { code, detail } => {
                (MessageState::Failed, None, code.as_deref(), Some(detail.as_str()))
            }
            Outcome::Retry {
                after,
                in_doubt,
                code,
                detail,
            } => {
                let state = if *in_doubt { "sending" } else { "queued" };
                let waits =
                    sqlx::query("UPDATE outbox SET state = $3 WHERE tenant_id = $1 AND message_id = $2")
                        .bind(self.tenant.uuid())
                        .bind(message.uuid())
                        .bind(state)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                // Else a late answer to an earlier attempt has settled it.
                if waits > 0 {
                    let (code, detail) = (code.as_deref(), Some(detail.as_str()));
                    self.set_outcome(&mut tx, message, MessageState::Queued, None, code, detail, at)
                        .await?;
                }
                self.put_back(&mut tx, claim, *after).await?;
                tx.commit().await?;
                return Ok(false);
            }
        };
        let removed = sqlx::query("DELETE FROM outbox WHERE tenant_id = $1 AND message_id = $2")
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if removed > 0 {
            self.set_outcome(&mut tx, message, state, provider_id, code, detail, at)
                .await?;
        }
        let more = holds && !self.drop_if_empty(&mut tx, claim).await?;
        tx.commit().await?;
        Ok(more)
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

    #[allow(clippy::too_many_arguments, reason = "one row's columns")]
    async fn set_outcome(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        message: MessageId,
        state: MessageState,
        provider_id: Option<&str>,
        code: Option<&str>,
        detail: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE message SET state = $3, provider_message_id = $4, error_code = $5, error_detail = $6,
                                updated_at = $7
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(state.as_str())
        .bind(provider_id.map(storable))
        .bind(code.map(storable))
        .bind(detail.map(storable))
        .bind(at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
