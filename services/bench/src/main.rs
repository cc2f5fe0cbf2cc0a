//! `ccm-bench`: the load tool.
//!
//! Every figure is measured beside a baseline in the same run on the same machine, and only the ratio is claimed: the
//! bare programs in [`bare`] do the least that the work takes (one insert; one insert, one wake-up, one frame), with
//! the same crates. The way to the provider has a peer: Debian's Kannel ([`kannel`]).

mod bare;
mod kannel;
mod load;
mod outbox;
mod picture;
mod process;
mod report;
mod scenario;
mod sink;
mod store;

use anyhow::{Context, Result, ensure};
use ccm_model::Clock;
use clap::{Args, Parser, Subcommand};
use kannel::Kannel;
use report::{Machine, Report};
use scenario::{Programs, Size, accept, chats, deliver, dispatch};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Measures Contact Center Messaging against the least that the work takes and against Kannel, on a private Postgres and
/// Redis.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A few texts, to see that the tool works and that every text is accounted for. Its figures mean nothing.
    Short(Run),
    /// The figures, some minutes. Release programs, on a machine that does nothing else.
    Long(Run),
    /// `ccm dispatch` beside Kannel (Debian's package `kannel`): texts to the provider. Release programs, some minutes.
    Dispatch {
        /// A few texts, as in the short form.
        #[arg(long)]
        short: bool,
        /// The program `ccm`, with `aacc-sim` beside it. Without: from this program's folder.
        #[arg(long)]
        ccm: Option<PathBuf>,
        /// Writes the figures there, too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Writes a picture of the latencies there.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Memory of thousands of live chats, and what re-opening them takes. Release programs.
    Chats {
        /// How many; again for another run.
        #[arg(long, value_name = "N", default_values_t = [5_000, 10_000])]
        chats: Vec<u64>,
        /// How long the chats only ping.
        #[arg(long, default_value_t = LONG_MINUTES)]
        minutes: f64,
        /// The program `ccm`, with `aacc-sim` beside it. Without: from this program's folder.
        #[arg(long)]
        ccm: Option<PathBuf>,
        /// Writes the figures there, too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Writes a picture of the memory there.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Baseline: webhook to row.
    #[command(hide = true)]
    BareApi {
        #[arg(long, env = "BARE_DATABASE_URL", hide_env_values = true)]
        database: String,
        /// Publishes each text there.
        #[arg(long)]
        redis: Option<String>,
    },
    /// Baseline: live chats.
    #[command(hide = true)]
    BareChats {
        /// Of the EWC server on localhost.
        #[arg(long)]
        port: u16,
        /// PEM.
        #[arg(long)]
        ca: PathBuf,
    },
    /// Baseline: Redis to EWC frame.
    #[command(hide = true)]
    BareConnector {
        /// Of the EWC server on localhost.
        #[arg(long)]
        port: u16,
        /// PEM.
        #[arg(long)]
        ca: PathBuf,
        #[arg(long)]
        redis: String,
        #[arg(long)]
        chats: usize,
    },
}

#[derive(Args)]
struct Run {
    /// The program `ccm`, with `aacc-sim` beside it. Without: from this program's folder.
    #[arg(long)]
    ccm: Option<PathBuf>,
    /// Writes the figures there, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a picture of the latencies there.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes a picture of the live chats' memory there.
    #[arg(long, value_name = "FILE")]
    memory_svg: Option<PathBuf>,
}

/// As long as chats must stay as small as they are.
const LONG_MINUTES: f64 = 10.0;

fn main() -> Result<ExitCode> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    match Cli::parse().command {
        Command::Short(run) => measure("short", &run, &Size::short()),
        Command::Long(run) => measure("long", &run, &Size::long()),
        Command::Chats {
            chats,
            minutes,
            ccm,
            json,
            svg,
        } => {
            let run = Run {
                ccm,
                json,
                svg: None,
                memory_svg: svg,
            };
            let pings = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes")?;
            measure("chats", &run, &Size::chats(chats::Size::of(chats, pings)))
        }
        Command::Dispatch {
            short,
            ccm,
            json,
            svg,
        } => {
            let run = Run {
                ccm,
                json,
                svg,
                memory_svg: None,
            };
            match short {
                true => measure("short", &run, &Size::dispatch(dispatch::Size::short())),
                false => measure("dispatch", &run, &Size::dispatch(dispatch::Size::long())),
            }
        }
        Command::BareApi { database, redis } => {
            bare::block_on(bare::api::run(&database, redis.as_deref()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::BareConnector {
            port,
            ca,
            redis,
            chats,
        } => {
            bare::block_on(bare::connector::run(port, &read(&ca)?, &redis, chats))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::BareChats { port, ca } => {
            bare::block_on(bare::chats::run(port, &read(&ca)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure(form: &'static str, run: &Run, size: &Size) -> Result<ExitCode> {
    let programs = Programs::find(run.ccm.as_deref())?;
    // Before anything is measured: what is missing is to be installed now, not after half an hour.
    let kannel = size.dispatch.as_ref().map(|_| Kannel::find()).transpose()?;
    // One thread: the cores are for what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let mut report = Report::new(form, Machine::now()?);
        let clock = Clock::system();
        if let Some(size) = &size.accept {
            accept::run(&programs, size, &clock, &mut report)
                .await
                .context("scenario accept")?;
        }
        if let Some(size) = &size.deliver {
            deliver::run(&programs, size, &clock, &mut report)
                .await
                .context("scenario deliver")?;
        }
        if let Some((kannel, size)) = kannel.as_ref().zip(size.dispatch.as_ref()) {
            dispatch::run(&programs, kannel, size, &clock, &mut report)
                .await
                .context("scenario dispatch")?;
        }
        if let Some(size) = &size.chats {
            chats::run(&programs, size, &clock, &mut report)
                .await
                .context("scenario chats")?;
        }
        anyhow::Ok(report)
    })?;
    println!("\n{report}");
    if let Some(file) = &run.json {
        write(file, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = &run.svg {
        write(file, &picture::svg(&report.points))?;
    }
    if let Some(file) = &run.memory_svg {
        write(file, &picture::memory::svg(&report.chats))?;
    }
    ensure!(
        report.is_every_text_accounted_for(),
        "texts were refused, lost or doubled: see the table"
    );
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn write(file: &Path, content: &str) -> Result<()> {
    std::fs::write(file, content).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
