//! Where a tenant's texts go: the document as it is stored. What it means is not known here (`ccm-routing`).

use crate::{
    DbError, LinkRow, TenantDb,
    links::{self, link_columns},
    names::{Names, names_are_there},
};
use ccm_model::Id;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use std::fmt;

/// A tenant's routing. `Debug` shows the revision only: the document lists customers' numbers.
#[derive(Clone, PartialEq)]
pub struct RoutingRow {
    pub settings: Value,
    /// 1 for the first document of the tenant, one more with each replacement.
    pub revision: i64,
}

impl fmt::Debug for RoutingRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoutingRow(revision {})", self.revision)
    }
}

fn row(row: &PgRow) -> Result<RoutingRow, DbError> {
    Ok(RoutingRow {
        settings: row.try_get("settings")?,
        revision: row.try_get("revision")?,
    })
}

impl TenantDb<'_> {
    /// The tenant's routing; `None` when it has set nothing.
    pub async fn routing(&self) -> Result<Option<RoutingRow>, DbError> {
        self.routing_other_than(0).await
    }

    /// As [`Self::routing`], but `None` too when it still is of this revision: for those who keep a copy.
    pub async fn routing_other_than(&self, revision: i64) -> Result<Option<RoutingRow>, DbError> {
        let mut tx = self.begin().await?;
        let found = sqlx::query(
            "SELECT settings, revision FROM routing_settings WHERE tenant_id = $1 AND revision <> $2",
        )
        .bind(self.tenant.uuid())
        .bind(revision)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        found.as_ref().map(row).transpose()
    }

    /// The link of a skillset that a text was routed to; `None` when the tenant has no skillset of this name.
    pub async fn link_of_skillset(&self, name: &str) -> Result<Option<LinkRow>, DbError> {
        let mut tx = self.begin().await?;
        let found = sqlx::query(concat!(
            "SELECT ",
            link_columns!("l."),
            " FROM skillset s JOIN ewc_link l ON l.tenant_id = s.tenant_id AND l.id = s.link_id
             WHERE s.tenant_id = $1 AND s.name = $2"
        ))
        .bind(self.tenant.uuid())
        .bind(name)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        found.as_ref().map(links::link).transpose()
    }

    /// Replaces it, and returns its revision. With `only_of`, only if it still is of one of these revisions (0: not set yet);
    /// `None` when it is not. `Contended` if the tenant has not, or has no more, what it names.
    pub async fn put_routing(
        &self,
        settings: &Value,
        names: &Names,
        only_of: Option<&[i64]>,
    ) -> Result<Option<i64>, DbError> {
        let mut tx = self.begin().await?;
        names_are_there(&mut tx, self.tenant, names).await?;
        let revision = sqlx::query_scalar(
            "INSERT INTO routing_settings (tenant_id, settings) SELECT $1, $2
             WHERE $3::bigint[] IS NULL OR 0 = ANY ($3)
                OR EXISTS (SELECT 1 FROM routing_settings WHERE tenant_id = $1)
             ON CONFLICT (tenant_id) DO UPDATE
               SET settings = excluded.settings, revision = routing_settings.revision + 1, updated_at = now()
               WHERE $3 IS NULL OR routing_settings.revision = ANY ($3)
             RETURNING revision",
        )
        .bind(self.tenant.uuid())
        .bind(settings)
        .bind(only_of)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(revision)
    }
}
