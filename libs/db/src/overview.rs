//! How tenants do, many at a time: a few statements for a whole page of them, whatever they have.

use crate::{Batch, DbError};
use ccm_model::{AccountId, Id, LinkId, TenantId};
use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Of each thing of a tenant no more are counted: one large tenant does not make a page slow.
pub const MOST_COUNTED: i64 = 10_000;

/// Among so many open conversations of a tenant its last text is looked for.
const OPEN_LOOKED_AT: i64 = 500;

/// A connector says every 30 s how the links do that it uses. What is older than this is not known of now: nobody uses the link.
pub const LINK_STATE_LASTS: Duration = Duration::minutes(3);

/// What a tenant has under way, and what stands still.
#[derive(Debug, Clone)]
pub struct OverviewRow {
    pub tenant: TenantId,
    /// Each at most [`MOST_COUNTED`].
    pub open_conversations: i64,
    pub chats_with_agent: i64,
    pub chats_without_agent: i64,
    /// Texts that no agent's AACC has acknowledged, but for those that wait for what is meant to be (opening hours, a maintenance
    /// window); and since when the oldest waits for anything else.
    pub for_agents: Waiting,
    /// Texts that no provider has taken.
    pub for_providers: Waiting,
    /// Dead letters that nobody has dealt with.
    pub dead_letters: Waiting,
    pub has_number: bool,
    /// The tenant has sent as much as it may, of today or of this month.
    pub is_capped: bool,
    pub edges: Edges,
}

/// When a tenant's customers texted last, and were texted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastTexts {
    pub from_customer: Option<OffsetDateTime>,
    pub to_customer: Option<OffsetDateTime>,
}

/// Where a tenant's texts come from and go to.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    pub links: Vec<OverviewLink>,
    pub accounts: Vec<OverviewAccount>,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// At most [`MOST_COUNTED`]; the oldest is one of these.
    pub count: i64,
    pub since: Option<OffsetDateTime>,
}

/// A link, as its connector last said.
#[derive(Debug, Clone)]
pub struct OverviewLink {
    pub id: LinkId,
    pub name: String,
    /// As in [`crate::LinkStateRow`], as it was last said; `unknown` where nobody has said anything.
    pub state: String,
    pub since: Option<OffsetDateTime>,
    /// When that was said.
    pub said_at: Option<OffsetDateTime>,
    pub error: Option<String>,
    pub remedy: Option<String>,
    /// What the server has shown.
    pub certificate: Option<Value>,
    /// Whom it trusts, and what it shows itself.
    pub ca_pem: Option<String>,
    pub client_cert_pem: Option<String>,
    /// Until when it is meant to be away, and why, if it is now.
    pub away_until: Option<OffsetDateTime>,
    pub away_because: Option<String>,
    /// When the link doctor looked last, and what came of it (`passed`, `warned`, `failed`).
    pub examined_at: Option<OffsetDateTime>,
    pub examined_as: Option<String>,
}

/// A provider account, and what happened to it last.
#[derive(Debug, Clone)]
pub struct OverviewAccount {
    pub id: AccountId,
    pub name: String,
    /// Since when it fails; `None`: it does not.
    pub failing_since: Option<OffsetDateTime>,
    /// The provider's code and the operator's words.
    pub detail: Option<Value>,
}

/// Of each tenant by indexes that begin with it.
pub(crate) const COUNTS: &str = "
SELECT t.id, conversations.open, chats.with_agent, chats.without_agent, inbox.count AS inbox, inbox.oldest AS inbox_oldest,
       outbox.count AS outbox, outbox.oldest AS outbox_oldest, letters.count AS letters, letters.oldest AS letters_oldest,
       (SELECT true FROM number n WHERE n.tenant_id = t.id AND n.released_at IS NULL LIMIT 1) IS NOT NULL AS has_number,
       (SELECT true FROM sms_cap k WHERE k.tenant_id = t.id
          AND (k.daily_segments IS NOT NULL AND k.day = ($2::timestamptz AT TIME ZONE 'UTC')::date AND k.day_told >= 100
               OR k.monthly_segments IS NOT NULL AND k.month = date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date
                  AND k.month_told >= 100) LIMIT 1) IS NOT NULL AS is_capped
FROM unnest($1::uuid[]) AS t (id)
CROSS JOIN LATERAL (
  SELECT count(*) AS open FROM (
    SELECT FROM conversation c WHERE c.tenant_id = t.id AND c.state = 'open' LIMIT $3) AS c) AS conversations
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE h.state = 'live') AS with_agent, count(*) FILTER (WHERE h.state = 'waiting') AS without_agent FROM (
    SELECT h.state FROM chat h WHERE h.tenant_id = t.id AND h.state <> 'closed' LIMIT $3) AS h) AS chats
