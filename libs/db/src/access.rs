//! Who may use the admin API, and what they did: of a tenant, or of the platform.

use crate::{Db, DbError, pool::acting};
use ccm_model::{Actor, TenantId};
use sqlx::{Postgres, Transaction};

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
}
