//! The engineer's command line, over the admin API.
//!
//! A subject is a file below `commands`: its arguments and what it does with an [`api::Api`]. What it has to say it
//! returns as [`output::Said`], so that each command speaks as a table and as JSON.

mod api;
mod commands;
mod failure;
mod output;

use api::Api;
use clap::{Parser, Subcommand};
use commands::{dead_letters, opt_outs, tenant};
use failure::Failure;
use output::Said;
use std::{path::PathBuf, process::ExitCode};

/// Contact Center Messaging: what engineers and operators do, over the admin API.
///
/// Ends with 0 if it is done, 1 if the API refused it, 2 if the command line is wrong, 3 if the API cannot be reached or is too
/// busy (try again), and 4 if some of several things were not done.
#[derive(Parser)]
#[command(name = "ccmctl", version)]
struct Cli {
    /// Where the admin API is.
    #[arg(long, global = true, env = "CCM_URL", default_value = "http://127.0.0.1:8082")]
    url: String,
    /// A file with a bearer token, as `ccm token` prints one. Without it the token is taken from CCM_TOKEN.
    #[arg(long, global = true, env = "CCM_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Send the token in the clear to another machine (http://). Only within a network that nobody else reads.
    #[arg(long, global = true)]
    allow_http: bool,
    /// Answer in JSON, as the API does, instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Texts that did not get through.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Who wants no texts, and the proof.
    #[command(subcommand)]
    OptOuts(opt_outs::Command),
    /// A tenant as a whole.
    #[command(subcommand)]
    Tenant(tenant::Command),
}

impl Cli {
    async fn run(self) -> Result<Said, Failure> {
        let api = Api::connect(&self.url, self.token_file.as_deref(), self.allow_http)?;
        match self.command {
            Command::DeadLetters(command) => command.run(&api).await,
            Command::OptOuts(command) => command.run(&api).await,
            Command::Tenant(command) => command.run(&api).await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let done = cli.run().await.and_then(|said| said.print(json));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
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
