//! Secrets that a tenant shares with its own programs: two at a time of a kind, so that one can take the other's place.

use crate::{DbError, TenantDb, seal::Place};
use ccm_model::Id;
use secrecy::SecretString;
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;

/// A secret, without the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow<I> {
    pub id: I,
    pub name: String,
    pub created_at: OffsetDateTime,
}

/// Secrets of one table. From [`two_secrets`].
pub(crate) struct TwoSecrets {
    /// As in "webhook secret".
    pub what: &'static str,
    pub table: &'static str,
    /// The constraint that keeps two from taking one place.
    pub slot_key: &'static str,
    pub insert: &'static str,
    pub list: &'static str,
    pub delete: &'static str,
}

macro_rules! two_secrets {
    ($what:literal, $table:literal) => {
        crate::two_secrets::TwoSecrets {
            what: $what,
            table: $table,
            slot_key: concat!($table, "_tenant_id_slot_key"),
            insert: concat!(
                "INSERT INTO ",
                $table,
                " (id, tenant_id, name, slot, secret_sealed)
                 SELECT $1, $2, $3, free.slot, $4 FROM generate_series(1, 2) AS free (slot)
                 WHERE NOT EXISTS (SELECT 1 FROM ",
                $table,
                " s WHERE s.tenant_id = $2 AND s.slot = free.slot)
                 ORDER BY free.slot LIMIT 1
                 RETURNING id, name, created_at"
            ),
            list: concat!(
                "SELECT id, name, created_at FROM ",
                $table,
                " WHERE tenant_id = $1 ORDER BY name"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE tenant_id = $1 AND id = $2"),
        }
    };
}
pub(crate) use two_secrets;

fn row<I: Id>(row: &PgRow) -> Result<SecretRow<I>, DbError> {
    Ok(SecretRow {
        id: I::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

impl TwoSecrets {
    fn place<I: Id>(&self, id: I) -> Place<'static> {
        Place {
            table: self.table,
            column: "secret_sealed",
            row: id.uuid(),
        }
    }
}

impl TenantDb<'_> {
    /// Makes one. `None`: the tenant has two already. `Conflict` when the name is taken.
    pub(crate) async fn create_secret<I: Id>(
        &self,
        of: &TwoSecrets,
        id: I,
        name: &str,
        secret: &str,
    ) -> Result<Option<SecretRow<I>>, DbError> {
        for _ in 0..2 {
            match self.take_secret_slot(of, id, name, secret).await {
                // Somebody else took the place meanwhile; the other one may be free.
                Err(DbError::Conflict { constraint, .. }) if constraint == of.slot_key => {}
                made => return made,
            }
        }
        Ok(None)
    }

    async fn take_secret_slot<I: Id>(
        &self,
        of: &TwoSecrets,
        id: I,
        name: &str,
        secret: &str,
    ) -> Result<Option<SecretRow<I>>, DbError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&mut tx, of.place(id), secret.as_bytes()).await?;
        let made = sqlx::query(of.insert)
            .bind(id.uuid())
            .bind(self.tenant.uuid())
            .bind(name)
            .bind(sealed)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        made.as_ref().map(row).transpose()
    }

    /// The tenant's, by name.
    pub(crate) async fn secrets<I: Id>(&self, of: &TwoSecrets) -> Result<Vec<SecretRow<I>>, DbError> {
        self.list(of.list, row).await
    }

    pub(crate) async fn delete_secret<I: Id>(&self, of: &TwoSecrets, id: I) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query(of.delete)
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        match gone.rows_affected() {
            0 => Err(DbError::NotFound(of.what)),
            _ => Ok(()),
        }
    }

    /// The secret itself.
    pub(crate) async fn open_secret<I: Id>(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        of: &TwoSecrets,
        id: I,
        sealed: &[u8],
    ) -> Result<SecretString, DbError> {
        let opened = self.unseal(tx, of.place(id), sealed).await?;
        let secret =
            str::from_utf8(&opened).map_err(|_| DbError::Corrupt(format!("a {} is no text", of.what)))?;
        Ok(SecretString::from(secret))
    }
}
