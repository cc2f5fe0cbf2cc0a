//! `ccm-demo`: the product between a phone and an agent's desktop, to be played by hand or by itself.

use anyhow::{Context, Result, bail};
use ccm_aacc_sim::{Settings, Skillset};
use ccm_demo::{World, folder::Folder, page::Page, progress::Progress, script};
use clap::Parser;
use std::{
    fs::File,
    future::pending,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

const WELCOME: &str = "Welcome to the Avaya Contact Center. How can I help you?";
/// How long the roles have to end by themselves.
const END_LIMIT: Duration = Duration::from_secs(15);
/// As a shell counts a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// A phone on the left, an agent's desktop on the right, the whole product between them.
///
/// Starts a private Postgres and Redis, every role of `ccm` as a process of its own, simulators of an SMS provider and of
/// an AACC (wss with a private CA), and makes a demo tenant. Nothing that runs already is touched.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Play one conversation in the terminal, check it, and end: 0 if every promise was kept.
    #[arg(long)]
    script: bool,
    /// The page's port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The folder for data and logs, emptied at every start [default: .run/demo, with --script .run/demo-script].
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))
        .and_then(|()| Ok(tokio::runtime::Runtime::new()?))
        .and_then(|runtime| runtime.block_on(run(args)));
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:?}");
        ExitCode::FAILURE
    })
}

async fn run(args: Args) -> Result<ExitCode> {
    let stop = watch_signals()?;
    let progress = Progress::start();
    let ccm = program_beside_this_one("ccm")?;
    let dir = args
        .dir
        .unwrap_or_else(|| Path::new(".run").join(if args.script { "demo-script" } else { "demo" }));
    let folder = spawn_blocking(move || Folder::take(&dir, |step| progress.say(step))).await??;
    log_to(&folder.path().join("demo.log"))?;

    let starting = World::builder(ccm)
        .dir(folder.path())
        .aacc(Settings {
            any_skillset: Skillset {
                welcome: Some(WELCOME.to_owned()),
                ..Skillset::default()
            },
            ..Settings::default()
        })
        .progress(move |step| progress.say(step))
        .start();
    let world = tokio::select! {
        world = starting => world.with_context(|| did_not_start(folder.path()))?,
        () = stop.cancelled() => {
            progress.say("interrupted while starting");
            return Ok(INTERRUPTED.into());
        }
    };
    progress.say("everything runs");

    let played = if args.script {
        tokio::select! {
            played = script::play(&world, progress) => played.map(ExitCode::from),
            () = stop.cancelled() => Ok(INTERRUPTED.into()),
        }
    } else {
        tokio::select! {
            served = serve(&world, args.port, &folder) => served,
            () = stop.cancelled() => Ok(ExitCode::SUCCESS),
        }
    };
    end(world, &folder, progress).await;
    played
}

async fn serve(world: &World, port: u16, folder: &Folder) -> Result<ExitCode> {
    let page = Page::bind(world, port).await?;
    println!();
    println!("  Open {}", page.url());
    println!("  a phone on the left, an agent's desktop on the right; several phones at once: the button +");
    println!();
    println!("  logs   {}/*.log", folder.path().display());
    println!("  end    Ctrl-C");
    println!();
    page.serve().await?;
    pending().await
}

/// Ends everything in the order of a deploy: roles first, told to hand over.
async fn end(mut world: World, folder: &Folder, progress: Progress) {
    progress.say("ending: the roles, then Redis and Postgres");
    let roles: Vec<String> = world.stack.roles().map(ToOwned::to_owned).collect();
    for role in &roles {
        if let Err(error) = world.stack.sigterm(role) {
            progress.say(&format!("{role} had ended before: {error:#}"));
        }
    }
    for role in &roles {
        // What does not end in time is killed below.
        if let Err(error) = world.stack.wait(role, END_LIMIT).await {
            tracing::warn!(role = %role, error.message = %error, "did not end by itself");
        }
    }
    world.carrier.shutdown().await;
    for tenant in &world.tenants {
        tenant.aacc.shutdown().await;
    }
    let data = world.stack.pg().data().to_owned();
    if spawn_blocking(move || drop(world)).await.is_err() {
        progress.say("ending went wrong; `ps` shows what is left");
    }
    // As root, Postgres' data lies where its user can enter, outside of the folder.
    if !data.starts_with(folder.path())
        && let Err(error) = std::fs::remove_dir_all(&data)
    {
        progress.say(&format!("{} is left: {error}", data.display()));
    }
    progress.say(&format!(
        "ended; logs and data of this run stay in {} until the next one",
        folder.path().display()
    ));
}

fn did_not_start(folder: &Path) -> String {
    format!(
        "the product did not start; each process' log is in {}; a program that is missing comes with deploy/dev/bootstrap",
        folder.display()
    )
}

fn program_beside_this_one(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("finding this program's own file")?;
    let program = me.with_file_name(name);
    if !program.is_file() {
        bail!(
            "there is no {}; build all programs with `cargo build --workspace --bins`, or run deploy/dev/demo",
            program.display()
        );
    }
    Ok(program)
}

/// The simulators' own log; the terminal is for people.
fn log_to(file: &Path) -> Result<()> {
    let file = File::create(file).with_context(|| format!("making {}", file.display()))?;
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .init();
    Ok(())
}

/// Cancelled by the first signal that ends programs. The second one ends this program at once, and the kernel its
/// children.
fn watch_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if told.is_cancelled() {
                std::process::exit(INTERRUPTED.into());
            }
            told.cancel();
        }
    });
    Ok(stop)
}
