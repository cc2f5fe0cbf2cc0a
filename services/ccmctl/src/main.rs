//! The engineer's command line, over the admin API.
//!
//! Whatever the API can do is a command, made from its document ([`spec`], [`commands::generated`]). What is more than one
//! request is a file below `commands`: its arguments and what it does with an [`api::Api`]. What a command has to say it
//! returns as [`output::Said`], so that each speaks as a table and as JSON.

mod api;
mod cli;
mod commands;
mod connection;
mod document;
mod failure;
mod output;
mod profile;
mod spec;
mod terminal;
mod yaml;

use api::Api;
use cli::{Asked, ByHand};
use connection::Flags;
use failure::Failure;
use output::Said;
use spec::Spec;
use std::process::ExitCode;

async fn run(asked: Asked, flags: Flags, spec: &Spec) -> Result<Said, Failure> {
    let json = flags.json;
    let api = || Api::connect(flags.connection()?);
    match asked {
        Asked::ByHand(ByHand::Completion { shell }) => {
            clap_complete::generate(shell, &mut cli::command(spec), "ccmctl", &mut std::io::stdout());
            Ok(Said::nothing())
        }
        Asked::ByHand(ByHand::Profile(command)) => command.run(),
        Asked::ByHand(ByHand::DeadLetters(command)) => command.run(&api()?).await,
        Asked::ByHand(ByHand::OptOuts(command)) => command.run(&api()?).await,
        Asked::ByHand(ByHand::Tenant(command)) => command.run(spec, api).await,
        Asked::Generated(words, matches) => {
            commands::generated::run(spec, &words, &matches, &api()?, json).await
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let spec = Spec::embedded();
    let mut command = cli::command(&spec);
    let matches = command.get_matches_mut();
    let (asked, flags) = Asked::of(&matches).unwrap_or_else(|error| error.exit());
    let json = flags.json;
    let done = run(asked, flags, &spec).await.and_then(|said| said.print(json));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}
