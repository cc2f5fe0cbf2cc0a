//! `ccm restored`.

use crate::{cli::RestoredRequest, roles::database};
use anyhow::{Result, ensure};
use ccm_db::ToldLife;
use ccm_model::{Actor, IdSource};
use ccm_runtime::Config;

/// Writes down that the database was restored.
pub async fn run(request: &RestoredRequest, config: &Config) -> Result<()> {
    let fits = |text: &str, most| (1..=most).contains(&text.chars().count());
    ensure!(fits(&request.reason, 500), "--reason: give 1 to 500 characters");
    ensure!(fits(&request.by, 200), "--by: give 1 to 200 characters");
    let db = database(config)?;
    let ids = IdSource::system();
    let actor = Actor {
        sub: request.by.clone(),
        role: "operator",
        via: "command_line",
        key: None,
        user: None,
        from: None,
        request: ids.next(),
    };
    let told = ToldLife {
        id: ids.next(),
        by: &request.by,
        reason: &request.reason,
        known_until: request.known_until,
    };
    let life = db.operator().by(&actor).tell_life(&told).await?;
    tracing::info!(began_at = %life.began_at, "the database's restore is written down");
    Ok(())
}