CROSS JOIN LATERAL (
  SELECT count(*) AS count, min(i.since) AS oldest FROM (
    SELECT greatest(uuid_v7_time(i.message_id), c.excused_until) AS since
    FROM inbox i JOIN conversation c ON c.tenant_id = i.tenant_id AND c.id = i.conversation_id
    WHERE i.tenant_id = t.id AND i.kind <> 'note' AND c.held IS NULL
      AND c.waits_for IS DISTINCT FROM 'opening' AND c.waits_for IS DISTINCT FROM 'maintenance' LIMIT $3) AS i) AS inbox
CROSS JOIN LATERAL (
  SELECT count(*) AS count, min(o.created_at) AS oldest FROM (
    SELECT o.created_at FROM outbox o WHERE o.tenant_id = t.id LIMIT $3) AS o) AS outbox
CROSS JOIN LATERAL (
  SELECT count(*) AS count, min(d.created_at) AS oldest FROM (
    SELECT d.created_at FROM dead_letter d WHERE d.tenant_id = t.id AND d.resolution IS NULL ORDER BY d.id LIMIT $3) AS d) AS letters";

/// No index finds a tenant's last text: it is looked for in the conversations with the last activity among the newest and the open ones.
pub(crate) const LAST_TEXTS: &str = "
SELECT t.id, max(m.created_at) FILTER (WHERE m.origin = 'customer') AS last_in,
       max(m.created_at) FILTER (WHERE m.direction = 'mt') AS last_out
FROM unnest($1::uuid[]) AS t (id)
CROSS JOIN LATERAL (
  SELECT c.id, c.opened_at FROM (
    (SELECT c.id, c.opened_at, c.last_activity_at FROM conversation c WHERE c.tenant_id = t.id ORDER BY c.id DESC LIMIT 20)
    UNION ALL
    (SELECT c.id, c.opened_at, c.last_activity_at FROM conversation c WHERE c.tenant_id = t.id AND c.state = 'open' LIMIT $2)) AS c
  ORDER BY c.last_activity_at DESC LIMIT 5) AS c
CROSS JOIN LATERAL (
  SELECT m.origin, m.direction, m.created_at FROM message m
  WHERE m.tenant_id = t.id AND m.conversation_id = c.id AND m.id >= uuid_v7_floor(c.opened_at - interval '1 day')
  ORDER BY m.seq DESC LIMIT 20) AS m
GROUP BY t.id";

const LINKS: &str = "
SELECT l.tenant_id, l.id, l.name, l.ca_pem, l.client_cert_pem, coalesce(s.state, 'unknown') AS state, s.since, s.updated_at, s.error, s.remedy,
       s.certificate, w.ends_at, w.reason, r.made_at, r.outcome
FROM unnest($1::uuid[]) AS t (id)
JOIN ewc_link l ON l.tenant_id = t.id
LEFT JOIN link_state s ON s.link_id = l.id AND s.tenant_id = l.tenant_id
LEFT JOIN LATERAL (
  SELECT w.ends_at, w.reason FROM maintenance_window w
  WHERE w.tenant_id = l.tenant_id AND w.link_id = l.id AND w.begins_at <= $2 AND w.ends_at > $2 ORDER BY w.ends_at DESC LIMIT 1) AS w ON true
LEFT JOIN LATERAL (
  SELECT r.made_at, r.outcome FROM doctor_report r
  WHERE r.tenant_id = l.tenant_id AND r.link_id = l.id ORDER BY r.id DESC LIMIT 1) AS r ON true
ORDER BY l.name, l.id";

const ACCOUNTS: &str = "
SELECT a.tenant_id, a.id, a.name, e.kind, e.at, e.detail
FROM unnest($1::uuid[]) AS t (id)
JOIN provider_account a ON a.tenant_id = t.id
LEFT JOIN LATERAL (
  SELECT e.kind, e.at, e.detail FROM account_event e
  WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id AND e.kind IN ('failing', 'recovered') ORDER BY e.id DESC LIMIT 1) AS e ON true
ORDER BY a.name, a.id";

