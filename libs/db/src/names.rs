//! What a tenant's documents name: skillsets and numbers. Documents, and what they name, change one after the other, so that nothing is
//! named that is not there, and nothing goes that is named.

use crate::{DbError, Settings, TenantDb, documents::parse_or_default, routing::RoutingRow};
use ccm_model::{Address, DeflectionSettings, Id, ScreenpopSettings, TenantId};
use sqlx::{Postgres, Row, Transaction};
use std::fmt;
use time::OffsetDateTime;

/// What a document names, each with its place. `Debug` shows places only.
#[derive(Clone, Default)]
pub struct Names {
    pub skillsets: Vec<(String, String)>,
    pub numbers: Vec<(String, Address)>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skillsets = self.skillsets.iter().map(|(place, _)| place);
        let numbers = self.numbers.iter().map(|(place, _)| place);
        f.debug_list().entries(skillsets.chain(numbers)).finish()
    }
}

/// In which state documents were read that name skillsets and numbers. The default: none was ever set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamingState {
    routing: i64,
    deflection: Option<OffsetDateTime>,
    screenpop: Option<OffsetDateTime>,
}

/// The documents that name skillsets and numbers. Deliberately without `Debug`: they list customers' numbers.
pub struct Naming {
    pub routing: Option<RoutingRow>,
    pub deflection: DeflectionSettings,
    pub screenpop: ScreenpopSettings,
    pub state: NamingState,
}

/// Until the transaction ends nobody else of the tenant changes a document that names things, or what they name.
async fn alone(tx: &mut Transaction<'_, Postgres>, tenant: TenantId) -> Result<(), DbError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('routing ' || $1::text, 0))")
        .bind(tenant.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn read(tx: &mut Transaction<'_, Postgres>, tenant: TenantId) -> Result<Naming, DbError> {
    let row = sqlx::query(
        "SELECT r.settings, r.revision, d.settings AS deflection, d.updated_at AS deflection_at, s.settings AS screenpop,
                s.updated_at AS screenpop_at
         FROM (SELECT $1::uuid AS id) t
         LEFT JOIN routing_settings r ON r.tenant_id = t.id
         LEFT JOIN deflection_settings d ON d.tenant_id = t.id
         LEFT JOIN screenpop_settings s ON s.tenant_id = t.id",
    )
    .bind(tenant.uuid())
    .fetch_one(&mut **tx)
    .await?;
    let revision: Option<i64> = row.try_get("revision")?;
    let routing = revision.map(|revision| {
        let settings = row.try_get("settings")?;
        Ok::<_, DbError>(RoutingRow { settings, revision })
    });
    Ok(Naming {
        routing: routing.transpose()?,
        deflection: parse_or_default(DeflectionSettings::WHAT, row.try_get("deflection")?)?,
        screenpop: parse_or_default(ScreenpopSettings::WHAT, row.try_get("screenpop")?)?,
        state: NamingState {
            routing: revision.unwrap_or(0),
            deflection: row.try_get("deflection_at")?,
            screenpop: row.try_get("screenpop_at")?,
        },
    })
}

/// Sees to it that the documents are still as they were read, and stay so until the transaction ends; else `Contended`.
pub(crate) async fn names_stay(
    tx: &mut Transaction<'_, Postgres>,
    tenant: TenantId,
    as_read: NamingState,
) -> Result<(), DbError> {
    alone(tx, tenant).await?;
    match read(tx, tenant).await?.state == as_read {
        true => Ok(()),
        false => Err(DbError::Contended("settings")),
    }
}

/// Sees to it that the tenant has what a document names, and keeps it until the transaction ends; else `Contended`.
pub(crate) async fn names_are_there(
    tx: &mut Transaction<'_, Postgres>,
    tenant: TenantId,
    names: &Names,
) -> Result<(), DbError> {
    alone(tx, tenant).await?;
    let skillsets: Vec<&str> = names.skillsets.iter().map(|(_, name)| name.as_str()).collect();
    let numbers: Vec<&str> = names.numbers.iter().map(|(_, number)| number.as_str()).collect();
    let there: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (
           SELECT FROM unnest($2::text[]) AS named (name)
           WHERE NOT EXISTS (SELECT FROM skillset s WHERE s.tenant_id = $1 AND s.name = named.name))
         AND NOT EXISTS (
           SELECT FROM unnest($3::text[]) AS named (address)
           WHERE NOT EXISTS (SELECT FROM number n WHERE n.tenant_id = $1 AND n.address = named.address
                                                    AND n.released_at IS NULL))",
    )
    .bind(tenant.uuid())
    .bind(skillsets)
    .bind(numbers)
    .fetch_one(&mut **tx)
    .await?;
    match there {
        true => Ok(()),
        false => Err(DbError::Contended("tenant")),
    }
}

impl TenantDb<'_> {
    /// What names the tenant's skillsets and numbers.
    pub async fn naming(&self) -> Result<Naming, DbError> {
        let mut tx = self.begin().await?;
        let naming = read(&mut tx, self.tenant).await?;
        tx.commit().await?;
        Ok(naming)
    }
}
