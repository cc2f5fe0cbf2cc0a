//! Answers for people.

use crate::{
    document::differences,
    output::{fitted, list, printable, table},
    spec::schema::Schema,
    terminal, yaml,
};
use serde_json::Value;

/// A list's items: a column for each member that has one value, the most telling first.
pub fn items(items: &[Value], schema: &Schema) -> String {
    let flat;
    let (items, members) = match schema.property("id") {
        Some(_) => (items, schema.properties()),
        None => {
            flat = items.iter().map(flattened).collect::<Vec<_>>();
            (&*flat, flattened_members(schema))
        }
    };
    let shown = members.iter().filter(|(name, member)| {
        let empty = !items.is_empty() && items.iter().all(|item| item[*name].is_null());
        let is_long = name.ends_with("_pem") || name.ends_with("_base");
        let one_value = member.is_scalar() || member.items().is_some_and(|of| of.is_scalar());
        one_value && !empty && !is_long && !member.is_secret()
    });
    let mut names: Vec<&str> = shown.map(|(name, _)| *name).collect();
    names.sort_by_key(|name| rank(name));
    let mut rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| names.iter().map(|name| said(&item[*name])).collect())
        .collect();
    let mut headings: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    fitted(&mut headings, &mut rows, terminal::width());
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    table(&headings, &rows)
}

/// What has no id of its own stands for the things in it: their members are its.
fn flattened(item: &Value) -> Value {
    let mut flat = item.clone();
    let Some(members) = flat.as_object_mut() else {
        return flat;
    };
    let inner: Vec<_> = members.values().filter_map(Value::as_object).cloned().collect();
    for (name, value) in inner.into_iter().flatten() {
        members.entry(name).or_insert(value);
    }
    flat
}

fn flattened_members(schema: &Schema) -> Vec<(&'static str, Schema)> {
    let own = schema.properties();
    let mut all: Vec<(&'static str, Schema)> = Vec::new();
    let inner = own.iter().flat_map(|(_, member)| member.properties());
    for (name, member) in own.iter().cloned().chain(inner) {
        if !all.iter().any(|(known, _)| *known == name) {
            all.push((name, member));
        }
    }
    all
}

fn rank(name: &str) -> u8 {
    match name {
        "id" => 0,
        "name" | "slug" | "address" | "day" | "at" => 1,
        "kind" | "state" | "action" | "direction" | "role" => 2,
        _ if name.ends_with("_id") => 4,
        _ if name.ends_with("_at") => 5,
        _ => 3,
    }
}

/// A thing: names and values where that is all, else as YAML.
pub fn one(value: &Value) -> String {
    let Some(members) = value.as_object() else {
        return match value {
            Value::Null => String::new(),
            other => format!("{}\n", printable(&said(other))),
        };
    };
    let is_flat = members.values().all(|member| !is_deep(member));
    if is_flat {
        let mut pairs: Vec<_> = members.iter().map(|(name, value)| (name, said(value))).collect();
        pairs.sort_by_key(|(name, _)| rank(name));
        return list(&pairs);
    }
    let text = yaml::write(value);
    text.lines()
        .map(|line| format!("{}\n", printable(line)))
        .collect()
}

/// What is another than before.
pub fn changed(before: &Value, after: &Value) -> String {
    let lines = differences(before, after)
        .into_iter()
        .map(|difference| difference.to_string() + "\n");
    let text: String = lines.collect();
    if text.is_empty() {
        "nothing has changed\n".to_owned()
    } else {
        text
    }
}

fn is_deep(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
        Value::String(text) => text.contains('\n'),
        _ => false,
    }
}

/// A line of something that is told as it goes on.
pub fn line(value: &Value) -> String {
    match value["event"].as_str() {
        Some("began") => String::new(),
        Some("step") => step(&value["step"]),
        Some("report") => {
            let (outcome, id) = (&value["report"]["outcome"], &value["report_id"]);
            let kept = id.as_str().map(|id| format!("; the report is kept as {id}"));
            format!("{}{}\n", said(outcome), kept.unwrap_or_default())
        }
        // Of an export, which is for programs.
        _ => format!("{value}\n"),
    }
}

/// Of an examination.
fn step(step: &Value) -> String {
    let mark = match step["outcome"].as_str() {
        Some("passed") => "✓",
        Some("warned") => "!",
        Some("failed") => "✗",
        _ => "·",
    };
    let text = |of: &Value| printable(of.as_str().unwrap_or_default());
    let mut shown = format!("{mark} {}", text(&step["title"]));
    if let Some(because) = step["because"].as_str() {
        shown += &format!("  {}", printable(because));
    }
    shown.push('\n');
    for fact in step["evidence"].as_array().into_iter().flatten() {
        shown += &format!("    {}: {}\n", text(&fact["name"]), text(&fact["value"]));
    }
    let finding = &step["finding"];
    if finding.is_object() {
        shown += &format!(
            "    {}: {}\n",
            text(&finding["cause"]),
            text(&finding["explanation"])
        );
        shown += &format!("    do: {}\n", text(&finding["remedy"]));
    }
    shown
}

pub fn said(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A value as a query has it.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
