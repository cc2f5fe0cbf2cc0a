//! Numbers that go to another account or to another tenant from a moment on.

use crate::{Db, DbError, Operator, TenantDb, pool::acting, storable::storable};
use ccm_model::{AccountId, Actor, Address, Id, NumberId, SkillsetId, TenantId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Of the number `$2` of the tenant `$1`, by the index of open conversations.
macro_rules! open_on_number {
    () => {
        "conversation WHERE tenant_id = $1 AND number_id = $2 AND state = 'open'
           AND our_address = (SELECT address FROM number WHERE tenant_id = $1 AND id = $2)"
    };
}
pub(crate) use open_on_number;

/// What our note in a chat is authored by when its number goes to another tenant: the chat ends with it.
pub(crate) const NUMBER_MOVED: &str = "number_moved";

/// Where a number goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// Another tenant, with the skillset that answers there; `None`: it stays with its own.
    pub tenant: Option<(TenantId, SkillsetId)>,
    /// Of the tenant that has it afterwards.
    pub account: AccountId,
}

pub struct NewNumberMove<'a> {
    pub id: Uuid,
    pub number: NumberId,
    pub to: Destination,
    pub at: OffsetDateTime,
    pub by: &'a str,
    pub now: OffsetDateTime,
}

/// A move, before or after its moment.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberMoveRow {
    pub id: Uuid,
    pub number: NumberId,
    pub to: Destination,
    pub at: OffsetDateTime,
    /// `pending`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed.
    pub problem: Option<String>,
    /// Its id in the other tenant.
    pub to_number: Option<NumberId>,
    pub created_by: String,
    pub created_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// A move whose moment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueMove {
    pub id: Uuid,
    pub tenant: TenantId,
    pub to_tenant: Option<TenantId>,
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    Done,
    /// The number stays where it was.
    Failed(&'static str),
    /// Another pod has it, or it was cancelled.
    NotDue,
}

macro_rules! columns {
    () => {
        "id, number_id, to_tenant_id, to_account_id, to_skillset_id, at, state, problem, to_number_id, created_by, \
         created_at, ended_at"
    };
}

fn number_move(row: &PgRow) -> Result<NumberMoveRow, DbError> {
    let tenant: Option<Uuid> = row.try_get("to_tenant_id")?;
    let skillset: Option<Uuid> = row.try_get("to_skillset_id")?;
    Ok(NumberMoveRow {
        id: row.try_get("id")?,
        number: NumberId(row.try_get("number_id")?),
        to: Destination {
            tenant: tenant.zip(skillset).map(|(t, s)| (TenantId(t), SkillsetId(s))),
            account: AccountId(row.try_get("to_account_id")?),
        },
        at: row.try_get("at")?,
        state: row.try_get("state")?,
        problem: row.try_get("problem")?,
        to_number: row.try_get::<Option<_>, _>("to_number_id")?.map(NumberId),
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        ended_at: row.try_get("ended_at")?,
    })
}

