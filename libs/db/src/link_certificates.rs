//! Whom a tenant's link trusts and what it shows, changed one by one; and the client key that waits for its certificate.

use crate::{
    DbError, LinkRow, TenantDb,
    links::{link, link_columns, place as link_place},
    seal::Place,
};
use ccm_model::{Id, LinkId};
use sqlx::{Postgres, Row, Transaction};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A client key that was made here and waits for its certificate, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKeyRow {
    pub csr_pem: String,
    pub created_at: OffsetDateTime,
}

fn place(link: LinkId) -> Place<'static> {
    Place {
        table: "link_client_key",
        column: "key_sealed",
        row: link.uuid(),
    }
}

impl TenantDb<'_> {
    /// Replaces what a link trusts, if it still is `old`. `None`: somebody else was faster, or there is no such link.
    pub async fn set_link_ca(
        &self,
        id: LinkId,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<Option<LinkRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "UPDATE ewc_link SET ca_pem = $4, updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND ca_pem IS NOT DISTINCT FROM $3 RETURNING ",
            link_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(old)
        .bind(new)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.as_ref().map(link).transpose()
    }

    /// Gives a link a client certificate with its key (PEM, sealed at rest), or takes it away. The key that waited is gone
    /// then if it is the one. `NotFound` when the tenant has no such link.
    pub async fn set_link_client(
        &self,
        id: LinkId,
        client: Option<(&str, &str)>,
        takes_waiting: bool,
    ) -> Result<LinkRow, DbError> {
        let mut tx = self.begin().await?;
        let key = match client {
            Some((_, key)) => Some(
                self.seal(&mut tx, link_place("client_key_sealed", id), key.as_bytes())
                    .await?,
            ),
            None => None,
        };
        let row = sqlx::query(concat!(
            "UPDATE ewc_link SET client_cert_pem = $3, client_key_sealed = $4, updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 RETURNING ",
            link_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(client.map(|(chain, _)| chain))
        .bind(key)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound("link"))?;
        if takes_waiting {
            self.delete_waiting(&mut tx, id).await?;
        }
        tx.commit().await?;
        link(&row)
    }

    /// Keeps a client key (PEM, sealed at rest) until its certificate comes. `Conflict` when one waits already.
    pub async fn create_client_key(
        &self,
        id: LinkId,
        key_pem: &str,
        new: &ClientKeyRow,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&mut tx, place(id), key_pem.as_bytes()).await?;
        sqlx::query(
            "INSERT INTO link_client_key (link_id, tenant_id, key_sealed, csr_pem, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.uuid())
        .bind(self.tenant.uuid())
        .bind(sealed)
        .bind(&new.csr_pem)
        .bind(new.created_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The client key that waits for its certificate, if one does.
    pub async fn client_key(&self, id: LinkId) -> Result<Option<ClientKeyRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT csr_pem, created_at FROM link_client_key WHERE tenant_id = $1 AND link_id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(ClientKeyRow {
                csr_pem: row.try_get(0)?,
                created_at: row.try_get(1)?,
            })
        })
        .transpose()
    }

    /// The same key itself, PEM: for the certificate that has come.
    pub async fn client_key_secret(&self, id: LinkId) -> Result<Option<Zeroizing<String>>, DbError> {
        let mut tx = self.begin().await?;
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT key_sealed FROM link_client_key WHERE tenant_id = $1 AND link_id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let plain = match sealed {
            Some(sealed) => Some(self.unseal(&mut tx, place(id), &sealed).await?),
            None => None,
        };
        tx.commit().await?;
        plain
            .map(|plain| match std::str::from_utf8(&plain) {
                Ok(text) => Ok(Zeroizing::new(text.to_owned())),
                Err(_) => Err(DbError::Corrupt("key_sealed".into())),
            })
            .transpose()
    }

    /// Throws the key that waits away. Returns whether there was one.
    pub async fn delete_client_key(&self, id: LinkId) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let gone = self.delete_waiting(&mut tx, id).await?;
        tx.commit().await?;
        Ok(gone)
    }

    async fn delete_waiting(&self, tx: &mut Transaction<'_, Postgres>, id: LinkId) -> Result<bool, DbError> {
        let gone = sqlx::query("DELETE FROM link_client_key WHERE tenant_id = $1 AND link_id = $2")
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .execute(&mut **tx)
            .await?
            .rows_affected();
        Ok(gone > 0)
    }
}
