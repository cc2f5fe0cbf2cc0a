//! What every role depends on, for `/readyz`.

use ccm_bus::{Bus, Link};
use ccm_db::{Db, DbError, check_migrated};
use ccm_runtime::{Health, State};
use std::{convert::Infallible, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(1);

/// Keeps `/readyz` true: the database answers both roles and has this version's schema; the bus is shown, and nothing waits for
/// it. Never returns.
pub async fn watch(lives: Lives, bus: Bus, health: Health) -> Result<(), Infallible> {
    health.needs("database");
    health.helped_by("bus");
    let mut was_up = true;
    loop {
        let database = match look(&lives).await {
            Ok(true) => State::Up,
            Ok(false) => State::Down {
                why: "the schema is older than this program; run `ccm migrate`".into(),
            },
            Err(e) => State::Down { why: e.to_string() },
        };
        let is_up = database == State::Up;
        if is_up != std::mem::replace(&mut was_up, is_up) {
            match &database {
                State::Down { why } => tracing::error!(error = %why, "the database cannot be used"),
                _ => tracing::info!("the database can be used again"),
            }
        }
        health.set("database", database);
        health.set(
            "bus",
            match bus.link() {
                Link::Connecting => State::Unknown,
                Link::Up => State::Up,
                Link::Down { why } => State::Down { why },
            },
        );
        sleep(EVERY).await;
    }
}

async fn look(lives: &Lives) -> Result<bool, DbError> {
    lives.db.ping().await?;
    if !check_migrated(&lives.db).await? {
        return Ok(false);
    }
    lives.notice().await?;
    Ok(true)
}

/// Notices that the database has come back from a backup, or that a replica was promoted (ADR 27).
#[derive(Clone)]
pub struct Lives {
    pub db: Db,
    /// A replica that is promoted has every commit.
    pub synchronous_standby: bool,
}

impl Lives {
    pub async fn notice(&self) -> Result<(), DbError> {
        let Some(life) = self.db.operator().notice_life(self.synchronous_standby).await? else {
            return Ok(());
        };
        metrics::counter!("ccm_database_lives_total").increment(1);
        let known_until = life.known_until.map(|at| at.unix_timestamp());
        tracing::warn!(
            timeline = life.timeline,
            began_at = %life.began_at,
            known_until,
            open = life.is_open(),
            "the database was restored, or a replica promoted: what may have been sent before is asked about before it is sent again, and who \
             says nothing is not texted while this life is open (docs/backup.md#after-a-restore)"
        );
        Ok(())
    }
}
