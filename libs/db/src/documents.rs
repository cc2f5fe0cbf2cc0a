//! A tenant's decisions, one JSON document a subject, read and replaced as a whole.

use crate::{
    DbError, TenantDb,
    names::{Names, names_are_there},
};
use ccm_model::{ChatSettings, DeflectionSettings, Id, RetentionSettings, ScreenpopSettings, SmsSettings};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row;
use time::OffsetDateTime;

/// A subject's document.
pub trait Settings: Serialize + DeserializeOwned + Default + Send + Sync {
    /// As in "chat settings".
    const WHAT: &'static str;
    const STATEMENTS: Statements;

    /// What it names; `None`: it can name nothing.
    fn names(&self) -> Option<Names> {
        None
    }
}

/// How a subject's table is read and written.
pub struct Statements {
    read: &'static str,
    replace: &'static str,
}

/// Of a table with columns `tenant_id`, `settings` and `updated_at`.
macro_rules! statements {
    ($table:literal) => {
        Statements {
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

impl Settings for ChatSettings {
    const WHAT: &'static str = "chat settings";
    const STATEMENTS: Statements = statements!("chat_settings");
}

impl Settings for SmsSettings {
    const WHAT: &'static str = "SMS settings";
    const STATEMENTS: Statements = statements!("sms_settings");
}

impl Settings for RetentionSettings {
    const WHAT: &'static str = "retention settings";
    const STATEMENTS: Statements = statements!("retention_settings");
}

impl Settings for DeflectionSettings {
    const WHAT: &'static str = "deflection settings";
    const STATEMENTS: Statements = statements!("deflection_settings");

    fn names(&self) -> Option<Names> {
        let mapped = self.skillsets.iter();
        let mapped = mapped.map(|(voice, chat)| (format!("skillsets.{voice}"), chat.clone()));
        let own = self.priorities.iter().enumerate();
        let own =
            own.filter_map(|(n, one)| Some((format!("priorities[{n}].skillset"), one.skillset.clone()?)));
        let senders = self.senders.iter();
        let senders = senders.map(|(dialled, number)| (format!("senders.{dialled}"), number.clone()));
        let sender = self.sender.iter();
        let sender = sender.map(|number| ("sender".to_owned(), number.clone()));
        Some(Names {
            skillsets: mapped.chain(own).collect(),
            numbers: senders.chain(sender).collect(),
        })
    }
}

impl Settings for ScreenpopSettings {
    const WHAT: &'static str = "screen-pop settings";
    const STATEMENTS: Statements = statements!("screenpop_settings");

    fn names(&self) -> Option<Names> {
        let senders = self.senders.iter();
        let senders = senders.map(|(skillset, number)| (format!("senders.{skillset}"), number.clone()));
        Some(Names {
            skillsets: Vec::new(),
            numbers: senders.collect(),
        })
    }
}

/// Of which moment settings must still be to be replaced; `None` inside: not set yet.
pub type Unless = Option<Option<OffsetDateTime>>;

impl TenantDb<'_> {
    /// What the tenant has decided, and when that was last changed; the defaults when nothing is set.
    pub async fn settings<S: Settings>(&self) -> Result<(S, Option<OffsetDateTime>), DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(S::STATEMENTS.read)
            .bind(self.tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        let Some(row) = row else {
            return Ok((S::default(), None));
        };
        let settings = parse(S::WHAT, row.try_get("settings")?)?;
        Ok((settings, Some(row.try_get("updated_at")?)))
    }

    /// Replaces it. With `unless_changed_since`, only if it is still of that moment; returns when it was changed now, or `None` when
    /// somebody else was faster. `Contended` if the tenant has not, or has no more, what it names.
    pub async fn put_settings<S: Settings>(
        &self,
        settings: &S,
        unless_changed_since: Unless,
    ) -> Result<Option<OffsetDateTime>, DbError> {
        let document = serde_json::to_value(settings).map_err(|e| DbError::Corrupt(e.to_string()))?;
        let mut tx = self.begin().await?;
        if let Some(names) = settings.names() {
            names_are_there(&mut tx, self.tenant, &names).await?;
        }
        let row = sqlx::query(S::STATEMENTS.replace)
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

fn parse<T: DeserializeOwned>(what: &str, document: serde_json::Value) -> Result<T, DbError> {
    serde_json::from_value(document).map_err(|e| DbError::Corrupt(format!("{what}: {e}")))
}

/// A document that came with another row; the default where there is none.
pub(crate) fn parse_or_default<T: DeserializeOwned + Default>(
    what: &str,
    document: Option<serde_json::Value>,
) -> Result<T, DbError> {
    document.map_or_else(|| Ok(T::default()), |document| parse(what, document))
}
