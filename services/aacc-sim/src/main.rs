//! `aacc-sim`: the simulator as a program.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use ccm_aacc_sim::{
    ClientCertificate, Config, Script, ServerCertificate, Sim, Tls, TlsVersions, UpgradeAnswer,
};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// AACC's side of Enterprise Web Chat, for development and tests.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where EWC is served.
    #[arg(long, default_value = "127.0.0.1:8445")]
    listen: SocketAddr,
    /// Where the control API is served (loopback only).
    #[arg(long, default_value = "127.0.0.1:8446")]
    control: SocketAddr,
    /// Keep ca.pem, ca.key, server.pem and server.key here; made where missing. Without: a new CA at each start.
    #[arg(long, value_name = "DIR", conflicts_with = "plain")]
    tls_dir: Option<PathBuf>,
    /// Speak ws instead of wss.
    #[arg(long)]
    plain: bool,
    /// The server certificate (the script's, if not given).
    #[arg(long, value_name = "WHICH", conflicts_with = "plain")]
    tls_certificate: Option<ServerCertificate>,
    /// Whether clients must show a certificate.
    #[arg(long, value_name = "WHICH", conflicts_with = "plain")]
    tls_client: Option<ClientCertificate>,
    /// The versions of TLS that are spoken.
    #[arg(long, value_name = "WHICH", conflicts_with = "plain")]
    tls_versions: Option<TlsVersions>,
    /// Answer the WebSocket upgrade with this HTTP status, as a reverse proxy that lets nobody through.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..600))]
    upgrade_status: Option<u16>,
    /// Inject faults at random, from this seed (the script's `chaos`, or the defaults).
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Settings, automatic agents and faults, in TOML or JSON.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Keep no texts (for benches).
    #[arg(long)]
    no_record: bool,
}

/// Each chat is an open file: takes as many as the system lets this process have.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, all) {
        Ok(()) => tracing::debug!(open_files.max = ?all.current, "open files"),
        Err(error) => tracing::warn!(error.message = %error, "cannot raise the limit of open files"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Below INFO the libraries print frames and requests, and those carry texts and numbers.
    let harmless = filter_fn(|m| *m.level() <= Level::INFO || m.target().starts_with("ccm_aacc_sim"));
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(wanted)
        .with(harmless)
        .with(stderr)
        .init();
    let args = Args::parse();
    raise_open_files();

    let mut script = match &args.script {
        Some(path) => Script::load(path).context("cannot use the script")?,
        None => Script::default(),
    };
    if args.no_record {
        script.aacc.record = false;
    }
    if let Some(status) = args.upgrade_status {
        script.aacc.edge.upgrade = UpgradeAnswer::status(status);
    }
    if let Some(certificate) = args.tls_certificate {
        script.tls.certificate = certificate;
    }
    if let Some(client_certificate) = args.tls_client {
        script.tls.client_certificate = client_certificate;
    }
    if let Some(versions) = args.tls_versions {
        script.tls.versions = versions;
    }
    if let Some(seed) = args.chaos {
        script.chaos.get_or_insert_default().seed = seed;
    }
    let tls = match (args.plain, args.tls_dir) {
        (true, _) => Tls::Plain,
        (false, Some(dir)) => Tls::Dir(dir),
        (false, None) => Tls::PrivateCa,
    };
    let sim = Sim::start(Config {
        listen: args.listen,
        control: args.control,
        tls,
        tls_setup: script.tls,
        settings: script.aacc,
        agents: script.agents,
        chaos: script.chaos,
        steps: script.steps,
        ..Config::default()
    })
    .await?;
    println!("chat     {}", sim.chat_url());
    println!("control  http://{}/control/chats", sim.control_addr());
    if sim.ca_pem().is_some() {
        println!("CA       http://{}/control/ca.pem", sim.control_addr());
    }

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    sim.shutdown().await;
    Ok(())
}
