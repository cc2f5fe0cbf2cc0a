//! A person is forgotten, by number: asked for, carried out in steps, and proved.
//!
//! Conversations go first, some at a time; then, in one transaction, everything else that names the number. Each step can be made again by
//! somebody else when whoever made it was killed.

use super::{closing::Close, tables_with};
use crate::{
    DbError, InTheWay, Operator, TableRows, TenantDb, listing::row_of, number_lookups, seal::Place,
    storable::storable,
};
use aws_lc_rs::digest;
use ccm_model::{Address, Id, TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction, postgres::PgRow};
use std::{collections::BTreeMap, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// What the numbers' hashes are for.
pub(super) const PURPOSE: &str = "erasure.number_hash";
/// Conversations that go with one transaction.
const AT_ONCE: i64 = 50;

/// For so long chats are waited for that are to be left for an erasure. As when a tenant goes.
const CLOSING_TAKES: time::Duration = time::Duration::minutes(2);

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureState {
    Erasing,
    /// Nothing is left, and the certificate says so.
    Erased,
}

impl ErasureState {
    pub const ALL: &'static [Self] = &[Self::Erasing, Self::Erased];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erasing => "erasing",
            Self::Erased => "erased",
        }
    }
}

/// Somebody's word that a person is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub struct NewErasure<'a> {
    pub id: Uuid,
    pub customer: &'a Address,
    pub reason: &'a str,
    pub by: &'a str,
    pub at: OffsetDateTime,
    /// Whether open conversations are closed for it; else they are in the way.
    pub close: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What became of the wish.
#[derive(Debug)]
pub enum Begin {
    /// It has begun.
    Begun(ErasureRow),
    /// What would go: rows by table; and how many conversations would be closed before.
    Would { tables: Vec<TableRows>, closes: usize },
    /// Nothing was begun.
    InTheWay(Vec<InTheWay>),
}

/// An erasure. It does not hold the number.
#[derive(Debug, Clone)]
pub struct ErasureRow {
    pub id: Uuid,
    pub state: ErasureState,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: OffsetDateTime,
    /// Whether open conversations are closed for it.
    pub closes: bool,
    pub counts_before: Value,
    pub rows_gone: i64,
    pub opt_outs_kept: i32,
    pub erased_at: Option<OffsetDateTime>,
    /// JSON, as it was hashed.
    pub certificate: Option<String>,
    /// Lower-case hex.
    pub certificate_sha256: Option<String>,
    pub last_error: Option<String>,
}

/// What the certificate says. Members keep this order: the text is hashed.
#[derive(Serialize)]
struct Certificate<'a> {
    document: &'static str,
    erasure: Uuid,
    tenant: TenantId,
    reason: &'a str,
    requested_by: &'a str,
    requested_at: String,
    erased_at: String,
    tables: Vec<Proved>,
    /// Of our addresses the erased number still gets no texts, under a keyed hash.
    opt_outs_kept_as_hashes: i64,
}

#[derive(Serialize)]
struct Proved {
    table: String,
    rows_before: i64,
    rows_after: i64,
}

macro_rules! erasure {
    ($rest:literal) => {
        concat!(
            "SELECT id, state, reason, requested_by, requested_at, closes, counts_before, rows_gone, opt_outs_kept, erased_at,
                    certificate, certificate_sha256, last_error
             FROM erasure WHERE tenant_id = $1 AND ",
            $rest
        )
    };
}

fn read(row: &PgRow) -> Result<ErasureRow, DbError> {
    Ok(ErasureRow {
        id: row.try_get("id")?,
        state: match row.try_get("state")? {
            "erasing" => ErasureState::Erasing,
            "erased" => ErasureState::Erased,
            other => return Err(DbError::Corrupt(format!("erasure state {other:?}"))),
        },
        reason: row.try_get("reason")?,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        closes: row.try_get("closes")?,
        counts_before: row.try_get("counts_before")?,
        rows_gone: row.try_get("rows_gone")?,
        opt_outs_kept: row.try_get("opt_outs_kept")?,
        erased_at: row.try_get("erased_at")?,
        certificate: row.try_get("certificate")?,
        certificate_sha256: row.try_get("certificate_sha256")?,
        last_error: row.try_get("last_error")?,
    })
}

impl Operator<'_> {
    /// An erasure that has a next step to be made now; nobody else gets it for `hold`.
    pub async fn claim_erasure(&self, hold: Duration) -> Result<Option<(TenantId, Uuid)>, DbError> {
        let row = sqlx::query(
            "UPDATE erasure SET due_at = now() + make_interval(secs => $1)
             WHERE id = (SELECT id FROM erasure WHERE state = 'erasing' AND due_at <= now()
                         ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING tenant_id, id",
        )
        .bind(hold.as_secs_f64())
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| Ok((TenantId(row.try_get("tenant_id")?), row.try_get("id")?)))
            .transpose()
    }
}

