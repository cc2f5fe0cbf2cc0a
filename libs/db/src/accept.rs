use crate::{Db, DbError, consent};
use aws_lc_rs::digest::{Context, SHA256};
use ccm_model::{AccountId, Address, Body, ConversationId, Id, MessageId, NumberId, TenantId, TraceParent};
use sqlx::{Postgres, Row, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, btree_map::Entry},
    time::Duration,
};
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
    /// The same words of the same phone within this time are one text, whatever their ids.
    pub repeat_window: Option<Duration>,
    pub kind: TextKind,
    /// Kept for people to see, and brought to no agent: why.
    pub refused: Option<Refused>,
    /// How many SMS it took, as far as the provider says.
    pub segments: Option<u16>,
    pub to: Address,
    pub from: Address,
    pub body: Body,
    pub received_at: OffsetDateTime,
    /// When the phone sent it, as the provider says.
    pub written_at: Option<OffsetDateTime>,
    pub trace: Option<TraceParent>,
}

/// What a customer's text is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    Text,
    /// The customer wants no more texts from this address.
    Stop,
    /// … wants them again.
    Start,
    /// … asks who we are.
    Help,
    /// Not the customer's: ours, to the agent.
    Note,
    /// A note of ours that the chat ends with: the number has gone to another tenant.
    End,
    /// A note of ours that the chat ends with: the customer is being erased. What waited before it does not any more.
    Erased,
}

impl TextKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
            Self::Note | Self::End | Self::Erased => "note",
        }
    }

    /// What a newer version wrote and this one does not know is a text.
    pub(crate) fn parse(raw: &str) -> Self {
        match raw {
            "stop" => Self::Stop,
            "start" => Self::Start,
            "help" => Self::Help,
            "note" => Self::Note,
            _ => Self::Text,
        }
    }
}

/// Why a text is kept from agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub detail: &'static str,
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
                       $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[],
                       $15::text[], $16::smallint[]) WITH ORDINALITY
    AS t (message_id, conversation_id, tenant_id, number_id, account_id, provider_id, ours, customer, body, received_at,
          written_at, trace, kind, code, detail, segments, ord)
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
                       error_code, error_detail, trace_parent, written_at, created_at, updated_at, segments)
  SELECT k.message_id, k.tenant_id, o.id, o.next_seq - k.many + k.nth - 1, 'mo', 'customer', k.body,
         CASE WHEN k.code IS NULL THEN 'accepted' ELSE 'refused' END, k.provider_id, k.code, k.detail, k.trace,
         k.written_at, k.received_at, k.received_at, k.segments
  FROM kept k JOIN opened o
    ON (o.tenant_id, o.our_address, o.customer_address) = (k.tenant_id, k.ours, k.customer)
  RETURNING id, tenant_id, conversation_id, seq, state
), waiting AS (
  INSERT INTO inbox (message_id, tenant_id, conversation_id, seq, kind)
  SELECT s.id, s.tenant_id, s.conversation_id, s.seq, k.kind
  FROM stored s JOIN kept k ON k.message_id = s.id WHERE s.state = 'accepted'
)
SELECT id, conversation_id FROM stored";

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
        let mut tx = self.db.begin(tenants).await?;
        let accepted = accept_in(self.db, &mut tx, texts).await?;
        tx.commit().await?;
        Ok(accepted)
    }
}

