//! Whether what a file has is made as the API's document says, and what is meant where it is not.

use super::{canonical::WITHHELD, secret};
use crate::{
    spec::schema::Schema,
    yaml::{Key, Kind, Node, Wrong},
};
use serde_json::Value;

/// Unless `env` or `file` is a member of its own.
pub fn may_refer(schema: &Schema) -> bool {
    schema.property("env").is_none() && schema.property("file").is_none() && schema.values().is_none()
}

/// Whether a value is made as the API's document has it, within its limits; what is more than that the API knows better.
pub fn fits(node: &Node, schema: &Schema) -> Result<(), Wrong> {
    let is_left_open = node.is_null() && (schema.is_nullable() || !schema.is_scalar());
    if is_left_open || (secret::of_node(node).is_some() && may_refer(schema)) || is_withheld(node, schema) {
        return Ok(());
    }
    match &node.kind {
        Kind::Map(members) => {
            let properties = schema.properties();
            let (values, known) = (
                schema.values(),
                properties.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            );
            for name in schema.required() {
                if !members.iter().any(|(key, _)| key.name == name) {
                    return Err(Wrong::at(node.line, format!("{name} is missing here"), "say it"));
                }
            }
            for (key, node) in members {
                match properties
                    .iter()
                    .find(|(name, _)| *name == key.name)
                    .map(|(_, s)| *s)
                    .or(values)
                {
                    Some(inner) => fits(node, &inner)?,
                    None if schema.is("object") && known.is_empty() => {}
                    None if known.is_empty() => {
                        return Err(Wrong::at(
                            node.line,
                            "one value is expected here",
                            "see docs/api.md",
                        ));
                    }
                    None => is_known(key, &known)?,
                }
            }
            Ok(())
        }
        Kind::List(items) => match schema.items() {
            Some(of) => {
                items.iter().try_for_each(|item| fits(item, &of))?;
                within_limits(node, schema, &Value::Array(vec![Value::Null; items.len()]))
            }
            None => Err(Wrong::at(
                node.line,
                "no list is expected here",
                "see docs/api.md",
            )),
        },
        Kind::Scalar { .. } => {
            match schema.is_scalar() || schema.is_open() && !schema.is("array") && schema.values().is_none() {
                true => within_limits(node, schema, &node.value(Some(schema))?),
                false => Err(Wrong::at(
                    node.line,
                    "members or a list are expected here",
                    "see docs/api.md",
                )),
            }
        }
    }
}

fn within_limits(node: &Node, schema: &Schema, value: &Value) -> Result<(), Wrong> {
    match schema.refuses(value) {
        Some(why) => Err(Wrong::at(
            node.line,
            why,
            "write a value as docs/api.md and the API's document have them",
        )),
        None => Ok(()),
    }
}

/// What an export was not shown stands in it as `{withheld: true}`.
fn is_withheld(node: &Node, schema: &Schema) -> bool {
    let Kind::Map(members) = &node.kind else {
        return false;
    };
    let is_true = |node: &Node| matches!(&node.kind, Kind::Scalar { text, .. } if text == "true");
    matches!(&members[..], [(key, node)] if key.name == WITHHELD && is_true(node))
        && schema.property(WITHHELD).is_none()
}

pub fn is_known(key: &Key, known: &[&str]) -> Result<(), Wrong> {
    if known.contains(&key.name.as_str()) {
        return Ok(());
    }
    let remedy = match nearest(&key.name, known.iter().copied()) {
        Some(near) => format!("is {near} meant?"),
        None => format!("known are: {}", known.join(", ")),
    };
    Err(Wrong::at(
        key.line,
        format!("{} is not known here", key.name),
        remedy,
    ))
}

pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
