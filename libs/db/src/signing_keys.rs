//! What tenants sign links to their agents' page with.

use crate::{
    DbError, Operator, TenantDb,
    two_secrets::{SecretRow, TwoSecrets, two_secrets},
};
use ccm_model::{Id, SigningKeyId, TenantId};
use secrecy::SecretString;
use uuid::Uuid;

/// A signing key, without its secret.
pub type SigningKeyRow = SecretRow<SigningKeyId>;

const KEYS: TwoSecrets = two_secrets!("signing key", "screenpop_signing_key");

impl TenantDb<'_> {
    /// Makes a signing key. `None`: the tenant has two already. `Conflict` when the name is taken.
    pub async fn create_signing_key(
        &self,
        id: SigningKeyId,
        name: &str,
        secret: &str,
    ) -> Result<Option<SigningKeyRow>, DbError> {
        self.create_secret(&KEYS, id, name, secret).await
    }

    /// The tenant's signing keys, by name.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, DbError> {
        self.secrets(&KEYS).await
    }

    /// Forgets one: links that are signed with it open nothing any more, and pages that they have opened end.
    pub async fn delete_signing_key(&self, id: SigningKeyId) -> Result<(), DbError> {
        self.delete_secret(&KEYS, id).await
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
        let sealed = sealed.ok_or(DbError::NotFound(KEYS.what))?;
        let secret = self.open_secret(&mut tx, &KEYS, id, &sealed).await?;
        tx.commit().await?;
        Ok(secret)
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