impl TenantDb<'_> {
    /// Plans a move. `Conflict` on `number_move_pending` when one is planned already. Whether there is such a number, account and
    /// skillset is looked at when its moment comes, again.
    pub async fn plan_number_move(&self, new: NewNumberMove<'_>) -> Result<NumberMoveRow, DbError> {
        let mut tx = self.begin().await?;
        // Whoever releases the number comes before, and it is gone; or after, and finds the move.
        sqlx::query(
            "SELECT 1 FROM number WHERE tenant_id = $1 AND id = $2 AND released_at IS NULL FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(new.number.uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("number"))?;
        let row = sqlx::query(concat!(
            "INSERT INTO number_move (id, tenant_id, number_id, to_tenant_id, to_account_id, to_skillset_id, at, created_by,
                                      created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ",
            columns!()
        ))
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(new.number.uuid())
        .bind(new.to.tenant.map(|(tenant, _)| tenant.uuid()))
        .bind(new.to.account.uuid())
        .bind(new.to.tenant.map(|(_, skillset)| skillset.uuid()))
        .bind(new.at)
        .bind(storable(new.by))
        .bind(new.now)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        number_move(&row)
    }

    /// A number's moves, from the newest on, `before` excluded, `limit` at most; also of a number that was released.
    pub async fn number_moves(
        &self,
        number: NumberId,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<NumberMoveRow>, DbError> {
        let asked = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM number_move WHERE tenant_id = $1 AND number_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
        ))
        .bind(self.tenant.uuid())
        .bind(number.uuid())
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit);
        self.rows(asked, number_move).await
    }

    /// Takes a planned move back. Returns its state: `cancelled`, or what it was already.
    pub async fn cancel_number_move(
        &self,
        number: NumberId,
        id: Uuid,
        at: OffsetDateTime,
    ) -> Result<String, DbError> {
        let mut tx = self.begin().await?;
        let was: Option<String> = sqlx::query_scalar(
            "SELECT state FROM number_move WHERE tenant_id = $1 AND number_id = $2 AND id = $3 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(number.uuid())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let was = was.ok_or(DbError::NotFound("move"))?;
        if was != "pending" {
            return Ok(was);
        }
        sqlx::query(
            "UPDATE number_move SET state = 'cancelled', ended_at = $3 WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok("cancelled".to_owned())
    }

    /// How many conversations on a number are open: they end when it goes to another tenant.
    pub async fn open_conversations(&self, number: NumberId) -> Result<i64, DbError> {
        let mut tx = self.begin().await?;
        let count = sqlx::query_scalar(concat!("SELECT count(*) FROM ", open_on_number!()))
            .bind(self.tenant.uuid())
            .bind(number.uuid())
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(count)
    }
}

impl Operator<'_> {
    /// Moves whose moment has come, the oldest first.
    pub async fn due_number_moves(&self, now: OffsetDateTime, limit: i64) -> Result<Vec<DueMove>, DbError> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, to_tenant_id FROM number_move WHERE state = 'pending' AND at <= $1 ORDER BY at LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DueMove {
                    id: row.try_get("id")?,
                    tenant: TenantId(row.try_get("tenant_id")?),
                    to_tenant: row.try_get::<Option<_>, _>("to_tenant_id")?.map(TenantId),
                })
            })
            .collect()
    }

    /// Released numbers through whose account something may still leave.
    pub async fn released_numbers(&self, limit: i64) -> Result<Vec<(TenantId, NumberId)>, DbError> {
        let rows = sqlx::query(
            "SELECT tenant_id, id FROM number WHERE released_at IS NOT NULL AND account_id IS NOT NULL LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((TenantId(row.try_get(0)?), NumberId(row.try_get(1)?))))
            .collect()
    }
}

/// A move that is being made.
struct Moving<'a> {
    tx: Transaction<'a, Postgres>,
    id: Uuid,
    from: TenantId,
    now: OffsetDateTime,
}

