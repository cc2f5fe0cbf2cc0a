//! Who wants no texts from which of our addresses, and the ledger that proves it.

use crate::{Db, DbError, IncomingText, TenantDb, TextKind, storable::storable};
use ccm_model::{Address, Id, MessageId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// The failure's name of a text that was not sent because its customer has opted out, and what its agent reads.
pub(crate) const OPTED_OUT: &str = "ccm:opted_out";
pub(crate) const OPTED_OUT_REASON: &str = "This customer has opted out of texts from this number.";

/// The source of an opt-out that outlived its customer's erasure.
const ERASED: &str = "erased";

/// How something became known about a customer's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentSource {
    /// The customer texted a keyword.
    Keyword,
    /// A carrier or provider refused a text because of it.
    Carrier,
    /// Somebody said so through the API.
    Api,
}

impl ConsentSource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Carrier => "carrier",
            Self::Api => "api",
        }
    }
}

/// A customer who gets no texts from one of our addresses.
#[derive(Debug, Clone)]
pub struct OptOutRow {
    pub our_address: Address,
    pub customer_address: Address,
    /// `keyword`, `carrier` or `api`; `erased`: all that is known of it is a hash.
    pub source: String,
    pub since: OffsetDateTime,
}

/// An entry of the ledger.
#[derive(Debug, Clone)]
pub struct ConsentEventRow {
    pub id: Uuid,
    pub our_address: Address,
    pub customer_address: Address,
    /// `opt_out` or `opt_in`.
    pub kind: String,
    pub source: String,
    pub message: Option<MessageId>,
    pub evidence: Option<String>,
    pub at: OffsetDateTime,
}

/// Somebody's word about a customer's consent.
#[derive(Debug, Clone, Copy)]
pub struct ConsentChange<'a> {
    /// The ledger entry's id.
    pub event: Uuid,
    pub our_address: &'a Address,
    pub customer_address: &'a Address,
    pub opted_out: bool,
    pub source: ConsentSource,
    pub message: Option<MessageId>,
    pub evidence: Option<&'a str>,
    pub at: OffsetDateTime,
}

/// Whoever asks for the ledger of a customer reads from one id on.
const LEDGER: &str = "
SELECT id, our_address, customer_address, kind, source, message_id, evidence, at FROM consent_event
WHERE tenant_id = $1 AND id > $2 AND ($3::text IS NULL OR customer_address = $3) ORDER BY id LIMIT $4";

fn opt_out(row: &PgRow) -> Result<OptOutRow, DbError> {
    Ok(OptOutRow {
        our_address: row.try_get::<&str, _>("our_address")?.parse()?,
        customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
        source: row.try_get("source")?,
        since: row.try_get("since")?,
    })
}

fn event(row: &PgRow) -> Result<ConsentEventRow, DbError> {
    Ok(ConsentEventRow {
        id: row.try_get("id")?,
        our_address: row.try_get::<&str, _>("our_address")?.parse()?,
        customer_address: row.try_get::<&str, _>("customer_address")?.parse()?,
        kind: row.try_get("kind")?,
        source: row.try_get("source")?,
        message: row.try_get::<Option<_>, _>("message_id")?.map(MessageId),
        evidence: row.try_get("evidence")?,
        at: row.try_get("at")?,
    })
}

/// Records what customers said by keyword, in the transaction that stores their texts. Of several texts of one pair the last one
/// counts; all stand in the ledger, under their texts' ids.
pub(crate) async fn heard(
    db: &Db,
    tx: &mut Transaction<'_, Postgres>,
    new: &[&IncomingText],
) -> Result<(), DbError> {
    for text in new {
        let opted_out = match text.kind {
            TextKind::Stop => true,
            TextKind::Start => false,
            _ => continue,
        };
        let change = ConsentChange {
            event: text.message.uuid(),
            our_address: &text.to,
            customer_address: &text.from,
            opted_out,
            source: ConsentSource::Keyword,
            message: Some(text.message),
            evidence: Some(text.body.as_str()),
            at: text.received_at,
        };
        record(&db.tenant(text.route.tenant), tx, &change).await?;
    }
    Ok(())
}

