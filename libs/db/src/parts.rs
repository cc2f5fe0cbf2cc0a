//! Long texts that come in parts: in any order, twice, over restarts, or never whole.

use crate::{Accepted, Db, DbError, IncomingText, Operator, Route, TenantDb, TextKind, accept::accept_in};
use ccm_model::{AccountId, Address, Body, Id, NumberId, TenantId};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A part, and the text that it makes whole if it is the last to come.
#[derive(Debug, Clone)]
pub struct IncomingPart {
    /// With this part's words and its provider's id.
    pub text: IncomingText,
    pub reference: u16,
    pub parts: u8,
    /// 1 to `parts`.
    pub part: u8,
    /// How long the others are waited for, from the first that comes.
    pub wait: Duration,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parted {
    /// Others are missing; it is stored.
    Waiting,
    /// It was the last one.
    Whole(Accepted),
    /// It came before.
    Repeated,
}

/// A text whose missing parts have been waited for long enough.
#[derive(Debug, Clone)]
pub struct DueParts {
    account: AccountId,
    ours: String,
    customer: String,
    reference: i32,
    parts: i16,
    generation: i32,
}

/// The parts that came of a text.
#[derive(Debug, Clone)]
pub struct StoredPart {
    pub part: u8,
    pub body: Body,
}

struct PartRow {
    number: NumberId,
    provider_id: String,
    part: i16,
    body: String,
    written_at: Option<OffsetDateTime>,
}

/// One phone's parts to one number are taken one after the other.
async fn lock(
    tx: &mut Transaction<'static, Postgres>,
    account: AccountId,
    ours: &str,
    customer: &str,
) -> Result<(), DbError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7012))")
        .bind(format!("{account} {ours} {customer}"))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn take_all(
    tx: &mut Transaction<'static, Postgres>,
    tenant: Uuid,
    of: &DueParts,
) -> Result<Vec<PartRow>, DbError> {
    let rows = sqlx::query(
        "DELETE FROM inbound_part WHERE tenant_id = $1 AND account_id = $2 AND our_address = $3 AND customer_address = $4
           AND reference = $5 AND parts = $6 AND generation = $7
         RETURNING number_id, provider_message_id, part, body, written_at",
    )
    .bind(tenant)
    .bind(of.account.uuid())
    .bind(&of.ours)
    .bind(&of.customer)
    .bind(of.reference)
    .bind(of.parts)
    .bind(of.generation)
    .fetch_all(&mut **tx)
    .await?;
    let mut parts: Vec<PartRow> = rows
        .iter()
        .map(|r| {
            Ok(PartRow {
                number: NumberId(r.try_get("number_id")?),
                provider_id: r.try_get("provider_message_id")?,
                part: r.try_get("part")?,
                body: r.try_get("body")?,
                written_at: r.try_get("written_at")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    parts.sort_by_key(|p| p.part);
    Ok(parts)
}

/// The text goes by its first part's id; the others' ids are kept, so that a part that is posted again is known.
async fn keep_ids(
    tx: &mut Transaction<'static, Postgres>,
    text: &IncomingText,
    ids: &[&str],
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO inbound_dedup (account_id, provider_message_id, tenant_id, message_id, seen_at)
         SELECT $1, id, $3, $4, $5 FROM unnest($2::text[]) AS t (id) ON CONFLICT DO NOTHING",
    )
    .bind(text.route.account.uuid())
    .bind(ids)
    .bind(text.route.tenant.uuid())
    .bind(text.message.uuid())
    .bind(text.received_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn accept_whole(
    db: &Db,
    tx: &mut Transaction<'static, Postgres>,
    mut text: IncomingText,
    rows: &[PartRow],
    body: Body,
) -> Result<Accepted, DbError> {
    let ids: Vec<&str> = rows.iter().map(|r| r.provider_id.as_str()).collect();
    text.body = body;
    text.provider_id = ids[0].to_owned();
    text.written_at = rows.iter().find_map(|r| r.written_at);
    text.segments = u16::try_from(rows.len()).ok();
    keep_ids(tx, &text, &ids[1..]).await?;
    let accepted = accept_in(db, tx, std::slice::from_ref(&text)).await?;
    Ok(accepted[0])
}

impl TenantDb<'_> {
    /// Takes a part. When it is the last one, the whole text is stored as any other is, in the same transaction.
    /// `kind` says what the whole text is, which no part shows.
    pub async fn take_part(
        &self,
        mut new: IncomingPart,
        kind: impl FnOnce(&str) -> TextKind,
    ) -> Result<Parted, DbError> {
        let text = &new.text;
        let mut of = DueParts {
            account: text.route.account,
            ours: text.to.as_str().to_owned(),
            customer: text.from.as_str().to_owned(),
            reference: new.reference.into(),
            parts: new.parts.into(),
            generation: 0,
        };
        let mut tx = self.begin().await?;
        lock(&mut tx, of.account, &of.ours, &of.customer).await?;
        let seen: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM inbound_dedup WHERE account_id = $1 AND provider_message_id = $2)
                 OR EXISTS (SELECT 1 FROM inbound_part WHERE account_id = $1 AND provider_message_id = $2)",
        )
        .bind(of.account.uuid())
        .bind(&text.provider_id)
        .fetch_one(&mut *tx)
        .await?;
        if seen {
            return Ok(Parted::Repeated);
        }
        let latest: Option<(i32, Option<String>)> = sqlx::query_as(
            "SELECT generation, max(body) FILTER (WHERE part = $6) FROM inbound_part
             WHERE account_id = $1 AND our_address = $2 AND customer_address = $3 AND reference = $4 AND parts = $5
             GROUP BY generation ORDER BY generation DESC LIMIT 1",
        )
        .bind(of.account.uuid())
        .bind(&of.ours)
        .bind(&of.customer)
        .bind(of.reference)
        .bind(of.parts)
        .bind(i16::from(new.part))
        .fetch_optional(&mut *tx)
        .await?;
        match latest {
            // Posted again under another id.
            Some((_, Some(body))) if body == text.body.as_str() => {
                keep_ids(&mut tx, text, &[&text.provider_id]).await?;
                tx.commit().await?;
                return Ok(Parted::Repeated);
            }
            // The phone uses its number again, for another text.
            Some((generation, Some(_))) => of.generation = generation + 1,
            Some((generation, None)) => of.generation = generation,
            None => {}
        }
        let have: i64 = sqlx::query_scalar(
            "WITH new AS (
               INSERT INTO inbound_part (account_id, our_address, customer_address, reference, parts, part, generation,
                                         tenant_id, number_id, provider_message_id, body, received_at, written_at, due_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + make_interval(secs => $14))
               RETURNING 1)
             SELECT (SELECT count(*) FROM inbound_part
                     WHERE account_id = $1 AND our_address = $2 AND customer_address = $3 AND reference = $4
                       AND parts = $5 AND generation = $7) + (SELECT count(*) FROM new)",
        )
        .bind(of.account.uuid())
        .bind(&of.ours)
        .bind(&of.customer)
        .bind(of.reference)
        .bind(of.parts)
        .bind(i16::from(new.part))
        .bind(of.generation)
        .bind(self.tenant.uuid())
        .bind(text.route.number.uuid())
        .bind(&text.provider_id)
        .bind(text.body.as_str())
        .bind(text.received_at)
        .bind(text.written_at)
        .bind(new.wait.as_secs_f64())
        .fetch_one(&mut *tx)
        .await?;
        if have < i64::from(new.parts) {
            tx.commit().await?;
            return Ok(Parted::Waiting);
        }
        let rows = take_all(&mut tx, self.tenant.uuid(), &of).await?;
        let whole: String = rows.iter().map(|r| r.body.as_str()).collect();
        new.text.kind = kind(&whole);
        let accepted = accept_whole(self.db, &mut tx, new.text, &rows, Body::new(whole)?).await?;
        tx.commit().await?;
        Ok(Parted::Whole(accepted))
    }

    /// Takes a text without its missing parts, as `assemble` puts together what came. `None`: it has become whole meanwhile, or
    /// somebody else took it.
    pub async fn take_incomplete(
        &self,
        due: &DueParts,
        make: impl FnOnce(Route, Address, Address, Body) -> IncomingText,
        assemble: impl FnOnce(u8, &[StoredPart]) -> String,
    ) -> Result<Option<Accepted>, DbError> {
        let mut tx = self.begin().await?;
        lock(&mut tx, due.account, &due.ours, &due.customer).await?;
        let rows = take_all(&mut tx, self.tenant.uuid(), due).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let parts = rows
            .iter()
            .map(|r| {
                Ok(StoredPart {
                    part: u8::try_from(r.part).unwrap_or(u8::MAX),
                    body: Body::new(r.body.as_str())?,
                })
            })
            .collect::<Result<Vec<_>, DbError>>()?;
        let body = Body::new(assemble(u8::try_from(due.parts).unwrap_or(u8::MAX), &parts))?;
        let route = Route {
            tenant: self.tenant,
            number: first.number,
            account: due.account,
        };
        let text = make(route, due.ours.parse()?, due.customer.parse()?, body.clone());
        let accepted = accept_whole(self.db, &mut tx, text, &rows, body).await?;
        tx.commit().await?;
        Ok(Some(accepted))
    }

    /// Texts whose missing parts have been waited for long enough, the longest first.
    pub async fn due_parts(&self, limit: i64) -> Result<Vec<DueParts>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT account_id, our_address, customer_address, reference, parts, generation FROM inbound_part
             WHERE tenant_id = $1
             GROUP BY account_id, our_address, customer_address, reference, parts, generation
             HAVING min(due_at) <= now() ORDER BY min(due_at) LIMIT $2",
        )
        .bind(self.tenant.uuid())
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter()
            .map(|r| {
                Ok(DueParts {
                    account: AccountId(r.try_get("account_id")?),
                    ours: r.try_get("our_address")?,
                    customer: r.try_get("customer_address")?,
                    reference: r.try_get("reference")?,
                    parts: r.try_get("parts")?,
                    generation: r.try_get("generation")?,
                })
            })
            .collect()
    }
}

impl Operator<'_> {
    /// Tenants that have such texts, `limit` at most.
    pub async fn tenants_with_due_parts(&self, limit: i64) -> Result<Vec<TenantId>, DbError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT tenant_id FROM (
               SELECT tenant_id FROM inbound_part WHERE due_at <= now() ORDER BY due_at LIMIT $1) AS due",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        Ok(tenants.into_iter().map(TenantId).collect())
    }
}
