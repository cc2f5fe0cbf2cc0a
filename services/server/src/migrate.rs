//! `ccm migrate`.

use crate::cli::MigrateRequest;
use anyhow::{Result, bail};
use ccm_db::{migrate, pending_migrations};
use ccm_runtime::Config;
use std::process::ExitCode;
use tokio::time::timeout;

/// Something is to be done.
const PENDING: u8 = 3;

/// Brings the schema up to date, or says what that would take.
pub async fn run(request: &MigrateRequest, config: &Config) -> Result<ExitCode> {
    let owner = config.database.owner_url()?;
    let limit = request.timeout;
    if request.dry_run {
        let Ok(pending) = timeout(limit, pending_migrations(owner)).await else {
            bail!("the database has not answered within {} s", limit.as_secs());
        };
        let pending = pending?;
        for migration in &pending {
            println!("{:04} {}", migration.version, migration.description);
        }
        return Ok(match pending.len() {
            0 => {
                println!("the database is up to date");
                ExitCode::SUCCESS
            }
            _ => PENDING.into(),
        });
    }
    // Dropping the work ends its session: a migration that is under way is rolled back, or (an index that is made beside everything
    // else) found again by the next run.
    let Ok(made) = timeout(limit, migrate(owner)).await else {
        bail!(
            "the migration has taken longer than {} s: what it has finished stays, run it again for the rest; somebody else's run, or a \
             transaction that is open for long, may be what it waited for (pg_stat_activity says)",
            limit.as_secs()
        );
    };
    tracing::info!(partitions.made = made?, "the database is up to date");
    Ok(ExitCode::SUCCESS)
}