impl Db {
    /// Makes a move whose moment has come, under both tenants. A text that is stored before it is the old tenant's; one that
    /// comes after finds the new one.
    pub async fn make_number_move(
        &self,
        due: DueMove,
        actor: &Actor,
        now: OffsetDateTime,
    ) -> Result<Moved, DbError> {
        let tenants = [Some(due.tenant), due.to_tenant];
        let settings = acting(Some(actor));
        let mut moving = Moving {
            tx: self.begin_with(tenants.into_iter().flatten(), &settings).await?,
            id: due.id,
            from: due.tenant,
            now,
        };
        let Some(row) = moving.locked().await? else {
            return Ok(Moved::NotDue);
        };
        let made = moving.make(&row).await?;
        let (state, problem, to_number) = match &made {
            Ok(to_number) => ("done", None, *to_number),
            Err(problem) => ("failed", Some(*problem), None),
        };
        sqlx::query(
            "UPDATE number_move SET state = $3, problem = $4, to_number_id = $5, ended_at = $6
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(due.tenant.uuid())
        .bind(due.id)
        .bind(state)
        .bind(problem)
        .bind(to_number.map(Id::uuid))
        .bind(now)
        .execute(&mut *moving.tx)
        .await?;
        moving.tell(&row, problem, to_number).await?;
        moving.tx.commit().await?;
        Ok(match made {
            Ok(_) => Moved::Done,
            Err(problem) => Moved::Failed(problem),
        })
    }
}

/// The number's new id where it has one; or why it stays.
type Made = Result<Option<NumberId>, &'static str>;

impl Moving<'_> {
    async fn locked(&mut self) -> Result<Option<NumberMoveRow>, DbError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM number_move WHERE tenant_id = $1 AND id = $2 AND state = 'pending' AND at <= $3 FOR UPDATE SKIP LOCKED"
        ))
        .bind(self.from.uuid())
        .bind(self.id)
        .bind(self.now)
        .fetch_optional(&mut *self.tx)
        .await?;
        row.as_ref().map(number_move).transpose()
    }

    async fn make(&mut self, row: &NumberMoveRow) -> Result<Made, DbError> {
        // The lock that new conversations wait for.
        let number: Option<String> = sqlx::query_scalar(
            "SELECT address FROM number WHERE tenant_id = $1 AND id = $2 AND released_at IS NULL FOR UPDATE",
        )
        .bind(self.from.uuid())
        .bind(row.number.uuid())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some(address) = number else {
            return Ok(Err("the number was released before"));
        };
        let address: Address = address.parse()?;
        let to = row.to.tenant.map_or(self.from, |(tenant, _)| tenant);
        if let Some(problem) = self.refused(row, to, &address).await? {
            return Ok(Err(problem));
        }
        match row.to.tenant {
            None => self.move_to_account(row).await.map(|()| Ok(None)),
            Some((tenant, skillset)) => self.move_to_tenant(row, &address, tenant, skillset).await.map(Ok),
        }
    }

    async fn refused(
        &mut self,
        row: &NumberMoveRow,
        to: TenantId,
        address: &Address,
    ) -> Result<Option<&'static str>, DbError> {
        let found = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM tenant WHERE id = $1 AND closing_since IS NULL) AS tenant,
                    EXISTS (SELECT 1 FROM provider_account WHERE tenant_id = $1 AND id = $2) AS account,
                    EXISTS (SELECT 1 FROM skillset WHERE tenant_id = $1 AND id = $3) AS skillset,
                    EXISTS (SELECT 1 FROM number WHERE tenant_id = $1 AND account_id = $2 AND address = $4
                              AND released_at IS NULL AND id <> $5) AS number",
        )
        .bind(to.uuid())
        .bind(row.to.account.uuid())
        .bind(row.to.tenant.map(|(_, skillset)| skillset.uuid()))
        .bind(address.as_str())
        .bind(row.number.uuid())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(if !found.try_get::<bool, _>("tenant")? {
            Some("the tenant is being deleted")
        } else if !found.try_get::<bool, _>("account")? {
            Some("the account is gone")
        } else if row.to.tenant.is_some() && !found.try_get::<bool, _>("skillset")? {
            Some("the skillset is gone")
        } else if found.try_get("number")? {
            Some("the account has the number already")
        } else {
            None
        })
    }

    /// Conversations go on: their next texts leave through the new account.
    async fn move_to_account(&mut self, row: &NumberMoveRow) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE number SET account_id = $3, second_account_id = nullif(second_account_id, $3)
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.from.uuid())
        .bind(row.number.uuid())
        .bind(row.to.account.uuid())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn move_to_tenant(
        &mut self,
        row: &NumberMoveRow,
        address: &Address,
        tenant: TenantId,
        skillset: SkillsetId,
    ) -> Result<Option<NumberId>, DbError> {
        self.end_conversations(row.number).await?;
        sqlx::query("UPDATE number SET released_at = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(self.from.uuid())
            .bind(row.number.uuid())
            .bind(self.now)
            .execute(&mut *self.tx)
            .await?;
        // It keeps its id where it was before; its kind and its rate come along.
        let id: Uuid = sqlx::query_scalar(
            "WITH was AS (
               SELECT id FROM number WHERE tenant_id = $1 AND address = $2 AND released_at IS NOT NULL
               ORDER BY released_at DESC, id LIMIT 1
             ), back AS (
               UPDATE number n SET account_id = $3, skillset_id = $4, second_account_id = NULL, released_at = NULL,
                      kind = o.kind, per_second = o.per_second
               FROM was, number o WHERE n.id = was.id AND n.tenant_id = $1 AND o.id = $5
               RETURNING n.id
             ), made AS (
               INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second, kind)
               SELECT uuid_v7($6), $1, $3, $4, $2, per_second, kind FROM number
               WHERE id = $5 AND NOT EXISTS (SELECT 1 FROM was)
               RETURNING id
             )
             SELECT id FROM back UNION ALL SELECT id FROM made",
        )
        .bind(tenant.uuid())
        .bind(address.as_str())
        .bind(row.to.account.uuid())
        .bind(skillset.uuid())
        .bind(row.number.uuid())
        .bind(self.now)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(Some(NumberId(id)))
    }

    /// Behind all that waits for their agents stands a note that ends the chat: nothing that was accepted is lost.
    async fn end_conversations(&mut self, number: NumberId) -> Result<(), DbError> {
        // In the order of their ids, as everybody locks several.
        let open: Vec<Uuid> = sqlx::query_scalar(concat!(
            "SELECT id FROM ",
            open_on_number!(),
            " ORDER BY id FOR UPDATE"
        ))
        .bind(self.from.uuid())
        .bind(number.uuid())
        .fetch_all(&mut *self.tx)
        .await?;
        sqlx::query(
            "WITH seq AS (
               UPDATE conversation SET next_seq = next_seq + 1 WHERE tenant_id = $1 AND id = ANY ($2)
               RETURNING id AS conversation_id, next_seq - 1 AS seq
             ), note AS (
               INSERT INTO message (id, tenant_id, conversation_id, seq, direction, origin, author, body, state,
                                    created_at, updated_at)
               SELECT uuid_v7($3), $1, conversation_id, seq, 'mo', 'system', $4,
                      'The number has gone to another contact center: this conversation is over.', 'accepted', $3, $3
               FROM seq RETURNING id, conversation_id, seq
             )
             INSERT INTO inbox (message_id, tenant_id, conversation_id, seq, kind)
             SELECT id, $1, conversation_id, seq, 'note' FROM note",
        )
        .bind(self.from.uuid())
        .bind(open)
        .bind(self.now)
        .bind(NUMBER_MOVED)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// An event for whoever had the number, and one for whoever has it now.
    async fn tell(
        &mut self,
        row: &NumberMoveRow,
        problem: Option<&str>,
        to_number: Option<NumberId>,
    ) -> Result<(), DbError> {
        let kind = match (problem, row.to.tenant) {
            (Some(_), _) => "number_move_failed",
            (None, Some(_)) => "number_left",
            (None, None) => "number_moved",
        };
        let left = serde_json::json!({"move_id": row.id, "number_id": row.number, "problem": problem});
        let mut told = vec![(self.from, kind, left)];
        if let (Some((tenant, _)), Some(number)) = (row.to.tenant, to_number) {
            told.push((tenant, "number_came", serde_json::json!({"number_id": number})));
        }
        for (tenant, kind, detail) in told {
            sqlx::query(
                "INSERT INTO tenant_event (id, tenant_id, kind, at, detail) VALUES (uuid_v7($3), $1, $2, $3, $4)",
            )
            .bind(tenant.uuid())
            .bind(kind)
            .bind(self.now)
            .bind(detail)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }
}
