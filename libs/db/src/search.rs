//! Texts by their words, and by whose they are.
//!
//! Words are found by the owned function `search_messages` (migration 0150), which gives out ids of the transaction's tenant alone; the texts
//! are read under the policy, and narrowed there. A customer's texts are few: they are gone through without the index.

use crate::{
    DbError, MessageRow, TenantDb,
    conversations::{message, message_columns},
};
use ccm_model::{Address, ConversationId, Direction, Id, MessageId, MessageState, Origin, TenantId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

/// Longer no statement of a search runs.
const LIMIT: &str = "SET LOCAL statement_timeout = '3s'";
/// Nothing more is looked for after this: the page ends where it is, and the next one goes on.
const ENOUGH: Duration = Duration::from_secs(3);
/// Texts with the right words that are looked at together.
const AT_ONCE: i32 = 500;
/// How often that is done for one page: a filter that few texts pass must not read a whole year.
const ROUNDS: u32 = 4;

/// Which texts. `None` and empty: all.
#[derive(Debug, Clone, Default)]
pub struct MessageSearch {
    /// Words that begin like each of these are in it.
    pub beginnings: Vec<String>,
    /// Each of these is in it as it stands, but for capitals.
    pub phrases: Vec<String>,
    pub customer: Option<Address>,
    pub ours: Option<Address>,
    pub direction: Option<Direction>,
    pub state: Option<MessageState>,
    pub origin: Option<Origin>,
    pub author: Option<String>,
    /// The chat's that it went through.
    pub skillset: Option<String>,
}

/// Which part of what is found, the newest first.
#[derive(Debug, Clone, Copy)]
pub struct SearchPart {
    /// Included.
    pub since: OffsetDateTime,
    /// Not included; at most 400 days later.
    pub until: OffsetDateTime,
    /// The last one of the part before.
    pub before: Option<MessageId>,
    /// 1 or more.
    pub limit: usize,
}

/// A text that was found.
#[derive(Debug, Clone)]
pub struct FoundRow {
    pub message: MessageRow,
    pub conversation: ConversationId,
    pub our_address: Address,
    pub customer_address: Address,
    pub skillset: Option<String>,
}

/// One part of what is found.
#[derive(Debug, Clone)]
pub struct Found {
    pub items: Vec<FoundRow>,
    /// Where the next part begins, if there may be more: it is not always full.
    pub go_on: Option<MessageId>,
}

macro_rules! found {
    ($from:literal) => {
        concat!(
            "SELECT ",
            message_columns!("m."),
            ", m.conversation_id, c.our_address, c.customer_address, h.skillset FROM ",
            $from,
            " LEFT JOIN chat h ON h.tenant_id = m.tenant_id AND h.id = m.chat_id
             WHERE m.tenant_id = $1 AND m.id < $2
               AND ($4::text IS NULL OR c.our_address = $4) AND ($5::text IS NULL OR m.direction = $5)
               AND ($6::text IS NULL OR m.state = $6) AND ($7::text IS NULL OR m.origin = $7)
               AND ($8::text IS NULL OR m.author = $8) AND ($9::text IS NULL OR h.skillset = $9)
               AND NOT EXISTS (SELECT FROM unnest($10::text[]) AS phrase WHERE strpos(lower(m.body), lower(phrase)) = 0)"
        )
    };
}

const AMONG: &str = concat!(
    found!("message m JOIN conversation c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id"),
    " AND m.id = ANY ($11) ORDER BY m.id DESC LIMIT $3"
);

const OF_CUSTOMER: &str = concat!(
    found!("conversation c JOIN message m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id"),
    " AND c.tenant_id = $1 AND c.customer_address = $11 AND m.id >= uuid_v7_floor($12)
      AND (cardinality($13::text[]) = 0 OR message_words($1, m.body) @@ message_query($1, $13, '{}'))
      ORDER BY m.id DESC LIMIT $3"
);

fn found(row: &PgRow) -> Result<FoundRow, DbError> {
    Ok(FoundRow {
        message: message(row)?,
        conversation: ConversationId(row.try_get("conversation_id")?),
        our_address: row.try_get::<&str, _>("our_address")?.parse()?,
        customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
        skillset: row.try_get("skillset")?,
    })
}

/// A statement that met its limit: the question was too broad, and asking again would not help.
pub(crate) fn too_broad(error: sqlx::Error) -> DbError {
    let code = error.as_database_error().and_then(|e| e.code());
    match code.as_deref() {
        Some("57014") => DbError::TooBroad,
        _ => error.into(),
    }
}

/// The highest id below `until`, but for those at and above `before`.
fn ceiling(part: &SearchPart) -> Uuid {
    let until = Uuid::from_u128(
        u128::try_from(part.until.unix_timestamp_nanos() / 1_000_000).unwrap_or_default() << 80,
    );
    part.before.map_or(until, |before| before.uuid().min(until))
}

impl MessageSearch {
    async fn fetch(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        tenant: TenantId,
        before: Uuid,
        limit: usize,
        among: Among<'_>,
    ) -> Result<Vec<FoundRow>, DbError> {
        let sql = match among {
            Among::Ids(_) => AMONG,
            Among::Customer(..) => OF_CUSTOMER,
        };
        let query = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(before)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(self.ours.as_ref().map(Address::as_str))
            .bind(self.direction.map(Direction::as_str))
            .bind(self.state.map(MessageState::as_str))
            .bind(self.origin.map(Origin::as_str))
            .bind(self.author.as_deref())
            .bind(self.skillset.as_deref())
            .bind(&self.phrases);
        let query = match among {
            Among::Ids(ids) => query.bind(ids),
            Among::Customer(customer, since) => {
                query.bind(customer.as_str()).bind(since).bind(&self.beginnings)
            }
        };
        let rows = query.fetch_all(&mut **tx).await.map_err(too_broad)?;
        rows.iter().map(found).collect()
    }
}

/// Where texts are looked for.
#[derive(Clone, Copy)]
enum Among<'a> {
    Ids(&'a [Uuid]),
    Customer(&'a Address, OffsetDateTime),
}

impl TenantDb<'_> {
    /// Texts from the newest on. There is a word, a phrase or a customer to look for; with neither, nothing is found. `TooBroad` when
    /// that takes longer than a search may.
    pub async fn search_messages(&self, search: &MessageSearch, part: SearchPart) -> Result<Found, DbError> {
        let began = Instant::now();
        let mut tx = self.begin().await?;
        sqlx::query(LIMIT).execute(&mut *tx).await?;
        let mut before = ceiling(&part);
        if let Some(customer) = &search.customer {
            let among = Among::Customer(customer, part.since);
            let items = search
                .fetch(&mut tx, self.tenant, before, part.limit + 1, among)
                .await?;
            tx.commit().await?;
            return Ok(cut(items, part.limit));
        }
        let mut items = Vec::new();
        for _ in 0..ROUNDS {
            let ids: Vec<Uuid> = sqlx::query_scalar("SELECT search_messages($1, $2, $3, $4, $5, $6)")
                .bind(&search.beginnings)
                .bind(&search.phrases)
                .bind(part.since)
                .bind(part.until)
                .bind(before)
                .bind(AT_ONCE)
                .fetch_all(&mut *tx)
                .await
                .map_err(too_broad)?;
            let (wanted, among) = (part.limit + 1 - items.len(), Among::Ids(&ids));
            items.extend(search.fetch(&mut tx, self.tenant, before, wanted, among).await?);
            if items.len() > part.limit || ids.len() < AT_ONCE as usize {
                tx.commit().await?;
                return Ok(cut(items, part.limit));
            }
            before = ids.last().copied().unwrap_or(before);
            if began.elapsed() > ENOUGH {
                break;
            }
        }
        tx.commit().await?;
        Ok(Found {
            items,
            go_on: Some(MessageId(before)),
        })
    }
}

fn cut(mut items: Vec<FoundRow>, limit: usize) -> Found {
    let more = items.len() > limit;
    items.truncate(limit);
    let go_on = items.last().filter(|_| more).map(|last| last.message.id);
    Found { items, go_on }
}
