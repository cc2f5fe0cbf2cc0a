//! Legal holds.

use crate::{DbError, Operator, TenantDb, listing::row_of, storable::storable};
use ccm_model::{Address, ConversationId, Id, TenantId};
use sqlx::{PgExecutor, Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// What a hold is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldScope {
    Tenant,
    /// `None`: the hold was released, and its customer has been erased.
    Customer(Option<Address>),
    Conversation(ConversationId),
}

impl HoldScope {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Customer(_) => "customer",
            Self::Conversation(_) => "conversation",
        }
    }

    fn customer(&self) -> Option<&str> {
        match self {
            Self::Customer(customer) => customer.as_ref().map(Address::as_str),
            Self::Tenant | Self::Conversation(_) => None,
        }
    }

    fn conversation(&self) -> Option<Uuid> {
        match self {
            Self::Conversation(id) => Some(id.uuid()),
            Self::Tenant | Self::Customer(_) => None,
        }
    }
}

/// Somebody's word that something is to stay.
#[derive(Debug, Clone, Copy)]
pub struct NewHold<'a> {
    pub id: Uuid,
    pub scope: &'a HoldScope,
    pub reason: &'a str,
    pub by: &'a str,
    pub at: OffsetDateTime,
}

/// A legal hold.
#[derive(Debug, Clone)]
pub struct HoldRow {
    pub id: Uuid,
    pub scope: HoldScope,
    pub reason: String,
    pub placed_by: String,
    pub placed_at: OffsetDateTime,
    pub released_at: Option<OffsetDateTime>,
    pub released_by: Option<String>,
}

macro_rules! hold {
    ($rest:literal) => {
        concat!(
            "SELECT id, scope, customer_address, conversation_id, reason, placed_by, placed_at, released_at, released_by
             FROM legal_hold WHERE tenant_id = $1 AND ",
            $rest
        )
    };
}

/// Whether nothing holds the conversation `c`.
macro_rules! not_held {
    () => {
        "NOT EXISTS (SELECT FROM legal_hold h WHERE h.tenant_id = c.tenant_id AND h.released_at IS NULL
           AND (h.scope = 'tenant' OR h.conversation_id = c.id OR h.customer_address = c.customer_address))"
    };
}
pub(super) use not_held;

fn read(row: &PgRow) -> Result<HoldRow, DbError> {
    let scope = match row.try_get("scope")? {
        "tenant" => HoldScope::Tenant,
        "customer" => {
            let customer: Option<&str> = row.try_get("customer_address")?;
            HoldScope::Customer(customer.map(str::parse).transpose()?)
        }
        "conversation" => HoldScope::Conversation(ConversationId(row.try_get("conversation_id")?)),
        other => return Err(DbError::Corrupt(format!("hold on {other:?}"))),
    };
    Ok(HoldRow {
        id: row.try_get("id")?,
        scope,
        reason: row.try_get("reason")?,
        placed_by: row.try_get("placed_by")?,
        placed_at: row.try_get("placed_at")?,
        released_at: row.try_get("released_at")?,
        released_by: row.try_get("released_by")?,
    })
}

impl TenantDb<'_> {
    /// Places a hold. It stands when this returns: whatever was being taken away is gone, and nothing more of it goes. `NotFound` when
    /// the tenant's rows are going already.
    pub async fn place_hold(&self, new: NewHold<'_>) -> Result<HoldRow, DbError> {
        let mut tx = self.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('ccm hold ' || $1::text, 0))")
            .bind(self.tenant.uuid())
            .execute(&mut *tx)
            .await?;
        let goes: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM tenant_deletion WHERE tenant_id = $1 AND state = 'purging')",
        )
        .bind(self.tenant.uuid())
        .fetch_one(&mut *tx)
        .await?;
        if goes {
            return Err(DbError::NotFound("tenant"));
        }
        if let HoldScope::Conversation(id) = new.scope {
            let there: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM conversation WHERE tenant_id = $1 AND id = $2)",
            )
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .fetch_one(&mut *tx)
            .await?;
            if !there {
                return Err(DbError::NotFound("conversation"));
            }
        }
        sqlx::query(
            "INSERT INTO legal_hold (id, tenant_id, scope, customer_address, conversation_id, reason, placed_by, placed_at)
             VALUES ($1, $2, $3, $4, $5, $6, left($7, 300), $8)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(new.scope.as_str())
        .bind(new.scope.customer())
        .bind(new.scope.conversation())
        .bind(storable(new.reason))
        .bind(storable(new.by))
        .bind(new.at)
        .execute(&mut *tx)
        .await?;
        let row = row_of(&mut tx, self.tenant, hold!("id = $2"), new.id, "legal hold", read).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Holds, the newest first: those before `before`, `limit` at most; those that stand, or all.
    pub async fn holds(&self, all: bool, before: Option<Uuid>, limit: i64) -> Result<Vec<HoldRow>, DbError> {
        let sql = hold!("id < $2 AND (released_at IS NULL OR $3) ORDER BY id DESC LIMIT $4");
        let query = sqlx::query(sql)
            .bind(self.tenant.uuid())
            .bind(before.unwrap_or(Uuid::max()))
            .bind(all)
            .bind(limit);
        self.rows(query, read).await
    }

    /// One hold.
    pub async fn hold(&self, id: Uuid) -> Result<HoldRow, DbError> {
        self.one(hold!("id = $2"), id, "legal hold", read).await
    }

    /// Releases a hold; one that was released stays as it is.
    pub async fn release_hold(&self, id: Uuid, by: &str, at: OffsetDateTime) -> Result<HoldRow, DbError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE legal_hold SET released_at = $3, released_by = left($4, 300)
             WHERE tenant_id = $1 AND id = $2 AND released_at IS NULL",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(at)
        .bind(storable(by))
        .execute(&mut *tx)
        .await?;
        let row = row_of(&mut tx, self.tenant, hold!("id = $2"), id, "legal hold", read).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// A hold that stands over a customer, or over one of its conversations.
    pub(super) async fn hold_over(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        customer: &Address,
    ) -> Result<Option<Uuid>, DbError> {
        let hold = sqlx::query_scalar(
            "SELECT h.id FROM legal_hold h LEFT JOIN conversation c ON c.tenant_id = h.tenant_id AND c.id = h.conversation_id
             WHERE h.tenant_id = $1 AND h.released_at IS NULL
               AND (h.scope = 'tenant' OR h.customer_address = $2 OR c.customer_address = $2) ORDER BY h.id LIMIT 1",
        )
        .bind(self.tenant.uuid())
        .bind(customer.as_str())
        .fetch_optional(&mut **tx)
        .await?;
        Ok(hold)
    }
}

impl Operator<'_> {
    /// A hold that stands over anything of the tenant.
    pub async fn standing_hold(&self, tenant: TenantId) -> Result<Option<Uuid>, DbError> {
        standing_hold(self.pool(), tenant).await
    }
}

pub(crate) async fn standing_hold(
    on: impl PgExecutor<'_>,
    tenant: TenantId,
) -> Result<Option<Uuid>, DbError> {
    let hold = sqlx::query_scalar(
        "SELECT id FROM legal_hold WHERE tenant_id = $1 AND released_at IS NULL ORDER BY id LIMIT 1",
    )
    .bind(tenant.uuid())
    .fetch_optional(on)
    .await?;
    Ok(hold)
}
