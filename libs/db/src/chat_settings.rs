//! A tenant's decisions about its chats.

use crate::{DbError, TenantDb};
use ccm_model::{ChatSettings, Id};
use sqlx::Row;
use time::OffsetDateTime;

impl TenantDb<'_> {
    /// The tenant's settings and when they were last changed; the defaults when it has none.
    pub async fn chat_settings(&self) -> Result<(ChatSettings, Option<OffsetDateTime>), DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT settings, updated_at FROM chat_settings WHERE tenant_id = $1")
            .bind(self.tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        let Some(row) = row else {
            return Ok((ChatSettings::default(), None));
        };
        Ok((parse(row.try_get("settings")?)?, Some(row.try_get("updated_at")?)))
    }

    /// Replaces them. With `unless_changed_since`, only if they are still of that moment (`None` inside: not set yet);
    /// returns when they were changed now, or `None` when somebody else was faster.
    pub async fn put_chat_settings(
        &self,
        settings: &ChatSettings,
        unless_changed_since: Option<Option<OffsetDateTime>>,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        let document = serde_json::to_value(settings).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "INSERT INTO chat_settings (tenant_id, settings, updated_at) SELECT $1, $2, clock_timestamp()
             WHERE NOT $3 OR $4::timestamptz IS NULL OR EXISTS (SELECT 1 FROM chat_settings WHERE tenant_id = $1)
             ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at
               WHERE NOT $3 OR chat_settings.updated_at = $4
             RETURNING updated_at",
        )
        .bind(self.tenant.uuid())
        .bind(document)
        .bind(unless_changed_since.is_some())
        .bind(unless_changed_since.flatten())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.map(|r| Ok(r.try_get("updated_at")?)).transpose()
    }
}

pub(crate) fn parse(document: serde_json::Value) -> Result<ChatSettings, DbError> {
    serde_json::from_value(document).map_err(|e| DbError::Corrupt(format!("chat settings: {e}")))
}