fn link(row: &PgRow) -> Result<OverviewLink, DbError> {
    Ok(OverviewLink {
        id: LinkId(row.try_get("id")?),
        name: row.try_get("name")?,
        state: row.try_get("state")?,
        since: row.try_get("since")?,
        said_at: row.try_get("updated_at")?,
        error: row.try_get("error")?,
        remedy: row.try_get("remedy")?,
        certificate: row.try_get("certificate")?,
        ca_pem: row.try_get("ca_pem")?,
        client_cert_pem: row.try_get("client_cert_pem")?,
        away_until: row.try_get("ends_at")?,
        away_because: row.try_get("reason")?,
        examined_at: row.try_get("made_at")?,
        examined_as: row.try_get("outcome")?,
    })
}

fn account(row: &PgRow) -> Result<OverviewAccount, DbError> {
    let fails = row.try_get::<Option<&str>, _>("kind")? == Some("failing");
    Ok(OverviewAccount {
        id: AccountId(row.try_get("id")?),
        name: row.try_get("name")?,
        failing_since: row.try_get::<Option<_>, _>("at")?.filter(|_| fails),
        detail: row.try_get::<Option<_>, _>("detail")?.filter(|_| fails),
    })
}

fn counts(row: &PgRow, edges: &mut HashMap<Uuid, Edges>) -> Result<OverviewRow, DbError> {
    let tenant = TenantId(row.try_get("id")?);
    Ok(OverviewRow {
        open_conversations: row.try_get("open")?,
        chats_with_agent: row.try_get("with_agent")?,
        chats_without_agent: row.try_get("without_agent")?,
        for_agents: Waiting {
            count: row.try_get("inbox")?,
            since: row.try_get("inbox_oldest")?,
        },
        for_providers: Waiting {
            count: row.try_get("outbox")?,
            since: row.try_get("outbox_oldest")?,
        },
        dead_letters: Waiting {
            count: row.try_get("letters")?,
            since: row.try_get("letters_oldest")?,
        },
        has_number: row.try_get("has_number")?,
        is_capped: row.try_get("is_capped")?,
        edges: edges.remove(&tenant.uuid()).unwrap_or_default(),
        tenant,
    })
}

async fn edges(
    tx: &mut PgConnection,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<HashMap<Uuid, Edges>, DbError> {
    let mut of: HashMap<Uuid, Edges> = HashMap::new();
    for row in &sqlx::query(LINKS).bind(ids).bind(now).fetch_all(&mut *tx).await? {
        let tenant = of.entry(row.try_get("tenant_id")?).or_default();
        tenant.links.push(link(row)?);
    }
    for row in &sqlx::query(ACCOUNTS).bind(ids).fetch_all(&mut *tx).await? {
        let tenant = of.entry(row.try_get("tenant_id")?).or_default();
        tenant.accounts.push(account(row)?);
    }
    Ok(of)
}

impl Batch<'_> {
    /// How these tenants do, in their order.
    pub async fn overviews(
        &self,
        tenants: &[TenantId],
        now: OffsetDateTime,
    ) -> Result<Vec<OverviewRow>, DbError> {
        let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.uuid()).collect();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let counted = sqlx::query(COUNTS)
            .bind(&ids)
            .bind(now)
            .bind(MOST_COUNTED)
            .fetch_all(&mut *tx)
            .await?;
        let mut edges = edges(&mut tx, &ids, now).await?;
        tx.commit().await?;

        let mut of = HashMap::new();
        for row in &counted {
            let row = counts(row, &mut edges)?;
            of.insert(row.tenant.uuid(), row);
        }
        Ok(ids.iter().filter_map(|id| of.remove(id)).collect())
    }

    /// The last text each way of these tenants, among those of their latest conversations, in their order.
    pub async fn last_texts(&self, tenants: &[TenantId]) -> Result<Vec<LastTexts>, DbError> {
        let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.uuid()).collect();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let rows = sqlx::query(LAST_TEXTS)
            .bind(&ids)
            .bind(OPEN_LOOKED_AT)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let mut of: HashMap<Uuid, LastTexts> = HashMap::new();
        for row in &rows {
            let last = LastTexts {
                from_customer: row.try_get("last_in")?,
                to_customer: row.try_get("last_out")?,
            };
            of.insert(row.try_get("id")?, last);
        }
        Ok(ids.iter().map(|id| of.remove(id).unwrap_or_default()).collect())
    }

    /// The links and the provider accounts of these tenants, in their order.
    pub async fn edges(&self, tenants: &[TenantId], now: OffsetDateTime) -> Result<Vec<Edges>, DbError> {
        let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.uuid()).collect();
        let mut tx = self.db.begin(tenants.iter().copied()).await?;
        let mut edges = edges(&mut tx, &ids, now).await?;
        tx.commit().await?;
        Ok(ids
            .iter()
            .map(|id| edges.remove(id).unwrap_or_default())
            .collect())
    }
}
