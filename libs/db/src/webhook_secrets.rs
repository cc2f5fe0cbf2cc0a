//! What a tenant's own programs know our calls by.

use crate::{DbError, TenantDb, seal::Place};
use ccm_model::{Id, WebhookSecretId};
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A signing secret, without the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecretRow {
    pub id: WebhookSecretId,
    pub name: String,
    pub created_at: OffsetDateTime,
}

fn row(row: &PgRow) -> Result<WebhookSecretRow, DbError> {
    Ok(WebhookSecretRow {
        id: WebhookSecretId(row.try_get("id")?),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

fn place(id: WebhookSecretId) -> Place<'static> {
    Place {
        table: "webhook_secret",
        column: "secret_sealed",
        row: id.uuid(),
    }
}

impl TenantDb<'_> {
    /// Makes a signing secret. `None`: the tenant has two already. `Conflict` when the name is taken.
    pub async fn create_webhook_secret(
        &self,
        id: WebhookSecretId,
        name: &str,
        secret: &str,
    ) -> Result<Option<WebhookSecretRow>, DbError> {
        for _ in 0..2 {
            match self.take_webhook_secret_slot(id, name, secret).await {
                // Somebody else took the place meanwhile; the other one may be free.
                Err(DbError::Conflict { constraint, .. })
                    if constraint == "webhook_secret_tenant_id_slot_key" => {}
                made => return made,
            }
        }
        Ok(None)
    }

    async fn take_webhook_secret_slot(
        &self,
        id: WebhookSecretId,
        name: &str,
        secret: &str,
    ) -> Result<Option<WebhookSecretRow>, DbError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&mut tx, place(id), secret.as_bytes()).await?;
        let made = sqlx::query(
            "INSERT INTO webhook_secret (id, tenant_id, name, slot, secret_sealed)
             SELECT $1, $2, $3, free.slot, $4 FROM generate_series(1, 2) AS free (slot)
             WHERE NOT EXISTS (SELECT 1 FROM webhook_secret s WHERE s.tenant_id = $2 AND s.slot = free.slot)
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

    /// The tenant's signing secrets, by name.
    pub async fn list_webhook_secrets(&self) -> Result<Vec<WebhookSecretRow>, DbError> {
        self.list(
            "SELECT id, name, created_at FROM webhook_secret WHERE tenant_id = $1 ORDER BY name",
            row,
        )
        .await
    }

    /// Forgets one: calls are not signed with it any more.
    pub async fn delete_webhook_secret(&self, id: WebhookSecretId) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM webhook_secret WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(id.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        match gone.rows_affected() {
            0 => Err(DbError::NotFound("webhook secret")),
            _ => Ok(()),
        }
    }

    /// All that calls are signed with, opened.
    pub async fn webhook_secrets(&self) -> Result<Vec<SecretString>, DbError> {
        let mut tx = self.begin().await?;
        let rows =
            sqlx::query("SELECT id, secret_sealed FROM webhook_secret WHERE tenant_id = $1 ORDER BY slot")
                .bind(self.tenant.uuid())
                .fetch_all(&mut *tx)
                .await?;
        let mut secrets = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = WebhookSecretId(row.try_get("id")?);
            let opened = self
                .unseal(&mut tx, place(id), row.try_get("secret_sealed")?)
                .await?;
            let secret = str::from_utf8(&opened)
                .map_err(|_| DbError::Corrupt("a webhook secret is no text".into()))?;
            secrets.push(SecretString::from(secret));
        }
        tx.commit().await?;
        Ok(secrets)
    }
}
