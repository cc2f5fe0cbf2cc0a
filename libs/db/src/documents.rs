//! A tenant's decisions, one JSON document a subject, read and replaced as a whole.

use crate::{DbError, TenantDb};
use ccm_model::{ChatSettings, DeflectionSettings, Id, ScreenpopSettings, SmsSettings};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row;
use time::OffsetDateTime;

/// A subject's table, with columns `tenant_id`, `settings` and `updated_at`.
pub(crate) struct Subject {
    name: &'static str,
    read: &'static str,
    replace: &'static str,
}

macro_rules! subject {
    ($name:literal, $table:literal) => {
        Subject {
            name: $name,
            read: concat!("SELECT settings, updated_at FROM ", $table, " WHERE tenant_id = $1"),
            replace: concat!(
                "INSERT INTO ", $table, " (tenant_id, settings, updated_at) SELECT $1, $2, clock_timestamp()
                 WHERE NOT $3 OR $4::timestamptz IS NULL OR EXISTS (SELECT 1 FROM ", $table, " WHERE tenant_id = $1)
                 ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at
                   WHERE NOT $3 OR ", $table, ".updated_at = $4
                 RETURNING updated_at"
            ),
        }
    };
}

const CHAT: Subject = subject!("chat settings", "chat_settings");
const DEFLECTION: Subject = subject!("deflection settings", "deflection_settings");
const SMS: Subject = subject!("SMS settings", "sms_settings");
const SCREENPOP: Subject = subject!("screen-pop settings", "screenpop_settings");

/// Of which moment settings must still be to be replaced; `None` inside: not set yet.
pub type Unless = Option<Option<OffsetDateTime>>;

impl TenantDb<'_> {
    /// How the tenant's chats behave, and when that was last changed; the defaults when nothing is set.
    pub async fn chat_settings(&self) -> Result<(ChatSettings, Option<OffsetDateTime>), DbError> {
        self.document(&CHAT).await
    }

    /// Replaces them. With `unless_changed_since`, only if they are still of that moment; returns when they were changed now,
    /// or `None` when somebody else was faster.
    pub async fn put_chat_settings(
        &self,
        settings: &ChatSettings,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        self.put_document(&CHAT, settings, unless_changed_since).await
    }

    /// How the tenant's texts are treated; as [`Self::chat_settings`].
    pub async fn sms_settings(&self) -> Result<(SmsSettings, Option<OffsetDateTime>), DbError> {
        self.document(&SMS).await
    }

    /// As [`Self::put_chat_settings`].
    pub async fn put_sms_settings(
        &self,
        settings: &SmsSettings,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        self.put_document(&SMS, settings, unless_changed_since).await
    }

    /// What the agents' page is like; as [`Self::chat_settings`].
    pub async fn screenpop_settings(&self) -> Result<(ScreenpopSettings, Option<OffsetDateTime>), DbError> {
        self.document(&SCREENPOP).await
    }

    /// As [`Self::put_chat_settings`].
    pub async fn put_screenpop_settings(
        &self,
        settings: &ScreenpopSettings,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        self.put_document(&SCREENPOP, settings, unless_changed_since)
            .await
    }

    /// When and how waiting callers are offered a chat; as [`Self::chat_settings`].
    pub async fn deflection_settings(&self) -> Result<(DeflectionSettings, Option<OffsetDateTime>), DbError> {
        self.document(&DEFLECTION).await
    }

    /// As [`Self::put_chat_settings`].
    pub async fn put_deflection_settings(
        &self,
        settings: &DeflectionSettings,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        self.put_document(&DEFLECTION, settings, unless_changed_since)
            .await
    }

    async fn document<T: DeserializeOwned + Default>(
        &self,
        subject: &Subject,
    ) -> Result<(T, Option<OffsetDateTime>), DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(subject.read)
            .bind(self.tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        let Some(row) = row else {
            return Ok((T::default(), None));
        };
        Ok((
            parse(subject.name, row.try_get("settings")?)?,
            Some(row.try_get("updated_at")?),
        ))
    }

    async fn put_document<T: Serialize>(
        &self,
        subject: &Subject,
        settings: &T,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        let document = serde_json::to_value(settings).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let mut tx = self.begin().await?;
        let row = sqlx::query(subject.replace)
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

fn parse<T: DeserializeOwned>(name: &str, document: serde_json::Value) -> Result<T, DbError> {
    serde_json::from_value(document).map_err(|e| DbError::Corrupt(format!("{name}: {e}")))
}

/// A document that came with another row; the default where there is none.
pub(crate) fn parse_or_default<T: DeserializeOwned + Default>(
    name: &str,
    document: Option<serde_json::Value>,
) -> Result<T, DbError> {
    document.map_or_else(|| Ok(T::default()), |document| parse(name, document))
}