/// Within a transaction under all of their tenants.
pub(crate) async fn accept_in(
    db: &Db,
    tx: &mut Transaction<'_, Postgres>,
    texts: &[IncomingText],
) -> Result<Vec<Accepted>, DbError> {
    let repeated = repeated_words(tx, texts).await?;
    let fresh: Vec<&IncomingText> = texts.iter().filter(|t| !repeated.contains(&t.message)).collect();
    let column = |get: fn(&IncomingText) -> uuid::Uuid| fresh.iter().map(|t| get(t)).collect::<Vec<_>>();
    let words =
        |get: for<'t> fn(&'t IncomingText) -> &'t str| fresh.iter().map(|t| get(t)).collect::<Vec<_>>();
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
        .bind(fresh.iter().map(|t| t.received_at).collect::<Vec<_>>())
        .bind(fresh.iter().map(|t| t.written_at).collect::<Vec<_>>())
        .bind(
            fresh
                .iter()
                .map(|t| t.trace.as_ref().map(TraceParent::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(words(|t| t.kind.as_str()))
        .bind(
            fresh
                .iter()
                .map(|t| t.refused.map(|r| r.code))
                .collect::<Vec<_>>(),
        )
        .bind(
            fresh
                .iter()
                .map(|t| t.refused.map(|r| r.detail))
                .collect::<Vec<_>>(),
        )
        .bind(
            fresh
                .iter()
                .map(|t| t.segments.map(|n| i16::try_from(n).unwrap_or(i16::MAX)))
                .collect::<Vec<_>>(),
        )
        .fetch_all(&mut **tx)
        .await?;
    let stored: HashMap<uuid::Uuid, uuid::Uuid> = rows
        .iter()
        .map(|r| Ok((r.try_get(0)?, r.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()?;
    let new: Vec<&IncomingText> = fresh
        .into_iter()
        .filter(|t| stored.contains_key(&t.message.uuid()))
        .collect();
    consent::heard(db, tx, &new).await?;
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

/// Which of them say what the same phone has said within its account's window. Their ids are kept: a provider that posts one of
/// them again later has not sent another text.
async fn repeated_words(
    tx: &mut Transaction<'_, Postgres>,
    texts: &[IncomingText],
) -> Result<HashSet<MessageId>, DbError> {
    let mut firsts: BTreeMap<(uuid::Uuid, [u8; 32]), &IncomingText> = BTreeMap::new();
    let mut repeated = HashSet::new();
    for text in texts.iter().filter(|t| t.repeat_window.is_some()) {
        match firsts.entry((text.route.account.uuid(), content(text))) {
            Entry::Vacant(place) => {
                place.insert(text);
            }
            // The same request twice in one batch is for the statement to tell.
            Entry::Occupied(first) if first.get().provider_id != text.provider_id => {
                repeated.insert(text.message);
            }
            Entry::Occupied(_) => {}
        }
    }
    if firsts.is_empty() {
        return Ok(repeated);
    }
    let windows = firsts
        .values()
        .map(|t| t.repeat_window.map_or(0.0, |w| w.as_secs_f64()));
    let fresh: Vec<(uuid::Uuid, Vec<u8>)> = sqlx::query_as(
        "INSERT INTO inbound_content AS c (account_id, hash, tenant_id, seen_at)
         SELECT account_id, hash, tenant_id, seen_at
         FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::timestamptz[]) AS t (account_id, hash, tenant_id, seen_at)
         ON CONFLICT (account_id, hash) DO UPDATE SET seen_at = excluded.seen_at
           WHERE c.seen_at + make_interval(secs => (
             SELECT w FROM unnest($1::uuid[], $2::bytea[], $5::float8[]) AS u (a, h, w)
             WHERE a = c.account_id AND h = c.hash)) <= excluded.seen_at
         RETURNING c.account_id, c.hash",
    )
    .bind(firsts.keys().map(|(account, _)| *account).collect::<Vec<_>>())
    .bind(firsts.keys().map(|(_, hash)| hash.to_vec()).collect::<Vec<_>>())
    .bind(firsts.values().map(|t| t.route.tenant.uuid()).collect::<Vec<_>>())
    .bind(firsts.values().map(|t| t.received_at).collect::<Vec<_>>())
    .bind(windows.collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let fresh: HashSet<(uuid::Uuid, Vec<u8>)> = fresh.into_iter().collect();
    let known = firsts
        .iter()
        .filter(|((account, hash), _)| !fresh.contains(&(*account, hash.to_vec())));
    repeated.extend(known.map(|(_, text)| text.message));
    let again: Vec<&IncomingText> = texts.iter().filter(|t| repeated.contains(&t.message)).collect();
    sqlx::query(
        "INSERT INTO inbound_dedup (account_id, provider_message_id, tenant_id, message_id, seen_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[])
         ON CONFLICT DO NOTHING",
    )
    .bind(again.iter().map(|t| t.route.account.uuid()).collect::<Vec<_>>())
    .bind(again.iter().map(|t| t.provider_id.as_str()).collect::<Vec<_>>())
    .bind(again.iter().map(|t| t.route.tenant.uuid()).collect::<Vec<_>>())
    .bind(again.iter().map(|t| t.message.uuid()).collect::<Vec<_>>())
    .bind(again.iter().map(|t| t.received_at).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(repeated)
}

fn content(text: &IncomingText) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for part in [text.to.as_str(), text.from.as_str(), text.body.as_str()] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    let mut content = [0; 32];
    content.copy_from_slice(hash.finish().as_ref());
    content
}
