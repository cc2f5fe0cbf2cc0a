//! What is needed for a while only: to know a repetition, or whose a receipt is.

use crate::{DbError, Operator};

/// Rows that go with one statement: locks are short, and a statement never meets its time limit.
const AT_ONCE: i64 = 5000;

/// A table whose rows grow old; how old is said by its policy `forget` (of deflections, by the trigger of `removal`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    InboundIds,
    InboundWords,
    ProviderIds,
    DoctorReports,
    ScreenpopSessions,
    Deflections,
    WebhookDeliveries,
    TextLooks,
}

impl Old {
    pub const ALL: [Self; 8] = [
        Self::InboundIds,
        Self::InboundWords,
        Self::ProviderIds,
        Self::DoctorReports,
        Self::ScreenpopSessions,
        Self::Deflections,
        Self::WebhookDeliveries,
        Self::TextLooks,
    ];

    /// The table, which is a metric's label too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InboundIds => "inbound_dedup",
            Self::InboundWords => "inbound_content",
            Self::ProviderIds => "provider_message",
            Self::DoctorReports => "doctor_report",
            Self::ScreenpopSessions => "screenpop_session",
            Self::Deflections => "deflection",
            Self::WebhookDeliveries => "webhook_delivery",
            Self::TextLooks => "text_look",
        }
    }

    /// The role sees nothing that is younger, so the age stands here for the index only.
    fn sql(self) -> Option<&'static str> {
        macro_rules! forget {
            ($table:literal, $key:literal, $age:literal) => {
                concat!(
                    "WITH old AS (SELECT account_id, ",
                    $key,
                    " FROM ",
                    $table,
                    " WHERE ",
                    $age,
                    " LIMIT $1)
                     DELETE FROM ",
                    $table,
                    " t USING old WHERE t.account_id = old.account_id AND t.",
                    $key,
                    " = old.",
                    $key
                )
            };
        }
        Some(match self {
            Self::InboundIds => forget!(
                "inbound_dedup",
                "provider_message_id",
                "seen_at < now() - interval '90 days'"
            ),
            Self::InboundWords => forget!("inbound_content", "hash", "seen_at < now() - interval '2 days'"),
            Self::ProviderIds => forget!(
                "provider_message",
                "provider_message_id",
                "created_at < now() - interval '90 days'"
            ),
            Self::DoctorReports => {
                "DELETE FROM doctor_report WHERE id IN (
                   SELECT id FROM doctor_report WHERE made_at < now() - interval '90 days' LIMIT $1)"
            }
            Self::ScreenpopSessions => {
                "DELETE FROM screenpop_session WHERE id IN (
                   SELECT id FROM screenpop_session WHERE expires_at < now() - interval '1 hour' LIMIT $1)"
            }
            Self::WebhookDeliveries => {
                "DELETE FROM webhook_delivery WHERE id IN (
                   SELECT id FROM webhook_delivery WHERE at < now() - interval '30 days' LIMIT $1)"
            }
            Self::TextLooks => {
                "DELETE FROM text_look WHERE (tenant_id, actor, what, id) IN (
                   SELECT tenant_id, actor, what, id FROM text_look WHERE at < now() - interval '1 day' LIMIT $1)"
            }
            // What a legal hold keeps is known under the tenant alone.
            Self::Deflections => return None,
        })
    }
}

impl Operator<'_> {
    /// Forgets some of what is old, of all tenants. Returns how many rows, and whether there may be more.
    pub async fn forget(&self, what: Old) -> Result<(u64, bool), DbError> {
        let Some(sql) = what.sql() else {
            return self.forget_deflections().await;
        };
        let gone = sqlx::query(sql)
            .bind(AT_ONCE)
            .execute(self.pool())
            .await?
            .rows_affected();
        Ok((gone, gone as i64 == AT_ONCE))
    }
}
