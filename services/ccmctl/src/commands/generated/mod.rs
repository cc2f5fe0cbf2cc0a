//! A command for each operation of the API, made from what the document says of it.

mod arguments;
pub mod body;
pub mod names;
mod run;
mod show;

use crate::{
    api::Api,
    failure::Failure,
    output::Said,
    spec::{Method, Operation, Spec},
};
use clap::{ArgMatches, Command};

/// A command and what it asks for.
pub struct Generated<'s> {
    pub words: Vec<String>,
    operation: &'s Operation,
    /// Changes some of what the operation replaces as a whole: this one reads it first.
    reads: Option<&'s Operation>,
}

/// Every operation has one. What can be read and replaced can also be changed in part.
pub fn all(spec: &Spec) -> Vec<Generated<'_>> {
    let mut all = Vec::new();
    for operation in spec.operations() {
        all.push(Generated {
            words: operation.words.clone(),
            operation,
            reads: None,
        });
        let (read, patch) = (
            spec.beside(Method::Get, &operation.path),
            spec.beside(Method::Patch, &operation.path),
        );
        if operation.method == Method::Put
            && patch.is_none()
            && let Some(read) = read
            && let Some((last, nouns)) = operation.words.split_last()
            && last == "replace"
            && read.answer.items().is_none()
        {
            let mut words = nouns.to_vec();
            words.push("update".to_owned());
            all.push(Generated {
                words,
                operation,
                reads: Some(read),
            });
        }
    }
    all
}

impl Generated<'_> {
    pub fn build(&self) -> Command {
        arguments::build(self)
    }
}

pub async fn run(
    spec: &Spec,
    words: &[String],
    matches: &ArgMatches,
    api: &Api,
    json: bool,
) -> Result<Said, Failure> {
    let found = all(spec).into_iter().find(|command| command.words == words);
    let command = found.ok_or_else(|| Failure::usage("there is no such command", "ccmctl --help"))?;
    run::run(spec, &command, matches, api, json).await
}
