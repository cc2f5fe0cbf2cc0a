//! Taking away what a tenant is configured with: only what nothing else needs.

use crate::{
    DbError, TenantDb,
    listing::{Read, row_of},
    names::{NamingState, names_stay},
};
use ccm_model::Id;
use sqlx::{Postgres, Row, Transaction};
use uuid::Uuid;

/// What keeps something from being taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    /// In the plural, as in "numbers".
    pub what: &'static str,
    pub count: i64,
    /// The first of them: ids, or places in a document.
    pub which: Vec<String>,
}

/// How something is to be taken away.
#[derive(Debug, Clone, Default)]
pub struct Removal {
    /// Only say what would happen.
    pub dry_run: bool,
    /// What the caller has found in the way.
    pub in_the_way: Vec<InTheWay>,
    /// Of which state the documents are that the caller has looked for its name in; `Contended` if they have changed by now.
    pub named: Option<NamingState>,
}

/// Rows that refer to `$2`, of the tenant `$1`: how many, and the first of them.
macro_rules! referring {
    ($rows:literal) => {
        concat!(
            "SELECT count(*), (array_agg(id::text ORDER BY id))[1:5] FROM ",
            $rows
        )
    };
}
pub(crate) use referring;

impl Removal {
    /// To be done before a row is locked.
    pub(crate) async fn begin(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        db: &TenantDb<'_>,
    ) -> Result<(), DbError> {
        match self.named {
            Some(as_read) => names_stay(tx, db.tenant, as_read).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn look(
        &mut self,
        tx: &mut Transaction<'_, Postgres>,
        db: &TenantDb<'_>,
        id: Uuid,
        referring: &[(&'static str, &'static str)],
    ) -> Result<(), DbError> {
        for &(what, sql) in referring {
            let row = sqlx::query(sql)
                .bind(db.tenant.uuid())
                .bind(id)
                .fetch_one(&mut **tx)
                .await?;
            let count: i64 = row.try_get(0)?;
            if count > 0 {
                let which = row.try_get(1)?;
                self.in_the_way.push(InTheWay { what, count, which });
            }
        }
        Ok(())
    }

    /// Whether it is to be done now.
    pub(crate) fn goes(&self) -> bool {
        !self.dry_run && self.in_the_way.is_empty()
    }
}

/// Something of a tenant's that is taken away whole. In each statement `$1` is the tenant, `$2` its id.
pub(crate) struct Removable<T: 'static> {
    /// As in "link".
    pub what: &'static str,
    /// Reads it, `FOR UPDATE`.
    pub locked: &'static str,
    pub read: Read<T>,
    pub referring: &'static [(&'static str, &'static str)],
    /// What goes, it itself last.
    pub deletes: &'static [&'static str],
}

impl TenantDb<'_> {
    /// Takes it away, if `allowed` and if nothing is in the way; returns what is.
    pub(crate) async fn remove<T, E: From<DbError>>(
        &self,
        thing: &Removable<T>,
        id: Uuid,
        mut removal: Removal,
        allowed: impl FnOnce(&T) -> Result<(), E>,
    ) -> Result<Vec<InTheWay>, E> {
        let mut tx = self.begin().await?;
        removal.begin(&mut tx, self).await?;
        allowed(&row_of(&mut tx, self.tenant, thing.locked, id, thing.what, thing.read).await?)?;
        removal.look(&mut tx, self, id, thing.referring).await?;
        if removal.goes() {
            for sql in thing.deletes {
                sqlx::query(*sql)
                    .bind(self.tenant.uuid())
                    .bind(id)
                    .execute(&mut *tx)
                    .await
                    .map_err(DbError::from)?;
            }
        }
        tx.commit().await.map_err(DbError::from)?;
        Ok(removal.in_the_way)
    }
}
