use crate::{Db, DbError};
use ccm_model::{AccountId, Address, Body, ConversationId, Id, MessageId, NumberId, TenantId, TraceParent};
use sqlx::Row;
use std::collections::{BTreeSet, HashMap};
use time::OffsetDateTime;

/// Where an incoming text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub tenant: TenantId,
    pub number: NumberId,
    pub account: AccountId,
}

/// A text from a phone, authenticated and normalised.
#[derive(Debug, Clone)]
pub struct IncomingText {
    /// Its id if it is new.
    pub message: MessageId,
    /// The conversation's id if this text opens one.
    pub conversation: ConversationId,
    pub route: Route,
    /// The provider's id: the same one again is the same text.
    pub provider_id: String,
    pub to: Address,
    pub from: Address,
    pub body: Body,
    pub received_at: OffsetDateTime,
    /// When the phone sent it, as the provider says.
    pub written_at: Option<OffsetDateTime>,
    pub trace: Option<TraceParent>,
}

/// What became of an incoming text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now, in this conversation.
    New {
        tenant: TenantId,
        conversation: ConversationId,
        message: MessageId,
    },
    /// Stored before: the provider posted it again.
    Repeated,
}

/// What concerns several tenants in one transaction, under all of them.
pub struct Batch<'a> {
    pub(crate) db: &'a Db,
}

/// One statement, so that a batch costs one round trip: de-duplicate, open or touch each conversation once (its row lock
/// gives the sequences), insert texts and their inbox rows. Conversations are locked in the order of their addresses,
/// the same in every batch, so that two batches cannot wait for each other.
pub(crate) const ACCEPT: &str = "
WITH input AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[]) WITH ORDINALITY
    AS t (message_id, conversation_id, tenant_id, number_id, account_id, provider_id, ours, customer, body, received_at,
          written_at, trace, ord)
), fresh AS (
  INSERT INTO inbound_dedup (account_id, provider_message_id, tenant_id, message_id, seen_at)
  SELECT account_id, provider_id, tenant_id, message_id, received_at FROM input ORDER BY account_id, provider_id, ord
  ON CONFLICT DO NOTHING
  RETURNING message_id
), kept AS (
  SELECT i.*, row_number() OVER pair AS nth, count(*) OVER (PARTITION BY tenant_id, ours, customer) AS many
  FROM input i JOIN fresh USING (message_id)
  WINDOW pair AS (PARTITION BY tenant_id, ours, customer ORDER BY ord)
), opened AS (
  INSERT INTO conversation (id, tenant_id, number_id, our_address, customer_address, next_seq, opened_at,
                            last_activity_at)
  SELECT conversation_id, tenant_id, number_id, ours, customer, 1 + many, received_at, received_at
  FROM kept WHERE nth = 1 ORDER BY tenant_id, ours, customer
  ON CONFLICT (tenant_id, our_address, customer_address) WHERE state = 'open'
  DO UPDATE SET next_seq = conversation.next_seq + excluded.next_seq - 1,
                last_activity_at = greatest(conversation.last_activity_at, excluded.last_activity_at)
  RETURNING id, tenant_id, our_address, customer_address, next_seq
), stored AS (
  INSERT INTO message (id, tenant_id, conversation_id, seq, direction, origin, body, state, provider_message_id,
                       trace_parent, written_at, created_at, updated_at)
  SELECT k.message_id, k.tenant_id, o.id, o.next_seq - k.many + k.nth - 1, 'mo', 'customer', k.body, 'accepted',
         k.provider_id, k.trace, k.written_at, k.received_at, k.received_at
  FROM kept k JOIN opened o
    ON (o.tenant_id, o.our_address, o.customer_address) = (k.tenant_id, k.ours, k.customer)
  RETURNING id, tenant_id, conversation_id, seq
)
INSERT INTO inbox (message_id, tenant_id, conversation_id, seq)
SELECT id, tenant_id, conversation_id, seq FROM stored
RETURNING message_id, conversation_id";

impl Db {
    /// Transactions under several tenants at once.
    pub fn batch(&self) -> Batch<'_> {
        Batch { db: self }
    }
}

impl Batch<'_> {
    /// Stores texts and returns what became of each, in the order given. When it returns `Ok`, everything is committed.
    ///
    /// Any error means that nothing of the batch was stored; the caller tries the texts one by one.
    pub async fn accept(&self, texts: &[IncomingText]) -> Result<Vec<Accepted>, DbError> {
        let tenants: BTreeSet<TenantId> = texts.iter().map(|t| t.route.tenant).collect();
        let column = |get: fn(&IncomingText) -> uuid::Uuid| texts.iter().map(get).collect::<Vec<_>>();
        let words = |get: for<'t> fn(&'t IncomingText) -> &'t str| texts.iter().map(get).collect::<Vec<_>>();

        let mut tx = self.db.begin(tenants).await?;
        let rows = sqlx::query(ACCEPT)
            .bind(column(|t| t.message.uuid()))
            .bind(column(|t| t.conversation.uuid()))
            .bind(column(|t| t.route.tenant.uuid()))
            .bind(column(|t| t.route.number.uuid()))
            .bind(column(|t| t.route.account.uuid()))
            .bind(words(|t| &t.provider_id))
            .bind(words(|t| t.to.as_str()))
            .bind(words(|t| t.from.as_str()))
            .bind(words(|t| t.body.as_str()))
            .bind(texts.iter().map(|t| t.received_at).collect::<Vec<_>>())
            .bind(texts.iter().map(|t| t.written_at).collect::<Vec<_>>())
            .bind(
                texts
                    .iter()
                    .map(|t| t.trace.as_ref().map(TraceParent::as_str))
                    .collect::<Vec<_>>(),
            )
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;

        let stored: HashMap<uuid::Uuid, uuid::Uuid> = rows
            .iter()
            .map(|r| Ok((r.try_get(0)?, r.try_get(1)?)))
            .collect::<Result<_, sqlx::Error>>()?;
        Ok(texts
            .iter()
            .map(|t| match stored.get(&t.message.uuid()) {
                Some(conversation) => Accepted::New {
                    tenant: t.route.tenant,
                    conversation: ConversationId(*conversation),
                    message: t.message,
                },
                None => Accepted::Repeated,
            })
            .collect())
    }
}
