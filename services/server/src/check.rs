//! `ccm config check`: everything that keeps a role from starting, at once.

use crate::{
    cli::{CheckRequest, CheckedRole},
    roles, token,
};
use anyhow::Result;
use ccm_bus::{Bus, Link};
use ccm_db::check_migrated;
use ccm_model::IdSource;
use ccm_runtime::{Config, Sources, telemetry::valid_filter};
use std::{process::ExitCode, time::Duration};
use tokio::time::{sleep, timeout};

/// How long the database and Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says what is set, what is wrong, and what to do.
pub fn run(request: &CheckRequest, sources: &Sources) -> Result<ExitCode> {
    let (config, settings) = match Config::with_settings(sources) {
        Ok(read) => read,
        Err(error) => {
            println!("wrong  {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    for setting in &settings {
        println!("set    {} ({})", setting.key, setting.origin);
    }
    let mut problems = problems(request.role, &config);
    if problems.is_empty() && request.connect {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        problems = runtime.block_on(unreachable_ones(request.role, &config));
    }
    for problem in &problems {
        println!("wrong  {problem}");
    }
    if !problems.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    match request.connect {
        true => println!("ok     it can be started, and what it needs answers"),
        false => println!("ok     it can be started; whether the database and Redis answer, --connect tells"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What each role asks of the configuration as it starts.
fn problems(role: CheckedRole, config: &Config) -> Vec<String> {
    use CheckedRole::{Admin, All, Deflection, Ingest, Migrate, Screenpop};
    let mut problems = Vec::new();
    let mut check = |result: Result<(), String>| problems.extend(result.err());
    let of = |roles: &[CheckedRole]| role == All || roles.contains(&role);
    check(valid_filter(&config.telemetry.log_filter).map_err(said));
    if role == Migrate {
        check(config.database.owner_url().map(drop).map_err(said));
        return problems;
    }
    check(config.database.app_url().map(drop).map_err(said));
    check(config.database.system_url().map(drop).map_err(said));
    check(config.keys.master_keys().map(drop).map_err(said));
    if role != All {
        check(config.redis.url().map(drop).map_err(said));
    }
    if of(&[Ingest, Admin]) {
        check(config.ingest.public_base_url().map(drop).map_err(said));
    }
    if of(&[Admin]) {
        check(token::jwt(config).map(drop).map_err(said));
        check(config.oidc.cas().map(drop).map_err(said));
        check(config.console.url().map(drop).map_err(said));
        check(config.console.client_secret().map(drop).map_err(said));
    }
    if of(&[Deflection]) && config.deflection.public_base_url().is_none() {
        println!("note   deflection.public_base_url is not set: offers have no link to click");
    }
    if of(&[Screenpop]) && config.screenpop.trusted_proxies.is_empty() {
        println!(
            "note   screenpop.trusted_proxies is empty: behind a proxy all agents seem to come from its address"
        );
    }
    problems
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What does not let us in, as whom the role would ask.
async fn unreachable_ones(role: CheckedRole, config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if role == CheckedRole::Migrate {
        let asked = async {
            ccm_db::pending_migrations(config.database.owner_url()?)
                .await
                .map_err(anyhow::Error::from)
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(pending)) => println!("note   {} migrations are to be applied", pending.len()),
            Ok(Err(error)) => problems.push(format!("the database: {error:#}")),
            Err(_) => problems.push("the database has not answered within 5 s".to_owned()),
        }
        return problems;
    }
    let database = async {
        let db = roles::database(config)?;
        db.ping().await?;
        anyhow::ensure!(
            check_migrated(&db).await?,
            "its schema is older than this program: run `ccm migrate`"
        );
        anyhow::Ok(())
    };
    match timeout(PATIENCE, database).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => problems.push(format!("the database: {error:#}")),
        Err(_) => problems.push("the database has not answered within 5 s".to_owned()),
    }
    if let Some(url) = &config.redis.url {
        let redis = async {
            let bus = Bus::redis(url, &config.redis.prefix, IdSource::system())?;
            loop {
                match bus.link() {
                    Link::Up => return anyhow::Ok(()),
                    Link::Down { why } => anyhow::bail!("{why}"),
                    Link::Connecting => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        match timeout(PATIENCE, redis).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => problems.push(format!("Redis: {error:#}")),
            Err(_) => problems.push("Redis has not answered within 5 s".to_owned()),
        }
    }
    problems
}
