//! What providers said about customers' numbers, kept so that nobody is asked, and paid, twice.

use crate::{
    DbError, TenantDb,
    pace::{Pace, pace},
    storable::storable,
};
use ccm_model::{Address, Id, LineType};
use sqlx::Row;
use std::time::Duration;
use time::OffsetDateTime;

/// What a provider said about a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberLookupRow {
    /// Whether there can be such a number.
    pub valid: bool,
    /// Two letters (ISO 3166-1).
    pub country: Option<String>,
    /// `None`: the provider cannot tell.
    pub line: Option<LineType>,
    /// 1 to 100 characters.
    pub carrier: Option<String>,
    /// 2 or 3 digits.
    pub mobile_country_code: Option<String>,
    /// 2 or 3 digits.
    pub mobile_network_code: Option<String>,
    pub at: OffsetDateTime,
}

/// What the numbers' hashes are for.
pub(crate) const PURPOSE: &str = "number_lookup.number_hash";

const PACE: Pace = pace!("number_lookup_pace");

/// Answers that are forgotten with each new one: more than come in.
const FORGOTTEN: i64 = 100;

impl TenantDb<'_> {
    /// What a provider has said about the number since `since`.
    pub async fn number_lookup(
        &self,
        number: &Address,
        since: OffsetDateTime,
    ) -> Result<Option<NumberLookupRow>, DbError> {
        let mut tx = self.begin().await?;
        let hash = self
            .keyed_hash(&mut tx, PURPOSE, number.as_str().as_bytes())
            .await?;
        let row = sqlx::query(
            "SELECT valid, country, line_type, carrier_name, mobile_country_code, mobile_network_code, looked_up_at
             FROM number_lookup WHERE tenant_id = $1 AND number_hash = $2 AND looked_up_at >= $3",
        )
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .bind(since)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(NumberLookupRow {
                valid: row.try_get("valid")?,
                country: row.try_get("country")?,
                line: row
                    .try_get::<Option<&str>, _>("line_type")?
                    .map(str::parse)
                    .transpose()?,
                carrier: row.try_get("carrier_name")?,
                mobile_country_code: row.try_get("mobile_country_code")?,
                mobile_network_code: row.try_get("mobile_network_code")?,
                at: row.try_get("looked_up_at")?,
            })
        })
        .transpose()
    }

    /// Keeps what a provider said about a number, in place of what was said before, and forgets what is older than
    /// `forget_before`.
    pub async fn keep_number_lookup(
        &self,
        number: &Address,
        said: &NumberLookupRow,
        forget_before: OffsetDateTime,
    ) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        let hash = self
            .keyed_hash(&mut tx, PURPOSE, number.as_str().as_bytes())
            .await?;
        sqlx::query(
            "INSERT INTO number_lookup (tenant_id, number_hash, valid, country, line_type, carrier_name,
                                        mobile_country_code, mobile_network_code, looked_up_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (tenant_id, number_hash) DO UPDATE SET
               valid = excluded.valid, country = excluded.country, line_type = excluded.line_type,
               carrier_name = excluded.carrier_name, mobile_country_code = excluded.mobile_country_code,
               mobile_network_code = excluded.mobile_network_code, looked_up_at = excluded.looked_up_at",
        )
        .bind(self.tenant.uuid())
        .bind(&hash[..])
        .bind(said.valid)
        .bind(said.country.as_deref())
        .bind(said.line.map(LineType::as_str))
        .bind(said.carrier.as_deref().map(storable))
        .bind(said.mobile_country_code.as_deref())
        .bind(said.mobile_network_code.as_deref())
        .bind(said.at)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM number_lookup WHERE tenant_id = $1 AND number_hash = ANY (ARRAY(
               SELECT number_hash FROM number_lookup WHERE tenant_id = $1 AND looked_up_at < $2
               ORDER BY looked_up_at LIMIT $3 FOR UPDATE SKIP LOCKED))",
        )
        .bind(self.tenant.uuid())
        .bind(forget_before)
        .bind(FORGOTTEN)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes one of the tenant's `per_minute` (1 or more) questions to providers, over all pods; a minute's worth may be
    /// asked at once. Otherwise says how long there is none.
    pub async fn take_number_lookup(
        &self,
        per_minute: u32,
        now: OffsetDateTime,
    ) -> Result<Option<Duration>, DbError> {
        let mut tx = self.begin().await?;
        let wait = PACE.take(&mut tx, self.tenant, per_minute, now).await?;
        tx.commit().await?;
        Ok(wait)
    }
}
