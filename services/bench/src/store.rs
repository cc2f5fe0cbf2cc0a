//! What the databases hold afterwards, seen by the superuser.

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Texts in a table. Every text of a run has another body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub rows: u64,
    pub bodies: u64,
}

/// A connection as the superuser.
pub struct Store(PgConnection);

impl Store {
    pub async fn open(superuser_url: &str) -> Result<Self> {
        let connection = PgConnection::connect(superuser_url).await;
        Ok(Self(connection.context("connecting to Postgres")?))
    }

    /// Makes a database on the same server. `name` is no input of anybody.
    pub async fn create_database(&mut self, name: &'static str) -> Result<()> {
        let sql = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(sql).execute(&mut self.0).await?;
        Ok(())
    }

    /// Customers' texts in the product's database.
    pub async fn ccm_texts(&mut self) -> Result<Stored> {
        self.count("SELECT count(*), count(DISTINCT body) FROM message WHERE direction = 'mo'")
            .await
    }

    /// Texts in the baseline's database.
    pub async fn bare_texts(&mut self) -> Result<Stored> {
        self.count("SELECT count(*), count(DISTINCT body) FROM bare_sms")
            .await
    }

    /// Texts in the product's database that AACC has not acknowledged yet.
    pub async fn ccm_waiting(&mut self) -> Result<u64> {
        Ok(self.count("SELECT count(*), count(*) FROM inbox").await?.rows)
    }

    /// What agents said, in the product's database; notices are AACC's or our own.
    pub async fn ccm_agent_texts(&mut self) -> Result<Stored> {
        self.count(
            "SELECT count(*), count(DISTINCT body) FROM message WHERE direction = 'mt' AND origin = 'agent'",
        )
        .await
    }

    /// Texts in the product's database that a provider has taken.
    pub async fn ccm_sent(&mut self) -> Result<Stored> {
        self.count(
            "SELECT count(*), count(DISTINCT body) FROM message WHERE direction = 'mt' AND state = 'sent'",
        )
        .await
    }

    /// Texts in the product's database that no provider has taken yet.
    pub async fn ccm_unsent(&mut self) -> Result<u64> {
        Ok(self.count("SELECT count(*), count(*) FROM outbox").await?.rows)
    }

    /// How often texts were sent to AACC again although it may have had them.
    pub async fn ccm_resends(&mut self) -> Result<u64> {
        self.count("SELECT coalesce(sum(resends), 0), 0::int8 FROM message WHERE direction = 'mo'")
            .await
            .map(|found| found.rows)
    }

    /// Chats in the product's database in which an agent is.
    pub async fn ccm_live_chats(&mut self) -> Result<u64> {
        self.count("SELECT count(*), count(*) FROM chat WHERE state = 'live'")
            .await
            .map(|found| found.rows)
    }

    async fn count(&mut self, sql: &'static str) -> Result<Stored> {
        let (rows, bodies): (i64, i64) = sqlx::query_as(sql).fetch_one(&mut self.0).await?;
        Ok(Stored {
            rows: rows.unsigned_abs(),
            bodies: bodies.unsigned_abs(),
        })
    }
}
