//! How many came how far.

use crate::{DbError, TenantDb};
use ccm_model::Id;
use sqlx::Row;
use time::OffsetDateTime;

/// A skillset's callers who were offered a chat, by how far they came: who came further counts in each step before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunnelRow {
    pub skillset: String,
    pub offered: i64,
    pub sent: i64,
    pub delivered: i64,
    pub answered: i64,
    pub chat: i64,
    /// An agent wrote.
    pub served: i64,
    /// How those ended who came no further.
    pub abandoned: i64,
    pub expired: i64,
    pub failed: i64,
    pub withdrawn: i64,
}

/// How often no offer was made for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    pub skillset: String,
    pub reason: String,
    pub count: i64,
}

const FUNNEL: &str = "
SELECT skillset, count(*) AS offered, count(sent_at) AS sent, count(delivered_at) AS delivered, count(answered_at) AS answered,
       count(chat_at) AS chat, count(agent_at) AS served, count(*) FILTER (WHERE state = 'abandoned') AS abandoned,
       count(*) FILTER (WHERE state = 'expired') AS expired, count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn
FROM deflection WHERE tenant_id = $1 AND asked_at >= $2 AND asked_at < $3 AND state <> 'refused'
GROUP BY skillset ORDER BY skillset";

const REFUSALS: &str = "
SELECT skillset, coalesce(reason, '') AS reason, count(*) AS count
FROM deflection WHERE tenant_id = $1 AND asked_at >= $2 AND asked_at < $3 AND state = 'refused'
GROUP BY skillset, reason ORDER BY skillset, reason";

impl TenantDb<'_> {
    /// Of scripts that asked from one moment to another, by skillset; and the refusals.
    pub async fn deflection_funnel(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<(Vec<FunnelRow>, Vec<RefusalRow>), DbError> {
        let asked = |sql| sqlx::query(sql).bind(self.tenant.uuid()).bind(from).bind(to);
        let funnel = self.rows(asked(FUNNEL), |row| {
            Ok(FunnelRow {
                skillset: row.try_get("skillset")?,
                offered: row.try_get("offered")?,
                sent: row.try_get("sent")?,
                delivered: row.try_get("delivered")?,
                answered: row.try_get("answered")?,
                chat: row.try_get("chat")?,
                served: row.try_get("served")?,
                abandoned: row.try_get("abandoned")?,
                expired: row.try_get("expired")?,
                failed: row.try_get("failed")?,
                withdrawn: row.try_get("withdrawn")?,
            })
        });
        let funnel = funnel.await?;
        let refusals = self.rows(asked(REFUSALS), |row| {
            Ok(RefusalRow {
                skillset: row.try_get("skillset")?,
                reason: row.try_get("reason")?,
                count: row.try_get("count")?,
            })
        });
        Ok((funnel, refusals.await?))
    }
}
