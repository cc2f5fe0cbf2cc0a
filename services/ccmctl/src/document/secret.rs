//! `{env: NAME}` and `{file: PATH}` in place of a text: secrets never stand in a document.

use crate::{
    failure::Failure,
    spec::schema::Schema,
    yaml::{Kind, Node},
};
use serde_json::{Value, json};
use std::path::Path;

/// Where a text is to be found, as a document says it.
pub fn of_node(node: &Node) -> Option<Value> {
    let Kind::Map(members) = &node.kind else {
        return None;
    };
    match &members[..] {
        [
            (
                key,
                Node {
                    kind: Kind::Scalar { text, .. },
                    ..
                },
            ),
        ] if key.name == "env" || key.name == "file" => Some(json!({key.name.as_str(): text})),
        _ => None,
    }
}

pub fn is_reference(value: &Value) -> bool {
    let Some(members) = value.as_object() else {
        return false;
    };
    members.len() == 1
        && members
            .iter()
            .all(|(name, at)| (name == "env" || name == "file") && at.is_string())
}

/// Whether there is anything where a reference leads to.
pub fn can_be_had(reference: &Value, beside: &Path) -> bool {
    match reference["env"].as_str() {
        Some(name) => std::env::var_os(name).is_some(),
        None => beside
            .join(reference["file"].as_str().unwrap_or_default())
            .exists(),
    }
}

/// The text itself. Files are looked for beside the document.
fn fetch(reference: &Value, beside: &Path) -> Result<String, Failure> {
    if let Some(name) = reference["env"].as_str() {
        return std::env::var(name).map_err(|_| {
            Failure::usage(
                format!("the variable {name} is not set"),
                format!("export {name}=…: the document reads it from there"),
            )
        });
    }
    let file = beside.join(reference["file"].as_str().unwrap_or_default());
    std::fs::read_to_string(&file).map_err(|e| {
        Failure::usage(
            format!("{} cannot be read: {e}", file.display()),
            "the document names it: put it there",
        )
    })
}

/// A value with all that it refers to put in.
pub fn resolved(value: &Value, schema: &Schema, beside: &Path) -> Result<Value, Failure> {
    if is_reference(value) {
        let text = fetch(value, beside)?;
        if !schema.is_scalar() {
            // A secret of several parts, as JSON.
            return serde_json::from_str(&text).map_err(|e| {
                Failure::usage(
                    format!("what {value} leads to is no JSON: {e}"),
                    "name each part of the secret instead",
                )
            });
        }
        let one_line = text.trim_end_matches(['\r', '\n']);
        let found = Value::from(match one_line.contains('\n') {
            true => text.as_str(),
            false => one_line,
        });
        return match schema.refuses(&found) {
            None => Ok(found),
            Some(why) => Err(Failure::usage(
                format!("what {value} leads to is not taken: {why}"),
                "put there what the API takes",
            )),
        };
    }
    let Some(members) = value.as_object() else {
        return Ok(value.clone());
    };
    let part = |(name, value): (&String, &Value)| {
        let inner = schema
            .property(name)
            .or_else(|| schema.values())
            .unwrap_or(*schema);
        Ok((name.clone(), resolved(value, &inner, beside)?))
    };
    Ok(Value::Object(
        members.iter().map(part).collect::<Result<_, Failure>>()?,
    ))
}

/// Whether every part that must not be read is somewhere else.
pub fn is_elsewhere(value: &Value, schema: &Schema) -> bool {
    match value {
        _ if is_reference(value) => true,
        Value::Object(members) => members.iter().all(|(name, value)| match schema.property(name) {
            Some(inner) if inner.is_scalar() => !inner.is_secret() || is_reference(value) || value.is_null(),
            _ => false,
        }),
        Value::Null => true,
        _ => false,
    }
}
