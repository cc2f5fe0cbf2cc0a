//! `ccm doctor`: the link doctor on the command line.

mod args;
mod print;
mod saved;

use anyhow::Result;
use ccm_doctor::{Doctor, Outcome, Plan, Report};
use ccm_model::Clock;
use ccm_runtime::{Config, Sources};
use std::{process::ExitCode, time::Duration};
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::timeout,
};

pub use args::DoctorRequest;

const FAILED: u8 = 1;
/// As clap ends for a command line that it does not take.
const COULD_NOT_BEGIN: u8 = 2;
const WARNED: u8 = 3;
/// As shells say it of a program that was interrupted.
const INTERRUPTED: u8 = 130;
/// How long a test chat may take to be closed after an interruption.
const TIDY: Duration = Duration::from_secs(15);

/// Examines the link that is asked for. Says what keeps it from beginning on standard error.
pub fn run(request: &DoctorRequest, sources: &Sources) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match plan(request, sources).await {
            Ok(plan) => examine(plan, request).await,
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(COULD_NOT_BEGIN.into())
            }
        }
    })
}

async fn plan(request: &DoctorRequest, sources: &Sources) -> Result<Plan> {
    match (&request.url, &request.tenant) {
        (Some(url), _) => request.plan(request.target(url)?),
        (None, Some(tenant)) => {
            let config = Config::load(sources)?;
            saved::plan(request, tenant, &config).await
        }
        (None, None) => anyhow::bail!("give an address, or --tenant"),
    }
}

async fn examine(plan: Plan, request: &DoctorRequest) -> Result<ExitCode> {
    let mut printer = print::Printer::new(!request.json, &plan);
    let doctor = Doctor::new(plan, Clock::system());
    let mut terminated = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = doctor.run(|progress| printer.progress(progress)) => Some(report),
        _ = ctrl_c() => None,
        _ = terminated.recv() => None,
    };
    let Some(report) = report else {
        eprintln!("interrupted; a test chat that is open is closed now");
        let _ = timeout(TIDY, doctor.tidied()).await;
        return Ok(INTERRUPTED.into());
    };
    // Of a chat that never answered, the rest is done in the background.
    let _ = timeout(TIDY, doctor.tidied()).await;
    if request.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        printer.summary(&report);
    }
    Ok(exit_code(&report, request.strict))
}

fn exit_code(report: &Report, strict: bool) -> ExitCode {
    match report.outcome {
        Outcome::Failed => FAILED.into(),
        Outcome::Warned if strict => WARNED.into(),
        _ => ExitCode::SUCCESS,
    }
}