/// Changes the list and writes the ledger.
pub(crate) async fn record(
    db: &TenantDb<'_>,
    tx: &mut Transaction<'_, Postgres>,
    change: &ConsentChange<'_>,
) -> Result<(), DbError> {
    let tenant = db.tenant.uuid();
    if !change.opted_out {
        db.forget_erased_opt_out(tx, change.our_address, change.customer_address)
            .await?;
    }
    let statement = if change.opted_out {
        "INSERT INTO opt_out (tenant_id, our_address, customer_address, source, since) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM opt_out WHERE tenant_id = $1 AND our_address = $2 AND customer_address = $3
           AND $4::text IS NOT NULL AND $5::timestamptz IS NOT NULL"
    };
    sqlx::query(statement)
        .bind(tenant)
        .bind(change.our_address.as_str())
        .bind(change.customer_address.as_str())
        .bind(change.source.as_str())
        .bind(change.at)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO consent_event (id, tenant_id, our_address, customer_address, kind, source, message_id, evidence, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, left($8, 500), $9) ON CONFLICT DO NOTHING",
    )
    .bind(change.event)
    .bind(tenant)
    .bind(change.our_address.as_str())
    .bind(change.customer_address.as_str())
    .bind(if change.opted_out { "opt_out" } else { "opt_in" })
    .bind(change.source.as_str())
    .bind(change.message.map(Id::uuid))
    .bind(change.evidence.map(storable))
    .bind(change.at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl TenantDb<'_> {
    /// Records somebody's word about a customer's consent.
    pub async fn change_consent(&self, change: &ConsentChange<'_>) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        record(self, &mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether the customer gets no texts from this address of ours.
    pub async fn has_opted_out(&self, ours: &Address, customer: &Address) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let found: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM opt_out WHERE tenant_id = $1 AND our_address = $2 AND customer_address = $3)",
        )
        .bind(self.tenant.uuid())
        .bind(ours.as_str())
        .bind(customer.as_str())
        .fetch_one(&mut *tx)
        .await?;
        let erased = self.erased_opt_outs(&mut tx, customer).await?;
        tx.commit().await?;
        Ok(found || erased.iter().any(|(address, _)| address == ours))
    }

    /// Opt-outs by our address, then the customer's, after a pair; `limit` at most.
    pub async fn opt_outs(&self, after: Option<(&str, &str)>, limit: i64) -> Result<Vec<OptOutRow>, DbError> {
        let (ours, customer) = after.unwrap_or_default();
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT our_address, customer_address, source, since FROM opt_out
             WHERE tenant_id = $1 AND (our_address, customer_address) > ($2, $3)
             ORDER BY our_address, customer_address LIMIT $4",
        )
        .bind(self.tenant.uuid())
        .bind(ours)
        .bind(customer)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(opt_out).collect()
    }

    /// From which addresses of the tenant's numbers this customer gets no texts.
    pub async fn opt_outs_of(&self, customer: &Address) -> Result<Vec<OptOutRow>, DbError> {
        let mut tx = self.begin().await?;
        // By the numbers, which are few: opt-outs have no index by customer.
        let rows = sqlx::query(
            "SELECT o.our_address, o.customer_address, o.source, o.since
             FROM (SELECT DISTINCT address FROM number WHERE tenant_id = $1 AND released_at IS NULL) n
             JOIN opt_out o ON o.tenant_id = $1 AND o.our_address = n.address AND o.customer_address = $2
             ORDER BY o.our_address",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .fetch_all(&mut *tx)
        .await?;
        let erased = self.erased_opt_outs(&mut tx, customer).await?;
        tx.commit().await?;
        let erased = erased.into_iter().map(|(our_address, since)| OptOutRow {
            our_address,
            customer_address: customer.clone(),
            source: ERASED.to_owned(),
            since,
        });
        rows.iter().map(opt_out).chain(erased.map(Ok)).collect()
    }

    /// The opt-out of a customer from an address of ours, if there is one; also one that outlived the customer's erasure.
    pub async fn opt_out(&self, ours: &Address, customer: &Address) -> Result<Option<OptOutRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT our_address, customer_address, source, since FROM opt_out
             WHERE tenant_id = $1 AND our_address = $2 AND customer_address = $3",
        )
        .bind(self.tenant.uuid())
        .bind(ours.as_str())
        .bind(customer.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let erased = match row {
            Some(_) => Vec::new(),
            None => self.erased_opt_outs(&mut tx, customer).await?,
        };
        tx.commit().await?;
        let of_erased = || {
            let (_, since) = erased.into_iter().find(|(address, _)| address == ours)?;
            Some(OptOutRow {
                our_address: ours.clone(),
                customer_address: customer.clone(),
                source: ERASED.to_owned(),
                since,
            })
        };
        Ok(row.as_ref().map(opt_out).transpose()?.or_else(of_erased))
    }

    /// The ledger from the oldest entry on, `after` excluded, of one customer or of all.
    pub async fn consent_events(
        &self,
        customer: Option<&Address>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ConsentEventRow>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(LEDGER)
            .bind(self.tenant.uuid())
            .bind(after.unwrap_or_default())
            .bind(customer.map(Address::as_str))
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(event).collect()
    }

    /// One entry of the ledger.
    pub async fn consent_event(&self, id: Uuid) -> Result<ConsentEventRow, DbError> {
        self.one(
            "SELECT id, our_address, customer_address, kind, source, message_id, evidence, at FROM consent_event
             WHERE tenant_id = $1 AND id = $2",
            id,
            "consent event",
            event,
        )
        .await
    }
}
