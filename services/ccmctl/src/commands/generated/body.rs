//! A request's body, from a file and from flags.

use super::{
    Generated,
    arguments::{FILE, SET, body_id},
};
use crate::{
    failure::Failure,
    spec::{Method, schema::Schema},
    yaml,
};
use clap::ArgMatches;
use serde_json::{Map, Value};
use std::{fs, io::Read};

/// Deeper than any body of today; it ends a schema that refers to itself.
const DEEPEST: usize = 4;

/// A member, at whatever depth, that a flag can say.
pub struct Leaf {
    pub path: Vec<&'static str>,
    pub schema: Schema,
    /// Of what there may be several.
    pub list: Option<Schema>,
}

pub fn leaves(schema: &Schema) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Schema, path: &mut Vec<&'static str>, into: &mut Vec<Leaf>) {
    for (name, member) in schema.properties() {
        path.push(name);
        let list = member.items().filter(Schema::is_scalar);
        if member.is_scalar() || list.is_some() {
            into.push(Leaf {
                path: path.clone(),
                schema: member,
                list,
            });
        } else if path.len() < DEEPEST {
            collect(&member, path, into);
        }
        path.pop();
    }
}

/// What is to be sent; `None` where nothing is.
pub fn read(of: &Generated<'_>, matches: &ArgMatches) -> Result<Option<Value>, Failure> {
    let Some(body) = &of.operation.body else {
        return Ok(None);
    };
    let schema = &body.schema;
    let file = matches.get_one::<String>(FILE);
    let mut value = file.map(|file| from_file(file, schema)).transpose()?;
    for leaf in leaves(schema) {
        let Some(raw) = matches.get_many::<String>(&body_id(&leaf.path)) else {
            continue;
        };
        let read = match &leaf.list {
            Some(of) => raw
                .map(|raw| of_flag(raw, of, &leaf.path))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            None => {
                let raw = matches.get_one::<String>(&body_id(&leaf.path));
                of_flag(raw.map_or("", String::as_str), &leaf.schema, &leaf.path)?
            }
        };
        put(value.get_or_insert_with(empty), &leaf.path, read);
    }
    for set in matches.get_many::<String>(SET).into_iter().flatten() {
        let Some((path, raw)) = set.split_once('=') else {
            return Err(Failure::usage(
                format!("--set {set} has no ="),
                "write --set PATH=VALUE",
            ));
        };
        let path: Vec<&str> = path.split('.').collect();
        let read = of_set(raw, schema.at(&path), &path)?;
        put(value.get_or_insert_with(empty), &path, read);
    }
    match value {
        None if !body.required => Ok(None),
        None if of.operation.method == Method::Patch || of.reads.is_some() => Err(Failure::usage(
            "it is not said what is to change",
            "name members by their flags (--help has them), or a file with -f",
        )),
        value => {
            let value = value.unwrap_or_else(empty);
            match of.reads {
                None => complete(value, schema).map(Some),
                Some(_) => Ok(Some(value)),
            }
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn complete(value: Value, schema: &Schema) -> Result<Value, Failure> {
    let missing = schema
        .required()
        .into_iter()
        .filter(|name| value.get(name).is_none());
    let missing: Vec<_> = missing
        .map(|name| format!("--{}", name.replace('_', "-")))
        .collect();
    match missing.is_empty() {
        true => Ok(value),
        false => Err(Failure::usage(
            format!("missing: {}", missing.join(", ")),
            "name them, or a file that has them with -f; --help says more",
        )),
    }
}

/// YAML, and so JSON, for the API or about a tenant.
pub fn text_of(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        file => fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|e| {
        Failure::usage(
            format!("{file} cannot be read: {e}"),
            "name a file of UTF-8 text, or - for standard input",
        )
    })?;
    Ok(text)
}

fn from_file(file: &str, schema: &Schema) -> Result<Value, Failure> {
    let text = text_of(file)?;
    let read = yaml::parse(&text).and_then(|node| node.value(Some(schema)));
    read.map_err(|wrong| Failure::usage(format!("{file} {wrong}"), wrong.remedy))
}

fn of_flag(raw: &str, schema: &Schema, path: &[&str]) -> Result<Value, Failure> {
    let flag = || format!("--{}", path.join(".").replace('_', "-"));
    let is_text = schema.is("string") && schema.one_of().is_empty();
    let raw = match raw.strip_prefix('@') {
        Some(file) if is_text => in_file(file, schema)?,
        _ if schema.is_secret() && raw != "null" => {
            return Err(Failure::usage(
                format!("{} is a secret, and others can read a command line", flag()),
                format!(
                    "put it into a file and write {} @FILE (@- for standard input)",
                    flag()
                ),
            ));
        }
        _ => raw.to_owned(),
    };
    schema
        .read(&raw)
        .map_err(|why| Failure::usage(format!("{} {raw:?} {why}", flag()), "--help says what it takes"))
}

fn in_file(file: &str, schema: &Schema) -> Result<String, Failure> {
    let text = text_of(file)?;
    // An editor's line end is no part of a password; a certificate's is.
    let one_line = text.trim_end_matches(['\r', '\n']);
    Ok(match schema.is_secret() && !one_line.contains('\n') {
        true => one_line.to_owned(),
        false => text,
    })
}

fn of_set(raw: &str, schema: Option<Schema>, path: &[&str]) -> Result<Value, Failure> {
    match schema {
        Some(schema) if schema.is_scalar() => of_flag(raw, &schema, path),
        _ => Ok(serde_json::from_str(raw).unwrap_or_else(|_| raw.into())),
    }
}

fn put(into: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if !into.is_object() {
        *into = empty();
    }
    put(&mut into[*first], rest, value);
}

/// What is there with what is to change put in, member by member.
pub fn merged(mut there: Value, change: Value) -> Value {
    match (&mut there, change) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                let before = members.remove(&name).unwrap_or_default();
                members.insert(name, merged(before, change));
            }
            there
        }
        (_, change) => change,
    }
}
