//! What every role depends on, for `/readyz`.

use ccm_bus::{Bus, Link};
use ccm_db::{Db, DbError, check_migrated};
use ccm_runtime::{Health, State};
use std::{convert::Infallible, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(1);

/// Keeps `/readyz` true: the database answers both roles and has this version's schema; the bus is shown, and nothing waits for
/// it. Never returns.
pub async fn watch(db: Db, bus: Bus, health: Health) -> Result<(), Infallible> {
    health.needs("database");
    health.helped_by("bus");
    let mut was_up = true;
    loop {
        let database = match look(&db).await {
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

async fn look(db: &Db) -> Result<bool, DbError> {
    db.ping().await?;
    check_migrated(db).await
}
