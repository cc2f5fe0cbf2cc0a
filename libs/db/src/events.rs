//! What happened to a tenant: to itself, to its links, to its accounts.

use crate::{DbError, TenantDb};
use ccm_model::{AccountId, Id, LinkId};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Something that happened to a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    pub id: Uuid,
    pub kind: String,
    pub at: OffsetDateTime,
    /// To which link, or to which account; neither: to the tenant as a whole.
    pub link: Option<LinkId>,
    pub account: Option<AccountId>,
    /// Nobody was to be woken: it happened in a maintenance window.
    pub muted: bool,
    pub detail: Value,
}

/// Which events; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub kind: Option<String>,
    /// From this moment on.
    pub since: Option<OffsetDateTime>,
    /// Before this moment.
    pub until: Option<OffsetDateTime>,
    pub link: Option<LinkId>,
    pub account: Option<AccountId>,
}

macro_rules! meant {
    ($table:literal, $columns:literal, $only:literal) => {
        concat!(
            "(SELECT id, kind, at, detail, ",
            $columns,
            " FROM ",
            $table,
            " WHERE tenant_id = $1 AND id < $2 AND ($4::text IS NULL OR kind = $4)
                AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6) AND ",
            $only,
            " ORDER BY id DESC LIMIT $3)"
        )
    };
}

const EVENTS: &str = concat!(
    "SELECT id, kind, at, detail, link_id, account_id, muted FROM (",
    meant!(
        "link_event",
        "link_id, NULL::uuid AS account_id, muted",
        "$8::uuid IS NULL AND ($7::uuid IS NULL OR link_id = $7)"
    ),
    " UNION ALL ",
    meant!(
        "account_event",
        "NULL::uuid AS link_id, account_id, false AS muted",
        "$7::uuid IS NULL AND ($8::uuid IS NULL OR account_id = $8)"
    ),
    " UNION ALL ",
    meant!(
        "tenant_event",
        "NULL::uuid AS link_id, NULL::uuid AS account_id, false AS muted",
        "$7::uuid IS NULL AND $8::uuid IS NULL"
    ),
    ") AS all_kinds ORDER BY id DESC LIMIT $3"
);

fn event(row: &PgRow) -> Result<EventRow, DbError> {
    Ok(EventRow {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        at: row.try_get("at")?,
        link: row.try_get::<Option<_>, _>("link_id")?.map(LinkId),
        account: row.try_get::<Option<_>, _>("account_id")?.map(AccountId),
        muted: row.try_get("muted")?,
        detail: row.try_get("detail")?,
    })
}

impl TenantDb<'_> {
    /// What happened, from the newest on, `before` excluded, `limit` at most.
    pub async fn events(
        &self,
        filter: &EventFilter,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<EventRow>, DbError> {
        let asked = sqlx::query(EVENTS)
            .bind(self.tenant.uuid())
            .bind(before.unwrap_or(Uuid::max()))
            .bind(limit)
            .bind(&filter.kind)
            .bind(filter.since)
            .bind(filter.until)
            .bind(filter.link.map(Id::uuid))
            .bind(filter.account.map(Id::uuid));
        self.rows(asked, event).await
    }
}
