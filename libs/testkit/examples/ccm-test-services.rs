//! Starts one private Postgres and one private Redis, exports their addresses as `CCM_TEST_PG` and `CCM_TEST_REDIS`
//! (and in `CCM_TEST_PG_TEMPLATE` what tests begin servers of their own with),
//! runs a command, and ends both: `ccm-test-services cargo nextest run`. Their data is below `CCM_TEST_FOLDER`, if that is set.

use anyhow::{Context, Result};
use ccm_testkit::{PgOptions, PgServer, RedisServer, TempFolder};
use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};
use tokio::{process::Command, signal};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments
        .next()
        .context("usage: ccm-test-services COMMAND [ARGUMENT]…")?;
    let folder = match std::env::var_os("CCM_TEST_FOLDER") {
        Some(below) => TempFolder::below(below.into())?,
        None => TempFolder::new()?,
    };
    let pg = PgServer::start_private(folder.path().join("pg"), PgOptions::fast())?;
    let template = PgServer::template(folder.path().join("template"))?;
    let redis = RedisServer::start_private(folder.path().join("redis"))?;
    eprintln!(
        "private Postgres on port {} and Redis on port {}, data in {}",
        pg.port(),
        redis.port(),
        folder.path().display()
    );
    let mut child = Command::new(&program)
        .args(arguments)
        .env("CCM_TEST_PG", pg.superuser_url())
        .env("CCM_TEST_REDIS", redis.url())
        .env(ccm_testkit::pg::TEMPLATE, &template)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut term = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // The terminal has sent it to the command as well: it decides when to end, and the servers wait for it.
            _ = signal::ctrl_c() => {}
            _ = term.recv() => child.kill().await?,
        }
    };
    Ok(exit_code(status))
}

/// As shells say it: 128 and the signal's number.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
