//! `ccm`: one program, a sub-command per role.

mod check;
mod cli;
mod doctor;
mod health;
mod migrate;
mod presence;
mod restored;
mod roles;
mod token;

use ccm_runtime::{
    Config, Health, Lifecycle, Metrics, Reload, Sources, TenantLabels, config, log_panics,
    telemetry::{self, LogFilter},
};
use clap::Parser;
use cli::{Cli, Command, ConfigCommand};
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let cli = Cli::parse();
    let sources = Sources::new(cli.config, cli.set);
    if let Command::Config(request) = &cli.command {
        return match &request.command {
            None => {
                print!("{}", config::DEFAULTS);
                Ok(ExitCode::SUCCESS)
            }
            Some(ConfigCommand::Check(request)) => check::run(request, &sources),
        };
    }
    if let Command::Doctor(request) = &cli.command {
        // Before anything is configured, and without logs between its lines.
        return doctor::run(request, &sources);
    }
    let config = Config::load(&sources)?;
    if let Command::Token(request) = &cli.command {
        println!("{}", token::issue(&config, request)?);
        return Ok(ExitCode::SUCCESS);
    }
    // Telemetry first: its exporter has a runtime and a thread of its own.
    let telemetry = telemetry::init(&config.telemetry, cli.command.name())?;
    log_panics();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(cli.command, config, sources, telemetry.filters()))
}

async fn run(
    command: Command,
    config: Config,
    sources: Sources,
    filters: LogFilter,
) -> anyhow::Result<ExitCode> {
    if let Command::Migrate(request) = &command {
        return migrate::run(request, &config).await;
    }
    if let Command::Restored(request) = &command {
        return restored::run(request, &config).await.map(|()| ExitCode::SUCCESS);
    }
    let metrics = Metrics::install()?;
    TenantLabels::name_at_most(config.telemetry.metrics_tenants);
    metrics.say_who(env!("CARGO_PKG_VERSION"), command.name());
    let health = Health::new(command.name());
    let life = Lifecycle::new(config.shutdown.clone(), health.clone());
    life.watch_signals()?;
    life.spawn_companion("configuration", Reload::new(sources, filters)?.run());
    roles::start(&command, config, metrics, health, &life).await?;
    Ok(life.finish().await.into())
}
