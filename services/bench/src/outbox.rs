//! Texts put in line to the phone, as the connector does with an agent's: one transaction a text, then a wake-up.

use crate::{load::Submit, sink};
use anyhow::{Context, Result, ensure};
use ccm_model::{IdSource, MessageId};
use deadpool_redis::redis;
use sqlx::{
    FromRow,
    postgres::{PgPool, PgPoolOptions},
    types::Uuid,
};
use std::sync::Arc;

/// Each waits for a commit of its own, and Postgres syncs the commits of all of them at once.
const CONNECTIONS: u32 = 16;

/// The connector's channel to dispatch, with the product's default prefix.
const CHANNEL: &str = "ccm:outbound";
/// What stands before tenant and conversation in a wake-up: version 1, outbound.
const WAKE: [u8; 2] = [1, b'o'];

/// What the connector's transaction writes, in one statement.
const PUT_IN_LINE: &str = "
WITH place AS (
  UPDATE conversation SET next_seq = next_seq + 1, last_activity_at = now() WHERE id = $1
  RETURNING tenant_id, id, next_seq - 1 AS seq
), text AS (
  INSERT INTO message (id, tenant_id, conversation_id, seq, direction, origin, author, body, state, created_at, updated_at)
  SELECT $2, tenant_id, id, seq, 'mt', 'agent', 'Bench', $3, 'queued', now(), now() FROM place
), line AS (
  INSERT INTO outbox_line (conversation_id, tenant_id, due_at) SELECT id, tenant_id, now() FROM place
  ON CONFLICT (conversation_id) DO UPDATE SET due_at = outbox_line.due_at
)
INSERT INTO outbox (message_id, tenant_id, conversation_id, seq, created_at)
SELECT $2, tenant_id, id, seq, now() FROM place";

/// Open conversations, spread over all numbers that there are; customer n's number is n modulo numbers.
const OPEN: &str = "
WITH numbers AS (SELECT id, tenant_id, address, row_number() OVER (ORDER BY address) - 1 AS place FROM number)
INSERT INTO conversation (id, tenant_id, number_id, our_address, customer_address, opened_at, last_activity_at)
SELECT overlay(gen_random_uuid()::text PLACING '7' FROM 15)::uuid, tenant_id, numbers.id, address,
       '+1214' || lpad(n::text, 7, '0'), now(), now()
FROM generate_series(0, $1 - 1) n JOIN numbers ON place = n % (SELECT count(*) FROM numbers)
RETURNING tenant_id, id";

/// The way into the product's outbox.
#[derive(Clone)]
pub struct Outbox {
    pool: PgPool,
    redis: redis::aio::MultiplexedConnection,
    ids: IdSource,
    conversations: Arc<Vec<Conversation>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
struct Conversation {
    tenant_id: Uuid,
    id: Uuid,
}

impl Conversation {
    fn wake(self) -> Vec<u8> {
        [&WAKE[..], self.tenant_id.as_bytes(), self.id.as_bytes()].concat()
    }
}

impl Outbox {
    /// Opens so many conversations. Text n goes to conversation n modulo `conversations`.
    pub async fn open(superuser_url: &str, redis_url: &str, conversations: u64) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .connect(superuser_url)
            .await
            .context("connecting to Postgres")?;
        let opened: Vec<Conversation> = sqlx::query_as(OPEN)
            .bind(i64::try_from(conversations)?)
            .fetch_all(&pool)
            .await
            .context("opening conversations")?;
        ensure!(opened.len() as u64 == conversations, "there are no numbers");
        Ok(Self {
            pool,
            redis: redis::Client::open(redis_url)?
                .get_multiplexed_async_connection()
                .await?,
            ids: IdSource::system(),
            conversations: Arc::new(opened),
        })
    }
}

impl Submit for Outbox {
    async fn submit(&mut self, n: u64, marker: &str) -> Result<()> {
        let conversation = self.conversations[n as usize % self.conversations.len()];
        sqlx::query(PUT_IN_LINE)
            .bind(conversation.id)
            .bind(self.ids.next::<MessageId>().0)
            .bind(sink::text(n, marker))
            .execute(&self.pool)
            .await?;
        redis::cmd("PUBLISH")
            .arg(CHANNEL)
            .arg(conversation.wake())
            .query_async::<()>(&mut self.redis)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_two_bytes_and_two_ids() {
        let conversation = Conversation {
            tenant_id: Uuid::from_u128(1),
            id: Uuid::from_u128(2),
        };
        let wake = conversation.wake();
        assert_eq!(
            (wake.len(), &wake[..2], wake[17], wake[33]),
            (34, &WAKE[..], 1, 2)
        );
    }
}
