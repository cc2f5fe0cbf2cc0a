//! The command line: what is written by hand, and a command for each operation of the API that nothing is written for.

use crate::{
    commands::{dead_letters, generated, opt_outs, profile, tenant},
    connection::Flags,
    spec::Spec,
};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use clap_complete::Shell;

const ABOUT: &str = "Contact Center Messaging: what engineers and operators do, over the admin API.";

const CODES: &str = "\
Ends with
  0  done
  1  refused by the API for another reason than those below
  2  the command line, or a file that it names, is wrong
  3  the API cannot be reached or is too busy: try again
  4  some of several things were not done
  5  not signed in, or not allowed
  6  no such thing
  7  it exists already, is in use, or somebody has changed it since
  8  a value is not taken
  9  what was looked at is not as it should be (tenant diff, doctor)

docs/ccmctl.md says more.";

#[derive(Subcommand)]
pub enum ByHand {
    /// Texts that did not get through.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Who wants no texts, and the proof.
    #[command(subcommand)]
    OptOuts(opt_outs::Command),
    /// A tenant as a whole.
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Names for an API's address with a token and a tenant.
    #[command(subcommand)]
    Profile(profile::Command),
    /// A script that has a shell complete these commands.
    Completion { shell: Shell },
}

/// What was asked for.
pub enum Asked {
    ByHand(ByHand),
    Generated(Vec<String>, ArgMatches),
}

/// All commands.
pub fn command(spec: &Spec) -> Command {
    let root = Command::new("ccmctl")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_long_help(CODES)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let mut root = ByHand::augment_subcommands(root);
    for command in generated::all(spec) {
        root = with(root, spec, &command.words, 0, command.build());
    }
    with_flags(root)
}

/// Puts a command where its words lead, unless one is there. The first `depth` of them have been followed.
fn with(root: Command, spec: &Spec, words: &[String], depth: usize, leaf: Command) -> Command {
    let Some(word) = words.get(depth) else {
        return root;
    };
    let is_last = depth + 1 == words.len();
    match (root.find_subcommand(word).is_some(), is_last) {
        (true, true) => root,
        (false, true) => root.subcommand(leaf.name(word.clone())),
        (true, false) => root.mut_subcommand(word, |group| with(group, spec, words, depth + 1, leaf)),
        (false, false) => {
            let group = group(spec, &words[..=depth]);
            root.subcommand(with(group, spec, words, depth + 1, leaf))
        }
    }
}

fn group(spec: &Spec, words: &[String]) -> Command {
    let noun = words.last().map_or("", String::as_str);
    let verbs = || {
        let below = spec.operations().iter().filter(|op| op.words.starts_with(words));
        let mut verbs: Vec<&str> = below
            .filter_map(|op| op.words.get(words.len()))
            .map(String::as_str)
            .collect();
        verbs.dedup();
        format!("{}: {}", noun.replace('-', " "), verbs.join(", "))
    };
    let about = match noun {
        "platform" => "What is of no single tenant".to_owned(),
        _ => spec
            .about(noun)
            .map_or_else(verbs, |about| about.trim_end_matches('.').to_owned()),
    };
    Command::new(noun.to_owned())
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// The flags of every command, at the beginning of the line and at its end. A flag of the command's own goes before.
fn with_flags(mut command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    let (is_root, needs_no_api) = (
        command.get_name() == "ccmctl",
        ["profile", "completion"].contains(&command.get_name()),
    );
    if is_root || names.is_empty() {
        let flags = Flags::augment_args(Command::new("flags"));
        for flag in flags.get_arguments() {
            let taken = |a: &clap::Arg| a.get_long() == flag.get_long() || a.get_id() == flag.get_id();
            if !command.get_arguments().any(taken) {
                command = command.arg(flag.clone());
            }
        }
    }
    if needs_no_api {
        return command;
    }
    for name in names {
        command = command.mut_subcommand(name, with_flags);
    }
    command
}

impl Asked {
    /// By what clap has found.
    pub fn of(matches: &ArgMatches) -> Result<(Self, Flags), clap::Error> {
        let (mut words, mut leaf) = (Vec::new(), matches);
        while let Some((name, below)) = leaf.subcommand() {
            words.push(name.to_owned());
            leaf = below;
        }
        let flags = flags(&[leaf, matches]);
        // What is written by hand knows its own commands, and those only.
        let by_hand = ByHand::augment_subcommands(Command::new("ccmctl"));
        let known = words
            .iter()
            .try_fold(&by_hand, |at, word| at.find_subcommand(word));
        let asked = match known {
            Some(_) => Self::ByHand(ByHand::from_arg_matches(matches)?),
            None => Self::Generated(words, leaf.clone()),
        };
        Ok((asked, flags))
    }
}

/// Those nearest to the command go before those at the beginning of the line.
fn flags(places: &[&ArgMatches]) -> Flags {
    fn first<T: Clone + Send + Sync + 'static>(places: &[&ArgMatches], name: &str) -> Option<T> {
        let here = |place: &&ArgMatches| place.try_get_one::<T>(name).ok().flatten().cloned();
        places.iter().find_map(here)
    }
    let set = |name: &str| {
        places
            .iter()
            .any(|place| place.try_get_one(name).ok().flatten() == Some(&true))
    };
    Flags {
        url: first(places, "url"),
        token_file: first(places, "token_file"),
        tenant: first(places, "tenant"),
        profile: first(places, "profile"),
        allow_http: set("allow_http"),
        json: set("json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command(&Spec::embedded()).debug_assert();
    }

    /// Whatever the API can do has a command.
    #[test]
    fn every_operation_has_a_command() {
        let spec = Spec::embedded();
        let root = command(&spec);
        for operation in spec.operations() {
            let found = operation
                .words
                .iter()
                .try_fold(&root, |at, word| at.find_subcommand(word));
            assert!(
                found.is_some(),
                "{} has no command {:?}",
                operation.id,
                operation.words
            );
        }
    }
}