impl TenantDb<'_> {
    /// Begins to forget a person, unless something is in the way. `Conflict` on `erasure_under_way` when that has begun already.
    pub async fn begin_erasure(&self, new: NewErasure<'_>) -> Result<Begin, DbError> {
        let mut tx = self.begin().await?;
        self.keep_holds_away(&mut tx).await?;
        let in_the_way = self
            .in_the_way_of_erasure(&mut tx, new.customer, new.close)
            .await?;
        if !in_the_way.is_empty() {
            return Ok(Begin::InTheWay(in_the_way));
        }
        let counts = self.rows_of(&mut tx, new.customer).await?;
        if new.dry_run {
            let closes = self.still_open(&mut tx, new.customer).await?.len();
            return Ok(Begin::Would {
                tables: counts,
                closes,
            });
        }
        let number = new.customer.as_str().as_bytes();
        let hash = self.keyed_hash(&mut tx, PURPOSE, number).await?;
        let sealed = self.seal(&mut tx, place(new.id), number).await?;
        sqlx::query(
            "INSERT INTO erasure (id, tenant_id, number_hash, number_sealed, state, reason, requested_by, requested_at, due_at,
                                  counts_before, closes)
             VALUES ($1, $2, $3, $4, 'erasing', $5, left($6, 300), $7, now(), $8, $9)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .bind(sealed)
        .bind(storable(new.reason))
        .bind(storable(new.by))
        .bind(new.at)
        .bind(serde_json::to_value(&counts).map_err(|e| DbError::Corrupt(e.to_string()))?)
        .bind(new.close)
        .execute(&mut *tx)
        .await?;
        if new.close {
            self.close_for_erasure(&mut tx, new.customer, Close::Asked, new.at)
                .await?;
        }
        let row = row_of(&mut tx, self.tenant, erasure!("id = $2"), new.id, "erasure", read).await?;
        tx.commit().await?;
        Ok(Begin::Begun(row))
    }

    /// Rows that name the customer, or one of its conversations, by table.
    async fn rows_of(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<Vec<TableRows>, DbError> {
        const OF_CONVERSATIONS: &str =
            "conversation_id IN (SELECT id FROM conversation WHERE tenant_id = $1 AND customer_address = $2)";
        let mut conditions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (column, condition) in [
            ("customer_address", "customer_address = $2"),
            ("conversation_id", OF_CONVERSATIONS),
        ] {
            for table in tables_with(tx, column, &[]).await? {
                conditions.entry(table).or_default().push(condition);
            }
        }
        let mut rows = Vec::with_capacity(conditions.len() + 1);
        for (table, conditions) in conditions {
            let conditions = conditions.join(" OR ");
            let sql = format!("SELECT count(*) FROM {table} WHERE tenant_id = $1 AND ({conditions})");
            let count = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(self.tenant.uuid())
                .bind(customer.as_str())
                .fetch_one(&mut **tx)
                .await?;
            rows.push(TableRows { table, rows: count });
        }
        let looked_up = self.looked_up(tx, customer).await?;
        rows.push(TableRows {
            table: "number_lookup".to_owned(),
            rows: sqlx::query_scalar(
                "SELECT count(*) FROM number_lookup WHERE tenant_id = $1 AND number_hash = $2",
            )
            .bind(self.tenant.uuid())
            .bind(&looked_up[..])
            .fetch_one(&mut **tx)
            .await?,
        });
        rows.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(rows)
    }

    pub(super) async fn looked_up(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<[u8; 32], DbError> {
        self.keyed_hash(tx, number_lookups::PURPOSE, customer.as_str().as_bytes())
            .await
    }

    /// Makes one step of an erasure that was claimed. `None`: there is more to do now. `NotFound`: it is done already. An erasure with an open
    /// conversation, or under a hold that was placed since, waits; one that closes conversations waits two minutes at most.
    pub async fn erase_some(&self, id: Uuid, now: OffsetDateTime) -> Result<Option<ErasureState>, DbError> {
        let mut tx = self.begin().await?;
        self.keep_holds_away(&mut tx).await?;
        let row = sqlx::query(
            "SELECT number_sealed, closes, requested_at FROM erasure
             WHERE tenant_id = $1 AND id = $2 AND state = 'erasing' FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let row = row.ok_or(DbError::NotFound("erasure under way"))?;
        let number = self
            .unseal(&mut tx, place(id), row.try_get("number_sealed")?)
            .await?;
        let number = std::str::from_utf8(&number).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let customer: Address = number.parse()?;
        if let Some(hold) = self.hold_over(&mut tx, &customer).await? {
            return Err(DbError::Held(hold));
        }
        let closed: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM conversation WHERE tenant_id = $1 AND customer_address = $2 AND state = 'closed'
             ORDER BY id LIMIT $3 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .bind(AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
        if !closed.is_empty() {
            let (gone, _) = self.take_away(&mut tx, &closed).await?;
            self.erased_rows(&mut tx, id, gone, 0).await?;
            tx.commit().await?;
            return Ok(None);
        }
        if !self.still_open(&mut tx, &customer).await?.is_empty() {
            if !row.try_get::<bool, _>("closes")? {
                return Ok(Some(ErasureState::Erasing));
            }
            let how = match now - row.try_get::<OffsetDateTime, _>("requested_at")? > CLOSING_TAKES {
                true => Close::Forced,
                false => Close::Asked,
            };
            self.close_for_erasure(&mut tx, &customer, how, now).await?;
            tx.commit().await?;
            return Ok((how == Close::Asked).then_some(ErasureState::Erasing));
        }
        self.forget_number(&mut tx, id, &customer).await?;
        self.prove(&mut tx, id, &customer, now).await?;
        tx.commit().await?;
        Ok(Some(ErasureState::Erased))
    }

    /// What is left when there is no conversation any more. Who opted out is remembered under a hash.
    async fn forget_number(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: Uuid,
        customer: &Address,
    ) -> Result<(), DbError> {
        let kept = self.keep_opt_outs(tx, customer).await?;
        sqlx::query("INSERT INTO removal (tenant_id, customer_address) VALUES ($1, $2)")
            .bind(self.tenant.uuid())
            .bind(customer.as_str())
            .execute(&mut **tx)
            .await?;
        let mut gone = 0;
        for table in tables_with(tx, "customer_address", &[]).await? {
            let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND customer_address = $2");
            gone += sqlx::query(AssertSqlSafe(sql))
                .bind(self.tenant.uuid())
                .bind(customer.as_str())
                .execute(&mut **tx)
                .await?
                .rows_affected();
        }
        let looked_up = self.looked_up(tx, customer).await?;
        gone += sqlx::query("DELETE FROM number_lookup WHERE tenant_id = $1 AND number_hash = $2")
            .bind(self.tenant.uuid())
            .bind(&looked_up[..])
            .execute(&mut **tx)
            .await?
            .rows_affected();
        self.nothing_more_goes(tx).await?;
        self.erased_rows(tx, id, gone, kept).await
    }

    async fn erased_rows(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: Uuid,
        gone: u64,
        kept: u64,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE erasure SET rows_gone = rows_gone + $3, opt_outs_kept = opt_outs_kept + $4 WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(gone as i64)
        .bind(kept as i32)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes the certificate. `Corrupt` when something is left.
    async fn prove(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: Uuid,
        customer: &Address,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        let after = self.rows_of(tx, customer).await?;
        if let Some(left) = after.iter().find(|table| table.rows > 0) {
            return Err(DbError::Corrupt(format!(
                "{} still has {} rows of a person who was erased",
                left.table, left.rows
            )));
        }
        let of = row_of(tx, self.tenant, erasure!("id = $2"), id, "erasure", read).await?;
        let text = certificate(self.tenant, &of, after, now)?;
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        sqlx::query(
            "UPDATE erasure SET state = 'erased', number_sealed = NULL, erased_at = $3, certificate = $4, certificate_sha256 = $5,
                    last_error = NULL
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(now)
        .bind(text)
        .bind(hash)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// An erasure cannot go on now: it is tried again after `pause`.
    pub async fn erasure_waits(&self, id: Uuid, why: &str, pause: Duration) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE erasure SET last_error = left($3, 500), due_at = now() + make_interval(secs => $4)
             WHERE tenant_id = $1 AND id = $2 AND state = 'erasing'",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(storable(why))
        .bind(pause.as_secs_f64())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Erasures, the newest first: those before `before`, `limit` at most.
    pub async fn erasures(&self, before: Option<Uuid>, limit: i64) -> Result<Vec<ErasureRow>, DbError> {
        let query = sqlx::query(erasure!("id < $2 ORDER BY id DESC LIMIT $3"))
            .bind(self.tenant.uuid())
            .bind(before.unwrap_or(Uuid::max()))
            .bind(limit);
        self.rows(query, read).await
    }

    /// One of them.
    pub async fn erasure(&self, id: Uuid) -> Result<ErasureRow, DbError> {
        self.one(erasure!("id = $2"), id, "erasure", read).await
    }
}

fn place(id: Uuid) -> Place<'static> {
    Place {
        table: "erasure",
        column: "number_sealed",
        row: id,
    }
}

fn certificate(
    tenant: TenantId,
    of: &ErasureRow,
    after: Vec<TableRows>,
    now: OffsetDateTime,
) -> Result<String, DbError> {
    let written = |at: OffsetDateTime| {
        let utc = at.to_offset(time::UtcOffset::UTC);
        utc.format(&Rfc3339).map_err(|e| DbError::Corrupt(e.to_string()))
    };
    let before: Vec<TableRows> = serde_json::from_value(of.counts_before.clone())
        .map_err(|e| DbError::Corrupt(format!("counts: {e}")))?;
    let tables = after.into_iter().map(|table| Proved {
        rows_before: before
            .iter()
            .find(|b| b.table == table.table)
            .map_or(0, |b| b.rows),
        rows_after: table.rows,
        table: table.table,
    });
    let certificate = Certificate {
        document: "CCM: certificate of a person's erasure",
        erasure: of.id,
        tenant,
        reason: &of.reason,
        requested_by: &of.requested_by,
        requested_at: written(of.requested_at)?,
        erased_at: written(now)?,
        tables: tables.collect(),
        opt_outs_kept_as_hashes: of.opt_outs_kept.into(),
    };
    serde_json::to_string_pretty(&certificate).map_err(|e| DbError::Corrupt(e.to_string()))
}
