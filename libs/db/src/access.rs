//! Who may use the admin API, and what they did: of a tenant, or of the platform.

use crate::{
    Db, DbError,
    listing::{Read, row_of},
    pool::acting,
};
use ccm_model::{Actor, Id, TenantId};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

/// API keys, users, the audit and answers to repeated requests: those of one tenant, read and written as that tenant, or the
/// platform's own, as the system role.
#[derive(Clone, Copy)]
pub struct AccessDb<'a> {
    pub(crate) db: &'a Db,
    pub(crate) owner: TenantId,
    actor: Option<&'a Actor>,
}

impl Db {
    /// Those of a tenant, or of [`TenantId::PLATFORM`].
    pub fn access(&self, owner: TenantId) -> AccessDb<'_> {
        AccessDb {
            db: self,
            owner,
            actor: None,
        }
    }
}

impl<'a> AccessDb<'a> {
    /// As [`crate::TenantDb::by`].
    pub fn by(self, actor: &'a Actor) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }
}

impl AccessDb<'_> {
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, DbError> {
        let setting = acting(self.actor);
        match self.owner {
            TenantId::PLATFORM => self.db.begin_system(&setting).await,
            tenant => self.db.begin_with([tenant], &setting).await,
        }
    }

    /// As [`row_of`], in a transaction of its own.
    pub(crate) async fn one<T>(
        &self,
        sql: &'static str,
        id: Uuid,
        what: &'static str,
        read: Read<T>,
    ) -> Result<T, DbError> {
        let mut tx = self.begin().await?;
        let found = row_of(&mut tx, self.owner, sql, id, what, read).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// The owner's rows after an id, the oldest first: `$1` is the owner, `$2` the id, `$3` the limit.
    pub(crate) async fn after<T>(
        &self,
        sql: &'static str,
        after: Option<impl Id>,
        limit: i64,
        read: Read<T>,
    ) -> Result<Vec<T>, DbError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(sql)
            .bind(self.owner.uuid())
            .bind(after.map_or(Uuid::nil(), Id::uuid))
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }
}
