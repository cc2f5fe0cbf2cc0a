use super::{Generated, body::leaves};
use crate::spec::{Method, Operation, Parameter, schema::Schema};
use clap::{Arg, ArgAction, Command, builder::PossibleValuesParser};
use std::{collections::BTreeSet, path::PathBuf};

/// A tenant named where other commands name a thing.
pub const WHICH: &str = "which";
pub const FILE: &str = "file";
pub const SET: &str = "set";
pub const IF_MATCH: &str = "if-match";
pub const LIMIT: &str = "list.limit";
pub const ALL: &str = "list.all";
pub const CSV: &str = "csv";
pub const OUTPUT: &str = "output";

/// Ids of arguments do not meet those of the flags that every command has.
pub fn path_id(name: &str) -> String {
    format!("path.{name}")
}
pub fn query_id(name: &str) -> String {
    format!("query.{name}")
}
pub fn body_id(path: &[&str]) -> String {
    format!("body.{}", path.join("."))
}

pub fn build(of: &Generated<'_>) -> Command {
    let operation = of.operation;
    let mut command = Command::new(operation.id.clone())
        .about(about(of))
        .long_about(format!("{}.\n\n{}", about(of), operation.description));
    if of.words.first().is_some_and(|word| word == "tenant") && operation.of_tenant() {
        let which = Arg::new(WHICH).value_name("TENANT");
        command = command.arg(which.help("Its slug or id. Left out: as --tenant says"));
    }
    for thing in &operation.things {
        let name = thing.name.to_uppercase().replace('_', "-");
        command = command.arg(
            Arg::new(path_id(&thing.name))
                .value_name(name)
                .required(true)
                .help(help_of_thing(thing)),
        );
    }
    let mut flags = Flags {
        command,
        taken: ["file", "set", "output", "help", "version"]
            .map(str::to_owned)
            .into(),
    };
    if operation.answer.next().is_some() {
        flags = flags.of_pages(operation);
    }
    for parameter in operation.query.iter().filter(|p| !is_paging(operation, &p.name)) {
        let arg = Arg::new(query_id(&parameter.name)).required(parameter.required);
        flags.add(
            &long(&parameter.name),
            typed(arg, &parameter.schema, &parameter.help, false),
        );
    }
    flags.of_body(of);
    if operation.if_match && of.reads.is_none() {
        let help =
            "The ETag of what was read. Left out: what is there now is asked for first, where it can be";
        flags.add("if-match", Arg::new(IF_MATCH).value_name("ETAG").help(help));
    }
    if operation.answer.csv {
        let csv = Arg::new(CSV).action(ArgAction::SetTrue);
        flags.add("csv", csv.help("All of it as CSV (RFC 4180)"));
    }
    if can_be_saved(operation) {
        let output = Arg::new(OUTPUT).short('o').long("output").value_name("FILE");
        let output = output.value_parser(clap::value_parser!(PathBuf));
        flags.command = flags
            .command
            .arg(output.help("A new file to write to. Left out: standard output"));
    }
    flags.command
}

/// Lists come in parts, and what is told as it goes on has no end.
fn can_be_saved(operation: &Operation) -> bool {
    let answer = &operation.answer;
    let is_one = operation.method == Method::Get && answer.json.is_some() && answer.next().is_none();
    answer.stream.is_none() && (answer.csv || answer.other || is_one)
}

/// What pages are walked with is not asked for.
pub fn is_paging(operation: &Operation, name: &str) -> bool {
    let next = operation.answer.next();
    next.is_some_and(|(_, parameter)| name == "limit" || name == parameter)
}

fn about(of: &Generated<'_>) -> String {
    match of.reads {
        Some(_) => "Change what is named and leave the rest as it is".to_owned(),
        None => of.operation.summary.clone(),
    }
}

fn help_of_thing(thing: &Parameter) -> String {
    let help = thing.help.trim_end_matches('.').to_owned();
    match thing.schema.is_id() {
        true if help.is_empty() => "Its id or name".to_owned(),
        true => format!("{help}, or its name"),
        false => help,
    }
}

struct Flags {
    command: Command,
    taken: BTreeSet<String>,
}

impl Flags {
    fn add(&mut self, name: &str, arg: Arg) {
        let name = match self.taken.contains(name) {
            true => format!("body-{name}"),
            false => name.to_owned(),
        };
        self.command = std::mem::take(&mut self.command).arg(arg.long(name.clone()));
        self.taken.insert(name);
    }

    fn of_pages(mut self, operation: &Operation) -> Self {
        let limit = Arg::new(LIMIT)
            .value_parser(clap::value_parser!(u64).range(1..))
            .default_value("50");
        self.add("limit", limit.value_name("N").help("How many at most"));
        if operation.parameter("all").is_none() {
            let all = Arg::new(ALL).action(ArgAction::SetTrue).conflicts_with(LIMIT);
            self.add(
                "all",
                all.help("All of them, over all pages; with --json one a line, as they come"),
            );
        }
        self
    }

    fn of_body(&mut self, of: &Generated<'_>) {
        let Some(body) = &of.operation.body else {
            return;
        };
        let file = Arg::new(FILE).short('f').long("file").value_name("FILE");
        let file =
            file.help("The body as YAML or JSON, - for standard input. Flags go before what stands in it");
        let set = Arg::new(SET)
            .long("set")
            .value_name("PATH=VALUE")
            .action(ArgAction::Append);
        let set =
            set.help("A member of the body that has no flag, as settings.account_sid=AC…; VALUE may be JSON");
        self.command = std::mem::take(&mut self.command).arg(file).arg(set);
        // What is left as it is has no default.
        let partly = of.reads.is_some() || of.operation.method == Method::Patch;
        let required = body.schema.required();
        for leaf in leaves(&body.schema) {
            let (id, name) = (
                body_id(&leaf.path),
                leaf.path.iter().map(|p| long(p)).collect::<Vec<_>>().join("."),
            );
            let schema = leaf.list.as_ref().unwrap_or(&leaf.schema);
            let mut help = first_sentence(leaf.schema.description());
            if !partly && leaf.path.len() == 1 && required.contains(&leaf.path[0]) {
                help += " [required]";
            }
            let mut arg = typed(Arg::new(id), schema, &help, partly);
            if leaf.list.is_some() {
                arg = arg.action(ArgAction::Append);
            }
            self.add(&name, arg);
        }
    }
}

fn long(name: &str) -> String {
    name.replace('_', "-").to_lowercase()
}

/// By what the document says of the value.
fn typed(arg: Arg, schema: &Schema, help: &str, partly: bool) -> Arg {
    let mut help = first_sentence(help);
    if let Some(default) = schema.default().filter(|d| !partly && !d.is_null()) {
        help = format!("{help} [default: {default}]");
    }
    if schema.is("boolean") && !schema.is("string") {
        let values = if schema.is_nullable() {
            vec!["true", "false", "null"]
        } else {
            vec!["true", "false"]
        };
        let arg = arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
        return arg
            .value_parser(PossibleValuesParser::new(values))
            .hide_possible_values(true)
            .help(help);
    }
    let mut values = schema.one_of();
    if !values.is_empty() {
        if schema.is_nullable() {
            values.push("null");
        }
        return arg.value_parser(PossibleValuesParser::new(values)).help(help);
    }
    let placeholder = match () {
        () if schema.is_secret() => "@FILE",
        () if schema.is_id() => "NAME",
        () if schema.is("integer") || schema.is("number") => "N",
        () => "VALUE",
    };
    arg.value_name(placeholder)
        .allow_negative_numbers(true)
        .help(help)
}

fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let end = text.find(". ").unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}
