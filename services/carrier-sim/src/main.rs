//! `carrier-sim`: the simulator as a program.

use anyhow::Context;
use ccm_carrier_sim::{Config, Kind, Retry, Setup, Sim};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A phone and an SMS provider, for development and tests.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the provider's API is served.
    #[arg(long, default_value = "127.0.0.1:8447")]
    listen: SocketAddr,
    /// Where the control API is served (loopback only).
    #[arg(long, default_value = "127.0.0.1:8448")]
    control: SocketAddr,
    /// Accounts and numbers, in JSON; the control API can add more.
    #[arg(long, value_name = "FILE")]
    setup: Option<PathBuf>,
    /// For how many seconds a text is posted again and again to a webhook that does not accept it.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    give_up_after: u64,
    /// What goes wrong all the time, in JSON; the control API can change it.
    #[arg(long, value_name = "FILE")]
    manners: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();

    let setup = match &args.setup {
        Some(path) => Setup::load(path).context("cannot use the setup")?,
        None => Setup::default(),
    };
    let retry = Retry {
        give_up_after: Duration::from_secs(args.give_up_after),
        ..Retry::default()
    };
    let config = Config {
        listen: args.listen,
        control: args.control,
        setup,
        retry,
        ..Config::default()
    };
    let sim = Sim::start(config).await?;
    if let Some(path) = &args.manners {
        let text = std::fs::read_to_string(path).context("cannot read the manners")?;
        let manners = serde_json::from_str(&text).context("cannot use the manners")?;
        sim.set_manners(manners).context("cannot use the manners")?;
    }
    println!("provider  {}", sim.api_base());
    for account in sim
        .setup()
        .accounts
        .iter()
        .filter(|account| matches!(account.kind, Kind::Http | Kind::Custom))
    {
        println!("send_url  {}", sim.send_url(&account.name));
    }
    println!("control   http://{}/control/accounts", sim.control_addr());

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    sim.shutdown().await;
    Ok(())
}
