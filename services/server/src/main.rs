//! `ccm`: one program, a sub-command per role.

mod cli;
mod doctor;
mod health;
mod presence;
mod roles;
mod token;

use ccm_db::migrate;
use ccm_runtime::{Config, Health, Lifecycle, Metrics, config, log_panics, telemetry};
use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let cli = Cli::parse();
    if matches!(cli.command, Command::Config) {
        print!("{}", config::DEFAULTS);
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Doctor(request) = &cli.command {
        // Before anything is configured, and without logs between its lines.
        return doctor::run(request, cli.config.as_deref());
    }
    let config = Config::load(cli.config.as_deref(), std::env::vars())?;
    if let Command::Token(request) = &cli.command {
        println!("{}", token::issue(&config, request)?);
        return Ok(ExitCode::SUCCESS);
    }
    // Telemetry first: its exporter has a runtime and a thread of its own.
    let _telemetry = telemetry::init(&config.telemetry, cli.command.name())?;
    log_panics();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(cli.command, config))
}

async fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    if matches!(command, Command::Migrate) {
        let made = migrate(config.database.owner_url()?).await?;
        tracing::info!(partitions.made = made, "the database is up to date");
        return Ok(ExitCode::SUCCESS);
    }
    let metrics = Metrics::install()?;
    let health = Health::new(command.name());
    let life = Lifecycle::new(config.shutdown.clone(), health.clone());
    life.watch_signals()?;
    roles::start(&command, config, metrics, health, &life).await?;
    Ok(life.finish().await.into())
}
