//! What a tenant's own programs know our calls by.

use crate::{
    DbError, TenantDb,
    two_secrets::{SecretRow, TwoSecrets, two_secrets},
};
use ccm_model::{Id, WebhookSecretId};
use secrecy::SecretString;
use sqlx::Row;

/// A signing secret, without the secret itself.
pub type WebhookSecretRow = SecretRow<WebhookSecretId>;

const SECRETS: TwoSecrets = two_secrets!("webhook secret", "webhook_secret");

impl TenantDb<'_> {
    /// Makes a signing secret. `None`: the tenant has two already. `Conflict` when the name is taken.
    pub async fn create_webhook_secret(
        &self,
        id: WebhookSecretId,
        name: &str,
        secret: &str,
    ) -> Result<Option<WebhookSecretRow>, DbError> {
        self.create_secret(&SECRETS, id, name, secret).await
    }

    /// The tenant's signing secrets, by name.
    pub async fn list_webhook_secrets(&self) -> Result<Vec<WebhookSecretRow>, DbError> {
        self.secrets(&SECRETS).await
    }

    /// Forgets one: calls are not signed with it any more.
    pub async fn delete_webhook_secret(&self, id: WebhookSecretId) -> Result<(), DbError> {
        self.delete_secret(&SECRETS, id).await
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
            let (id, sealed) = (WebhookSecretId(row.try_get("id")?), row.try_get("secret_sealed")?);
            secrets.push(self.open_secret(&mut tx, &SECRETS, id, sealed).await?);
        }
        tx.commit().await?;
        Ok(secrets)
    }
}
