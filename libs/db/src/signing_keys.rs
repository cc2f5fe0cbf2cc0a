//! What tenants sign links to their agents' page with.

use crate::{DbError, Operator, TenantDb, seal::Place};
use ccm_model::{Id, SigningKeyId, TenantId};
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// A signing key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    pub id: SigningKeyId,
    pub name: String,
    pub created_at: OffsetDateTime,
}

fn row(row: &PgRow) -> Result<SigningKeyRow, DbError> {
    Ok(SigningKeyRow {
        id: SigningKeyId(row.try_get("id")?),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

fn place(id: SigningKeyId) -> Place<'static> {
    Place {
        table: "screenpop_signing_key",
        column: "secret_sealed",
        row: id.uuid(),
    }
}

impl TenantDb<'_> {
    /// Makes a signing key. `None`: the tenant has two already. `Conflict` when the name is taken.
    pub async fn create_signing_key(
        &self,
        id: SigningKeyId,
        name: &str,
        secret: &str,
    ) -> Result<Option<SigningKeyRow>, DbError> {
        for _ in 0..2 {
            match self.take_signing_key_slot(id, name, secret).await {
                // Somebody else took the place meanwhile; the other one may be free.
                Err(DbError::Conflict { constraint, .. })
                    if constraint == "screenpop_signing_key_tenant_id_slot_key" => {}
                made => return made,
            }
        }
        Ok(None)
    }

    async fn take_signing_key_slot(
        &self,
        id: SigningKeyId,
        name: &str,
        secret: &str,
    ) -> Result<Option<SigningKeyRow>, DbError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&mut tx, place(id), secret.as_bytes()).await?;
        let made = sqlx::query(
            "INSERT INTO screenpop_signing_key (id, tenant_id, name, slot, secret_sealed)
             SELECT $1, $2, $3, free.slot, $4 FROM generate_series(1, 2) AS free (slot)
             WHERE NOT EXISTS (SELECT 1 FROM screenpop_signing_key s WHERE s.tenant_id = $2 AND s.slot = free.slot)
             ORDER BY free.slot LIMIT 1
             RETURNING id, name, created_at",
        )
        .bind(id.uuid())
        .bind(self.tenant.uuid())
        .bind(name)
        .bind(sealed)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        made.as_ref().map(row).transpose()
    }

    /// The tenant's signing keys, by name.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, DbError> {
        self.list(
            "SELECT id, name, created_at FROM screenpop_signing_key WHERE tenant_id = $1 ORDER BY name",
            row,
        )
        .await
    }

    /// Forgets one: links that are signed with it open nothing any more, and pages that they have opened end.
    pub async fn delete_signing_key(&self, id: SigningKeyId) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM screenpop_signing_key WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        match gone.rows_affected() {
            0 => Err(DbError::NotFound("signing key")),
            _ => Ok(()),
        }
    }

    /// A signing key's secret, opened.
    pub async fn signing_secret(&self, id: SigningKeyId) -> Result<SecretString, DbError> {
        let mut tx = self.begin().await?;
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT secret_sealed FROM screenpop_signing_key WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let sealed = sealed.ok_or(DbError::NotFound("signing key"))?;
        let opened = self.unseal(&mut tx, place(id), &sealed).await?;
        tx.commit().await?;
        let secret =
            str::from_utf8(&opened).map_err(|_| DbError::Corrupt("a signing secret is no text".into()))?;
        Ok(SecretString::from(secret))
    }
}

impl Operator<'_> {
    /// Whose signing key it is, if it is one and its tenant is not being deleted: a link names no tenant.
    pub async fn signing_key_owner(&self, id: SigningKeyId) -> Result<Option<TenantId>, DbError> {
        let owner: Option<Uuid> = sqlx::query_scalar(
            "SELECT k.tenant_id FROM screenpop_signing_key k JOIN tenant t ON t.id = k.tenant_id
             WHERE k.id = $1 AND t.closing_since IS NULL",
        )
        .bind(id.uuid())
        .fetch_optional(self.pool())
        .await?;
        Ok(owner.map(TenantId))
    }
}
